//! Properties of whole restores, over generated histories and damage.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Newest first gives what applying the files one after the other gives.
    #[test]
    fn a_restore_equals_applying_one_file_after_the_other(
        first in vec(any::<u8>(), 1..20),
        later in vec((1u32..20, btree_map(1u32..20, any::<u8>(), 0..6)), 0..12),
    ) {
        let source = MemorySource::new();
        let mut expected: BTreeMap<u32, u8> = (1..).zip(first.iter().copied()).collect();
        let mut commit = first.len() as u32;
        source.put(0, ltx(1, 1, commit, &expected.iter().map(|(&pgno, &byte)| (pgno, byte)).collect::<Vec<_>>()));
        for (txid, (size, mut pages)) in (2..).zip(later) {
            pages.retain(|&pgno, _| pgno <= size);
            // A file that grows the database carries every new page.
            for pgno in commit + 1..=size {
                pages.entry(pgno).or_insert(0xee);
            }
            source.put(0, ltx(txid, txid, size, &pages.iter().map(|(&pgno, &byte)| (pgno, byte)).collect::<Vec<_>>()));
            expected.extend(pages);
            expected.retain(|&pgno, _| pgno <= size);
            commit = size;
        }
        prop_assert_eq!(block_on(latest_pages(&source)).expect("restorable"), expected.into_values().collect::<Vec<_>>());
    }

    /// Whatever byte is damaged: the same database, or an error and no database.
    #[test]
    fn one_damaged_byte_never_changes_what_is_restored(
        level in prop::sample::select(vec![0u8, 1, 9]),
        number in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let source = MemorySource::fixture("ps512");
        let files = block_on(source.list(Level::new(level).expect("level"))).expect("listing");
        let file = number.get(&files);
        source.damage(level, file.file_name(), at.index(file.size as usize));
        let options = RestoreOptions { parallelism: 2, ..RestoreOptions::default() };
        if let Ok((place, _)) = block_on(run(&source, Target::Latest, options)) {
            let expected = &json("ps512/expected.json")["restores"][0]["sha256"];
            prop_assert_eq!(&serde_json::json!(sha256(&place.database())), expected);
        }
    }
}
