use super::super::l0::L0Writer;
use super::*;
use crate::ltx;

const SIZE: PageSize = PageSize::MIN;

struct Fixture {
    _directory: tempfile::TempDir,
    meta: MetaDir,
    database: PathBuf,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().expect("temporary directory");
        let database = directory.path().join("a.db");
        fs::write(&database, b"x").expect("write");
        let meta = MetaDir::new(directory.path().join("meta"));
        Fixture { meta, database, _directory: directory }
    }

    fn owner(&self) -> Owner<'_> {
        Owner::of_database(&self.database).expect("owner")
    }

    /// An L0 file with these pages, each filled with one byte.
    fn l0(&self, txid: u64, commit: u32, pages: &[(u32, u8)]) -> L0Id {
        let header = ltx::Header::new(SIZE, commit, Txid(txid), Txid(txid), 0);
        let mut writer = L0Writer::create(&self.meta, &self.owner(), &header).expect("create");
        for &(pgno, byte) in pages {
            writer.put(Pgno(pgno), &[byte; 512]).expect("put");
        }
        writer.publish().expect("publish")
    }

    /// Checksums of three pages, as after a first full file.
    fn start(&self) -> L0Id {
        let l0 = self.l0(1, 3, &[(1, 1), (2, 1), (3, 1)]);
        let mut builder = Builder::create(&self.meta, &self.owner(), SIZE).expect("create");
        for pgno in 1..=3 {
            builder.push(Pgno(pgno), page_checksum(Pgno(pgno), &[1; 512])).expect("push");
        }
        builder.publish(l0, 3).expect("publish");
        l0
    }

    /// The byte that each page was last seen with, 0 for "not known".
    fn seen(&self, newest: L0Id) -> Option<Vec<u8>> {
        let mut remembered = load(&self.meta, newest, SIZE)?;
        let commit = remembered.commit();
        let byte = |remembered: &mut Remembered, pgno| {
            let checksum = remembered.get(Pgno(pgno)).expect("read");
            (1..=99).find(|&byte| checksum == Some(page_checksum(Pgno(pgno), &[byte; 512]))).unwrap_or(0)
        };
        Some((1..=commit).map(|pgno| byte(&mut remembered, pgno)).collect())
    }
}

#[test]
fn they_describe_the_newest_file_and_no_other() {
    let fixture = Fixture::new();
    let first = fixture.start();
    assert_eq!(fixture.seen(first), Some(vec![1, 1, 1]));
    let other = L0Id { checksum: first.checksum ^ 1, ..first };
    assert_eq!(fixture.seen(other), None, "the same number in another history");
    assert!(!fixture.meta.page_checksums_path().exists(), "what is of no use is removed");
}

#[test]
fn they_are_brought_forward_over_files_that_change_grow_and_shrink() {
    let fixture = Fixture::new();
    let first = fixture.start();
    let second = fixture.l0(2, 5, &[(2, 2), (4, 2), (5, 2)]);
    bring_forward(&fixture.meta, Some(first), second, false);
    assert_eq!(fixture.seen(second), Some(vec![1, 2, 1, 2, 2]));
    fixture.l0(3, 2, &[(1, 3)]);
    let fourth = fixture.l0(4, 4, &[(3, 4), (4, 4)]);
    assert_eq!(fixture.seen(fourth), Some(vec![3, 2, 4, 4]), "two files behind");
}

#[test]
fn a_kill_in_the_middle_needs_no_repair() {
    let fixture = Fixture::new();
    fixture.start();
    let second = fixture.l0(2, 3, &[(1, 2), (3, 2)]);
    // Entries written, header not.
    let file = OpenOptions::new().write(true).open(fixture.meta.page_checksums_path()).expect("open");
    file.write_all_at(&page_checksum(Pgno(3), &[2; 512]).to_be_bytes(), entry_offset(Pgno(3))).expect("write");
    assert_eq!(fixture.seen(second), Some(vec![2, 1, 2]));
}

#[test]
fn after_a_crash_of_the_machine_only_what_was_flushed_counts() {
    let fixture = Fixture::new();
    let first = fixture.start();
    let second = fixture.l0(2, 3, &[(2, 2)]);
    bring_forward(&fixture.meta, Some(first), second, false);
    // The header reached the disk, the entry did not; and the kernel is another one.
    let path = fixture.meta.page_checksums_path();
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("open");
    file.write_all_at(&page_checksum(Pgno(2), &[1; 512]).to_be_bytes(), entry_offset(Pgno(2))).expect("write");
    let crashed = Header { boot_id: [9; 16], ..read_header(&file).expect("header") };
    assert_eq!((crashed.current.l0, crashed.flushed.l0), (second, first));
    file.write_all_at(&crashed.to_bytes(), 0).expect("write");
    assert_eq!(fixture.seen(second), Some(vec![1, 2, 1]));

    bring_forward(&fixture.meta, Some(second), second, true);
    assert_eq!(read_header(&file).expect("header").flushed.l0, second);
}

#[test]
fn a_missing_file_in_between_or_another_page_size_makes_them_useless() {
    let fixture = Fixture::new();
    fixture.start();
    fixture.l0(2, 3, &[(1, 2)]);
    let third = fixture.l0(3, 3, &[(1, 3)]);
    fixture.meta.remove_l0(Txid(2)).expect("remove");
    assert_eq!(fixture.seen(third), None);

    let fixture = Fixture::new();
    let first = fixture.start();
    assert!(load(&fixture.meta, first, PageSize::MAX).is_none());
}

#[test]
fn a_damaged_header_is_never_believed() {
    let fixture = Fixture::new();
    let first = fixture.start();
    let path = fixture.meta.page_checksums_path();
    let good = fs::read(&path).expect("read");
    for at in 0..HEADER_LEN {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).expect("write");
        assert_eq!(fixture.seen(first), None, "byte {at}");
    }
    fs::write(&path, &good[..50]).expect("write");
    assert_eq!(fixture.seen(first), None, "cut short");
}

#[test]
fn checksums_that_are_not_published_leave_nothing_behind() {
    let fixture = Fixture::new();
    let newest = fixture.start();
    let mut builder = Builder::create(&fixture.meta, &fixture.owner(), SIZE).expect("create");
    builder.push(Pgno(1), 9).expect("push");
    drop(builder);
    assert_eq!(fixture.meta.remove_temporary_files().expect("look"), 0);
    assert_eq!(fixture.seen(newest), Some(vec![1, 1, 1]), "the old ones are still there");
}
