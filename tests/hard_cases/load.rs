//! Applications that never pause.

use std::os::unix::fs::FileExt;

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
    // Each time that everything in the WAL is in the database, a writer begins it anew, under other salts.
    let (mut salts, mut folds) = (None, 0);
    daemon.wait_until("3,000 commits of each, and a WAL that began anew three times", |_| {
        if let Some(now) = salts_of(&wal)
            && salts.replace(now).is_some_and(|before| before != now)
        {
            folds += 1;
        }
        folds >= 3 && loads.iter().all(|load| load.acknowledged() >= 3000)
    });
    let heads = loads.map(Load::stop);
    daemon.stop();
    let restored = scene.restored();
    for (name, head) in ["a", "b"].into_iter().zip(heads) {
        assert_eq!(check_ledger(&restored, name, head), head);
    }
}

fn salts_of(wal: &Path) -> Option<[u8; 8]> {
    let mut salts = [0; 8];
    File::open(wal).ok()?.read_exact_at(&mut salts, 16).ok()?;
    Some(salts)
}
