//! `GET /list`: all databases.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::fleet::{DatabaseStatus, StatusRow};

use super::Control;
use super::answer::Answer;

/// Every database.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {
    /// By path.
    pub databases: Vec<Listed>,
}

/// One of them.
#[derive(Debug, Deserialize, Serialize)]
pub struct Listed {
    /// Of its file.
    pub path: String,
    /// One of the three words clients of the reference know.
    pub status: String,
    /// RFC 3339; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_at: Option<String>,
    /// Why it is not as well as the status sounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub(super) async fn list(State(control): State<Arc<Control>>) -> Answer<List> {
    let mut databases: Vec<Listed> = control.fleet.snapshot().into_iter().map(listed).collect();
    databases.sort_by(|one, other| one.path.cmp(&other.path));
    Answer(List { databases })
}

fn listed(row: StatusRow) -> Listed {
    let status = match row.status {
        DatabaseStatus::Stopped | DatabaseStatus::Conflict => "stopped",
        // Known, and nothing of it is on its replica yet.
        DatabaseStatus::Starting | DatabaseStatus::Missing => "open",
        _ => "replicating",
    };
    let time = |seconds: u32| jiff::Timestamp::from_second(i64::from(seconds)).unwrap_or_default().to_string();
    Listed {
        path: row.path.to_string_lossy().into_owned(),
        status: status.to_owned(),
        last_sync_at: row.last_sync.map(time),
        error: row.error,
    }
}
