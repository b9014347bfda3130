//! Applications that never pause.

use std::fs;

use super::*;

#[test]
fn h28_sustained_writes_leave_a_bounded_wal() {
    let scene = Scene::new();
    let limits = "    min-checkpoint-page-count: 50\n    truncate-page-n: 400";
    let mut daemon = scene.daemon(&scene.config("", limits, ""));
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    let wal = scene.sandbox.path("app.db-wal");
    // As long as somebody reads, nothing can be folded away; with two writers there is nearly always a reader.
    let loads = ["a", "b"].map(|name| Load::start(Engine::Bundled, &scene.database, name));
    let mut largest = 0;
    daemon.wait_until("3,000 commits of each", |_| {
        largest = largest.max(fs::metadata(&wal).map_or(0, |metadata| metadata.len()));
        loads.iter().all(|load| load.acknowledged() >= 3000)
    });
    let heads = loads.map(Load::stop);
    daemon.stop();
    // Every commit writes two to four pages: without checkpoints this would be more than 48 MB.
    assert!(largest < 16 << 20, "the WAL grew to {largest} bytes");
    let restored = scene.restored();
    for (name, head) in ["a", "b"].into_iter().zip(heads) {
        assert_eq!(check_ledger(&restored, name, head), head);
    }
}
