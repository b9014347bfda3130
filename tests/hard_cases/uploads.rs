//! Lost continuity costs what changed, not the whole database.

use super::*;

/// Pages of a closed database file.
fn pages(path: &Path) -> Vec<Vec<u8>> {
    std::fs::read(path).unwrap().chunks(4096).map(<[u8]>::to_vec).collect()
}

fn bytes_of(scene: &Scene) -> u64 {
    files_below(&scene.sandbox.path("replica")).values().sum()
}

/// After an outside checkpoint, or applications that open, write and close, at most four times the pages changed plus
/// 64 KiB are uploaded. Random work on a database of some megabytes; `LITESTREAM_TEST_SEED` repeats it.
#[test]
fn what_is_uploaded_after_lost_continuity_is_in_proportion_to_what_changed() {
    let seed = std::env::var("LITESTREAM_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("LITESTREAM_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let scene = Scene::new();
    ours_only!(scene.program, "it uploads the whole database");
    sqlite_shell(&scene.database, "INSERT INTO item (data) SELECT randomblob(2000) FROM item, item, item LIMIT 3000");
    scene.once();
    for round in 0..14 {
        let before = (pages(&scene.database), bytes_of(&scene));
        for _ in 0..random.usize(1..4) {
            let (at, count) = (random.u32(1..3000), 1 << random.u32(0..8));
            let change = [
                format!("UPDATE item SET data = randomblob(2000) WHERE id BETWEEN {at} AND {}", at + count),
                format!("DELETE FROM item WHERE id BETWEEN {at} AND {}", at + count),
                format!("INSERT INTO item (data) SELECT randomblob(2000) FROM item LIMIT {count}"),
                format!("UPDATE item SET name = 'x' WHERE id % 400 = {}", at % 400),
            ];
            let checkpoint = ["", "PRAGMA wal_checkpoint(RESTART);", "PRAGMA wal_checkpoint(TRUNCATE);"];
            let [change, checkpoint] =
                [&change[random.usize(..change.len())][..], checkpoint[random.usize(..checkpoint.len())]];
            sqlite_shell(&scene.database, &format!("{change}; {checkpoint}"));
        }
        scene.once();
        let after = pages(&scene.database);
        let changed = after.iter().enumerate().filter(|(at, page)| before.0.get(*at) != Some(page)).count();
        let uploaded = bytes_of(&scene) - before.1;
        assert!(
            uploaded <= 4 * 4096 * changed as u64 + (64 << 10),
            "round {round}: {uploaded} bytes for {changed} changed pages of {}",
            after.len()
        );
    }
    scene.assert_restores();
}
