//! The table of hard cases in SAFETY.md names tests that exist.

use std::fs;

use super::*;

fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text += &sources(&entry);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            text += &fs::read_to_string(entry).unwrap();
        }
    }
    text
}

#[test]
fn every_hard_case_has_the_test_that_the_table_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = sources(&root.join("tests")) + &sources(&root.join("core/src"));
    let safety = fs::read_to_string(root.join("SAFETY.md")).unwrap();
    let rows: Vec<&str> = safety.lines().filter(|line| line.starts_with("| H")).collect();
    for number in 1..=89 {
        let row = rows.iter().find(|row| row[3..].starts_with(&format!("{number:02}")));
        let row = row.unwrap_or_else(|| panic!("H{number:02} is not in the table"));
        let names: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(name.contains(&format!("h{number:02}_")), "{row}");
            assert!(sources.contains(&format!("fn {name}(")), "{name} does not exist");
        }
    }
}
