//! `GET /why?path=`: one database in full. Ours; the reference has nothing like it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::fleet::{self, Explanation};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

/// One database in full.
#[derive(Debug, Deserialize, Serialize)]
pub struct Why {
    /// Of its file.
    pub path: String,
    /// How it fares.
    pub state: String,
    /// Kind of its storage.
    pub replica: String,
    /// Here.
    pub txid: String,
    /// There.
    pub replica_txid: String,
    /// Whether its replica has all of it.
    pub uploaded: bool,
    /// Whether it is open.
    pub attached: bool,
    /// RFC 3339; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_at: Option<String>,
    /// What is done for it again and again.
    pub work: Vec<Work>,
    /// The next merge, snapshot or check of it that is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_job: Option<Job>,
}

/// One kind of work on a database.
#[derive(Debug, Deserialize, Serialize)]
pub struct Work {
    /// `sync`, `upload` or `levels`.
    pub name: String,
    /// At this moment.
    pub running: bool,
    /// None: nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_in_seconds: Option<f64>,
    /// In a row.
    pub failures: u32,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something that is planned.
#[derive(Debug, Deserialize, Serialize)]
pub struct Job {
    /// What.
    pub name: String,
    /// RFC 3339.
    pub due_at: String,
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
        state: row.status.as_str().to_owned(),
        replica: row.replica_type,
        txid: row.txid.to_string(),
        replica_txid: row.replica_txid.to_string(),
        uploaded,
        attached: row.attached,
        last_sync_at: row.last_sync.map(|seconds| time(i64::from(seconds) * 1000)),
        work: work.into_iter().map(work_shown).collect(),
        next_job: next_job.map(|(name, at)| Job { name, due_at: time(at) }),
    }
}

fn work_shown(work: fleet::Work) -> Work {
    let fleet::Work { name, running, due_in, failures, error } = work;
    Work { name: name.to_owned(), running, due_in_seconds: due_in.map(|due| due.as_secs_f64()), failures, error }
}
