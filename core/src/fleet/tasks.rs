//! The async side of a fleet: uploads, and jobs on levels, each a task of the runtime while it lasts.
//!
//! Their number is limited by the scheduler; a task that panics is a failure of its database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use crate::ltx::{Level, Txid};

use super::jobs;
use super::record::{Lane, Levels};
use super::scheduler::{LevelsEnd, LevelsWork, UploadEnd, UploadWork};
use super::shared::{Shared, Stage};
use super::upload::{self, Arrivals};

impl Shared {
    /// Starts an upload.
    pub(super) fn spawn_upload(self: &Arc<Self>, work: UploadWork) {
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let running = shared.working.begin(work.id, Lane::Upload, None);
            let end = shared.upload(&work).await;
            drop(running);
            shared.update(|state, now| state.scheduler.finish_upload(&work, end, now));
            super::report::save_if_at_rest(&shared, work.id, work.entry, &work.path);
        });
    }

    async fn upload(self: &Arc<Self>, work: &UploadWork) -> UploadEnd {
        let failed = |message: &str| UploadEnd::Failed { message: message.to_owned(), store: false };
        let Some(entry) = self.entry(work.entry) else { return failed("the configuration entry is gone") };
        let arrivals = Noted { shared: self, work };
        let run = AssertUnwindSafe(upload::run(work, &entry, &arrivals)).catch_unwind();
        tokio::select! {
            end = run => end.unwrap_or_else(|_| failed("internal error: the upload panicked; please report it")),
            () = self.reached(Stage::Cut) => failed("interrupted by shutdown"),
        }
    }

    /// Starts a job on levels.
    pub(super) fn spawn_levels(self: &Arc<Self>, work: LevelsWork, few: bool) {
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let running = shared.working.begin(work.id, Lane::Levels, None);
            let end = shared.levels(&work, few).await;
            drop(running);
            shared.update(|state, now| state.scheduler.finish_levels(&work, end, now));
            super::report::save_if_at_rest(&shared, work.id, work.entry, &work.path);
        });
    }

    async fn levels(self: &Arc<Self>, work: &LevelsWork, few: bool) -> LevelsEnd {
        let Some(entry) = self.entry(work.entry) else { return LevelsEnd::Failed("its entry is gone".to_owned()) };
        let metrics = self.look(|state| state.scheduler.table.get(work.id).and_then(|record| record.metrics.clone()));
        let run = AssertUnwindSafe(jobs::run(work, &entry, &self.rules, metrics, few)).catch_unwind();
        tokio::select! {
            end = run => end.unwrap_or_else(|_| {
                LevelsEnd::Failed("internal error: the job panicked; please report it".to_owned())
            }),
            // Nothing is lost: inputs stay until their merged file is there.
            () = self.reached(Stage::Closing) => LevelsEnd::Failed("stopped".to_owned()),
        }
    }
}

/// Tells the scheduler of each file at once, so that positions shown and waited for are true at any moment.
struct Noted<'a> {
    shared: &'a Arc<Shared>,
    work: &'a UploadWork,
}

impl Arrivals for Noted<'_> {
    fn listed(&self, levels: Levels) {
        self.shared.update(|state, _| state.scheduler.listed(self.work.id, levels));
    }

    fn arrived(&self, level: Level, txid: Txid, _bytes: u64) {
        self.shared.update(|state, now| {
            let unix = state.scheduler.unix(now);
            state.scheduler.uploaded(self.work.id, level, txid, unix);
        });
    }
}
