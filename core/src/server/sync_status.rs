//! `GET /debug/sync-status`: what is being done with each database, or with one.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;

use crate::fleet::StatusRow;

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Serialize)]
pub(super) struct SyncStatuses {
    databases: Vec<SyncStatus>,
}

/// What of the reference's fields this program knows.
#[derive(Serialize)]
struct SyncStatus {
    path: String,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    /// Our own word for its state.
    phase: &'static str,
    txid: u64,
    replicated_txid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn sync_status(
    State(control): State<Arc<Control>>,
    RawQuery(query): RawQuery,
) -> Result<Answer<SyncStatuses>, Refusal> {
    let rows = match request::query_path(query.as_deref()).filter(|path| !path.is_empty()) {
        None => control.fleet.snapshot(),
        Some(path) => {
            let row = control.fleet.status(&request::path(Some(&path), &control.environment)?);
            vec![row.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "database not found"))?]
        }
    };
    let mut databases: Vec<SyncStatus> = rows.into_iter().map(status).collect();
    databases.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Answer(SyncStatuses { databases }))
}

fn status(row: StatusRow) -> SyncStatus {
    SyncStatus {
        path: row.path.to_string_lossy().into_owned(),
        active: row.busy,
        operation: row.busy.then_some("sync"),
        phase: row.status.as_str(),
        txid: row.txid.0,
        replicated_txid: row.replica_txid.0,
        error: row.error,
    }
}
