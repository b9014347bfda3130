//! `GET /info`: which daemon this is.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::Control;
use super::answer::Answer;

#[derive(Serialize)]
pub(super) struct Info {
    version: &'static str,
    pid: u32,
    uptime_seconds: u64,
    started_at: String,
    database_count: usize,
}

pub(super) async fn info(State(control): State<Arc<Control>>) -> Answer<Info> {
    let started = jiff::SignedDuration::try_from(control.started_unix).unwrap_or_default();
    Answer(Info {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_seconds: control.started.elapsed().as_secs(),
        started_at: jiff::Timestamp::from_duration(started).unwrap_or_default().to_string(),
        database_count: control.fleet.progress().databases,
    })
}
