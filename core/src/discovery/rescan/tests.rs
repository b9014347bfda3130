use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;
use crate::discovery::{NothingAttached, Pattern, SkipReason};

struct Tree {
    directory: tempfile::TempDir,
    rescan: Rescan,
}

impl Tree {
    fn new() -> Tree {
        let directory = tempfile::tempdir().unwrap();
        let rescan = Rescan::new(DirSpec {
            dir: directory.path().to_owned(),
            written: "d".to_owned(),
            pattern: Pattern::parse("*.db").unwrap(),
            exclude: Vec::new(),
            recursive: true,
            watch: true,
        });
        Tree { directory, rescan }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn database(&self, below: &str) {
        let mut header = b"SQLite format 3\0\x10\0\x02\x02".to_vec();
        header.resize(4096, 0);
        std::fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        std::fs::write(self.path(below), header).unwrap();
    }

    /// Added, removed, replaced, skipped, by name.
    fn changes(&mut self) -> [Vec<String>; 4] {
        self.changes_in(&Scope::All)
    }

    /// The same of some names below the directory.
    fn changes_of(&mut self, names: &[&str]) -> [Vec<String>; 4] {
        let parts = names.iter().map(|name| self.path(name)).collect();
        self.changes_in(&Scope::Parts(parts))
    }

    fn changes_in(&mut self, scope: &Scope) -> [Vec<String>; 4] {
        let changes = self.rescan.scan(scope, &NothingAttached).unwrap();
        let root = self.directory.path();
        let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        [
            changes.added.iter().map(|found| name(&found.path)).collect(),
            changes.removed.iter().map(|path| name(path)).collect(),
            changes.replaced.iter().map(|replaced| name(&replaced.now.path)).collect(),
            changes.skipped.iter().map(|skipped| name(&skipped.path)).collect(),
        ]
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn reports_each_change_once() {
    let mut tree = Tree::new();
    tree.database("a.db");
    tree.database("s/b.db");
    std::fs::write(tree.path("text.db"), "x").unwrap();
    assert_eq!(tree.changes(), [vec!["a.db".into(), "s/b.db".into()], none(), none(), vec!["text.db".into()]]);
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);

    std::fs::rename(tree.path("s"), tree.path("t")).unwrap();
    std::fs::remove_file(tree.path("a.db")).unwrap();
    assert_eq!(tree.changes(), [vec!["t/b.db".into()], vec!["a.db".into(), "s/b.db".into()], none(), none()]);
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);
}

/// H83.
#[test]
fn a_database_created_empty_then_filled_is_added() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("a.db"), "").unwrap();
    assert_eq!(tree.changes(), [none(), none(), none(), vec!["a.db".into()]]);
    tree.database("a.db");
    assert_eq!(tree.changes(), [vec!["a.db".into()], none(), none(), none()]);
}

/// The reference goes on with the unlinked file and reports health.
#[test]
fn another_file_under_a_known_name_is_replaced_not_unchanged() {
    let mut tree = Tree::new();
    tree.database("a.db");
    tree.changes();
    tree.database("new");
    std::fs::rename(tree.path("new"), tree.path("a.db")).unwrap();
    assert_eq!(tree.changes(), [none(), none(), vec!["a.db".into()], none()]);
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);

    std::fs::write(tree.path("new"), "no database").unwrap();
    std::fs::rename(tree.path("new"), tree.path("a.db")).unwrap();
    assert_eq!(tree.changes(), [none(), vec!["a.db".into()], none(), vec!["a.db".into()]]);
}

#[test]
fn what_becomes_of_a_known_file_is_not_judged_here() {
    let mut tree = Tree::new();
    tree.database("a.db");
    tree.changes();
    std::fs::File::create(tree.path("a.db")).unwrap(); // Truncates, same file.
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);
}

#[test]
fn a_new_name_for_a_known_file_takes_nothing_from_it() {
    let mut tree = Tree::new();
    tree.database("m.db");
    tree.changes();
    std::fs::hard_link(tree.path("m.db"), tree.path("a.db")).unwrap();
    assert_eq!(tree.changes(), [none(), none(), none(), vec!["a.db".into()]]);
    std::fs::remove_file(tree.path("m.db")).unwrap();
    assert_eq!(tree.changes(), [vec!["a.db".into()], vec!["m.db".into()], none(), none()]);
}

#[test]
fn an_error_of_the_root_forgets_nothing() {
    let mut tree = Tree::new();
    tree.database("a.db");
    tree.changes();
    let hidden = tree.directory.path().with_extension("hidden");
    std::fs::rename(tree.directory.path(), &hidden).unwrap();
    assert!(tree.rescan.scan(&Scope::All, &NothingAttached).is_err_and(|error| error.is_missing()));
    std::fs::rename(&hidden, tree.directory.path()).unwrap();
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);
}

/// Stands for a fleet that has some files attached.
#[derive(Default)]
struct Attached {
    files: BTreeSet<FileIdentity>,
    opened: Mutex<Vec<FileIdentity>>,
}

impl Attachments for Attached {
    fn unless_attached(&self, identity: FileIdentity, open: &mut dyn FnMut()) -> bool {
        if self.files.contains(&identity) {
            return false;
        }
        open();
        self.opened.lock().unwrap().push(identity);
        true
    }
}

/// Closing any descriptor of an attached database would drop the locks that keep its WAL.
#[test]
fn an_attached_file_is_taken_for_a_database_and_never_opened() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("a.db"), [b'x'; 200]).unwrap();
    tree.database("b.db");
    let identity = FileIdentity::of(&std::fs::metadata(tree.path("a.db")).unwrap());
    let attached = Attached { files: BTreeSet::from([identity]), ..Attached::default() };
    let changes = tree.rescan.scan(&Scope::All, &attached).unwrap();
    assert_eq!(changes.added.len(), 2);
    assert!(!attached.opened.lock().unwrap().contains(&identity));
}

#[test]
fn nothing_is_opened_twice_without_a_reason() {
    let mut tree = Tree::new();
    tree.database("a.db");
    std::fs::write(tree.path("text.db"), [b'x'; 200]).unwrap();
    std::fs::write(tree.path("small.db"), "x").unwrap();
    let watcher = Attached::default();
    let opened = |tree: &mut Tree| {
        tree.rescan.scan(&Scope::All, &watcher).unwrap();
        std::mem::take(&mut *watcher.opened.lock().unwrap()).len()
    };
    assert_eq!(opened(&mut tree), 2, "a file shorter than a header needs no look");
    assert_eq!(opened(&mut tree), 0);
    tree.database("a.db"); // Written to, as databases are.
    std::fs::write(tree.path("text.db"), [b'y'; 300]).unwrap();
    assert_eq!(opened(&mut tree), 1);
}

#[test]
fn a_reason_that_changes_is_told_again() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("a.db"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", tree.path("b.db")).unwrap();
    assert_eq!(tree.changes()[3], ["a.db", "b.db"]);
    assert_eq!(tree.changes()[3], none());
    std::fs::write(tree.path("a.db"), [b'x'; 200]).unwrap();
    let changes = tree.rescan.scan(&Scope::All, &NothingAttached).unwrap();
    assert!(matches!(changes.skipped[..], [Skipped { reason: SkipReason::NotADatabase(_), .. }]));
}

#[test]
fn parts_find_what_is_in_them_and_nothing_else() {
    let mut tree = Tree::new();
    for name in ["a.db", "b.db", "s/c.db", "s/t/d.db", "sx/e.db"] {
        tree.database(name);
    }
    assert_eq!(tree.changes_of(&["a.db", "s"]), [names(&["a.db", "s/c.db", "s/t/d.db"]), none(), none(), none()]);
    assert_eq!(tree.changes_of(&["s/t", "s", "a.db"]), [none(), none(), none(), none()]);
    assert_eq!(tree.changes(), [names(&["b.db", "sx/e.db"]), none(), none(), none()]);

    std::fs::remove_dir_all(tree.path("s")).unwrap();
    std::fs::remove_file(tree.path("b.db")).unwrap();
    assert_eq!(tree.changes_of(&["s/t"]), [none(), names(&["s/t/d.db"]), none(), none()]);
    assert_eq!(tree.changes_of(&["s", "never-there", "never/there.db"]), [none(), names(&["s/c.db"]), none(), none()]);
    assert_eq!(tree.changes(), [none(), names(&["b.db"]), none(), none()]);
}

#[test]
fn parts_follow_the_rules_of_the_whole() {
    let mut tree = Tree::new();
    for name in [".a.db-litestream/x.db", "s/.b.db-litestream/ltx/y.db", "text.txt"] {
        tree.database(name);
    }
    let parts = [".a.db-litestream", "s/.b.db-litestream/ltx", "s/.b.db-litestream/ltx/y.db", "text.txt"];
    assert_eq!(tree.changes_of(&parts), [none(), none(), none(), none()]);
    assert_eq!(tree.changes_of(&["s"]), [none(), none(), none(), none()]);
}

#[test]
fn a_rename_seen_in_parts_is_a_removal_and_an_addition() {
    let mut tree = Tree::new();
    tree.database("s/a.db");
    tree.changes();
    std::fs::rename(tree.path("s"), tree.path("t")).unwrap();
    assert_eq!(tree.changes_of(&["s", "t"]), [names(&["t/a.db"]), names(&["s/a.db"]), none(), none()]);
}

#[test]
fn a_second_name_of_a_database_outside_of_the_parts_is_not_taken() {
    let mut tree = Tree::new();
    tree.database("a.db");
    tree.changes();
    std::fs::hard_link(tree.path("a.db"), tree.path("b.db")).unwrap();
    assert_eq!(tree.changes_of(&["b.db"]), [none(), none(), none(), names(&["b.db"])]);
    assert_eq!(tree.changes(), [none(), none(), none(), none()]);
    std::fs::remove_file(tree.path("a.db")).unwrap();
    assert_eq!(tree.changes_of(&["a.db", "b.db"]), [names(&["b.db"]), names(&["a.db"]), none(), none()]);
}
