//! WAL generations: what happens while the engine looks, and while it does not.

use litestream_core::db::{Content, Reason};
use litestream_core::ltx::Txid;

use crate::database::{Database, contents};

#[test]
fn commits_are_copied_as_they_come() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    let first = engine.sync().expect("first sync");
    assert_eq!(contents(&first), [Content::Full(Reason::First)]);
    assert_eq!(first.txid, Txid(1));
    for n in 2..6 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, 'row')"));
        assert!(engine.has_news());
        let report = engine.sync().expect("sync");
        assert_eq!(contents(&report), [Content::Commits], "{report:?}");
        assert!(!engine.has_news());
        database.assert_replicated(&mut application);
    }
    assert_eq!(engine.sync().expect("sync").files, []);
    engine.detach().expect("detach");
}
