//! `GET /debug/sync-status`: what is being done with each database, or with one.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;

use crate::fleet::{DatabaseStatus, StatusRow};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Serialize)]
pub(super) struct SyncStatuses {
    databases: Vec<SyncStatus>,
}

/// The reference's fields, except those of steps that this engine does not have; empty ones are left out.
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
    #[serde(skip_serializing_if = "is_zero")]
    wal_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    last_synced_wal_offset: u64,
    snapshotting: bool,
    #[serde(skip_serializing_if = "is_zero")]
    executor_waiter_count: u64,
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
    SyncStatus {
        path: row.path.to_string_lossy().into_owned(),
        active: row.busy,
        operation: row.operation,
        phase: row.status.as_str(),
        txid: row.txid.0,
        replicated_txid: row.replica_txid.0,
        wal_size: wal_size(&row.path),
        last_synced_wal_offset: row.synced_wal_offset,
        snapshotting: row.status == DatabaseStatus::Starting && row.operation == Some("sync"),
        executor_waiter_count: row.waiters as u64,
        error: row.error,
    }
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
