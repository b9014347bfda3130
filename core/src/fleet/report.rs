//! What the fleet tells: log lines about databases, answers to those who wait, and the saved state of what came to rest.

use std::path::Path;
use std::sync::Arc;

use super::back_off::Failure;
use super::record::{DbId, EntryId, Lane};
use super::saved_state::{self, SavedState};
use super::scheduler::{Event, Forgotten};
use super::shared::Shared;

/// Handles one event, without the lock.
pub fn event(shared: &Arc<Shared>, event: Event) {
    match event {
        Event::Failed(id, lane, failure) => failed(shared, id, lane, &failure),
        Event::Recovered(id, lane, errors) => recovered(shared, id, lane, errors),
        // Answered already, under the lock.
        Event::Ended(..) => {}
        Event::Forgotten(_, gone) => forgotten(&gone),
        Event::Shrunk => shared.give_memory_back(),
        Event::Returned(entry, path) => super::membership::add_again(shared, entry, path),
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn path_of(shared: &Shared, id: DbId) -> std::path::PathBuf {
    shared.look(|state| state.scheduler.table.path(id))
}

fn failed(shared: &Shared, id: DbId, lane: Lane, failure: &Failure) {
    let path = path_of(shared, id);
    let (db, shown, error, failures) = (name(&path), path.display(), &failure.message, failure.count);
    match lane {
        Lane::Local => tracing::error!(db = %db, path = %shown, error, failures, "sync error"),
        Lane::Upload => tracing::error!(db = %db, path = %shown, error, failures, "monitor error"),
        Lane::Levels => tracing::warn!(db = %db, path = %shown, error, failures, "compaction failed"),
    }
}

fn recovered(shared: &Shared, id: DbId, lane: Lane, previous_errors: u32) {
    let path = path_of(shared, id);
    let (db, shown) = (name(&path), path.display());
    match lane {
        Lane::Local => tracing::info!(db = %db, path = %shown, previous_errors, "sync recovered"),
        Lane::Upload => tracing::info!(db = %db, path = %shown, previous_errors, "replica sync recovered"),
        Lane::Levels => tracing::debug!(db = %db, path = %shown, previous_errors, "compaction recovered"),
    }
}

fn forgotten(gone: &Forgotten) {
    let (path, record, error) = (gone.path.display(), &gone.record, gone.failure.as_deref());
    if record.uploaded() {
        tracing::debug!(%path, txid = %record.local, "final sync done");
    } else {
        tracing::warn!(%path, txid = %record.local, replica_txid = %record.levels.position(), error,
            "removed database was not fully uploaded; its local state is kept and continued if it comes back");
    }
}

/// Keeps the state of a database that came to rest, for the next start.
pub fn save(shared: &Shared, entry: EntryId, path: &Path, saved: SavedState) {
    let Some(entry) = shared.entry(entry) else { return };
    let Some(replica) = saved_state::replica_name(&entry, path) else { return };
    shared.ledger.save(path, saved.for_replica(replica));
}

/// The same, if it is at rest.
pub fn save_if_at_rest(shared: &Shared, id: DbId, entry: EntryId, path: &Path) {
    let rested = shared.lock().scheduler.take_rested(id);
    if let Some(saved) = rested {
        save(shared, entry, path, saved);
    }
}
