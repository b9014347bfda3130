//! `GET /why?path=`: one database in full. Ours; the reference has nothing like it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;

use crate::fleet::{Explanation, Work};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

/// What the command `why` shows.
#[derive(Serialize)]
pub(super) struct Why {
    path: String,
    state: &'static str,
    replica: String,
    txid: String,
    replica_txid: String,
    uploaded: bool,
    attached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync_at: Option<String>,
    work: Vec<WorkShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_job: Option<JobShown>,
}

#[derive(Serialize)]
struct WorkShown {
    name: &'static str,
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_in_seconds: Option<f64>,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct JobShown {
    name: String,
    due_at: String,
}

pub(super) async fn why(
    State(control): State<Arc<Control>>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Why>, Refusal> {
    let path = request::path(request::query_value(query.as_deref(), "path").as_deref(), &control.environment)?;
    match control.fleet.explain(&path) {
        Some(explained) => Ok(Answer(shown(explained))),
        None => {
            let refusal = Refusal::new(StatusCode::NOT_FOUND, "database not found");
            Err(match control.fleet.refusal(&path) {
                Some(reason) => refusal.with_details(reason),
                None => refusal,
            })
        }
    }
}

fn shown(explained: Explanation) -> Why {
    let Explanation { row, uploaded, work, next_job } = explained;
    let time = |millis| jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string();
    Why {
        path: row.path.to_string_lossy().into_owned(),
        state: row.status.as_str(),
        replica: row.replica_type,
        txid: row.txid.to_string(),
        replica_txid: row.replica_txid.to_string(),
        uploaded,
        attached: row.attached,
        last_sync_at: row.last_sync.map(|seconds| time(i64::from(seconds) * 1000)),
        work: work.into_iter().map(work_shown).collect(),
        next_job: next_job.map(|(name, at)| JobShown { name, due_at: time(at) }),
    }
}

fn work_shown(work: Work) -> WorkShown {
    let Work { name, running, due_in, failures, error } = work;
    WorkShown { name, running, due_in_seconds: due_in.map(|due| due.as_secs_f64()), failures, error }
}
