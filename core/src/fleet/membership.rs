//! Which databases belong to the fleet while it runs: periodic and requested rescans of watched directories, additions
//! and removals.
//!
//! A scan runs on a blocking thread of its own, so that a directory on a hung mount delays no other. A removal is only
//! begun here; its last sync is ordinary work in the queue.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::clock;
use crate::discovery::{Attachments, Changes, DirSpec, FileIdentity, Rescan, ScanError, Scope};

use super::entry::EntryTarget;
use super::local_work::identity_of;
use super::record::{EntryId, Flags, Identity, Lane};
use super::registration::{self, Candidate};
use super::shared::{FEW, Shared, Stage};
use super::watch::Watches;

/// Events gather this long before a rescan: a `mkdir -p` or an unpacking archive is many of them.
const GATHER: Duration = Duration::from_millis(20);

/// A directory that could not be scanned (it was removed, say) is tried again after this time.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// After a full scan comes no other for this many times as long as it took: events that are lost again and again must not
/// take a core.
const REST: u32 = 9;

/// But never longer than this.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// A full scan that nobody asked for comes after this many times as long as the last one took, if that is more than the
/// interval: looking at a large tree costs at most 1/400 of a core.
const PERIODIC_REST: u32 = 400;

/// The directories that are scanned again and again. A reload adds to them and takes from them.
#[derive(Clone)]
pub struct Scans {
    scans: Arc<Mutex<HashMap<EntryId, Arc<Scan>>>>,
    interval: Duration,
}

impl Scans {
    /// `scans` are the watched entries, with what their first scan found. Each is scanned again after `interval`.
    pub fn new(scans: HashMap<EntryId, Rescan>, interval: Duration) -> Scans {
        let all = Scans { scans: Arc::default(), interval };
        scans.into_iter().for_each(|(entry, rescan)| all.set(entry, rescan));
        all
    }

    /// Scans a directory from now on, in place of what the entry had.
    pub fn set(&self, entry: EntryId, rescan: Rescan) {
        let now = clock::monotonic();
        let scan = Scan {
            rescan: Mutex::new(rescan),
            wanted: Mutex::new(None),
            times: Mutex::new(FullScanTimes { periodic: now + self.interval, period: self.interval, rested: now }),
            failing: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        };
        let before = locked(&self.scans).insert(entry, Arc::new(scan));
        before.inspect(|scan| scan.dropped.store(true, Ordering::SeqCst));
    }

    /// Scans the entry's directory no more. What a scan under way finds is nobody's business.
    pub fn forget(&self, entry: EntryId) {
        let before = locked(&self.scans).remove(&entry);
        before.inspect(|scan| scan.dropped.store(true, Ordering::SeqCst));
    }

    /// The longest that a directory is not looked through although nobody reports a change.
    pub fn bound(&self) -> Duration {
        let scans = locked(&self.scans);
        scans.values().map(|scan| locked(&scan.times).period).max().unwrap_or_default()
    }

    fn get(&self, entry: EntryId) -> Option<Arc<Scan>> {
        locked(&self.scans).get(&entry).cloned()
    }

    /// Those whose everything is to be looked at again.
    fn due(&self, now: Instant) -> Vec<EntryId> {
        let scans = locked(&self.scans);
        scans.iter().filter(|(_, scan)| locked(&scan.times).periodic <= now).map(|(entry, _)| *entry).collect()
    }
}

/// Has the directories scanned.
pub struct Membership {
    shared: Arc<Shared>,
    scans: Scans,
    requests: RescanRequests,
    watches: Watches,
}

/// One directory.
struct Scan {
    rescan: Mutex<Rescan>,
    /// What to look at next. A scan that is under way may have missed it.
    wanted: Mutex<Option<Scope>>,
    times: Mutex<FullScanTimes>,
    /// The last scan failed, and that was said.
    failing: AtomicBool,
    /// The entry is gone, or has another scan.
    dropped: AtomicBool,
}

/// When everything is looked at again.
struct FullScanTimes {
    /// Although nobody asks.
    periodic: Instant,
    /// From one such scan to the next.
    period: Duration,
    /// At the earliest.
    rested: Instant,
}

/// Asks for a rescan of an entry's directory.
pub type RescanRequests = mpsc::UnboundedSender<(EntryId, Scope)>;

impl Membership {
    /// Scans that ask for more of themselves do so through `requests`.
    pub fn new(shared: Arc<Shared>, scans: Scans, requests: RescanRequests, watches: Watches) -> Membership {
        Membership { shared, scans, requests, watches }
    }

    /// Rescans until the fleet shuts down.
    pub async fn run(self, mut requests: mpsc::UnboundedReceiver<(EntryId, Scope)>) {
        let mut tick = tokio::time::interval(self.scans.interval.max(GATHER));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.reset();
        loop {
            let mut wanted: HashMap<EntryId, Scope> = HashMap::new();
            tokio::select! {
                _ = tick.tick() => {
                    wanted.extend(self.scans.due(clock::monotonic()).into_iter().map(|entry| (entry, Scope::All)));
                }
                Some(first) = requests.recv() => {
                    tokio::time::sleep(GATHER).await;
                    let gathered = std::iter::once(first).chain(std::iter::from_fn(|| requests.try_recv().ok()));
                    for (entry, scope) in gathered {
                        wanted.entry(entry).or_insert_with(|| Scope::Parts(BTreeSet::new())).add(scope);
                    }
                }
                () = self.shared.reached(Stage::Closing) => return,
            }
            for (entry, scope) in wanted {
                self.scan(entry, scope);
            }
        }
    }

    /// Starts a scan; one that is under way is followed by another.
    fn scan(&self, entry: EntryId, scope: Scope) {
        let Some(scan) = self.scans.get(entry) else { return };
        let (shared, requests, watches) = (Arc::clone(&self.shared), self.requests.clone(), self.watches.clone());
        let interval = self.scans.interval;
        scan.want(scope);
        self.shared.runtime.spawn_blocking(move || {
            // Whoever asks while the lock is held leaves it to its holder, who therefore looks once more without it.
            while scan.is_wanted() {
                let mut rescan = match scan.rescan.try_lock() {
                    Ok(rescan) => rescan,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => return,
                };
                while let Some(scope) = scan.next(&shared) {
                    let started = clock::monotonic();
                    let scanned = rescan.scan(&scope, &*shared);
                    if scan.dropped.load(Ordering::SeqCst) {
                        return;
                    }
                    scan.failing(scanned.as_ref().err(), rescan.spec());
                    match scanned {
                        Ok(mut changes) => {
                            watches.add(std::mem::take(&mut changes.directories), Some(entry));
                            apply(&shared, entry, changes);
                        }
                        Err(error) => {
                            if error.is_missing() {
                                // Unlike a directory that cannot be read, one that is gone has no databases.
                                let spec = rescan.spec().clone();
                                *rescan = Rescan::new(spec);
                                apply(&shared, entry, Changes { removed: known(&shared, entry), ..Changes::default() });
                            }
                            request_later(&shared, &requests, entry, AFTER_ERROR);
                        }
                    }
                    scan.done(&scope, started.elapsed(), interval);
                }
            }
        });
    }
}

impl Scan {
    fn want(&self, scope: Scope) {
        let mut wanted = locked(&self.wanted);
        match &mut *wanted {
            Some(more) => more.add(scope),
            None => *wanted = Some(scope),
        }
    }

    fn is_wanted(&self) -> bool {
        locked(&self.wanted).is_some()
    }

    /// What to look at now; nothing while the fleet shuts down. Full scans keep their distance, parts never wait.
    fn next(&self, shared: &Shared) -> Option<Scope> {
        let scope = locked(&self.wanted).take()?;
        if scope == Scope::All {
            clock::sleep(locked(&self.times).rested.saturating_duration_since(clock::monotonic()));
        }
        Some(scope).filter(|_| *shared.stage.borrow() == Stage::Running)
    }

    fn done(&self, scope: &Scope, took: Duration, interval: Duration) {
        if *scope == Scope::All {
            let (now, mut times) = (clock::monotonic(), locked(&self.times));
            times.rested = now + (took * REST).min(LONGEST_REST);
            times.period = interval.max(took * PERIODIC_REST);
            times.periodic = now + times.period;
        }
    }

    /// Says once that a directory cannot be scanned.
    fn failing(&self, error: Option<&ScanError>, spec: &DirSpec) {
        let before = self.failing.swap(error.is_some(), Ordering::SeqCst);
        if let (false, Some(error)) = (before, error) {
            tracing::warn!(dir = %spec.dir.display(), %error, "directory watcher error");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The databases of an entry.
fn known(shared: &Shared, entry: EntryId) -> Vec<PathBuf> {
    shared.look(|state| {
        let table = &state.scheduler.table;
        let of_entry = table.iter().filter(|(_, record)| record.entry == entry && !record.flags.has(Flags::REMOVING));
        of_entry.map(|(id, _)| table.path(id)).collect()
    })
}

fn request_later(shared: &Shared, requests: &RescanRequests, entry: EntryId, pause: Duration) {
    let requests = requests.clone();
    shared.runtime.spawn(async move {
        tokio::time::sleep(pause).await;
        // The receiver ends with the fleet.
        let _ = requests.send((entry, Scope::All));
    });
}

/// What an entry covers, as its configuration has it.
fn written(shared: &Shared, entry: EntryId) -> String {
    let written = shared.entry(entry).map(|entry| match &entry.target {
        EntryTarget::Path(path) => path.display().to_string(),
        EntryTarget::Dir(spec) => spec.written.clone(),
    });
    written.unwrap_or_default()
}

/// Adds, removes and renews what a rescan found changed. Blocks: files are looked at.
fn apply(shared: &Arc<Shared>, entry: EntryId, changes: Changes) {
    let dir = written(shared, entry);
    for skipped in &changes.skipped {
        tracing::warn!(path = %skipped.path.display(), reason = %skipped.reason, "file is not replicated");
        shared.lock().refused.insert(skipped.path.clone(), skipped.reason.to_string());
    }
    for problem in &changes.problems {
        tracing::warn!(path = %problem.path.display(), error = %problem.message, "cannot look at this path");
    }
    for path in &changes.removed {
        tracing::info!(dir, path = %path.display(), "removed database from replication");
        shared.update(|state, now| {
            if let Some(id) = state.scheduler.table.find(path) {
                state.scheduler.remove(id, now);
            }
            state.refused.remove(path);
        });
    }
    for replaced in &changes.replaced {
        shared.update(|state, now| {
            if let Some(id) = state.scheduler.table.find(&replaced.now.path) {
                if let Some(record) = state.scheduler.table.get_mut(id) {
                    record.flags.set(Flags::FORCED, true);
                    record.flags.set(Flags::LINK, replaced.now.path != replaced.now.file);
                }
                state.scheduler.want(id, Lane::Local, now);
            }
        });
    }
    let added = changes.added.into_iter();
    let added = added.map(|found| Candidate { link: found.path != found.file, path: found.path, entry });
    add(shared, added.collect(), &dir);
}

/// Adds databases while the fleet runs. Blocks: files are looked at.
pub fn add(shared: &Arc<Shared>, candidates: Vec<Candidate>, dir: &str) {
    if candidates.is_empty() {
        return;
    }
    let prepared = registration::prepare_all(shared, candidates);
    let (ids, refused) = registration::register(shared, prepared);
    for (n, id) in ids.iter().enumerate() {
        let path = shared.look(|state| state.scheduler.table.path(*id));
        if n < FEW {
            tracing::info!(dir, path = %path.display(), "added database to replication");
        } else {
            tracing::debug!(dir, path = %path.display(), "added database to replication");
        }
    }
    if ids.len() > FEW {
        tracing::info!(dir, databases = ids.len(), "added databases to replication");
    }
    for refused in &refused {
        match refused {
            registration::Refused::Known(_) => {}
            // Moved: it is added as soon as the old name has let go of it.
            registration::Refused::SameFile { path, as_ } if identity_of(path) != identity_of(as_) => {
                tracing::debug!(path = %path.display(), from = %as_.display(), "database was moved");
            }
            refused => tracing::error!(reason = %refused, "database is not replicated"),
        }
    }
}

/// A path that came back while its old row was still being finished, or whose file is free now.
pub fn add_again(shared: &Arc<Shared>, entry: EntryId, path: PathBuf) {
    let task = Arc::clone(shared);
    shared.runtime.spawn_blocking(move || {
        let watched = task.entry(entry).is_some_and(|entry| matches!(entry.target, EntryTarget::Dir(_)));
        if watched && identity_of(&path).is_none() {
            // Gone again: a scan tells when it comes back. The file of a single entry is waited for.
            task.lock().refused.remove(&path);
            return;
        }
        let link = path.is_symlink();
        let dir = written(&task, entry);
        add(&task, vec![Candidate { path, entry, link }], &dir);
    });
}

impl Attachments for Shared {
    /// A file that has a row may be attached at any moment; it is a database, and `db` says if it is none any more.
    fn unless_attached(&self, identity: FileIdentity, open: &mut dyn FnMut()) -> bool {
        let identity = Identity { dev: identity.device, ino: identity.inode };
        let reading = self.look(|state| {
            let has_row = state.scheduler.table.find_identity(identity).is_some();
            (!has_row).then(|| self.readers.begin(identity))
        });
        if reading.is_some() {
            open();
        }
        reading.is_some()
    }
}
