//! Watches directories for writes, so that a commit is seen within milliseconds. Only hints come from here: the sweep is
//! the truth, and goes on at its own pace where watching fails.
//!
//! One watch for each directory that holds databases (or may, in a watched tree), none for state directories: what we
//! write there ourselves is no news. Where the system's limit of watches is reached, the entry's files are looked at
//! each monitor interval, as if there were no watches.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::event::{CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::clock;
use crate::discovery::Scope;

use super::entry::{Entry, EntryTarget};
use super::flood::Flood;
use super::membership::RescanRequests;
use super::record::EntryId;
use super::scheduler::Pace;
use super::shared::Shared;

/// Adds watches to a running fleet.
#[derive(Clone)]
pub struct Watches(Sender<Command>);

enum Command {
    /// Watch these directories, if they are not watched yet; then look again for what came into them before.
    Watch(Vec<PathBuf>, Option<EntryId>),
    /// A directory is gone, and its watch with it.
    Gone(PathBuf),
    /// The directories of this entry are watched by now: its files are looked at rarely.
    Rely(EntryId),
}

impl Watches {
    /// Watches directories. Those that were not watched yet are scanned again for the entry: what was made there before the
    /// watch gave no event.
    pub fn add(&self, directories: Vec<PathBuf>, entry: Option<EntryId>) {
        // The thread ends with the fleet; then nothing needs to be watched.
        let _ = self.0.send(Command::Watch(directories, entry));
    }

    /// The directories of an entry that came while the fleet runs were added: unless watching fails, its files need to be
    /// looked at rarely only.
    pub fn rely(&self, entry: EntryId) {
        // As above.
        let _ = self.0.send(Command::Rely(entry));
    }
}

/// Begins to watch `directories`. Where that works, the files of an entry are swept each `sweep` only.
pub fn start(
    shared: &Arc<Shared>,
    requests: RescanRequests,
    directories: Vec<PathBuf>,
    sweep: Duration,
) -> std::io::Result<Watches> {
    let (commands, receiver) = channel();
    let (commands_later, flood) = (commands.clone(), Flood::new(clock::monotonic()));
    let mut listener =
        Listener { shared: Arc::downgrade(shared), requests: requests.clone(), commands: commands_later, flood };
    let watcher = notify::recommended_watcher(move |event| listener.hear(event));
    let watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "directories cannot be watched; files are looked at each monitor interval instead");
            return Ok(Watches(commands));
        }
    };
    let shared_later = Arc::downgrade(shared);
    let mut keeper = Keeper { shared: shared_later, watcher, watched: HashSet::new(), failed: false, sweep, requests };
    let ready = Arc::clone(shared);
    std::thread::Builder::new().name("fleet-watch".to_owned()).spawn(move || {
        let count = keeper.add(directories).len();
        tracing::debug!(directories = count, "watching directories");
        keeper.relax_all(&ready);
        keeper.look_again(&ready);
        drop(ready);
        keeper.run(&receiver);
    })?;
    Ok(Watches(commands))
}

/// Owns the watches. Its own thread, because the watcher's calls wait for the thread that hears events.
struct Keeper {
    shared: Weak<Shared>,
    watcher: RecommendedWatcher,
    /// Hashes of 128 bits: the watcher has the paths, and does not show them.
    watched: HashSet<u128>,
    /// The failure of a watch was reported.
    failed: bool,
    sweep: Duration,
    requests: RescanRequests,
}

impl Keeper {
    /// Until the fleet is gone.
    fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(Duration::from_secs(1)) {
                Ok(Command::Watch(directories, entry)) => {
                    let new = self.add(directories);
                    if let (false, Some(entry)) = (new.is_empty(), entry) {
                        // The receiver ends with the fleet.
                        let _ = self.requests.send((entry, Scope::Parts(new)));
                    }
                }
                Ok(Command::Gone(directory)) => {
                    if self.watched.remove(&name_of(&directory)) {
                        // It may be gone already.
                        let _ = self.watcher.unwatch(&directory);
                    }
                }
                Ok(Command::Rely(entry)) => {
                    if let Some(shared) = self.shared.upgrade().filter(|_| !self.failed) {
                        self.relax(&shared, entry);
                    }
                }
                Err(_) if self.shared.strong_count() == 0 => return,
                Err(_) => {}
            }
        }
    }

    /// Gives those that are new.
    fn add(&mut self, directories: Vec<PathBuf>) -> BTreeSet<PathBuf> {
        let mut new = BTreeSet::new();
        for directory in directories {
            if self.watched.contains(&name_of(&directory)) {
                continue;
            }
            match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(name_of(&directory));
                    new.insert(directory);
                }
                Err(error) if is_missing(&error) => {}
                Err(error) => self.give_up(&directory, &error),
            }
        }
        new
    }

    /// Sweeps rarely what is watched.
    fn relax_all(&self, shared: &Arc<Shared>) {
        (0..).map(EntryId).zip(shared.entries()).for_each(|(id, _)| self.relax(shared, id));
        if self.failed {
            self.fall_back(shared, None);
        }
    }

    fn relax(&self, shared: &Arc<Shared>, id: EntryId) {
        let monitor = shared.entry(id).and_then(|entry| entry.monitor_interval).unwrap_or_default();
        let pace = Pace::watched(self.sweep.max(monitor));
        shared.update(|state, now| state.scheduler.set_sweep(id, pace, now));
    }

    /// What came between the first scan and the first watch gave no event.
    fn look_again(&self, shared: &Arc<Shared>) {
        for (id, entry) in (0..).map(EntryId).zip(shared.entries()) {
            if matches!(&entry.target, EntryTarget::Dir(spec) if spec.watch) {
                // The receiver ends with the fleet.
                let _ = self.requests.send((id, Scope::All));
            }
        }
    }

    fn give_up(&mut self, directory: &Path, error: &notify::Error) {
        let Some(shared) = self.shared.upgrade() else { return };
        if !std::mem::replace(&mut self.failed, true) {
            tracing::warn!(dir = %directory.display(), %error,
                "a directory cannot be watched; its files are looked at each monitor interval instead (raise the limit \
                 fs.inotify.max_user_watches to notice changes sooner)");
        }
        self.fall_back(&shared, Some(directory));
    }

    /// Sweeps the entries that reach into a directory (or all) at their monitor interval again.
    fn fall_back(&self, shared: &Arc<Shared>, directory: Option<&Path>) {
        for (id, entry) in (0..).map(EntryId).zip(shared.entries()) {
            if directory.is_none_or(|directory| reaches(&entry, directory)) {
                let monitor = entry.monitor_interval.unwrap_or(self.sweep);
                shared.update(|state, now| state.scheduler.set_sweep(id, Pace::polled(monitor), now));
            }
        }
    }
}

fn name_of(directory: &Path) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, directory).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// True if an entry may have databases directly in a directory.
fn reaches(entry: &Entry, directory: &Path) -> bool {
    match &entry.target {
        EntryTarget::Path(path) => path.parent() == Some(directory),
        EntryTarget::Dir(spec) => directory.starts_with(&spec.dir),
    }
}

/// Hears of events, on the watcher's thread.
struct Listener {
    shared: Weak<Shared>,
    requests: RescanRequests,
    commands: Sender<Command>,
    flood: Flood,
}

impl Listener {
    fn hear(&mut self, event: notify::Result<Event>) {
        let Some(shared) = self.shared.upgrade() else { return };
        match event {
            Ok(event) if event.need_rescan() => self.lost_events(&shared),
            Ok(event) => {
                for path in &event.paths {
                    self.hear_of(&shared, event.kind, path);
                }
                drop(shared);
                if let Some(pause) = self.flood.heard(clock::monotonic()) {
                    clock::sleep(pause);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "directory watcher error");
                self.lost_events(&shared);
            }
        }
    }

    fn hear_of(&self, shared: &Arc<Shared>, kind: EventKind, path: &Path) {
        // The kernel's names can be empty when the watched directory itself is meant.
        if path.as_os_str().is_empty() || matches!(kind, EventKind::Access(_)) {
            return;
        }
        match kind {
            EventKind::Remove(RemoveKind::Folder) | EventKind::Modify(ModifyKind::Name(_)) => {
                let _ = self.commands.send(Command::Gone(path.to_owned()));
            }
            _ => {}
        }
        match role(path) {
            Role::Ignored => {}
            Role::Wal(database) => {
                shared.changed(&database);
            }
            Role::Other => {
                let known = shared.changed(path);
                if !known || !matches!(kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))) {
                    shared.touch(path);
                    self.membership_may_differ(shared, kind, path);
                }
            }
        }
    }

    /// Has the watching entries that a path may concern look at it.
    fn membership_may_differ(&self, shared: &Arc<Shared>, kind: EventKind, path: &Path) {
        let folder = matches!(kind, EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder));
        let moved = matches!(kind, EventKind::Modify(ModifyKind::Name(_)));
        for (id, entry) in (0..).map(EntryId).zip(shared.entries()) {
            let EntryTarget::Dir(spec) = &entry.target else { continue };
            let tree = (folder || moved) && (spec.recursive || path == spec.dir) && path.starts_with(&spec.dir);
            if spec.watch && (tree || spec.covers(path).is_some()) {
                // The receiver ends with the fleet.
                let _ = self.requests.send((id, Scope::part(path.to_owned())));
            }
        }
    }

    /// Nothing is known of what changed: everything is looked at again.
    fn lost_events(&self, shared: &Arc<Shared>) {
        tracing::warn!("the system dropped file events; looking at every file instead");
        shared.update(|state, now| state.scheduler.sweep_now(now));
        for (id, _) in (0..).map(EntryId).zip(shared.entries()) {
            let _ = self.requests.send((id, Scope::All));
        }
    }
}

/// What a file beside databases is.
enum Role {
    /// Of no interest.
    Ignored,
    /// The WAL of this database.
    Wal(PathBuf),
    /// A database, a directory, or anything else.
    Other,
}

fn role(path: &Path) -> Role {
    let bytes = path.as_os_str().as_bytes();
    if bytes.ends_with(b"-shm") || bytes.ends_with(b"-journal") || bytes.ends_with(b"-litestream") {
        return Role::Ignored;
    }
    match bytes.strip_suffix(b"-wal") {
        Some(database) => Role::Wal(PathBuf::from(OsStr::from_bytes(database))),
        None => Role::Other,
    }
}

impl Shared {
    /// Another file may stand at this path.
    fn touch(self: &Arc<Self>, path: &Path) {
        let Some(id) = self.find(path) else { return };
        self.update(|state, _| state.scheduler.touch(id));
    }

    /// Something wrote to this file, or to its WAL. True if a database of ours is there.
    pub fn changed(self: &Arc<Self>, path: &Path) -> bool {
        let (known, planned) = {
            let mut state = self.lock();
            let now = self.now();
            match state.scheduler.table.find(path) {
                Some(id) => (true, state.scheduler.changed(id, now)),
                None => (false, false),
            }
        };
        if planned {
            self.update(|_, _| ());
        }
        known
    }
}
