use super::*;
use crate::config::document::Step;

fn root(text: &str) -> Table {
    match parse(text) {
        Ok(parsed) => parsed.root,
        Err(error) => panic!("line {}: {} in {text}", error.line, error.message),
    }
}

fn text(text: &str, key: &str) -> String {
    match &root(text).get(key).unwrap_or_else(|| panic!("no {key} in {text}")).value.content {
        Content::Scalar(scalar) => scalar.text.clone(),
        _ => panic!("{key} is no scalar in {text}"),
    }
}

fn refused(text: &str) -> SyntaxError {
    parse(text).map(|_| ()).expect_err(text)
}

#[test]
fn a_scalar_keeps_the_text_it_was_written_as() {
    for written in ["0600", "1e5", "0x1F", "yes", "1.10", "2001-01-01", "1_000", "+5", "it's", "a#b", "-"] {
        let document = format!("k: {written}");
        if written != "-" {
            assert_eq!(text(&document, "k"), written);
        }
    }
    assert_eq!(text("k: 'it''s'", "k"), "it's");
    assert_eq!(text(r#"k: "\x41\u00e9\t""#, "k"), "Aé\t");
    assert_eq!(text("k: >\n  a\n  b\n", "k"), "a b\n");
    assert_eq!(text("k: |\n  a\n  b\n", "k"), "a\nb\n");
    assert_eq!(text("k: !!str 12", "k"), "12");
    assert_eq!(text("k: !foo 12", "k"), "12");
}

#[test]
fn null_in_all_its_forms_is_no_value() {
    for written in ["", " ~", " null", " Null", " NULL", " # comment"] {
        let root = root(&format!("k:{written}\n"));
        assert!(matches!(root.get("k").unwrap().value.content, Content::Null), "{written:?}");
        assert!(root.to_dict().is_empty());
    }
    assert!(matches!(root("k: '~'").get("k").unwrap().value.content, Content::Scalar(_)));
}

#[test]
fn only_the_first_document_counts_and_an_empty_one_is_empty() {
    for empty in ["", "# nothing\n", "---\n", "~", "---\n...\n"] {
        assert!(root(empty).entries.is_empty(), "{empty:?}");
    }
    assert_eq!(text("---\na: 1\n---\nfoo: ][\n", "a"), "1");
    assert_eq!(text("\u{feff}a: 1\r\n", "a"), "1");
}

#[test]
fn the_last_of_two_equal_keys_counts_and_the_other_is_named() {
    let parsed = parse("a: 1\nb: 2\na: 3\n").map_err(|error| error.message).unwrap();
    assert_eq!(parsed.overridden, [(1, "a".to_owned())]);
    assert_eq!(text("a: 1\nb: 2\na: 3\n", "a"), "3");
}

/// Each was run through the reference.
#[test]
fn merge_keys_stand_in_for_what_they_name() {
    let defaults = "x: &x {a: 1, b: 1}\ny: &y {a: 2, c: 2}\n";
    let inside = |table: &str, key: &str| {
        let root = root(&format!("{defaults}t: {{{table}}}\n"));
        let table = root.get("t").and_then(|entry| entry.value.as_table()).cloned().unwrap();
        table.get(key).map(|entry| match &entry.value.content {
            Content::Scalar(scalar) => scalar.text.clone(),
            _ => panic!("{key} is no scalar"),
        })
    };
    assert_eq!(inside("<<: *x, a: 9", "a").as_deref(), Some("9"));
    assert_eq!(inside("a: 9, <<: *x", "a").as_deref(), Some("1"));
    assert_eq!(inside("<<: [*x, *y]", "a").as_deref(), Some("1"));
    assert_eq!(inside("<<: [*x, *y]", "c").as_deref(), Some("2"));
    assert_eq!(inside("'<<': *x", "a"), None, "in quotes it is a key like others");
    refused("t: {<<: 5}");
}

#[test]
fn every_value_and_key_knows_its_line() {
    let root = root("addr: x\ndbs:\n- path: a\n\n  replica:\n    type: s3\n- path: b\n");
    let line = |path: &[Step<'_>]| root.line_of(path.iter().copied());
    let dbs = Step::Key("dbs");
    assert_eq!(line(&[dbs]), Some(2));
    assert_eq!(line(&[dbs, Step::Index(0), Step::Key("replica"), Step::Key("type")]), Some(6));
    assert_eq!(line(&[dbs, Step::Index(1)]), Some(7));
    assert_eq!(line(&[dbs, Step::Index(1), Step::Key("replica")]), Some(7), "the nearest that exists");
    assert_eq!(line(&[Step::Key("none")]), None);
}

#[test]
fn what_is_no_mapping_or_no_yaml_is_refused_with_its_line() {
    assert_eq!(refused("- a\n").line, 1);
    assert_eq!(refused("foo\n").line, 1);
    assert_eq!(refused("a: 1\nb: c: d\n").line, 2);
    refused("a: 1\n\tb: 2\n");
    assert_eq!(refused("a: 1\npattern: *.db\n").line, 2);
    assert_eq!(refused("dbs:\n\t- path: a\n").line, 2);
    assert_eq!(refused("a: [1\n").line, 2);
    refused("a: \"x");
    refused("[a]: b");
    refused("k: !!binary aGVsbG8=");
}

#[test]
fn a_syntax_error_repeats_nothing_of_the_file() {
    for text in ["secret: \"hunter2", "secret: hunter2: x", "secret: *hunter2", "secret: [hunter2"] {
        let error = refused(text);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }
}

#[test]
fn bombs_are_refused() {
    let deep = "[".repeat(10_000);
    refused(&format!("a: {deep}"));
    let nested: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{m}, *a{m}, *a{m}]\n", m = n - 1)).collect();
    assert_eq!(refused(&format!("a0: &a0 x\n{nested}")).message, "too many values");
    refused("a: &a [*a]");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(([ab]: )|[-\\[\\]{},:?|>&*!%@`#'\"\\\\ \\t\\n~<xé\\u{0}\\u{7}\\u{feff}0-9]){0,60}") {
        let _ = parse(&text).map(|parsed| parsed.root.to_dict());
    }
}
