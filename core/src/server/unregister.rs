//! `POST /unregister`: syncs a database a last time and forgets it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;

use super::Control;
use super::answer::{Answer, Refusal};
use super::lifecycle::Done;
use super::request;

#[derive(Deserialize)]
struct UnregisterRequest {
    path: Option<String>,
    timeout: Option<i64>,
}

pub(super) async fn unregister(State(control): State<Arc<Control>>, body: Bytes) -> Result<Answer<Done>, Refusal> {
    let request: UnregisterRequest = request::body(&body)?;
    let path = request::path(request.path.as_deref(), &control.environment)?;
    let (doing, at, patience) = (Arc::clone(&control), path.clone(), request::timeout(request.timeout));
    // A task of its own: who asked may go away, and it is not left half done.
    let last = tokio::spawn(async move {
        // First: whatever becomes of the last sync, it leaves.
        doing.registrations.remove(at.clone()).await;
        doing.fleet.unregister(&at, patience).await
    });
    let last = last.await.map_err(Refusal::internal)?;
    let last = last.map_err(|error| Refusal::internal(format!("failed to unregister database: {error}")))?;
    let (status, txid) = last.map_or(("already_unregistered", 0), |txid| ("unregistered", txid.0));
    Ok(Answer(Done { status: status.to_owned(), path: path.to_string_lossy().into_owned(), txid }))
}
