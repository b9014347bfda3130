//! `GET /debug/sync-status`: what is being done with each database, or with one.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;

use crate::clock::{self, UnixMillis};
use crate::db::Phase;
use crate::fleet::StatusRow;

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Serialize)]
pub(super) struct SyncStatuses {
    databases: Vec<SyncStatus>,
}

/// The reference's fields, as far as this engine has what they tell; empty ones are left out.
#[derive(Serialize)]
struct SyncStatus {
    path: String,
    /// Ours: how the database fares.
    state: &'static str,
    active: bool,
    /// `sync`, `upload` or `levels`, while it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    /// The step of a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    /// When the step began.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_seconds: Option<f64>,
    txid: u64,
    replicated_txid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    wal_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    last_synced_wal_offset: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    snapshotting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    executor_waiter_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_wait_started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_wait_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn sync_status(
    State(control): State<Arc<Control>>,
    RawQuery(query): RawQuery,
) -> Result<Answer<SyncStatuses>, Refusal> {
    let rows = match request::query_value(query.as_deref(), "path").filter(|path| !path.is_empty()) {
        None => control.fleet.snapshot(),
        Some(path) => {
            let row = control.fleet.status(&request::path(Some(&path), &control.environment)?);
            vec![row.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "database not found"))?]
        }
    };
    // Files are looked at, perhaps a hundred thousand of them.
    let statuses = tokio::task::spawn_blocking(move || {
        let mut databases: Vec<SyncStatus> = rows.into_iter().map(status).collect();
        databases.sort_by(|one, other| one.path.cmp(&other.path));
        databases
    });
    let databases = statuses.await.map_err(Refusal::internal)?;
    Ok(Answer(SyncStatuses { databases }))
}

fn status(row: StatusRow) -> SyncStatus {
    let phase = row.running.and_then(|run| run.phase);
    let started_at = row.running.map(|run| run.started_at);
    SyncStatus {
        path: row.path.to_string_lossy().into_owned(),
        state: row.status.as_str(),
        active: row.running.is_some(),
        operation: row.running.map(|run| run.lane.name()),
        phase: phase.map(|(phase, _)| phase.as_str()),
        started_at: started_at.map(time),
        updated_at: phase.map(|(_, at)| at).or(started_at).map(time),
        elapsed_seconds: started_at.map(seconds_since),
        txid: row.txid.0,
        replicated_txid: row.replica_txid.0,
        wal_size: wal_size(&row.path),
        last_synced_wal_offset: row.synced_wal_offset,
        snapshotting: phase.is_some_and(|(phase, _)| phase == Phase::WriteLtxFromDb),
        checkpoint_mode: phase.and_then(|(phase, _)| phase.checkpoint_mode()),
        executor_waiter_count: row.waiters as u64,
        executor_wait_started_at: row.waiting_since.map(time),
        executor_wait_seconds: row.waiting_since.map(seconds_since),
        error: row.error,
    }
}

fn time(millis: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

fn seconds_since(millis: UnixMillis) -> f64 {
    (clock::unix_millis() - millis).max(0) as f64 / 1000.0
}

/// Of the file as it is, synced or not.
fn wal_size(database: &Path) -> u64 {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).map_or(0, |metadata| metadata.len())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
