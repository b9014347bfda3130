//! `POST /stop` and `POST /start`: a database rests, and is taken up again.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Deserialize)]
struct LifecycleRequest {
    path: Option<String>,
    timeout: Option<i64>,
}

/// What became of a database.
#[derive(Debug, Deserialize, Serialize)]
pub struct Done {
    /// `stopped`, or `already_stopped`, and so on.
    pub status: String,
    /// Of its file.
    pub path: String,
    /// Its last transaction here.
    pub txid: u64,
}

pub(super) async fn stop(State(control): State<Arc<Control>>, body: Bytes) -> Result<Answer<Done>, Refusal> {
    let request: LifecycleRequest = request::body(&body)?;
    let path = request::path(request.path.as_deref(), &control.environment)?;
    let stopped = control.fleet.stop_database(&path, request::timeout(request.timeout)).await;
    let stopped = stopped.map_err(Refusal::internal)?;
    Ok(answer(&control, &path, if stopped { "stopped" } else { "already_stopped" }))
}

pub(super) async fn start(State(control): State<Arc<Control>>, body: Bytes) -> Result<Answer<Done>, Refusal> {
    let request: LifecycleRequest = request::body(&body)?;
    let path = request::path(request.path.as_deref(), &control.environment)?;
    let started = control.fleet.start_database(&path).map_err(Refusal::internal)?;
    Ok(answer(&control, &path, if started { "started" } else { "already_running" }))
}

fn answer(control: &Control, path: &Path, status: &str) -> Answer<Done> {
    let txid = control.fleet.status(path).map_or(0, |row| row.txid.0);
    Answer(Done { status: status.to_owned(), path: path.to_string_lossy().into_owned(), txid })
}
