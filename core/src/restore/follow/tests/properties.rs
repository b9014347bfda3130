//! Properties of following, over generated histories that were compacted and thinned out in any way.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::ltx::{Decoder, compact};

/// Page 1 of an empty database with pages of 512 bytes: what followers open must be a database.
fn first_page() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA page_size = 512; PRAGMA user_version = 1").unwrap();
    fs::read(path).unwrap()
}

type History = Vec<(u32, BTreeMap<u32, u8>)>;

/// Size of the database after each transaction, and the pages it writes.
fn history() -> impl Strategy<Value = History> {
    vec((1u32..20, btree_map(2u32..20, any::<u8>(), 0..6)), 2..10)
}

/// One file a transaction at level 0.
fn put_history(scene: &Scene, history: &History) {
    let first = first_page();
    let mut commit = 0;
    for (txid, (size, pages)) in (1..).zip(history) {
        let mut pages = pages.clone();
        pages.retain(|&pgno, _| pgno <= *size);
        // What grows carries every new page, the first of all every page.
        (commit.max(1) + 1..=*size).for_each(|pgno| {
            pages.entry(pgno).or_insert(0xee);
        });
        let header = Header::new(PageSize::MIN, *size, Txid(txid), Txid(txid), txid as i64);
        let mut encoder = Encoder::new(Vec::new(), &header).unwrap();
        encoder.encode_page(Pgno::FIRST, &first).unwrap();
        for (pgno, byte) in pages {
            encoder.encode_page(Pgno(pgno), &[byte; 512]).unwrap();
        }
        scene.source.put(0, encoder.finish().unwrap().0);
        commit = *size;
    }
}

/// A file of level 1 for these transactions; those of level 0 go if `thin`.
fn merge(scene: &Scene, min: u64, max: u64, thin: bool) {
    let raw = |txid| (0, name(txid, txid));
    let bytes: Vec<_> = (min..=max).map(raw).map(|(level, name)| scene.source.bytes(level, name)).collect();
    let inputs = bytes.iter().map(|bytes| Decoder::new(&bytes[..]).unwrap()).collect();
    scene.source.put(1, compact(inputs, Vec::new()).unwrap().0);
    if thin {
        (min..=max).map(raw).for_each(|(level, name)| scene.source.remove(level, name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// From any state, through raw and merged files, a follower reaches what a restore gives.
    #[test]
    fn following_equals_restoring(
        history in history(),
        start in any::<prop::sample::Index>(),
        cuts in vec((any::<prop::sample::Index>(), any::<bool>()), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let scene = Scene::empty();
        put_history(&scene, &history);
        let tip = history.len() as u64;
        let start = 1 + start.index(history.len()) as u64;
        runtime.block_on(async {
            scene.restore_to(Txid(start)).await;
            let expected = scene.expected(Txid(tip)).await;
            let mut from = 1;
            let mut cuts: Vec<_> = cuts.iter().map(|(at, thin)| (1 + at.index(history.len()) as u64, *thin)).collect();
            cuts.sort_unstable();
            for (to, thin) in cuts {
                if to >= from {
                    merge(&scene, from, to, thin);
                    from = to + 1;
                }
            }
            if start < tip {
                assert_eq!(scene.follow_to(Txid(tip)).await.unwrap(), Txid(tip));
            }
            let resumed = begin(&scene.source(), &scene.database(), OPTIONS, &()).await;
            assert_eq!(resumed.unwrap(), Txid(tip), "a restart has nothing to do");
            assert!(scene.content() == expected, "another content");
        });
    }
}
