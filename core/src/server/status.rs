//! `GET /status?behind=SECONDS&limit=NUMBER`: the fleet's totals, and its databases, those that lag most first. Ours; the
//! reference has nothing like it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};

use crate::fleet::{Standing, StatusRow, Summary};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

/// How far a replica may be behind if the request does not say.
const BEHIND: f64 = 10.0;

/// How all databases fare.
#[derive(Debug, Deserialize, Serialize)]
pub struct Status {
    /// Over all of them.
    pub totals: Totals,
    /// As many as were asked for, those that lag most first.
    pub databases: Vec<Database>,
    /// As many as were asked for.
    pub not_replicated: Vec<Refused>,
}

/// How many databases stand how; see [`Standing`].
#[derive(Debug, Deserialize, Serialize)]
#[allow(missing_docs, reason = "each is the number of its name")]
pub struct Totals {
    pub databases: usize,
    pub replicating: usize,
    pub idle: usize,
    pub behind: usize,
    /// No count: further than this is `behind`.
    pub behind_seconds: f64,
    pub quarantined: usize,
    pub starting: usize,
    pub stopped: usize,
    pub missing: usize,
    pub removing: usize,
    /// Found, and not taken.
    pub not_replicated: usize,
    /// Not on their replicas, or too far behind.
    pub unprotected: usize,
}

/// How one database fares.
#[derive(Debug, Deserialize, Serialize)]
pub struct Database {
    /// Of its file.
    pub path: String,
    /// Its [`Standing`].
    pub state: String,
    /// How far its replica is behind.
    pub lag_seconds: f64,
    /// Here.
    pub txid: String,
    /// There.
    pub replica_txid: String,
    /// What failed last, if it has not been done since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file that was found and is not replicated.
#[derive(Debug, Deserialize, Serialize)]
pub struct Refused {
    /// Of the file.
    pub path: String,
    /// In a sentence.
    pub reason: String,
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
        state: standing.as_str().to_owned(),
        lag_seconds: row.lag.as_secs_f64(),
        txid: row.txid.to_string(),
        replica_txid: row.replica_txid.to_string(),
        error: row.error,
    }
}

fn lossy(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}
