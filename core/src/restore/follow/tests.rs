//! Followers of the reference implementation's replicas, and of one that is stopped in the middle of a change.

mod properties;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use super::super::output::with_suffix;
use super::super::restore;
use super::super::testing::{MemorySource, ltx_of, name};
use super::journal::Journal;
use super::*;
use crate::ltx::{Encoder, Header, Level, PageSize, Pgno};

/// Stops when the follower has nothing more to do: it asks for the interval only then.
const IDLE: Duration = Duration::from_millis(1);

const OPTIONS: FollowOptions = FollowOptions {
    interval: IDLE,
    force: false,
    restore: RestoreOptions { parallelism: 2, integrity: super::super::IntegrityCheck::None },
};

struct Scene {
    directory: tempfile::TempDir,
    source: Arc<MemorySource>,
}

impl Scene {
    fn new(tree: &str) -> Scene {
        Scene { directory: tempfile::tempdir().unwrap(), source: Arc::new(MemorySource::fixture(tree)) }
    }

    fn empty() -> Scene {
        Scene { directory: tempfile::tempdir().unwrap(), source: Arc::new(MemorySource::new()) }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("follower.db")
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source) as Arc<dyn Source>
    }

    /// Follows until the position is `txid`.
    async fn follow_to(&self, txid: Txid) -> Result<Txid, FollowError> {
        let position = position_path(&self.database());
        let there = async {
            while fs::read_to_string(&position).ok() != Some(format!("{txid}\n")) {
                tokio::time::sleep(IDLE).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), follow(self.source(), &self.database(), OPTIONS, &(), there))
            .await
            .expect("it gets there")
    }

    /// Puts the database into the state after a transaction, as a follower leaves it.
    async fn restore_to(&self, txid: Txid) {
        let output =
            Output::check(&self.database(), OutputRules { force: true, skip_existing: false }).unwrap().unwrap();
        let target = Target::Txid(txid);
        let files = list(self.source.as_ref(), target).await.unwrap();
        let plan = plan(&files, target).unwrap();
        restore(self.source.as_ref(), target, plan, &output, RestoreOptions::default(), &()).await.unwrap();
        save_position(&self.database(), txid).unwrap();
    }

    /// The content, without the header fields a follower sets for its readers: versions, counters, size, library version.
    fn content(&self) -> Vec<u8> {
        let mut bytes = fs::read(self.database()).unwrap();
        for field in [18..20, 24..32, 92..100] {
            bytes[field].fill(0);
        }
        bytes
    }

    async fn expected(&self, txid: Txid) -> Vec<u8> {
        let other = Scene { directory: tempfile::tempdir().unwrap(), source: Arc::clone(&self.source) };
        other.restore_to(txid).await;
        other.content()
    }

    async fn tip(&self) -> Txid {
        let files = list(self.source.as_ref(), Target::Latest).await.unwrap();
        files.iter().map(|file| file.max_txid).max().unwrap()
    }

    /// Transactions before the newest that can be restored exactly.
    async fn states(&self) -> Vec<Txid> {
        let files = list(self.source.as_ref(), Target::Latest).await.unwrap();
        let tip = self.tip().await.0;
        (1..tip).map(Txid).filter(|txid| plan(&files, Target::Txid(*txid)).is_ok()).collect()
    }
}

fn reader(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_every_state_a_follower_reaches_the_newest() {
    for tree in ["multitxn", "legacy", "upgrade", "autovacuum", "shrink", "truncate", "ps512", "ps65536"] {
        let scene = Scene::new(tree);
        let tip = scene.tip().await;
        let states = scene.states().await;
        // Some from each, and never only the first: every step costs several syncs of the disk.
        for state in states.iter().copied().step_by(states.len().div_ceil(3)) {
            scene.restore_to(state).await;
            assert_eq!(scene.follow_to(tip).await.unwrap(), tip, "{tree} from {state}");
            assert!(scene.content() == scene.expected(tip).await, "{tree} from {state}");
            let sound: String =
                reader(&scene.database()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(sound, "ok", "{tree} from {state}");
        }
        assert!(!with_suffix(&scene.database(), "-journal").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_begins_with_a_restore() {
    let scene = Scene::new("multitxn");
    let tip = scene.tip().await;
    assert_eq!(begin(&scene.source(), &scene.database(), OPTIONS, &()).await.unwrap(), tip);
    assert_eq!(load_position(&scene.database()).unwrap(), tip);
    assert!(scene.content() == scene.expected(tip).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn h64_holes_in_level_0_are_bridged_by_merged_files() {
    let scene = Scene::new("multitxn");
    let tip = scene.tip().await;
    let state = scene.states().await[0];
    for file in scene.source.list(Level::RAW).await.unwrap() {
        if file.max_txid < tip {
            scene.source.remove(0, file.file_name());
        }
    }
    scene.restore_to(state).await;
    assert_eq!(scene.follow_to(tip).await.unwrap(), tip);
    assert!(scene.content() == scene.expected(tip).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stay_see_the_new_state() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let _ = Locked::of(&scene.database());
    let staying = reader(&scene.database());
    let pages = |db: &Connection| db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    pages(&staying).unwrap();
    scene.follow_to(tip).await.unwrap();
    assert_eq!(pages(&staying).unwrap(), pages(&reader(&scene.database())).unwrap());
    let data_version: i64 = staying.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap();
    assert!(data_version > 1, "what it remembered was thrown away");
}

/// Takes the database out of WAL mode, as the first change does.
struct Locked;

impl Locked {
    fn of(path: &Path) -> Locked {
        let mode: String =
            Connection::open(path).unwrap().query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete");
        Locked
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_cut_short_is_rolled_back_by_whoever_opens_the_database() {
    let scene = Scene::new("shrink");
    let first = scene.states().await[0];
    scene.restore_to(first).await;
    let _ = Locked::of(&scene.database());
    let before = fs::read(scene.database()).unwrap();
    let page_size = PageSize::from_u16(u16::from_be_bytes([before[16], before[17]])).unwrap();
    let pages = before.len() / page_size.bytes();
    // As far as a process gets that is killed while it writes: journal sealed, some pages changed, the file cut.
    let mut journal = Journal::create(&scene.database(), page_size, pages as u32).unwrap();
    for (number, page) in (1..).zip(before.chunks(page_size.bytes())) {
        journal.save(Pgno(number), page).unwrap();
    }
    journal.seal().unwrap();
    drop(journal);
    let file = fs::OpenOptions::new().write(true).open(scene.database()).unwrap();
    file.write_all_at(&vec![0xee; page_size.bytes() / 2], 0).unwrap();
    file.set_len(page_size.bytes() as u64 * 2).unwrap();
    drop(file);
    let sound: String =
        Connection::open(scene.database()).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    assert!(fs::read(scene.database()).unwrap() == before);
    let tip = scene.tip().await;
    assert_eq!(scene.follow_to(tip).await.unwrap(), tip);
    assert!(scene.content() == scene.expected(tip).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_changes_nothing() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let _ = Locked::of(&scene.database());
    let before = fs::read(scene.database()).unwrap();
    for level in Level::all() {
        for file in scene.source.list(level).await.unwrap() {
            if file.max_txid > first {
                scene.source.damage(level.number(), file.file_name(), file.size as usize - 60);
            }
        }
    }
    let mut follower = Follower::new(scene.source(), &scene.database(), first);
    follower.step().await.unwrap();
    assert_eq!((follower.failures, follower.txid), (1, first), "of {tip}");
    assert!(fs::read(scene.database()).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_resumed_says_why() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    fs::remove_file(position_path(&scene.database())).unwrap();
    let error = scene.follow_to(tip).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot resume follow mode: database exists but no -txid file found"), "{error}");
    fs::write(position_path(&scene.database()), "17\n").unwrap();
    assert!(matches!(scene.follow_to(tip).await, Err(FollowError::BadPosition(_))));
    save_position(&scene.database(), Txid(tip.0 + 1)).unwrap();
    assert!(matches!(scene.follow_to(tip).await, Err(FollowError::Ahead { .. })));
    // As after an idle time longer than retention: neither a file that continues, nor one that covers.
    scene.source.put_named(0, name(tip.0 + 3, tip.0 + 3), ltx_of(PageSize::MIN, tip.0 + 3, tip.0 + 3, 1, &[(1, 1)]));
    assert!(matches!(scene.follow_to(tip).await, Err(FollowError::Gap(_))));
}

/// The reference fails this: it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn h65_a_follower_restarted_between_snapshots_resumes() {
    let scene = Scene::new("multitxn");
    let tip = scene.tip().await;
    let snapshots = scene.source.list(Level::SNAPSHOT).await.unwrap();
    for state in
        scene.states().await.into_iter().filter(|txid| snapshots.iter().all(|file| file.max_txid < *txid)).take(2)
    {
        scene.restore_to(state).await;
        assert_eq!(scene.follow_to(tip).await.unwrap(), tip, "from {state}");
    }
    // And at the newest transaction, with nothing to do.
    assert_eq!(begin(&scene.source(), &scene.database(), OPTIONS, &()).await.unwrap(), tip);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_snapshot_leads_over_what_is_gone() {
    let scene = Scene::new("resnapshot");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let snapshot = ltx_snapshot(&scene, tip).await;
    for level in Level::all() {
        for file in scene.source.list(level).await.unwrap() {
            scene.source.remove(level.number(), file.file_name());
        }
    }
    scene.source.put(9, snapshot);
    let expected = scene.expected(tip).await;
    assert_eq!(scene.follow_to(tip).await.unwrap(), tip);
    assert!(scene.content() == expected);
}

/// A snapshot of the state after a transaction.
async fn ltx_snapshot(scene: &Scene, txid: Txid) -> Vec<u8> {
    let other = Scene { directory: tempfile::tempdir().unwrap(), source: Arc::clone(&scene.source) };
    other.restore_to(txid).await;
    let bytes = fs::read(other.database()).unwrap();
    let page_size = PageSize::from_u16(u16::from_be_bytes([bytes[16], bytes[17]])).unwrap();
    let commit = (bytes.len() / page_size.bytes()) as u32;
    let header = Header::new(page_size, commit, Txid::FIRST, txid, 1);
    let mut encoder = Encoder::new(Vec::new(), &header).unwrap();
    for (number, page) in (1..).zip(bytes.chunks(page_size.bytes())) {
        encoder.encode_page(Pgno(number), page).unwrap();
    }
    encoder.finish().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_gone_around_where_a_merged_one_leads_on() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let snapshot = ltx_snapshot(&scene, tip).await;
    let expected = scene.expected(tip).await;
    let raw = scene.source.list(Level::RAW).await.unwrap();
    let last = raw.iter().find(|file| file.max_txid == tip).unwrap();
    scene.source.damage(0, last.file_name(), last.size as usize - 60);
    scene.source.put(9, snapshot);
    assert_eq!(scene.follow_to(tip).await.unwrap(), tip);
    assert!(scene.content() == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_size_that_changes_and_a_second_follower_are_errors_that_stay() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let before = {
        in_place::settle(&scene.database()).unwrap();
        fs::read(scene.database()).unwrap()
    };
    let mut second = Follower::new(scene.source(), &scene.database(), first);
    save_position(&scene.database(), tip).unwrap();
    let error = second.step().await.unwrap_err().to_string();
    assert!(error.contains("another follower works on"), "{error}");
    save_position(&scene.database(), first).unwrap();
    for file in scene.source.list(Level::RAW).await.unwrap() {
        scene.source.remove(0, file.file_name());
    }
    let next = first.0 + 1;
    scene.source.put(0, ltx_of(PageSize::MIN, next, next, 1, &[(1, 1)]));
    let error = second.step().await.unwrap_err().to_string();
    assert!(error.contains("page size changes") && error.contains("delete the database"), "{error}");
    assert!(fs::read(scene.database()).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_the_first_state_are_never_in_wal_mode() {
    let scene = Scene::new("multitxn");
    let tip = scene.tip().await;
    assert_eq!(begin(&scene.source(), &scene.database(), OPTIONS, &()).await.unwrap(), tip);
    let reader = reader(&scene.database());
    let mode: String = reader.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    assert!(!with_suffix(&scene.database(), "-shm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn force_resumes_what_a_follower_left() {
    let scene = Scene::new("multitxn");
    let (first, tip) = (scene.states().await[0], scene.tip().await);
    scene.restore_to(first).await;
    let options = FollowOptions { force: true, ..OPTIONS };
    assert_eq!(begin(&scene.source(), &scene.database(), options, &()).await.unwrap(), first);
    remove_position(&scene.database()).unwrap();
    assert_eq!(begin(&scene.source(), &scene.database(), options, &()).await.unwrap(), tip);
    assert_eq!(load_position(&scene.database()).unwrap(), tip);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_nothing_bridges_is_an_error_that_may_pass() {
    let scene = Scene::empty();
    scene.source.put_named(0, name(3, 3), ltx_of(PageSize::MIN, 3, 3, 1, &[(1, 1)]));
    let mut follower = Follower::new(scene.source(), &scene.database(), Txid(1));
    assert!(matches!(follower.catch_up().await, Err(FollowError::Gap(Txid(1)))));
}
