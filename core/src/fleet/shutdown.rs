//! The end: a last sync of everything, all databases at once, under one deadline; then every attachment is given back.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;

use super::local_work::look;
use super::record::{DbId, Flags};
use super::scheduler::SweepSeen;
use super::shared::{Shared, Stage};

/// How often it is looked whether everything is done.
const LOOK: Duration = Duration::from_millis(20);

/// Detaching is local and quick; a disk that hangs must not keep the process for ever.
const DETACH: Duration = Duration::from_secs(10);

/// How to end.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownRequest {
    /// How long failing syncs are tried again, over all databases. Zero: one attempt each.
    pub timeout: Duration,
    /// The pause between two tries.
    pub interval: Duration,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Databases whose last commits are not all on their replica, with the reason. Their local state holds what was
    /// synced; the next start goes on there.
    pub unfinished: Vec<(PathBuf, String)>,
    /// A second signal cut it short.
    pub interrupted: bool,
}

/// Runs it. `cut` ends the waiting (the second signal).
pub async fn run(shared: &Arc<Shared>, request: ShutdownRequest, cut: impl Future<Output = ()>) -> ShutdownReport {
    shared.stage.send_replace(Stage::Closing);
    let deadline = clock::monotonic() + request.timeout;
    shared.update(|state, now| state.scheduler.close(request.interval, now));
    let single_attempt = request.timeout.is_zero();
    let finish = async {
        last_look(shared).await;
        while shared.unfinished(single_attempt) > 0 && (single_attempt || clock::monotonic() < deadline) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let interrupted = tokio::select! {
        () = finish => false,
        () = cut => true,
    };
    let unfinished = left_over(shared, interrupted);
    shared.stage.send_replace(Stage::Cut);
    detach_all(shared).await;
    ShutdownReport { unfinished, interrupted }
}

/// A last look at the files that nobody has open: a change that no event reported is synced, too.
async fn last_look(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || {
        let cold = |(id, record): (DbId, &super::record::Record)| {
            let skip = record.flags.has(Flags::HOT) || record.flags.has(Flags::STOPPED);
            (!skip).then_some((id, record.flags.has(Flags::LINK)))
        };
        let ids: Vec<_> = shared.look(|state| state.scheduler.table.iter().filter_map(cold).collect());
        for part in ids.chunks(1024) {
            let paths: Vec<_> =
                shared.look(|state| part.iter().map(|(id, _)| state.scheduler.table.path(*id)).collect());
            let see = |(&(id, link), path): (&(DbId, bool), &PathBuf)| {
                let seen = look(path, link);
                SweepSeen { id, identity: seen.identity, stamp: seen.stamp, file: seen.file }
            };
            let seen: Vec<SweepSeen> = part.iter().zip(&paths).map(see).collect();
            shared.update(|state, now| state.scheduler.finish_sweep(&seen, now));
        }
    });
    if looked.await.is_err() {
        tracing::debug!("the last look at the files was cut short");
    }
}

impl Shared {
    fn unfinished(&self, single_attempt: bool) -> usize {
        self.look(|state| {
            let ids = state.scheduler.table.iter().map(|(id, _)| id);
            ids.filter(|id| state.scheduler.unfinished(*id, single_attempt)).count()
        })
    }
}

fn left_over(shared: &Arc<Shared>, interrupted: bool) -> Vec<(PathBuf, String)> {
    let left = shared.look(|state| {
        let rows = state.scheduler.table.iter().map(|(id, _)| id);
        let left = rows.filter(|id| state.scheduler.unfinished(*id, false));
        let reason = |id| {
            let waiting = if interrupted { "interrupted by signal" } else { "no time left" };
            super::registration::failure_of(state, id).unwrap_or_else(|| waiting.to_owned())
        };
        left.map(|id| (state.scheduler.table.path(id), reason(id))).collect::<Vec<_>>()
    });
    for (path, error) in &left {
        let db = path.file_name().unwrap_or_default().to_string_lossy();
        if interrupted {
            tracing::warn!(db = %db, path = %path.display(), error, "shutdown sync skipped, interrupted by signal");
        } else {
            tracing::error!(db = %db, path = %path.display(), error, "failed to close database");
        }
    }
    left
}

async fn detach_all(shared: &Arc<Shared>) {
    shared.update(|state, now| state.scheduler.detach_all(now));
    let deadline = clock::monotonic() + DETACH;
    while shared.look(|state| state.scheduler.hot.open()) > 0 && clock::monotonic() < deadline {
        tokio::time::sleep(LOOK / 4).await;
    }
}
