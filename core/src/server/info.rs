//! `GET /info`: which daemon this is.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Control;
use super::answer::Answer;

/// The daemon itself.
#[derive(Debug, Deserialize, Serialize)]
pub struct Info {
    /// Of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since its start.
    pub uptime_seconds: u64,
    /// RFC 3339.
    pub started_at: String,
    /// All that it knows, replicated or not.
    pub database_count: usize,
}

pub(super) async fn info(State(control): State<Arc<Control>>) -> Answer<Info> {
    let started = jiff::SignedDuration::try_from(control.started_unix).unwrap_or_default();
    Answer(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: control.started.elapsed().as_secs(),
        started_at: jiff::Timestamp::from_duration(started).unwrap_or_default().to_string(),
        database_count: control.fleet.progress().databases,
    })
}
