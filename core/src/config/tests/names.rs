//! Which names are keys.

use super::super::*;
use super::{File, error, load_yaml, warnings, without_directory};

#[test]
fn unknown_keys_are_all_reported_with_line_and_nearest_key() {
    let text = "adrr: {}\nsocket:\n  enabeld: true\nlevels: [{intervall: 1s}]\ndbs:\n- path: a\n  recusive: true\n  replica: {path: r}\n";
    assert_eq!(
        error(text),
        "c.yml:1: unknown key \"adrr\"; did you mean \"addr\"?\n\
         c.yml:3: unknown key \"socket.enabeld\"; did you mean \"enabled\"?\n\
         c.yml:4: unknown key \"levels[0].intervall\"; did you mean \"interval\"?\n\
         c.yml:7: unknown key \"dbs[0].recusive\"; did you mean \"recursive\"?"
    );
    let file = File::new("c.yml", "socket: {enabeld: true}\n");
    let lenient = load(&LoadRequest { lenient: true, ..file.request() }).unwrap();
    assert_eq!(
        without_directory(&lenient.warnings[0].to_string()),
        "c.yml:1: unknown key \"socket.enabeld\" is ignored; did you mean \"enabled\"?"
    );
    assert!(load_yaml("x-mine: {a: 1}\ndbs: [{x-note: y, path: a, replica: {path: r}}]").unwrap().warnings.is_empty());
}

#[test]
fn what_stands_there_to_be_named_elsewhere_is_no_misspelt_key() {
    let text = "defaults: &d {busy-timeout: 2s}\nhome: &h /h\ndbs:\n- <<: *d\n  path: a\n  replica: {path: *h}\n";
    let loaded = load_yaml(text).unwrap();
    assert!(loaded.warnings.is_empty() && loaded.config.replica_defaults.is_empty());
    assert_eq!(loaded.config.dbs[0].settings.busy_timeout, Duration::from_secs(2));
    assert!(load_yaml("defaults: {busy-timeout: 2s}").is_err());
}

#[test]
fn keys_that_do_nothing_are_warned_of_with_what_does() {
    let text = "snapshot-interval: 1h\nurl: s3://b\nmonitor-interval: 1s\nvalidation-interval: 1h\n\
                dbs:\n- path: a\n  recursive: true\n  access-key-id: x\n  snapshot-interval: 5s\n  addr: x\n  max-checkpoint-page-count: 5\n  replica: {path: r}\n\
                - {dir: d, pattern: x, restore-if-db-not-exists: true, replica: {path: r}}\n";
    let warned = warnings(text);
    let expected = [
        ("c.yml:1", "snapshot-interval", "use `snapshot.interval` at the top"),
        ("c.yml:2", "url", "`replica` of a database"),
        ("c.yml:3", "monitor-interval", "element of `dbs`"),
        ("c.yml:4", "validation-interval", "use `validation.interval`"),
        ("c.yml:7", "dbs[0].recursive", "it needs `dir`"),
        ("c.yml:8", "dbs[0].access-key-id", "belongs into `replica`"),
        ("c.yml:9", "dbs[0].snapshot-interval", "use `snapshot.interval` at the top"),
        ("c.yml:10", "dbs[0].addr", "belongs to the top"),
        ("c.yml:11", "dbs[0].max-checkpoint-page-count", "use `truncate-page-n`"),
        ("c.yml:13", "dbs[1].restore-if-db-not-exists", "restored one by one"),
    ];
    assert_eq!(warned.len(), expected.len(), "{warned:#?}");
    for (warning, (place, key, instead)) in warned.iter().zip(expected) {
        assert!(warning.starts_with(&format!("{place}: {key:?} has no effect here: ")), "{warning}");
        assert!(warning.contains(instead), "{warning}");
    }
}

#[test]
fn a_key_given_twice_is_warned_of() {
    let warned = warnings("addr: a\naddr: b\n");
    assert_eq!(warned, ["c.yml:1: \"addr\" is given twice; this one does not count"]);
}

#[test]
fn a_pattern_that_can_find_nothing_is_warned_of() {
    let entry = |more: &str| warnings(&format!("dbs: [{{dir: d, {more}, replica: {{path: r}}}}]"));
    let text = "c.yml:1: \"dbs[0].pattern\": \"s/*.db\" looks into subdirectories, which are only entered with `recursive: true`";
    assert_eq!(entry("pattern: 's/*.db'"), [text]);
    assert!(entry("pattern: 's/*.db', recursive: true").is_empty());
    assert!(entry("pattern: '*.db'").is_empty());
}
