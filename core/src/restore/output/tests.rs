use std::os::unix::fs::PermissionsExt;

use super::*;

const KEEP: OutputRules = OutputRules { force: false, skip_existing: false };
const FORCE: OutputRules = OutputRules { force: true, skip_existing: false };
const SKIP: OutputRules = OutputRules { force: false, skip_existing: true };

fn message(path: &Path, rules: OutputRules) -> String {
    Output::check(path, rules).expect_err("refused").to_string()
}

#[test]
fn a_file_with_content_is_only_replaced_by_force() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("a.db");
    for rules in [KEEP, FORCE, SKIP] {
        assert!(Output::check(&path, rules).expect("free").is_some(), "absent");
    }
    fs::write(&path, "").expect("write");
    assert!(Output::check(&path, KEEP).expect("empty").is_some());
    assert!(Output::check(&path, SKIP).expect("there").is_none());
    fs::write(&path, "x").expect("write");
    let expected = format!(
        "cannot restore, output path already exists and is not empty: {}. Use -force to overwrite",
        path.display()
    );
    assert_eq!(message(&path, KEEP), expected);
    assert!(Output::check(&path, FORCE).expect("forced").is_some());
    assert!(Output::check(&path, SKIP).expect("there").is_none());
}

#[test]
fn a_directory_is_never_replaced() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for rules in [KEEP, FORCE, SKIP] {
        let expected = format!("cannot restore, output path is a directory: {}", directory.path().display());
        assert_eq!(message(directory.path(), rules), expected);
    }
}

/// The reference looks only when the database is there, and then replays a left-over WAL into the restored one.
#[test]
fn side_files_are_refused_also_when_the_database_is_absent() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("a.db");
    for suffix in ["-wal", "-shm", "-journal"] {
        let sidecar = directory.path().join(format!("a.db{suffix}"));
        fs::write(&sidecar, "").expect("write");
        let expected = format!(
            "cannot restore, SQLite sidecar path already exists: {}. Use -force to overwrite",
            sidecar.display()
        );
        for rules in [KEEP, SKIP] {
            assert_eq!(message(&path, rules), expected);
        }
        assert!(Output::check(&path, FORCE).expect("forced").is_some());
        fs::remove_file(&sidecar).expect("remove");
    }
}

#[test]
fn directories_above_are_made_for_the_owner_alone() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("x/y/a.db");
    let temporary = Output::check(&path, KEEP).expect("free").expect("ours").create().expect("created");
    for made in ["x", "x/y"] {
        let mode = fs::metadata(directory.path().join(made)).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{made}");
    }
    assert_eq!(temporary.path(), directory.path().join("x/y/a.db.tmp"));
    assert!(temporary.path().exists());
    drop(temporary);
    assert_eq!(fs::read_dir(directory.path().join("x/y")).expect("list").count(), 0);
}

#[test]
fn a_path_without_a_directory_lies_in_the_working_directory() {
    let output = Output { path: PathBuf::from("a.db"), rules: KEEP };
    assert_eq!(output.directory(), Path::new("."));
}

#[test]
fn what_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, "x").expect("write");
    let error = Output::check(&file.join("a.db"), KEEP).expect_err("below a file").to_string();
    assert!(error.contains(&file.join("a.db").display().to_string()), "{error}");
}
