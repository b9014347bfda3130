//! The codec against files of the reference implementation; see `tests/fixtures/ltx/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// Trees in today's layout.
const CASES: [&str; 13] = [
    "autovacuum",
    "checkpoint",
    "empty",
    "legacy",
    "multitxn",
    "overflow",
    "ps4096",
    "ps512",
    "ps65536",
    "resnapshot",
    "shrink",
    "truncate",
    "upgrade",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/ltx")
}

fn json(path: impl AsRef<Path>) -> Value {
    let text = fs::read_to_string(fixtures().join(path)).expect("fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// Every file of every case: its record, its name and its bytes.
fn recorded_files() -> impl Iterator<Item = (Value, FileName, Vec<u8>)> {
    CASES.iter().flat_map(|case| {
        let files = json(format!("{case}/expected.json"))["files"].as_array().expect("files").clone();
        files.into_iter().map(move |record| {
            let path = fixtures().join(case).join("replica").join(record["path"].as_str().expect("path"));
            let name = path.file_name().and_then(|name| name.to_str()).expect("name").parse().expect("LTX name");
            (record, name, fs::read(path).expect("fixture"))
        })
    })
}

type Pages = BTreeMap<u32, Vec<u8>>;

fn decode(mut decoder: Decoder<&[u8]>) -> Result<(Header, Pages, Trailer), LtxError> {
    let mut page = vec![0; decoder.page_size().bytes()];
    let mut pages = Pages::new();
    while let Some(pgno) = decoder.next_page(&mut page)? {
        pages.insert(pgno.0, page.clone());
    }
    Ok((decoder.header().clone(), pages, decoder.finish()?))
}

fn encode(header: &Header, pages: &Pages) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), header).expect("valid header");
    for (&pgno, page) in pages {
        encoder.encode_page(Pgno(pgno), page).expect("valid page");
    }
    encoder.finish().expect("complete").0
}

#[test]
fn every_fixture_decodes_to_what_is_recorded() {
    let mut count = 0;
    for (record, name, bytes) in recorded_files() {
        let (header, pages, trailer) = decode(Decoder::strict(&bytes[..]).expect("header")).expect("sound");
        let hex = |key: &str| u64::from_str_radix(record[key].as_str().expect("hex"), 16).expect("hex");
        let number = |key: &str| record[key].as_i64().expect("number");
        let expected = Header {
            no_checksum: number("flags") == 2,
            page_size: PageSize::new(number("page_size") as u32).expect("legal"),
            commit: number("commit") as u32,
            min_txid: Txid(hex("min_txid")),
            max_txid: Txid(hex("max_txid")),
            timestamp: number("timestamp"),
            pre_apply_checksum: hex("pre_apply_checksum"),
            wal_offset: number("wal_offset") as u64,
            wal_size: number("wal_size") as u64,
            wal_salt1: hex("wal_salt1") as u32,
            wal_salt2: hex("wal_salt2") as u32,
            node_id: number("node_id") as u64,
        };
        assert_eq!(header, expected, "{name}");
        assert_eq!(header.to_bytes(), bytes[..HEADER_LEN], "{name}");
        name.check(&header).expect("named by its header");
        let pgnos: Vec<u64> = pages.keys().map(|&pgno| pgno.into()).collect();
        let recorded: Vec<u64> = record["pgnos"].as_array().expect("list").iter().flat_map(Value::as_u64).collect();
        assert_eq!(pgnos, recorded, "{name}");
        assert_eq!(trailer.file_checksum, hex("file_checksum"));
        assert_eq!(trailer.post_apply_checksum, hex("post_apply_checksum"));
        assert_eq!(bytes.len() as i64, number("size"));
        count += 1;
    }
    assert!(count > 100, "only {count} files were looked at");
}

#[test]
fn what_is_encoded_from_a_fixture_decodes_to_the_same_and_has_the_same_index_rules() {
    for (_, name, bytes) in recorded_files() {
        let (header, pages, _) = decode(Decoder::new(&bytes[..]).expect("header")).expect("sound");
        let ours = encode(&header, &pages);
        let verified = verify(&ours[..], Some(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.page_count, pages.len() as u64);
        assert_eq!(decode(Decoder::new(&ours[..]).expect("header")).expect("sound").1, pages, "{name}");
    }
}

/// The strict rules are the independent decoder's rules, file by file.
#[test]
fn strict_decoding_refuses_exactly_the_files_known_to_be_bad() {
    let mut refused = 0;
    for variant in json("corrupt/expected.json").as_array().expect("list") {
        let label = variant["variant"].as_str().expect("label");
        let level = fixtures().join("corrupt").join(label).join("replica/ltx/0");
        for entry in fs::read_dir(level).expect("fixture") {
            let path = entry.expect("entry").path();
            let file = path.file_name().and_then(|name| name.to_str()).expect("name");
            if file.parse::<FileName>().is_err() {
                continue;
            }
            let bytes = fs::read(&path).expect("fixture");
            let result = verify(&bytes[..], None);
            let bad = variant["ltxdump"].get(file);
            assert_eq!(result.is_err(), bad.is_some(), "{label}/{file}: {result:?}, expected {bad:?}");
            if let Err(error) = result {
                assert!(error.is_corrupt(), "{label}: {error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 51, "of the recorded bad files");
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_refused() {
    let bytes =
        fs::read(fixtures().join("corrupt/content-of-other-file/replica/ltx/0/0000000000000003-0000000000000003.ltx"));
    let error = verify(&bytes.expect("fixture")[..], Some(FileName::new(Txid(3), Txid(3)))).unwrap_err();
    assert!(matches!(error, LtxError::NameMismatch { .. }), "{error}");
}

fn header(min: u64, max: u64, commit: u32) -> Header {
    Header::new(PageSize::MIN, commit, Txid(min), Txid(max), max as i64)
}

/// Pages of the smallest size, each filled with one byte.
fn filled(pages: &[(u32, u8)]) -> Pages {
    pages.iter().map(|&(pgno, byte)| (pgno, vec![byte; 512])).collect()
}

fn merged(files: &[Vec<u8>]) -> Result<(Header, Pages), LtxError> {
    let inputs = files.iter().map(|bytes| Decoder::new(&bytes[..])).collect::<Result<_, _>>()?;
    let (bytes, header, _) = compact(inputs, Vec::new())?;
    let (decoded, pages, _) = decode(Decoder::strict(&bytes[..])?)?;
    assert_eq!(decoded, header);
    Ok((header, pages))
}

#[test]
fn the_last_version_of_a_page_wins_and_the_header_spans_all_inputs() {
    let files = [
        encode(&header(1, 1, 3), &filled(&[(1, 1), (2, 1), (3, 1)])),
        encode(&Header { wal_offset: 32, wal_size: 9, wal_salt1: 7, ..header(2, 2, 4) }, &filled(&[(2, 2), (4, 2)])),
        encode(&header(3, 5, 4), &filled(&[(1, 3), (4, 3)])),
    ];
    let (result, pages) = merged(&files).expect("merges");
    assert_eq!(result, header(1, 5, 4));
    assert_eq!(pages, filled(&[(1, 3), (2, 2), (3, 1), (4, 3)]));
}

#[test]
fn pages_beyond_the_newest_commit_size_are_dropped_and_intermediate_sizes_play_no_part() {
    let files = [
        encode(&header(1, 1, 4), &filled(&[(1, 1), (2, 1), (3, 1), (4, 1)])),
        encode(&header(2, 2, 1), &filled(&[(1, 2)])),
        encode(&header(3, 3, 3), &filled(&[(2, 3), (3, 3)])),
    ];
    let (result, pages) = merged(&files).expect("merges");
    assert_eq!(result.commit, 3);
    assert_eq!(pages, filled(&[(1, 2), (2, 3), (3, 3)]));
}

#[test]
fn the_same_pages_come_out_of_the_reference_compactions_inputs() {
    for case in CASES {
        let tree = fixtures().join(case).join("replica/ltx");
        let read = |level: &str, name: FileName| fs::read(tree.join(level).join(name.to_string())).expect("fixture");
        for entry in fs::read_dir(tree.join("1")).into_iter().flatten() {
            let name = entry.expect("entry").file_name();
            let name: FileName = name.to_str().expect("text").parse().expect("LTX name");
            let inputs: Vec<Vec<u8>> = (name.min_txid.0..=name.max_txid.0)
                .map(|txid| read("0", FileName::new(Txid(txid), Txid(txid))))
                .collect();
            let theirs = decode(Decoder::strict(&read("1", name)[..]).expect("header")).expect("sound");
            assert_eq!(merged(&inputs).expect("merges"), (theirs.0, theirs.1), "{case} {name}");
        }
    }
}

#[test]
fn a_hole_a_repetition_and_nothing_are_not_merged() {
    let file = |min, max| encode(&header(min, max, 3), &filled(&[(1, 1), (2, 1), (3, 1)]));
    assert!(matches!(merged(&[file(1, 1), file(3, 3)]), Err(LtxError::NotContiguous { .. })));
    assert!(matches!(merged(&[file(1, 3), file(2, 3)]), Err(LtxError::NotContiguous { .. })));
    assert!(matches!(merged(&[]), Err(LtxError::NoInputs)));
    merged(&[file(1, 3), file(2, 4)]).expect("overlap is legal");
}

#[test]
fn a_change_of_page_size_needs_a_file_that_holds_every_page() {
    let old = encode(&header(1, 1, 3), &filled(&[(1, 1), (2, 1), (3, 1)]));
    let large = |min, commit, pgnos: &[u32]| {
        let page_size = PageSize::new(1024).expect("legal");
        let pages = pgnos.iter().map(|&pgno| (pgno, vec![min as u8; 1024])).collect();
        (encode(&Header { page_size, ..header(min, min, commit) }, &pages), pages)
    };
    let (full, pages) = large(2, 2, &[1, 2]);
    let (result, merged_pages) = merged(&[old.clone(), full.clone()]).expect("the new file holds everything");
    assert_eq!((result.min_txid, result.max_txid, result.page_size.get()), (Txid(1), Txid(2), 1024));
    assert_eq!(merged_pages, pages);

    let (after, _) = large(3, 2, &[2]);
    assert_eq!(merged(&[old.clone(), full, after]).expect("and one more").1[&2], [3; 1024]);
    for pgnos in [&[2][..], &[1], &[]] {
        let (partial, _) = large(2, 2, pgnos);
        let error = merged(&[old.clone(), partial]).unwrap_err();
        assert!(matches!(error, LtxError::PageSizeChanged { .. }), "{pgnos:?}: {error}");
    }
}

#[test]
fn a_damaged_input_fails_the_merge() {
    let good = encode(&header(1, 1, 3), &filled(&[(1, 1), (2, 1), (3, 1)]));
    let mut bad = encode(&header(2, 2, 3), &filled(&[(2, 2)]));
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert!(matches!(merged(&[good.clone(), bad.clone()]), Err(LtxError::FileChecksum { .. })));
    bad.truncate(last);
    assert!(matches!(merged(&[good, bad]), Err(LtxError::Truncated("trailer"))));
}

#[test]
fn hundreds_of_inputs_merge() {
    let mut files = vec![encode(&header(1, 1, 300), &(1..=300).map(|pgno| (pgno, vec![0; 512])).collect())];
    files.extend(
        (2..=300).map(|txid: u32| encode(&header(txid.into(), txid.into(), 300), &filled(&[(txid, txid as u8)]))),
    );
    let (_, pages) = merged(&files).expect("merges");
    assert!(pages.iter().all(|(&pgno, page)| page[0] == if pgno == 1 { 0 } else { pgno as u8 }));
}

#[test]
fn the_encoder_refuses_what_a_decoder_would() {
    let new = |header: &Header| Encoder::new(Vec::new(), header).map(drop).unwrap_err();
    assert!(matches!(new(&header(1, 1, 0)), LtxError::Header(HeaderError::CommitRequired)));
    let tracked = Header { no_checksum: false, ..header(1, 1, 3) };
    assert!(matches!(new(&tracked), LtxError::Header(HeaderError::ChecksumsUnsupported)));
    assert!(matches!(new(&header(2, 1, 3)), LtxError::Header(HeaderError::TxidOrder { .. })));

    let after = |header: &Header, pgnos: &[u32]| {
        let mut encoder = Encoder::new(Vec::new(), header)?;
        pgnos.iter().try_for_each(|&pgno| encoder.encode_page(Pgno(pgno), &[0; 512]))?;
        encoder.finish().map(drop)
    };
    assert!(matches!(after(&header(2, 2, 3), &[4]), Err(LtxError::PageBeyondCommit { .. })));
    assert!(matches!(after(&header(2, 2, 3), &[3, 2]), Err(LtxError::PageOrder { .. })));
    assert!(matches!(after(&header(1, 1, 3), &[1, 3]), Err(LtxError::PageHole { .. })));
    assert!(matches!(after(&header(1, 1, 3), &[1, 2]), Err(LtxError::SnapshotIncomplete { .. })));
    let lock = crate::sqlite::lock_page(PageSize::MIN);
    assert!(matches!(after(&header(2, 2, lock.0), &[lock.0]), Err(LtxError::LockPage(_))));
    let mut encoder = Encoder::new(Vec::new(), &header(1, 1, 3)).expect("valid");
    assert!(matches!(encoder.encode_page(Pgno(1), &[0; 513]), Err(LtxError::BufferLength { .. })));
}

#[test]
fn a_decoder_closed_before_its_last_page_says_so() {
    let bytes = encode(&header(1, 1, 2), &filled(&[(1, 1), (2, 2)]));
    let mut decoder = Decoder::new(&bytes[..]).expect("header");
    assert!(matches!(decoder.next_page(&mut [0; 511]), Err(LtxError::BufferLength { .. })));
    decoder.next_page(&mut [0; 512]).expect("page 1");
    assert!(matches!(decoder.finish(), Err(LtxError::PagesLeft)));
}

/// Litestream writes no database checksums, but a first file that has one can be checked, and is.
#[test]
fn a_database_checksum_is_compared_with_the_pages() {
    let pages = filled(&[(1, 1), (2, 2)]);
    let mut database = DatabaseChecksum::default();
    pages.iter().for_each(|(&pgno, page)| database.toggle(page_checksum(Pgno(pgno), page)));
    let with_checksum = |post_apply_checksum: u64| {
        let mut bytes = encode(&header(1, 1, 2), &pages);
        bytes[7] = 0;
        let trailer = bytes.len() - TRAILER_LEN;
        bytes[trailer..trailer + 8].copy_from_slice(&post_apply_checksum.to_be_bytes());
        let (computed, _) = {
            let error = decode(Decoder::new(&bytes[..]).expect("header")).unwrap_err();
            let LtxError::FileChecksum { computed, stored } = error else { panic!("{error}") };
            (computed, stored)
        };
        bytes[trailer + 8..].copy_from_slice(&computed.to_be_bytes());
        decode(Decoder::new(&bytes[..]).expect("header")).map(drop)
    };
    with_checksum(database.value()).expect("right");
    assert!(matches!(with_checksum(database.value() ^ 2), Err(LtxError::PostApplyMismatch { .. })));
}
