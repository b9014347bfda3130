//! The world of one seed: lives of a fleet, one after the other, on the same files and the same store.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use litestream_sdk::ErrorKind;
use tokio::time::sleep;

use super::application::Application;
use super::oracle::Oracle;
use super::store::{Fate, SimStore};
use crate::clock;
use crate::config::LayoutChoice;
use crate::db::{DbSettings, MetaDir};
use crate::discovery::MetaLocation;
use crate::fleet::entry::{Entry, EntryTarget};
use crate::fleet::jobs::JobRules;
use crate::fleet::ledger::{self, Ledger};
use crate::fleet::levels::LevelPlan;
use crate::fleet::record::EntryId;
use crate::fleet::registration::{self, Candidate};
use crate::fleet::scheduler::{Limits, Scheduler};
use crate::fleet::shared::Shared;
use crate::fleet::start::{self, Mode};
use crate::fleet::testing::TestDestination;
use crate::fleet::workers;
use crate::metrics;
use crate::plugin::{ByteBudget, Store, StoreSettings};

/// How often each kind of thing happened.
pub type Counts = BTreeMap<String, u64>;

/// Steps of one life, at most.
const STEPS: usize = 90;
/// A moment in which everything that can go on goes on.
const MOMENT: Duration = Duration::from_millis(1);
/// When every seed begins: later than any time stamp of the machine.
const BEGINNING: Duration = Duration::from_secs(2_000_000_000);
/// Longer than every interval of a plan.
const IDLE: Duration = Duration::from_secs(900);
/// How often a store may ask to slow down: each time halves the calls at once. A merge reads on a thread of its own, and time
/// stands while it does; were it to wait there for the place of another call, only that time would free it.
const STORMS: u8 = 3;
const NAMES: [&str; 2] = ["a", "b"];

struct Database {
    path: PathBuf,
    meta: MetaDir,
    application: Application,
    oracle: Oracle,
}

/// See the module.
pub struct World {
    random: Rng,
    directory: PathBuf,
    store: SimStore,
    databases: Vec<Database>,
    /// The wall clock at the beginning of the next life.
    unix_time: Duration,
    /// How often the store does not do what it should, in percent.
    trouble: u8,
    log: Vec<String>,
    counts: Counts,
    /// How often the store may still ask to slow down in this life.
    storms_left: u8,
    /// An older copy of the ledger.
    kept: Option<Vec<u8>>,
    _turn: File,
}

impl Drop for World {
    fn drop(&mut self) {
        self.databases.clear();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        // Pauses before retries come from the thread's generator.
        fastrand::seed(seed);
        let memory = PathBuf::from("/dev/shm");
        let scratch = if memory.is_dir() { memory } else { std::env::temp_dir() };
        // Paths decide when periodic work is due: they are the same in every run.
        let directory = scratch.join("litestream-rs-simulation").join(seed.to_string());
        let turn = take_turn(&directory);
        let trouble = [0, 5, 15, 40][random.usize(..4)];
        let (databases, log, counts) = Default::default();
        let store = SimStore::default();
        World {
            random,
            directory,
            store,
            databases,
            unix_time: BEGINNING,
            trouble,
            log,
            counts,
            storms_left: 0,
            kept: None,
            _turn: turn,
        }
    }

    pub fn log(&self) -> &[String] {
        &self.log
    }

    pub fn counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Lives, and the end.
    pub fn run(&mut self) {
        let lives = self.random.usize(1..=4);
        for life in 0..=lives {
            let runtime = runtime();
            runtime.block_on(async {
                clock::simulated::begin(self.unix_time);
                if life == 0 {
                    self.make_databases().await;
                }
                let fleet = self.start_fleet().await;
                if life < lives {
                    self.live(&fleet).await
                } else {
                    self.end(&fleet).await
                }
                self.unix_time = clock::unix_time();
            });
            // Whatever was under way is not any more.
            drop(runtime);
            if life < lives {
                self.between_lives();
            }
        }
    }

    async fn open_store(&self, storage: Arc<dyn litestream_sdk::Storage>) -> Arc<Store> {
        let budget = ByteBudget::new(64 << 20);
        let settings = StoreSettings { budget: &budget, max_in_flight: None, metrics: metrics::global() };
        Arc::new(Store::around("memory", storage, settings).await.unwrap())
    }

    async fn make_databases(&mut self) {
        let honest = self.open_store(Arc::new(self.store.memory.clone())).await;
        for name in NAMES {
            let path = self.directory.join(format!("{name}.db"));
            let application = Application::make(&path, &mut self.random);
            let oracle = Oracle::new(Arc::clone(&honest), &format!("r/{name}"));
            let meta = MetaDir::new(MetaLocation::Beside.meta_path(&path, None));
            self.databases.push(Database { path, meta, application, oracle });
        }
    }

    /// A fleet without threads: [`World`] is its timer and its worker.
    async fn start_fleet(&mut self) -> Arc<Shared> {
        let seconds = Duration::from_secs;
        let plan = LevelPlan {
            compaction_intervals: vec![seconds(5), seconds(20)],
            snapshot_interval: seconds(60),
            snapshot_retention: seconds(100),
            l0_retention: seconds(15),
            l0_retention_check_interval: seconds(3),
            validation_interval: None,
            enabled: true,
        };
        let open_databases = if self.random.u8(..4) == 0 { 1 } else { 10 };
        let limits = Limits { open_databases, uploads: 4, levels: 2, quiet: seconds(10) };
        let rules = JobRules { plan: plan.clone(), retention_enabled: true, verify: false };
        let (scheduler, ledger) = (Scheduler::new(limits, plan), Ledger::open(&self.directory));
        let shared = Shared::new(scheduler, rules, tokio::runtime::Handle::current(), ledger);
        let shared = Arc::new(shared);
        let store = self.open_store(Arc::new(self.store.clone())).await;
        self.storms_left = STORMS;
        let mut candidates = Vec::new();
        for (n, name) in NAMES.iter().enumerate() {
            let path = self.databases[n].path.clone();
            let entry = Entry {
                target: EntryTarget::Path(path.clone()),
                settings: Arc::new(DbSettings { min_checkpoint_page_count: 10, ..DbSettings::default() }),
                monitor_interval: Some(seconds(1)),
                meta: MetaLocation::Beside,
                destination: Arc::new(TestDestination::new(Arc::clone(&store), &format!("r/{name}"))),
                sync_interval: seconds(1),
                max_sync_ltx_files: Some(3),
                auto_recover: true,
                layout: LayoutChoice::Auto,
            };
            start::add_entry(&shared, Arc::new(entry), Mode::Continuous);
            candidates.push(Candidate { path, entry: EntryId(n as u32), link: false });
        }
        let prepared = registration::prepare_all(&shared, candidates);
        let (ids, refused) = registration::register(&shared, prepared);
        assert!(ids.len() == NAMES.len() && refused.is_empty(), "{refused:?}");
        self.say("start".to_owned());
        shared
    }

    async fn live(&mut self, fleet: &Arc<Shared>) {
        for _ in 0..self.random.usize(10..STEPS) {
            self.step(fleet).await;
            self.check().await;
        }
        if self.random.u8(..3) > 0 {
            self.say("crash".to_owned());
            return;
        }
        self.say("quiet before the crash".to_owned());
        self.settle(fleet).await;
    }

    async fn step(&mut self, fleet: &Arc<Shared>) {
        match self.random.u8(..100) {
            0..25 => self.application_acts(fleet),
            25..50 => drop(self.work(fleet)),
            50..85 => self.store_answers(),
            85..97 => {
                let ms = [1..50, 50..2000, 2000..15_000][self.random.usize(..3)].clone();
                let pause = Duration::from_millis(self.random.u64(ms));
                self.say(format!("time passes: {pause:?}"));
                sleep(pause).await;
            }
            _ => {
                let at = self.random.usize(..self.databases.len());
                let directory = self.directory.clone();
                if self.databases[at].oracle.check_restore(&mut self.random, &directory).await {
                    self.count("states compared");
                }
            }
        }
        fleet.update(|_, _| ());
        sleep(MOMENT).await;
    }

    fn application_acts(&mut self, fleet: &Arc<Shared>) {
        let at = self.random.usize(..self.databases.len());
        let did = self.databases[at].application.act(&mut self.random);
        self.say(format!("{}: {did}", NAMES[at]));
        if self.random.u8(..10) < 6 {
            let path = self.databases[at].path.clone();
            fleet.update(|state, now| {
                let id = state.scheduler.table.find(&path);
                id.is_some_and(|id| state.scheduler.changed(id, now))
            });
        }
    }

    /// As a worker: one piece of work, and what it wrote.
    fn work(&mut self, fleet: &Arc<Shared>) -> bool {
        let worked = workers::work_once(fleet);
        if self.random.bool() {
            fleet.ledger.flush();
        }
        let now = clock::unix_time();
        for (database, name) in self.databases.iter_mut().zip(NAMES) {
            age_local_files(&database.meta, now);
            let new = database.oracle.note_local(&database.meta, || database.application.fingerprint());
            self.log.extend(new.map(|txid| format!("    {name}: local file {txid}")));
        }
        worked
    }

    fn store_answers(&mut self) {
        let waiting = self.store.waiting();
        if waiting.is_empty() {
            return;
        }
        let at = self.random.usize(..waiting.len());
        let fate = self.fate();
        self.say(format!("{fate:?}: {}", waiting[at]));
        self.store.let_go(at, fate);
    }

    fn fate(&mut self) -> Fate {
        if self.random.u8(..100) >= self.trouble {
            return Fate::Done;
        }
        match self.random.u8(..6) {
            0 => Fate::Fails(ErrorKind::TRANSIENT),
            1 if self.storms_left > 0 => {
                self.storms_left -= 1;
                Fate::Fails(ErrorKind::RATE_LIMITED)
            }
            1 => Fate::Fails(ErrorKind::TRANSIENT),
            2 => Fate::Fails(ErrorKind::PERMISSION_DENIED),
            3 => Fate::BreaksOff(self.random.u64(..300)),
            _ => Fate::Unanswered,
        }
    }

    async fn check(&mut self) {
        if let Some(name) = self.store.conflict() {
            panic!("{name} was written twice with different contents");
        }
        for name in self.store.take_written() {
            let at = usize::from(name.starts_with("r/b/"));
            self.databases[at].oracle.note_written(&name);
        }
        for database in &mut self.databases {
            database.oracle.check_plans().await;
        }
    }

    /// The store answers everything, time passes, nobody writes: until nothing is left to do, and then a while longer.
    async fn settle(&mut self, fleet: &Arc<Shared>) {
        let (mut calls, mut quiet) = (self.store.calls(), Duration::ZERO);
        let mut rounds = 0;
        while quiet < IDLE {
            for call in self.store.waiting() {
                self.say(format!("Done: {call}"));
                self.store.let_go(0, Fate::Done);
            }
            while self.work(fleet) {}
            fleet.ledger.flush();
            fleet.update(|_, _| ());
            sleep(MOMENT).await;
            if !self.store.waiting().is_empty() || self.store.calls() != calls {
                self.check().await;
                (calls, quiet) = (self.store.calls(), Duration::ZERO);
            }
            // Most intervals are short; for the rest larger steps will do.
            let pause = Duration::from_millis(if quiet < Duration::from_secs(30) { 900 } else { 7000 });
            sleep(pause).await;
            quiet += pause;
            rounds += 1;
            assert!(rounds < 20_000, "the fleet never comes to rest; {:?} wait", self.store.waiting());
        }
    }

    async fn end(&mut self, fleet: &Arc<Shared>) {
        self.say("the end".to_owned());
        for database in &mut self.databases {
            // A database that does not change is not looked at: what somebody deleted is noticed with the next commit.
            database.application.commit(&mut self.random);
        }
        self.settle(fleet).await;
        let failures: Vec<String> = fleet.look(|state| {
            let failures = state.scheduler.failures.iter();
            failures.map(|((id, lane), failure)| format!("{id:?} {lane:?}: {}", failure.message)).collect()
        });
        assert!(failures.is_empty(), "still failing at the end: {failures:?}");
        let directory = self.directory.clone();
        for at in 0..self.databases.len() {
            let expected = self.databases[at].application.fingerprint();
            self.databases[at].oracle.check_end(&directory, expected).await;
            for _ in 0..2 {
                if self.databases[at].oracle.check_restore(&mut self.random, &directory).await {
                    self.count("states compared");
                }
            }
        }
    }

    /// What happens to files while no fleet runs.
    fn between_lives(&mut self) {
        self.unix_time += Duration::from_secs(self.random.u64(..200));
        for (at, name) in NAMES.iter().enumerate() {
            let what = match self.random.u8(..10) {
                0 => {
                    let _ = std::fs::remove_dir_all(self.databases[at].meta.root());
                    "local state is lost".to_owned()
                }
                1 => self.cut("litestream-rs.position", at),
                2 => self.damage_ledger(),
                3 => self.keep_or_put_back_ledger(),
                4 => match self.databases[at].meta.list_l0().unwrap().last() {
                    Some(newest) => {
                        let path = self.databases[at].meta.l0_path(newest.max_txid);
                        std::fs::write(path, b"").unwrap();
                        "the newest local file is damaged".to_owned()
                    }
                    None => continue,
                },
                5 => format!("meanwhile: {}", self.databases[at].application.act(&mut self.random)),
                6 if self.random.u8(..3) == 0 => {
                    let victim = runtime().block_on(self.databases[at].oracle.damage(&mut self.random));
                    let Some(victim) = victim else { continue };
                    self.store.forget(&victim);
                    format!("somebody deletes {victim}")
                }
                _ => continue,
            };
            self.count(&what);
            self.log.push(format!("between two lives: {name}: {what}"));
        }
    }

    fn cut(&self, name: &str, at: usize) -> String {
        let path = self.databases[at].meta.root().join(name);
        if path.exists() {
            std::fs::write(path, b"").unwrap();
        }
        format!("{name} is cut")
    }

    fn damage_ledger(&mut self) -> String {
        let path = ledger::file_below(&self.directory);
        let mut bytes = std::fs::read(&path).unwrap();
        match bytes.len() {
            len if len > 0 && self.random.bool() => bytes[self.random.usize(..len)] ^= 1 << self.random.u8(..8),
            len => bytes.truncate(self.random.usize(..=len)),
        }
        std::fs::write(path, bytes).unwrap();
        "the ledger is damaged".to_owned()
    }

    /// What was written was not made safe: the old ledger is there again.
    fn keep_or_put_back_ledger(&mut self) -> String {
        let path = ledger::file_below(&self.directory);
        match self.kept.take() {
            Some(kept) => {
                std::fs::write(path, kept).unwrap();
                "an old ledger is there again".to_owned()
            }
            None => {
                self.kept = Some(std::fs::read(path).unwrap());
                "a ledger is kept".to_owned()
            }
        }
    }

    fn say(&mut self, what: String) {
        self.count(what.split([':', '(']).next().unwrap_or_default());
        self.log.push(format!("{:.3} {what}", (clock::unix_time().saturating_sub(BEGINNING)).as_secs_f64()));
    }

    fn count(&mut self, name: &str) {
        let name: String = name.chars().take_while(|c| !c.is_ascii_digit() && *c != '/').collect();
        *self.counts.entry(name).or_default() += 1;
    }
}

/// Waits until no other process is in the directory, empties it, and keeps it as long as the result lives. (Somebody else's
/// tests on the same machine once looked like a loss in seed 58.)
fn take_turn(directory: &Path) -> File {
    loop {
        std::fs::create_dir_all(directory).unwrap();
        // Whoever has it removes it in the end.
        let Ok(turn) = File::open(directory) else { continue };
        turn.lock().unwrap();
        let inode = |metadata: std::fs::Metadata| metadata.ino();
        if std::fs::metadata(directory).map(inode).ok() != turn.metadata().map(inode).ok() {
            continue;
        }
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
        return turn;
    }
}

/// One thread, and time that passes only when nothing else is to be done.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Local files are as old as the simulation says.
fn age_local_files(meta: &MetaDir, now: Duration) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    for file in meta.list_l0().unwrap() {
        let is_new = file.modified_at < i64::try_from(BEGINNING.as_millis()).unwrap();
        if is_new {
            let time = Timespec { tv_sec: now.as_secs().cast_signed(), tv_nsec: now.subsec_nanos().into() };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, meta.l0_path(file.max_txid), &times, AtFlags::empty()).unwrap();
        }
    }
}
