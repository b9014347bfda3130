//! The parser against what the reference (0.5.17) said to the same arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::*;

const OUTPUT: Flag = Flag::value("o", Kind::Path, "PATH", "Output path.");
const TXID: Flag = Flag::value("txid", Kind::Txid, "TXID", "Up to this transaction.");
const LEVEL: Flag = Flag::value("level", Kind::LevelOrAll, "LEVEL", "Level.").default("0");
const PARALLELISM: Flag = Flag::value("parallelism", Kind::Integer, "NUM", "Files at once.").default("8");
const INTERVAL: Flag = Flag::value("follow-interval", Kind::Duration, "DURATION", "How often.").default("1s");
const JSON: Flag = Flag::switch("json", "JSON.");
const PLUGIN_DIR: Flag = Flag::value("plugin-dir", Kind::Path, "DIR", "Plugins.").repeatable();

const SAMPLE: Command = Command {
    name: "sample",
    deprecated_alias: None,
    summary: "a sample",
    about: "The sample command is for tests.",
    synopsis: &["[arguments] DB_PATH", "[arguments] REPLICA_URL"],
    flags: &[&OUTPUT, &TXID, &LEVEL, &PARALLELISM, &INTERVAL, &JSON, &PLUGIN_DIR],
    notes: "A note.",
    examples: &[Example { what: "Restore a database", line: "sample -o /tmp/db /path/to/db" }],
    run: |_| Ok(Exit::Success),
};

fn parse_words(words: &[&str]) -> Result<Args, ParseError> {
    parse(&SAMPLE, words.iter().map(OsString::from))
}

fn message(words: &[&str]) -> String {
    match parse_words(words) {
        Err(ParseError::Invalid { message, .. }) => message,
        other => panic!("{words:?} gave {other:?}"),
    }
}

#[test]
fn one_dash_or_two_with_or_without_equals() {
    for words in [["-o", "x", "db"].as_slice(), &["--o", "x", "db"], &["-o=x", "db"], &["--o=x", "db"]] {
        let args = parse_words(words).unwrap();
        assert_eq!(args.path(&OUTPUT), Some(PathBuf::from("x")), "{words:?}");
        assert_eq!(args.positionals, ["db"], "{words:?}");
    }
}

#[test]
fn switches_take_a_value_only_with_equals() {
    let args = parse_words(&["-json", "false"]).unwrap();
    assert!(args.switch(&JSON));
    assert_eq!(args.positionals, ["false"]);
    assert!(!parse_words(&["-json=F"]).unwrap().switch(&JSON));
    assert!(parse_words(&["-json=1"]).unwrap().switch(&JSON));
}

#[test]
fn flags_end_at_the_first_other_argument_or_at_two_dashes() {
    let args = parse_words(&["db", "-o", "x"]).unwrap();
    assert_eq!(args.positionals, ["db", "-o", "x"]);
    assert!(!args.is_given(&OUTPUT));
    assert_eq!(parse_words(&["--", "-bogus"]).unwrap().positionals, ["-bogus"]);
    assert_eq!(parse_words(&["-", "-o"]).unwrap().positionals, ["-", "-o"]);
}

#[test]
fn the_last_value_wins_unless_all_count() {
    let args = parse_words(&["-o", "a", "-o=b", "-plugin-dir", "p", "--plugin-dir=q"]).unwrap();
    assert_eq!(args.path(&OUTPUT), Some(PathBuf::from("b")));
    assert_eq!(args.paths(&PLUGIN_DIR), [PathBuf::from("p"), PathBuf::from("q")]);
}

#[test]
fn defaults_stand_for_absent_flags() {
    let args = parse_words(&[]).unwrap();
    assert_eq!(args.text(&PARALLELISM), Some("8"));
    assert_eq!(args.path(&OUTPUT), None);
    assert_eq!(parse_words(&["-o="]).unwrap().path(&OUTPUT), None);
}

#[test]
fn paths_need_not_be_utf8() {
    let name = OsStr::from_bytes(b"/d/\xff.db");
    let args = parse(&SAMPLE, ["-o".into(), name.to_owned(), name.to_owned()]).unwrap();
    assert_eq!(args.path(&OUTPUT), Some(PathBuf::from(name)));
    assert_eq!(args.positionals, [name]);
}

#[test]
fn mistakes_are_told_in_the_references_words() {
    let expected = [
        (["-bogus"].as_slice(), "flag provided but not defined: -bogus"),
        (&["--bogus=1"], "flag provided but not defined: -bogus"),
        (&["-o"], "flag needs an argument: -o"),
        (&["---o"], "bad flag syntax: ---o"),
        (&["-=x"], "bad flag syntax: -=x"),
        (&["-json=maybe"], r#"invalid boolean value "maybe" for -json: parse error"#),
        (&["-parallelism", "x"], r#"invalid value "x" for flag -parallelism: parse error"#),
        (&["-follow-interval", "5"], r#"invalid value "5" for flag -follow-interval: parse error"#),
        (&["-txid", "2"], r#"invalid value "2" for flag -txid: invalid txid format"#),
        (&["-txid", "-h"], r#"invalid value "-h" for flag -txid: invalid txid format"#),
        (&["-level", "10"], r#"invalid value "10" for flag -level: level must be between 0 and 9"#),
        (&["-level="], r#"invalid value "" for flag -level: invalid level: must be 0-9 or "all""#),
        (&["-level=x"], r#"invalid value "x" for flag -level: invalid level: must be 0-9 or "all""#),
    ];
    for (words, text) in expected {
        assert_eq!(message(words), text, "{words:?}");
    }
}

#[test]
fn a_typo_finds_its_flag() {
    let expected = Err(ParseError::Invalid {
        message: "flag provided but not defined: -paralelism".to_owned(),
        did_you_mean: Some("parallelism"),
    });
    assert_eq!(parse_words(&["-paralelism", "2"]).map(drop), expected);
}

#[test]
fn help_is_heard_anywhere() {
    for words in [["-h"].as_slice(), &["--help"], &["-json", "-help"], &["db", "-h"], &["db", "--help", "x"]] {
        assert_eq!(parse_words(words).map(drop), Err(ParseError::HelpWanted), "{words:?}");
    }
}

#[test]
fn usage_is_laid_out_like_the_references() {
    let expected = "The sample command is for tests.

Usage:

\tlitestream-rs sample [arguments] DB_PATH

\tlitestream-rs sample [arguments] REPLICA_URL

Arguments:

\t-o PATH
\t    Output path.
";
    let usage = command_usage(&SAMPLE);
    assert!(usage.starts_with(expected), "{usage}");
    assert!(
        usage.contains(
            "\n\t-json\n\t    JSON.\n\n\t-plugin-dir DIR\n\t    Plugins.\n\t    May be given more than once.\n"
        ),
        "{usage}"
    );
    assert!(usage.ends_with(
        "\nA note.\n\nExamples:\n\n\t# Restore a database.\n\t$ litestream-rs sample -o /tmp/db /path/to/db\n"
    ));
}
