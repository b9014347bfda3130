//! Properties over generated files: what is written is read back, and nothing that is read can do harm.

use std::io::{self, Read};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct File {
    header: Header,
    pages: Vec<(Pgno, Vec<u8>)>,
}

impl File {
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), &self.header).expect("valid header");
        for (pgno, page) in &self.pages {
            encoder.encode_page(*pgno, page).expect("valid page");
        }
        let (bytes, _) = encoder.finish().expect("complete");
        bytes
    }
}

/// Compressible and not, in proportion.
fn page_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), len), any::<u8>().prop_map(move |byte| vec![byte; len]), vec(0u8..4, len)]
}

fn file() -> impl Strategy<Value = File> {
    let sizes = prop_oneof![Just(512u32), Just(1024), Just(4096)].prop_map(|size| PageSize::new(size).expect("legal"));
    (sizes, 2u64..1 << 60, 0u64..1000, any::<i64>(), any::<(u32, u32, u32)>()).prop_flat_map(
        |(page_size, min, span, timestamp, (wal_size, salt1, salt2))| {
            btree_map(1u32..5000, page_bytes(page_size.bytes()), 0..12).prop_map(move |pages| {
                let commit = pages.keys().max().copied().unwrap_or(1) + salt1 % 3;
                let plain = Header::new(page_size, commit, Txid(min), Txid(min + span), timestamp);
                let (wal_size, wal_salt1, wal_salt2) = (wal_size.into(), salt1, salt2);
                let header = Header { wal_offset: 32, wal_size, wal_salt1, wal_salt2, ..plain };
                File { header, pages: pages.into_iter().map(|(pgno, page)| (Pgno(pgno), page)).collect() }
            })
        },
    )
}

/// Gives bytes in the sizes a network might.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = buf.len().min(self.step);
        self.bytes.read(&mut buf[..wanted])
    }
}

fn read(bytes: &[u8], step: usize) -> Result<Vec<(Pgno, Vec<u8>)>, LtxError> {
    let mut decoder = Decoder::new(Dribble { bytes, step })?;
    let mut page = vec![0; decoder.page_size().bytes()];
    let mut pages = Vec::new();
    while let Some(pgno) = decoder.next_page(&mut page)? {
        pages.push((pgno, page.clone()));
    }
    decoder.finish()?;
    Ok(pages)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(file in file(), step in 1usize..5000) {
        let bytes = file.encode();
        prop_assert_eq!(read(&bytes, step).expect("sound"), file.pages);
        let verified = verify(&bytes[..], Some(FileName::of(&file.header))).expect("sound by the strict rules");
        prop_assert_eq!(verified.header, file.header);
    }

    /// Lenient decoding may accept changes that change nothing (a block that inflates to the same page), never others.
    #[test]
    fn no_changed_byte_changes_a_page(file in file(), at in any::<prop::sample::Index>(), bits in 1u8..=255) {
        let mut bytes = file.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if let Ok(pages) = read(&bytes, 4096) {
            prop_assert_eq!(pages, file.pages);
            // The top bit of the stored checksum is the only one that carries nothing, and it must be set.
            prop_assert!(at < bytes.len() - TRAILER_LEN, "a changed trailer was accepted");
        }
    }

    #[test]
    fn no_cut_file_is_accepted(file in file(), len in any::<prop::sample::Index>()) {
        let bytes = file.encode();
        let len = len.index(bytes.len());
        prop_assert!(read(&bytes[..len], 4096).is_err());
    }

    #[test]
    fn bytes_in_the_place_of_pages_do_no_harm(file in file(), garbage in vec(any::<u8>(), 0..2000), legacy: bool) {
        let mut bytes = file.header.to_bytes().to_vec();
        if legacy {
            bytes.extend([0, 0, 0, 1, 0, 0, 0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7]);
        }
        bytes.extend(&garbage);
        prop_assert!(read(&bytes, 100).is_err());
        prop_assert!(verify(&bytes[..], None).is_err());
    }

    /// Past the page header, so that LZ4 itself meets them. Low bytes make tokens that copy a lot.
    #[test]
    fn bytes_in_the_place_of_a_block_do_no_harm(
        file in file(),
        block in prop_oneof![vec(any::<u8>(), 0..500), vec(prop_oneof![0u8..20, Just(255)], 0..500)],
    ) {
        let mut bytes = file.header.to_bytes().to_vec();
        bytes.extend([0, 0, 0, 1, 0, 1]);
        bytes.extend((block.len() as u32).to_be_bytes());
        bytes.extend(&block);
        bytes.extend([0; 6 + 1 + 8 + TRAILER_LEN]);
        prop_assert!(read(&bytes, 4096).is_err());
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes, 7).is_err());
        if let Ok(header) = <[u8; HEADER_LEN]>::try_from(&bytes[..bytes.len().min(HEADER_LEN)]) {
            let _ = Header::parse(&header);
        }
    }

    #[test]
    fn any_valid_header_is_read_back(file in file()) {
        prop_assert_eq!(Header::parse(&file.header.to_bytes()), Ok(file.header));
    }

    #[test]
    fn any_name_is_read_back_and_no_other_text_is_a_name(min: u64, max: u64, text in "[0-9a-fA-F.ltx-]{0,40}") {
        let name = FileName::new(Txid(min), Txid(max));
        prop_assert_eq!(name.to_string().parse(), Ok(name));
        if let Ok(name) = text.parse::<FileName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    /// The result of a merge is what applying the files one after the other gives.
    #[test]
    fn a_merge_equals_applying_one_file_after_the_other(
        files in vec(btree_map(1u32..20, any::<u8>(), 0..10), 1..8),
        commits in vec(1u32..20, 8),
    ) {
        let mut expected = std::collections::BTreeMap::new();
        let encoded: Vec<Vec<u8>> = files.iter().enumerate().map(|(number, pages)| {
            let txid = Txid(number as u64 + 2);
            let commit = commits[number];
            let pages: Vec<_> = pages.range(..=commit).map(|(&pgno, &byte)| (Pgno(pgno), vec![byte; 512])).collect();
            expected.extend(pages.iter().cloned());
            File { header: Header::new(PageSize::MIN, commit, txid, txid, 0), pages }.encode()
        }).collect();
        expected.retain(|pgno, _| pgno.0 <= commits[files.len() - 1]);
        let inputs = encoded.iter().map(|bytes| Decoder::new(&bytes[..]).expect("header")).collect();
        let (bytes, _, _) = compact(inputs, Vec::new()).expect("merges");
        prop_assert_eq!(read(&bytes, 4096).expect("sound"), expected.into_iter().collect::<Vec<_>>());
    }
}
