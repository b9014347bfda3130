use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::discovery::{Pattern, is_state_directory_name};

/// A directory of the test's own, and a spec that takes `*.db` in all of it.
struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    fn new(files: &[&str]) -> Tree {
        let tree = Tree { directory: tempfile::tempdir().unwrap() };
        files.iter().for_each(|file| tree.database(file));
        tree
    }

    fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(below)
    }

    fn write(&self, below: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn database(&self, below: impl AsRef<Path>) {
        let mut header = b"SQLite format 3\0\x10\0\x02\x02".to_vec();
        header.resize(4096, 0);
        self.write(below, &header);
    }

    fn spec(&self, pattern: &str) -> DirSpec {
        DirSpec {
            dir: self.directory.path().to_owned(),
            written: "d".to_owned(),
            pattern: Pattern::parse(pattern).unwrap(),
            exclude: Vec::new(),
            recursive: true,
            watch: false,
        }
    }

    fn scan(&self, pattern: &str) -> Scan {
        scan(&self.spec(pattern)).unwrap()
    }

    fn skipped(&self, scan: &Scan) -> Vec<(String, SkipReason)> {
        let name = |path: &Path| path.strip_prefix(self.directory.path()).unwrap().display().to_string();
        scan.skipped.iter().map(|skipped| (name(&skipped.path), skipped.reason.clone())).collect()
    }
}

fn names(scan: &Scan) -> Vec<String> {
    scan.found.iter().map(|found| found.relative.to_string()).collect()
}

#[test]
fn finds_databases_of_all_levels_sorted_and_only_where_told() {
    let tree = Tree::new(&["b.db", "a.db", "a/z.db", "a-b.db", "a/b/c.db", ".dot.db", ".hid/h.db", "a.sqlite"]);
    let all = tree.scan("*.db");
    assert_eq!(names(&all), [".dot.db", ".hid/h.db", "a/b/c.db", "a/z.db", "a-b.db", "a.db", "b.db"]);
    assert_eq!(all.found[0].path, tree.path(".dot.db"));
    assert_eq!(all.found[0].file, tree.path(".dot.db"));

    let flat = scan(&DirSpec { recursive: false, ..tree.spec("*.db") }).unwrap();
    assert_eq!(names(&flat), [".dot.db", "a-b.db", "a.db", "b.db"]);
    assert_eq!(names(&tree.scan("a/*.db")), ["a/z.db"]);
}

/// H75.
#[test]
fn names_with_space_percent_hash_question_unicode_newline_are_found_as_they_are() {
    let tree = Tree::new(&["a b.db", "c%d.db", "e?f.db", "g#h.db", "ü.db", "new\nline.db", "a\\b.db", "'q'.db"]);
    tree.database(OsStr::from_bytes(b"caf\xe9.db"));
    let scan = tree.scan("*.db");
    let found: Vec<&[u8]> = scan.found.iter().map(|found| found.relative.as_bytes()).collect();
    let expected: [&[u8]; 9] = [
        b"'q'.db",
        b"a b.db",
        b"a\\b.db",
        b"c%d.db",
        b"caf\xe9.db",
        b"e?f.db",
        b"g#h.db",
        b"new\nline.db",
        "ü.db".as_bytes(),
    ];
    assert_eq!(found, expected);
    assert!(scan.skipped.is_empty() && scan.problems.is_empty());
}

/// H76.
#[test]
fn symlinked_file_and_its_target_both_match_and_give_one_database() {
    let tree = Tree::new(&["z.db", "elsewhere/real"]);
    symlink("z.db", tree.path("a.db")).unwrap();
    symlink("elsewhere/real", tree.path("link.db")).unwrap();
    std::fs::hard_link(tree.path("z.db"), tree.path("zz.db")).unwrap();
    let scan = tree.scan("*.db");
    assert_eq!(names(&scan), ["link.db", "z.db"], "the file itself beats links to it");
    assert_eq!(scan.found[0].path, tree.path("link.db"));
    assert_eq!(scan.found[0].file, std::fs::canonicalize(tree.path("elsewhere/real")).unwrap());
    let same = |path: &str| SkipReason::SameFile { path: tree.path(path) };
    assert_eq!(tree.skipped(&scan), [("a.db".into(), same("z.db")), ("zz.db".into(), same("z.db"))]);
}

/// H77. A test that hangs here has opened the pipe.
#[test]
fn fifo_socket_device_and_links_to_nowhere_are_skipped_without_blocking() {
    let tree = Tree::new(&["a.db"]);
    mknodat(CWD, tree.path("pipe.db"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket.db")).unwrap();
    symlink("/dev/null", tree.path("null.db")).unwrap();
    symlink("pipe.db", tree.path("to-pipe.db")).unwrap();
    symlink("missing", tree.path("gone.db")).unwrap();
    symlink(".", tree.path("loop.db")).unwrap();
    symlink("self.db", tree.path("self.db")).unwrap();
    let scan = tree.scan("*.db");
    assert_eq!(names(&scan), ["a.db"]);
    assert_eq!(
        tree.skipped(&scan),
        [
            ("gone.db".into(), SkipReason::DanglingLink),
            ("loop.db".into(), SkipReason::LinkToDirectory),
            ("null.db".into(), SkipReason::NotAFile(FileKind::Device)),
            ("pipe.db".into(), SkipReason::NotAFile(FileKind::NamedPipe)),
            ("socket.db".into(), SkipReason::NotAFile(FileKind::Socket)),
            ("to-pipe.db".into(), SkipReason::NotAFile(FileKind::NamedPipe)),
        ]
    );
    assert_eq!(scan.problems.len(), 1, "a link to itself cannot be looked at: {:?}", scan.problems);
}

/// H78.
#[test]
fn header_15_16_99_bytes_are_skipped_with_a_reason() {
    let tree = Tree::new(&["good.db"]);
    let header = std::fs::read(tree.path("good.db")).unwrap();
    for size in [0, 15, 16, 99] {
        tree.write(format!("{size:02}.db"), &header[..size]);
    }
    tree.write("text.db", &[b'x'; 200]);
    let scan = tree.scan("*.db");
    assert_eq!(names(&scan), ["good.db"]);
    let reasons: Vec<String> = scan.skipped.iter().map(|skipped| skipped.reason.to_string()).collect();
    assert_eq!(
        reasons,
        [
            "empty file, not a database yet",
            "not a SQLite database (15 bytes, a header alone has 100)",
            "not a SQLite database (16 bytes, a header alone has 100)",
            "not a SQLite database (99 bytes, a header alone has 100)",
            "not a SQLite database (magic does not match)",
        ]
    );
}

/// H79. Root may read everything, so this needs another user to prove it.
#[test]
fn unreadable_subdirectory_is_a_problem_and_the_others_are_found() {
    let tree = Tree::new(&["a/a.db", "b/b.db", "c/c.db"]);
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: runs as root, who can read everything");
        return;
    }
    std::fs::set_permissions(tree.path("b"), PermissionsExt::from_mode(0o000)).unwrap();
    let scan = tree.scan("*.db");
    std::fs::set_permissions(tree.path("b"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(names(&scan), ["a/a.db", "c/c.db"]);
    assert_eq!(scan.problems, [Problem { path: tree.path("b"), message: "permission denied".into() }]);
}

/// H82: what `fleet` tells two entries on one file by.
#[test]
fn a_file_found_by_two_directories_has_one_identity() {
    let tree = Tree::new(&["s/a.db"]);
    let outer = tree.scan("*.db");
    let inner = scan(&DirSpec { dir: tree.path("s"), ..tree.spec("*") }).unwrap();
    assert_eq!(outer.found[0].identity, inner.found[0].identity);
    assert_ne!(outer.found[0].relative, inner.found[0].relative);
    assert_eq!(outer.found[0].path, inner.found[0].path);
}

/// H84.
#[test]
fn h84_meta_dirs_inside_a_recursive_dir_are_never_scanned() {
    let tree = Tree::new(&["a.db", ".a.db-litestream/ltx/x.db", "s/b.db-litestream/y.db", "s/b.db", "litestream/c.db"]);
    let scan = tree.scan("*");
    assert_eq!(names(&scan), ["a.db", "litestream/c.db", "s/b.db"]);
    assert_eq!(tree.skipped(&scan), [("s/b.db-litestream".into(), SkipReason::StateDirectory)]);
    assert!(is_state_directory_name(OsStr::new(".a.db-litestream")));
}

#[test]
fn files_that_sqlite_keeps_beside_a_database_are_no_candidates() {
    let tree = Tree::new(&["a.db", "a.db-wal", "a.db-shm", "a.db-journal"]);
    let scan = tree.scan("*");
    assert_eq!(names(&scan), ["a.db"]);
    assert!(scan.skipped.is_empty());
}

#[test]
fn exclude_takes_out_files_and_whole_directories_and_says_so() {
    let tree = Tree::new(&["a.db", "tmp-1.db", "cache/x.db", "s/cache/y.db", "s/old/z.db", "s/k.db"]);
    let exclude = ["tmp-*", "cache", "s/old/**"].map(|text| Pattern::parse(text).unwrap());
    let scan = scan(&DirSpec { exclude: exclude.to_vec(), ..tree.spec("*.db") }).unwrap();
    assert_eq!(names(&scan), ["a.db", "s/k.db"]);
    let by = |pattern: &str| SkipReason::Excluded { pattern: pattern.into() };
    assert_eq!(
        tree.skipped(&scan),
        [
            ("cache".into(), by("cache")),
            ("s/cache".into(), by("cache")),
            ("s/old/z.db".into(), by("s/old/**")),
            ("tmp-1.db".into(), by("tmp-*")),
        ]
    );
}

#[test]
fn links_to_directories_are_not_followed_but_the_directory_itself_may_be_one() {
    let tree = Tree::new(&["real/a.db", "real/s/b.db"]);
    symlink("real", tree.path("link")).unwrap();
    symlink("..", tree.path("real/s/up")).unwrap();
    assert_eq!(names(&tree.scan("*.db")), ["real/a.db", "real/s/b.db"]);
    let spec = DirSpec { dir: tree.path("link"), ..tree.spec("*.db") };
    let through = scan(&spec).unwrap();
    assert_eq!(names(&through), ["a.db", "s/b.db"]);
    assert_eq!(through.found[0].path, tree.path("link/a.db"), "users know it by the configured name");
}

#[test]
fn a_bad_root_is_an_error_in_the_references_words() {
    let tree = Tree::new(&["file"]);
    let error = |dir: PathBuf| scan(&DirSpec { dir, ..tree.spec("*") }).unwrap_err();
    let missing = tree.path("no");
    let text = format!("failed to scan directory {0}: lstat {0}: no such file or directory", missing.display());
    assert_eq!(error(missing.clone()).to_string(), text);
    assert!(error(missing).is_missing());
    let file = tree.path("file");
    let text = format!("failed to scan directory {0}: open {0}: not a directory", file.display());
    assert_eq!(error(file).to_string(), text);
}

#[test]
fn nothing_found_is_an_error_unless_the_directory_is_watched() {
    let tree = Tree::new(&["a.db"]);
    let spec = tree.spec("zz*");
    let none = scan(&spec).unwrap();
    let text = format!("no SQLite databases found in directory {} with pattern zz*", spec.dir.display());
    assert_eq!(none.require_databases(&spec).unwrap_err().to_string(), text);
    assert!(none.require_databases(&DirSpec { watch: true, ..spec }).is_ok());
    assert!(tree.scan("*").require_databases(&tree.spec("*")).is_ok());
}
