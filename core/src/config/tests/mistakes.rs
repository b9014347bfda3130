//! What is refused, in which words, and what first.

use super::super::*;
use super::{R, error, load_yaml, warnings};

/// The reference's words and its order: the first of several mistakes is the one it reports.
#[test]
fn mistakes_are_reported_in_the_references_words_and_order() {
    for (text, message) in [
        ("snapshot: {interval: -5}", "snapshot.interval: snapshot interval must be greater than 0 (got -5ns)"),
        (
            "l0-retention-check-interval: 0s\nsnapshot: {retention: 0}",
            "snapshot.retention: snapshot retention must be greater than 0 (got 0s)",
        ),
        ("l0-retention: -1s", "l0-retention: l0 retention must not be negative (got -1s)"),
        (
            "l0-retention-check-interval: 0s",
            "l0-retention-check-interval: l0 retention check interval must be greater than 0 (got 0s)",
        ),
        (
            "shutdown-sync-timeout: -1s\nheartbeat-url: ftp:x",
            "shutdown-sync-timeout: shutdown-sync-timeout must be >= 0 (got -1s)",
        ),
        (
            "shutdown-sync-interval: 0s",
            "shutdown-sync-interval: shutdown sync interval must be greater than 0 (got 0s)",
        ),
        (
            "heartbeat-interval: 10s\nheartbeat-url: x",
            "heartbeat-url: heartbeat URL must be a valid HTTP or HTTPS URL (got x)",
        ),
        (
            "heartbeat-interval: 10s\nlevels: [{interval: 0}]",
            "heartbeat-interval: heartbeat interval must be at least 1 minute (got 10s)",
        ),
        (
            "levels: [{interval: 1s}, {interval: 0s}]\ndbs: [{}]",
            "levels[1].interval: compaction interval must be greater than 0 (got 0s)",
        ),
        ("levels: [{}]", "levels[0].interval: compaction interval must be greater than 0 (got 0s)"),
        ("dbs: [{path: a, dir: b}, {}]", "database config #1: cannot specify both 'path' and 'dir'"),
        ("dbs: [{replica: {path: r}}]", "database config #1: must specify either 'path' or 'dir'"),
        (
            "dbs: [{path: a, replica: {path: x}}, {dir: a, pattern: x}, {path: ./a, meta-dir: b}]",
            "database config #3: duplicate path \"/w/a\" (already used by database config #1); each database can be listed only once",
        ),
        ("dbs: [{dir: a, meta-dir: x, meta-path: y}]", "database config #1: 'pattern' is required when using 'dir'"),
        ("dbs: [{path: a, watch: true}]", "database config #1: 'watch' can only be enabled with a directory"),
        (
            "dbs: [{path: a, meta-dir: x, meta-path: y}]",
            "database config #1: 'meta-dir' can only be used with a directory",
        ),
        (
            "dbs: [{dir: a, pattern: x, meta-dir: x, meta-path: y}]",
            "database config #1: cannot specify both 'meta-path' and 'meta-dir'",
        ),
        (
            "snapshot: {interval: 1h}\ndbs: [{path: a, snapshot: {interval: 0s}, replica: {sync-interval: 0}}, {}]",
            "dbs[/w/a].snapshot.interval: snapshot interval must be greater than 0 (got 0s)",
        ),
        (
            "dbs: [{path: a, snapshot: {interval: 0s}}]",
            "snapshot.interval: snapshot interval must be greater than 0 (got 0s)",
        ),
        (
            "dbs: [{path: a, replica: {sync-interval: 0}}, {}]",
            "dbs[/w/a].replica.sync-interval: sync interval must be greater than 0 (got 0s)",
        ),
        (
            "dbs: [{path: a, replicas: [{sync-interval: -1s}]}]",
            "dbs[/w/a].replicas[0].sync-interval: sync interval must be greater than 0 (got -1s)",
        ),
        (
            "sync-interval: 0s\ndbs: [{path: a, replica: {path: x}}]",
            "dbs[/w/a].replica.sync-interval: sync interval must be greater than 0 (got 0s)",
        ),
        ("dbs: [{path: a}]", "must specify replica for database"),
        ("dbs: [{path: a, replicas: []}]", "must specify replica for database"),
        (
            "dbs: [{path: a, replica: {path: x}, replicas: [{path: y}]}]",
            "cannot specify 'replica' and 'replicas' on a database",
        ),
        (
            "dbs: [{path: a, replicas: [{path: x}, {path: y}]}]",
            "multiple replicas on a single database are no longer supported",
        ),
        (
            "dbs: [{path: a, replica: {url: nope, age: {identities: [x]}, path: 's3://x'}}]",
            "replica path cannot be a url, please use the 'url' field instead: s3://x",
        ),
        (
            "dbs: [{path: a, replica: {url: nope, age: {recipients: [x]}}}]",
            "age encryption is not currently supported, if you need encryption please revert back to Litestream v0.3.x",
        ),
        (
            "age: {identities: [x]}\ndbs: [{path: a, replica: {path: x}}]",
            "age encryption is not currently supported, if you need encryption please revert back to Litestream v0.3.x",
        ),
        ("dbs: [{path: a, replica: {url: nope}}]", "replica url scheme required: nope"),
        (
            "dbs: [{dir: d, pattern: '[a', replica: {path: x}}]",
            "failed to scan directory /w/d: syntax error in pattern",
        ),
        (
            "dbs: [{path: a, min-checkpoint-page-count: 0, replica: {path: x}}]",
            "cannot open store: minimum checkpoint page count required",
        ),
        (
            "levels: [{interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}, {interval: 1s}]",
            "cannot open store: compaction level cannot exceed 8",
        ),
        ("logging: {type: bogus}", "logging.type: unknown log format \"bogus\" (expected text, json or pretty)"),
    ] {
        let error = error(text);
        let (reported, place) = error.rsplit_once(" (c.yml:").unwrap_or((&error, "1)"));
        assert_eq!(reported, message, "{text}");
        assert!(place.ends_with(')'), "{error}");
    }
}

#[test]
fn snapshot_settings_of_databases_become_those_of_the_process() {
    let two = |first: &str, second: &str| {
        format!(
            "dbs:\n- {{dir: d, pattern: x, snapshot: {{{first}}}, {R}}}\n- {{path: q, snapshot: {{{second}}}, {R}}}"
        )
    };
    let config = load_yaml(&two("interval: 1h", "retention: 3h")).unwrap().config;
    assert_eq!(config.snapshot.interval, Duration::from_secs(3600));
    assert_eq!(config.snapshot.retention, Duration::from_secs(3 * 3600));
    assert!(load_yaml(&two("interval: 1h", "interval: 60m")).is_ok());
    assert_eq!(
        error(&two("interval: 1h", "interval: 2h")),
        "conflicting database snapshot intervals: d has 1h0m0s, q has 2h0m0s"
    );
    assert_eq!(
        error(&format!("snapshot: {{retention: 1h}}\n{}", two("retention: 1h", "retention: 2h"))),
        "conflicting database snapshot retentions: d has 1h0m0s, q has 2h0m0s"
    );
    let hidden = format!("snapshot: {{interval: 9h}}\n{}", two("interval: 1h", "interval: 1h"));
    assert_eq!(load_yaml(&hidden).unwrap().config.snapshot.interval, Duration::from_secs(9 * 3600));
    assert_eq!(
        warnings(&hidden),
        ["c.yml:3: \"dbs[0].snapshot.interval\" has no effect here: \"snapshot.interval\" at the top says 9h0m0s"]
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_named_by_place_and_never_shown() {
    for (text, message) in [
        ("addr: [hunter2]", "c.yml:1: addr: expected text, found a list"),
        ("socket: hunter2", "c.yml:1: socket: expected a table, found text"),
        ("levels:\n  interval: 5s", "c.yml:1: levels: expected a list, found a table"),
        ("dbs: 5", "c.yml:1: dbs: expected a list, found a number or switch"),
        ("dbs:\n- hunter2", "c.yml:2: dbs[0]: expected a table, found text"),
        ("dbs:\n- path: a\n  replica: s3://u:hunter2@b", "c.yml:3: dbs[0].replica: expected a table, found text"),
        ("dbs:\n- path: a\n  replica: {url: {a: b}}", "c.yml:3: dbs[0].replica.url: expected text, found a table"),
    ] {
        assert_eq!(error(text), message);
    }
}
