//! `POST /sync`: syncs a database now.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::fleet::Synced;

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Deserialize)]
struct SyncRequest {
    path: Option<String>,
    /// Until it is on the replica.
    wait: Option<bool>,
    timeout: Option<i64>,
}

/// How far a database is after its sync.
#[derive(Debug, Deserialize, Serialize)]
pub struct SyncAnswer {
    /// `synced`, `synced_local` or `no_change`.
    pub status: String,
    /// Of its file.
    pub path: String,
    /// Here.
    pub txid: u64,
    /// On the replica.
    pub replicated_txid: u64,
}

pub(super) async fn sync(State(control): State<Arc<Control>>, body: Bytes) -> Result<Answer<SyncAnswer>, Refusal> {
    let request: SyncRequest = request::body(&body)?;
    let path = request::path(request.path.as_deref(), &control.environment)?;
    let limit = request::timeout(request.timeout);
    let sync = control.fleet.sync(&path, request.wait.unwrap_or(false));
    let synced = match tokio::time::timeout(limit, sync).await {
        Ok(result) => result?,
        Err(_) => return Err(Refusal::internal(format!("not done within {limit:?}; the sync goes on"))),
    };
    Ok(Answer(SyncAnswer {
        status: status(&synced).to_owned(),
        path: path.to_string_lossy().into_owned(),
        txid: synced.txid.0,
        replicated_txid: synced.replica_txid.0,
    }))
}

fn status(synced: &Synced) -> &'static str {
    match synced.replica_txid >= synced.txid {
        _ if !synced.changed => "no_change",
        true => "synced",
        false => "synced_local",
    }
}
