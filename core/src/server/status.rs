//! `GET /status?behind=SECONDS&limit=NUMBER`: the fleet's totals, and its databases, those that lag most first. Ours; the
//! reference has nothing like it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use serde::Serialize;

use crate::fleet::{Standing, StatusRow, Summary};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

/// How far a replica may be behind if the request does not say.
const BEHIND: f64 = 10.0;

/// What the command `status` shows of a daemon.
#[derive(Serialize)]
pub(super) struct Status {
    totals: Totals,
    /// As many as were asked for.
    databases: Vec<Database>,
    /// As many as were asked for.
    not_replicated: Vec<Refused>,
}

#[derive(Serialize)]
struct Totals {
    databases: usize,
    replicating: usize,
    idle: usize,
    behind: usize,
    behind_seconds: f64,
    quarantined: usize,
    starting: usize,
    stopped: usize,
    missing: usize,
    removing: usize,
    not_replicated: usize,
    unprotected: usize,
}

#[derive(Serialize)]
struct Database {
    path: String,
    state: &'static str,
    lag_seconds: f64,
    txid: String,
    replica_txid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Refused {
    path: String,
    reason: String,
}

pub(super) async fn status(
    State(control): State<Arc<Control>>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Status>, Refusal> {
    let value = |name: &str| request::query_value(query.as_deref(), name);
    let behind = value("behind").map_or(Ok(BEHIND), |text| text.parse());
    let allowed = behind.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let allowed = allowed.ok_or_else(|| Refusal::bad_request("behind must be a number of seconds"))?;
    let limit = value("limit").map_or(Ok(usize::MAX), |text| text.parse());
    let limit = limit.map_err(|_| Refusal::bad_request("limit must be a number"))?;
    // A hundred thousand rows are copied and sorted.
    let made = tokio::task::spawn_blocking(move || shown(control.fleet.summary(allowed), allowed, limit)).await;
    made.map(Answer).map_err(Refusal::internal)
}

fn shown(summary: Summary, allowed: Duration, limit: usize) -> Status {
    let count = |standing| summary.count(standing);
    let totals = Totals {
        databases: summary.databases.len(),
        replicating: count(Standing::Replicating),
        idle: count(Standing::Idle),
        behind: count(Standing::Behind),
        behind_seconds: allowed.as_secs_f64(),
        quarantined: count(Standing::Quarantined),
        starting: count(Standing::Starting),
        stopped: count(Standing::Stopped),
        missing: count(Standing::Missing),
        removing: count(Standing::Removing),
        not_replicated: summary.refused.len(),
        unprotected: summary.unprotected(),
    };
    let refused = |(path, reason): (std::path::PathBuf, String)| Refused { path: lossy(&path), reason };
    Status {
        totals,
        databases: summary.databases.into_iter().take(limit).map(database).collect(),
        not_replicated: summary.refused.into_iter().take(limit).map(refused).collect(),
    }
}

fn database((standing, row): (Standing, StatusRow)) -> Database {
    Database {
        path: lossy(&row.path),
        state: standing.as_str(),
        lag_seconds: row.lag.as_secs_f64(),
        txid: row.txid.to_string(),
        replica_txid: row.replica_txid.to_string(),
        error: row.error,
    }
}

fn lossy(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}
