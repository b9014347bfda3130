//! The write lock is held for little, whatever happens at that moment.

use std::cell::RefCell;
use std::rc::Rc;

use litestream_core::db::DbSettings;
use litestream_core::db::rules::{Step, on_step};

use crate::database::Database;

/// A reader keeps a large WAL from being folded, and ends just when we have the lock: what it leaves is folded without the
/// lock, at the next sync.
#[test]
fn a_reader_that_ends_just_now_leaves_no_large_checkpoint_to_the_holder_of_the_lock() {
    let (database, mut application) = Database::with_application();
    application.open("r", &database.path());
    application.run("r", "BEGIN");
    application.run("r", "SELECT count(*) FROM t");
    let settings = DbSettings { min_checkpoint_page_count: 100, max_sync_wal_bytes: None, ..Default::default() };
    let mut engine = database.engine_with(settings);
    engine.sync().expect("sync");
    application.fill(20_000, "zeroblob(3500)");
    let shared = Rc::new(RefCell::new(application));
    let reader = Rc::clone(&shared);
    let mut locked = false;
    on_step(move |step| {
        if step == Step::Locked && !std::mem::replace(&mut locked, true) {
            reader.borrow_mut().run("r", "COMMIT");
        }
    });
    let report = engine.sync().expect("sync");
    assert!(!report.write_lock_held.is_zero(), "the lock was taken");
    assert_eq!(report.checkpoints.len(), 1, "that of the hand-over, none under the lock: {report:?}");
    assert!(report.unsettled);
    let report = engine.sync().expect("sync");
    assert!(!report.unsettled && report.write_lock_held.is_zero(), "folded without the lock: {report:?}");
    let sql = "SELECT count(*) + sum(length(b)) FROM t";
    let theirs = shared.borrow_mut().run("w", sql);
    assert_eq!(database.replica().query(sql), [format!("Integer({})", theirs[0])]);
}
