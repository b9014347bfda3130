//! Restores and followers of replicas that are unusual.

use std::fs;
use std::io::Write;

use litestream_core::ltx::{Encoder, FileName, Header, PageSize, Pgno, Txid};

use super::*;

/// Afterwards a restore of the newest state needs no file of the old page size: the reference cannot mix the two.
#[test]
fn h24_page_size_changed_while_down_is_followed_by_a_snapshot() {
    let scene = Scene::new();
    ours_only!(scene.program, "it is stuck at an unaligned WAL offset (engine.md H24)");
    let config = scene.config("snapshot:\n  interval: 24h", "", "");
    let mut daemon = scene.daemon(&config);
    daemon.wait_until("the first snapshot", |_| !scene.replica.level(9).is_empty());
    scene.add_rows(5);
    daemon.stop();
    let before = (scene.replica.max_txid(), scene.replica.level(9).len());
    let old = scene.restored();
    sqlite_shell(
        &scene.database,
        "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = wal;
         INSERT INTO item (name) VALUES ('on larger pages')",
    );
    let mut daemon = scene.daemon(&config);
    daemon.wait_until("a snapshot of the new page size", |_| {
        scene.replica.level(9).len() > before.1 && scene.replica.level(9).last().is_some_and(|file| file.1 > before.0)
    });
    scene.add_rows(1);
    daemon.stop();
    scene.assert_restores();
    let txid = ["-txid", &format!("{:016x}", before.0)];
    assert_same(&old, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &txid));
    let reference = reference_or_skip!();
    assert_same(&scene.database, &reference.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]));
}

/// More files of one level than a listing gives at once.
#[test]
fn h54_a_thousand_and_more_files_of_one_level() {
    let scene = Scene::new();
    scene.once();
    let image = fs::read(scene.restored()).unwrap();
    let size = PageSize::new(4096).unwrap();
    let commit = (image.len() / 4096) as u32;
    let first = scene.replica.max_txid();
    for number in 1..=1100u32 {
        let txid = Txid(first + u64::from(number));
        let mut page = image[..4096].to_vec();
        page[60..64].copy_from_slice(&number.to_be_bytes());
        let header = Header::new(size, commit, txid, txid, litestream_core::clock::unix_millis());
        let mut encoder = Encoder::new(Vec::new(), &header).unwrap();
        encoder.encode_page(Pgno(1), &page).unwrap();
        let path = scene.replica.level_dir(0).join(FileName::new(txid, txid).to_string());
        File::create(path).unwrap().write_all(&encoder.finish().unwrap().0).unwrap();
    }
    assert_eq!(sqlite_shell(&scene.restored(), "PRAGMA user_version").trim(), "1100");
    let middle = ["-txid", &format!("{:016x}", first + 700)];
    let restored = scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &middle);
    assert_eq!(sqlite_shell(&restored, "PRAGMA user_version").trim(), "700");
}

/// The reference's readers may see a file that is cut while they read it.
#[test]
fn h66_follow_vacuum_shrink() {
    let scene = Scene::new();
    let mut daemon = scene.daemon(&scene.config("", "", ""));
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    sqlite_shell(
        &scene.database,
        "PRAGMA busy_timeout = 20000; INSERT INTO item (data) SELECT randomblob(3000) FROM item, item LIMIT 400",
    );
    scene.wait_restorable();
    let (output, url) = (scene.sandbox.path("follower.db"), scene.sandbox.url("replica"));
    let args = ["restore", "-f", "-follow-interval", "20ms", "-o", output.to_str().unwrap(), &url];
    let mut follower = Daemon::spawn(&scene.program, &scene.sandbox, &args);
    follower.wait_for_log("entering follow mode");
    let large = fs::metadata(&output).unwrap().len();
    // One connection that stays, in another process: it must see a whole state each time.
    let mut reader = Application::open(Engine::Python, &output);
    reader.exec("PRAGMA busy_timeout = 20000");
    let mut look = || {
        let rows: u64 = reader.query("SELECT count(*) FROM item").parse().unwrap();
        assert_eq!(reader.query("PRAGMA integrity_check"), "ok");
        rows
    };
    let all = look();
    for keep in [200, 100, 10] {
        sqlite_shell(
            &scene.database,
            &format!("PRAGMA busy_timeout = 20000; DELETE FROM item WHERE id > {keep}; VACUUM"),
        );
        follower.wait_until("the vacuum", |_| {
            let rows = look();
            assert!(rows <= all);
            rows == keep
        });
    }
    assert!(fs::metadata(&output).unwrap().len() < large / 4, "the file is cut");
    daemon.stop();
    follower.stop();
    assert_same(&scene.database, &output);
}
