//! WAL generations: what happens to the WAL while the engine looks, and while it does not.

use std::os::unix::fs::FileExt;

use litestream_core::db::{Content, Reason};
use litestream_core::ltx::Txid;
use litestream_core::sqlite::{ByteOrder, frame_offset};

use crate::application::Application;
use crate::database::{Database, contents, let_time_stamps_settle};
use crate::wal;

const DIFFERS: [Content; 1] = [Content::Difference(Reason::WalNotContinued)];

/// A database whose first commits are replicated and that nobody has open.
fn replicated() -> (Database, Application) {
    let (database, mut application) = Database::with_application();
    for n in 2..8 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, 'row {n}')"));
    }
    let mut engine = database.engine();
    engine.sync().expect("sync");
    drop(engine);
    (database, application)
}

fn insert(application: &mut Application, rows: std::ops::Range<u32>) {
    for n in rows {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, zeroblob(300))"));
    }
}

/// A reader of the application that keeps the WAL from being restarted.
fn keep_the_wal(application: &mut Application, database: &Database) {
    application.open("r", &database.path());
    application.run("r", "BEGIN");
    application.run("r", "SELECT * FROM t");
}

#[test]
fn commits_are_copied_as_they_come() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    let first = engine.sync().expect("first sync");
    assert_eq!(contents(&first), [Content::Full(Reason::First)]);
    assert_eq!(first.txid, Txid(1));
    for n in 2..6u32 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, 'row')"));
        assert!(engine.has_news());
        let report = engine.sync().expect("sync");
        assert_eq!(contents(&report), [Content::Commits], "{report:?}");
        assert_eq!(report.txid, Txid(u64::from(n)));
        assert!(!engine.has_news());
        database.assert_replicated(&mut application);
    }
    assert_eq!(engine.sync().expect("sync").files, []);
    engine.detach().expect("detach");
    assert!(!engine.is_attached());
}

#[test]
fn h01_app_truncates_wal_while_daemon_down() {
    let (database, mut application) = replicated();
    insert(&mut application, 10..14);
    assert!(application.checkpoint("TRUNCATE").starts_with("0|"));
    insert(&mut application, 20..21);
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    database.assert_replicated(&mut application);
}

#[test]
fn h02_app_writes_and_closes_while_daemon_down() {
    let (database, mut application) = replicated();
    insert(&mut application, 10..14);
    application.close("w");
    assert!(!database.wal().exists(), "the last close folds the WAL away");
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    application.open("w", &database.path());
    database.assert_replicated(&mut application);
}

#[test]
fn h02_a_difference_holds_only_what_differs() {
    let (database, mut application) = replicated();
    insert(&mut application, 100..400);
    database.engine().sync().expect("sync");
    application.run("w", "UPDATE t SET b = 'changed' WHERE a = 250");
    application.close("w");
    let report = database.engine().sync().expect("sync");
    assert_eq!(contents(&report), DIFFERS);
    assert!(report.files[0].pages <= 3, "{} pages of {} bytes", report.files[0].pages, report.database_bytes);
    application.open("w", &database.path());
    database.assert_replicated(&mut application);
}

#[test]
fn h03_no_writes_between_runs() {
    let (database, application) = replicated();
    let before = database.replica().txid();
    assert_eq!(database.engine().sync().expect("sync").files, []);
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    drop(application);
    let mut engine = database.engine();
    assert_eq!(engine.sync().expect("sync").files, []);
    assert_eq!(engine.detach().expect("detach").files, []);
    assert_eq!(database.replica().txid(), before);
}

#[test]
fn h04_app_restart_checkpoint_then_longer_wal_while_down() {
    let (database, mut application) = replicated();
    assert!(application.checkpoint("RESTART").starts_with("0|"));
    insert(&mut application, 10..60);
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    database.assert_replicated(&mut application);
}

/// The reference resumes at the front of the new WAL and loses what was appended before the restart.
#[test]
fn h05_wal_restarted_once_with_old_tail_intact_after_commits_were_appended() {
    let (database, mut application) = replicated();
    insert(&mut application, 10..13);
    assert!(application.checkpoint("RESTART").starts_with("0|"));
    insert(&mut application, 20..21);
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    database.assert_replicated(&mut application);
}

#[test]
fn h05_wal_restarted_once_when_everything_was_copied_is_incremental() {
    let (database, mut application) = replicated();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    let_time_stamps_settle(&database.path());
    engine.detach().expect("detach");
    // Everything is in the database file already, so the next commit restarts the WAL.
    insert(&mut application, 10..11);
    assert_eq!(contents(&database.engine().sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

/// No third salt remains to be seen: the reference loses the first generation.
#[test]
fn h06_wal_restarted_twice_between_syncs() {
    let (database, mut application) = replicated();
    insert(&mut application, 10..12);
    assert!(application.checkpoint("RESTART").starts_with("0|"));
    insert(&mut application, 20..26);
    assert!(application.checkpoint("RESTART").starts_with("0|"));
    insert(&mut application, 30..38);
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    database.assert_replicated(&mut application);
}

#[test]
fn h07_app_checkpoints_while_running_lose_nothing_and_need_no_full_file() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    for (n, mode) in ["PASSIVE", "FULL", "RESTART", "TRUNCATE", "TRUNCATE"].into_iter().enumerate() {
        let n = n as u32;
        insert(&mut application, 100 + 10 * n..103 + 10 * n);
        application.checkpoint(mode);
        insert(&mut application, 105 + 10 * n..106 + 10 * n);
        let report = engine.sync().expect("sync");
        assert_eq!(contents(&report), [Content::Commits], "after {mode}");
        database.assert_replicated(&mut application);
    }
}

#[test]
fn h07_app_checkpoints_do_not_wait_for_us_once_synced() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    for mode in ["FULL", "RESTART", "TRUNCATE"] {
        insert(&mut application, 0..0);
        application.run("w", "INSERT INTO t (b) VALUES ('x')");
        engine.sync().expect("sync");
        let answer = application.checkpoint(mode);
        assert!(answer.starts_with("0|"), "{mode} answered {answer} at once, with a busy timeout of 0");
    }
    assert_eq!(std::fs::metadata(database.wal()).expect("wal").len(), 0);
    assert_eq!(engine.sync().expect("sync").files, []);
    database.assert_replicated(&mut application);
}

#[test]
fn h08_resume_at_wal_header_offset_32() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    assert!(application.checkpoint("TRUNCATE").starts_with("0|"));
    insert(&mut application, 10..11);
    engine.sync().expect("sync");
    assert!(application.checkpoint("TRUNCATE").starts_with("0|"));
    engine.detach().expect("detach");
    let engine_again = &mut database.engine();
    assert_eq!(engine_again.sync().expect("sync").files, []);
    insert(&mut application, 11..12);
    assert_eq!(contents(&engine_again.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h09_resume_after_single_frame() {
    let (database, mut application) = Database::with_application();
    application.checkpoint("TRUNCATE");
    application.run("w", "UPDATE t SET b = 'one frame'");
    keep_the_wal(&mut application, &database);
    let mut engine = database.engine();
    engine.sync().expect("sync");
    drop(engine);
    application.run("w", "UPDATE t SET b = 'another'");
    assert_eq!(contents(&database.engine().sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h10_partial_last_frame_and_bad_checksums_are_ignored() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.run("w", "UPDATE t SET b = 'good'");
    let (header, frames) = wal::read(&database.wal());
    let end = frame_offset(frames.len() as u32, header.page_size);
    let file = std::fs::File::options().write(true).open(database.wal()).expect("open wal");
    file.write_all_at(&vec![0xa5; 3000], end).expect("write");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
    application.run("w", "UPDATE t SET b = 'over the garbage'");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h11_uncommitted_frames_at_wal_end() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    let before = std::fs::metadata(database.wal()).expect("wal").len();
    application.run("w", "PRAGMA cache_size = 1");
    application.run("w", "BEGIN");
    insert(&mut application, 10..110);
    assert!(std::fs::metadata(database.wal()).expect("wal").len() > before, "the transaction spilled");
    assert!(!engine.has_news());
    assert_eq!(engine.sync().expect("sync").files, []);
    application.run("w", "COMMIT");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h12_rolled_back_transaction_spill() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.run("w", "PRAGMA cache_size = 1");
    application.run("w", "BEGIN");
    insert(&mut application, 10..110);
    application.run("w", "ROLLBACK");
    assert_eq!(engine.sync().expect("sync").files, []);
    insert(&mut application, 10..12);
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h13_big_endian_wal_checksums() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    insert(&mut application, 10..14);
    application.kill();
    let (header, frames) = wal::read(&database.wal());
    wal::write(&database.wal(), &header, ByteOrder::Big, &frames);
    assert_eq!(std::fs::read(database.wal()).expect("read")[..4], [0x37, 0x7f, 0x06, 0x83]);

    // SQLite recovers it, and appends in the same byte order.
    let mut application = Application::with_open(&database.path());
    keep_the_wal(&mut application, &database);
    let mut engine = database.engine();
    engine.sync().expect("sync");
    database.assert_replicated(&mut application);
    insert(&mut application, 20..24);
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
    let (header, frames) = wal::read(&database.wal());
    assert_eq!((header.order, frames.is_empty()), (ByteOrder::Big, false));
}

/// A writer writes its frames, commit mark included, then flushes them, then publishes them. Killed in between, the commit
/// never happened.
#[test]
fn h11_frames_behind_the_published_commit_are_no_commit() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.run("w", "UPDATE t SET b = 'real'");
    let (_, frames) = wal::read(&database.wal());
    let mut ghost = frames.last().expect("a frame").clone();
    assert!(ghost.commit > 0);
    let at = ghost.page.windows(4).position(|window| window == b"real").expect("the row");
    ghost.page[at..at + 4].copy_from_slice(b"fake");
    wal::append_unpublished(&database.wal(), &[ghost]);
    assert_eq!(wal::read(&database.wal()).1.len(), frames.len() + 1, "a reader of the file alone believes it");
    engine.sync().expect("sync");
    assert_eq!(database.replica().query("SELECT b FROM t"), ["Text(\"real\")"]);
    application.run("w", "UPDATE t SET b = 'next'");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

/// A writer killed between the two copies of the wal-index header leaves one that nobody may trust.
#[test]
fn a_writer_that_died_while_publishing_does_not_stop_us() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    insert(&mut application, 10..12);
    // By another process: opening the file here would drop our own locks.
    let shm = database.path().with_extension("db-shm");
    let script = format!("printf '\\377' | dd of='{}' bs=1 seek=20 conv=notrunc 2>/dev/null", shm.display());
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().expect("sh").success());
    assert!(engine.has_news(), "an unreadable header may mean anything");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
    insert(&mut application, 12..13);
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn a_lost_position_and_a_restarted_wal_are_settled_by_a_difference() {
    let (database, mut application) = replicated();
    insert(&mut application, 10..12);
    database.engine().sync().expect("sync");
    std::fs::remove_file(database.meta().join("litestream-rs.position")).expect("remove");
    insert(&mut application, 14..16);
    // Our own last hand-over folded the WAL, so these rows restarted it: nothing of the newest file's range is left.
    assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS);
    database.assert_replicated(&mut application);
}

#[test]
fn a_position_that_lags_behind_is_found_again_where_the_wal_still_holds_it() {
    let (database, mut application) = Database::with_application();
    keep_the_wal(&mut application, &database);
    let mut engine = database.engine();
    engine.sync().expect("sync");
    let position = database.meta().join("litestream-rs.position");
    let old = std::fs::read(&position).expect("read");
    insert(&mut application, 10..12);
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    drop(engine);
    for lost in [Some(old), None] {
        match lost {
            Some(old) => std::fs::write(&position, old).expect("write"),
            None => std::fs::remove_file(&position).expect("remove"),
        }
        assert_eq!(database.engine().sync().expect("sync").files, [], "nothing was committed");
        let next = 20 + database.replica().txid().0 as u32;
        insert(&mut application, next..next + 1);
        assert_eq!(contents(&database.engine().sync().expect("sync")), [Content::Commits]);
        database.assert_replicated(&mut application);
    }
}

#[test]
fn without_page_checksums_a_doubt_is_settled_by_a_full_file() {
    let (database, mut application) = replicated();
    std::fs::remove_file(database.meta().join("litestream-rs.pages")).expect("remove");
    insert(&mut application, 10..11);
    application.close("w");
    let report = database.engine().sync().expect("sync");
    assert_eq!(contents(&report), [Content::Full(Reason::WalNotContinued)]);
    application.open("w", &database.path());
    database.assert_replicated(&mut application);
}

#[test]
fn page_checksums_follow_every_kind_of_file() {
    let (database, mut application) = replicated();
    for round in 0..6u32 {
        let mut engine = database.engine();
        engine.sync().expect("sync");
        insert(&mut application, 1000 * (round + 1)..1000 * (round + 1) + 20);
        engine.sync().expect("sync");
        application.run("w", &format!("DELETE FROM t WHERE a % 7 = {round}"));
        if round % 2 == 0 {
            application.run("w", "VACUUM");
        }
        engine.sync().expect("sync");
        drop(engine);
        application.run("w", "UPDATE t SET b = 'unseen' WHERE a % 5 = 1");
        application.close("w");
        assert_eq!(contents(&database.engine().sync().expect("sync")), DIFFERS, "round {round}");
        application.open("w", &database.path());
        database.assert_replicated(&mut application);
    }
}
