//! Whole files through `load`. What Litestream 0.5.17 answers to each was taken from the program itself.

use super::*;

mod guide;
mod packaged;

/// A directory with one configuration file.
pub(super) struct File {
    directory: tempfile::TempDir,
    name: &'static str,
}

impl File {
    pub(super) fn new(name: &'static str, text: &str) -> File {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), text).unwrap();
        File { directory, name }
    }

    pub(super) fn request(&self) -> LoadRequest {
        let environment = Environment::empty("/w").with_home("/home/u");
        let path = self.directory.path().join(self.name).display().to_string();
        LoadRequest::new(Source::File(path), environment)
    }
}

pub(super) fn load_yaml(text: &str) -> Result<Loaded, ConfigError> {
    load(&File::new("c.yml", text).request())
}

/// Everything but the directory of the file, which differs each time.
pub(super) fn without_directory(text: &str) -> String {
    text.lines().map(one_line_without_directory).collect::<Vec<_>>().join("\n")
}

fn one_line_without_directory(line: &str) -> String {
    let Some(at) = line.find("/c.") else { return line.to_owned() };
    let start = line[..at].rfind([' ', '(']).map_or(0, |start| start + 1);
    format!("{}{}", &line[..start], &line[at + 1..])
}

fn error(text: &str) -> String {
    without_directory(&load_yaml(text).map(|_| ()).expect_err(text).to_string())
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = load_yaml(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    loaded.warnings.iter().map(|warning| without_directory(&warning.to_string())).collect()
}

const R: &str = "replica: {type: file, path: /r}";

#[test]
fn an_empty_file_is_all_built_in_values() {
    let config = load_yaml("").unwrap().config;
    assert_eq!(config.levels, [30, 300, 3600].map(Duration::from_secs));
    assert_eq!(config.snapshot.retention, Duration::from_secs(86_400));
    assert_eq!(config.l0_retention, Some(Duration::from_secs(300)));
    assert_eq!((config.socket.enabled, config.socket.permissions), (false, 0o600));
    assert_eq!(config.logging.level_text, "");
    assert!(config.retention_enabled && config.heartbeat.is_none() && config.dbs.is_empty());
    assert_eq!(config.shutdown_sync_interval, Duration::from_millis(500));
}

#[test]
fn built_in_values_of_a_database_are_those_of_the_engine() {
    let config = load_yaml(&format!("dbs: [{{path: a, {R}}}]")).unwrap().config;
    assert_eq!(*config.dbs[0].settings, DbSettings::default());
    assert_eq!(config.dbs[0].monitor_interval, Some(Duration::from_secs(1)));
    assert_eq!(config.dbs[0].replica.sync_interval, Duration::from_secs(1));
    assert_eq!(config.dbs[0].replica.max_sync_ltx_files, Some(256));
}

#[test]
fn files_are_found_where_the_reference_finds_them() {
    let file = File::new("c.yml", "addr: ':1'");
    let named = file.request();
    let Source::File(path) = &named.source else { panic!() };
    let by_variable = LoadRequest {
        source: Source::Default,
        environment: Environment::empty("/").with("LITESTREAM_CONFIG", path),
        ..named.clone()
    };
    assert_eq!(load(&by_variable).unwrap().config.addr.as_deref(), Some(":1"));
    let missing = LoadRequest { source: Source::File("~/no.yml".into()), ..named.clone() };
    assert_eq!(load(&missing).unwrap_err().to_string(), "config file not found: /home/u/no.yml");
    let none = load(&LoadRequest { source: Source::None, ..named }).unwrap();
    assert_eq!((none.path, none.config.addr), (None, None));
}

#[test]
fn values_are_read_by_gos_rules() {
    for switch in ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
        assert!(load_yaml(&format!("verify-compaction: {switch}")).unwrap().config.verify_compaction, "{switch}");
    }
    for switch in ["n", "no", "off", "OFF", "False"] {
        assert!(!load_yaml(&format!("retention: {{enabled: {switch}}}")).unwrap().config.retention_enabled, "{switch}");
    }
    for bad in ["yEs", "t", "1", "maybe", "[x]", "{a: b}"] {
        let error = error(&format!("addr: x\nverify-compaction: {bad}"));
        assert!(error.starts_with("c.yml:2: verify-compaction: "), "{error}");
    }
    let database = |key: &str| load_yaml(&format!("dbs: [{{path: a, {key}, {R}}}]")).unwrap().config.dbs.remove(0);
    for (number, pages) in [
        ("10", 10),
        ("0600", 384),
        ("0o600", 384),
        ("0x10", 16),
        ("0b11", 3),
        ("1_000", 1000),
        ("+5", 5),
        ("1.5", 1),
        ("1e3", 1000),
    ] {
        let entry = database(&format!("truncate-page-n: {number}"));
        assert_eq!(entry.settings.truncate_page_n, Some(pages), "{number}");
    }
    assert_eq!(database("truncate-page-n: -5").settings.truncate_page_n, None);
    assert_eq!(database("truncate-page-n: 0").settings.truncate_page_n, Some(121_359));
    assert_eq!(database("max-sync-wal-bytes: 0").settings.max_sync_wal_bytes, None);
    assert_eq!(database("monitor-interval: -5s").monitor_interval, None);
    assert_eq!(database("checkpoint-interval: 0").settings.checkpoint_interval, None);
    assert_eq!(database("busy-timeout: -1s").settings.busy_timeout, Duration::ZERO);
    assert_eq!(load_yaml("socket: {permissions: 0660}").unwrap().config.socket.permissions, 0o660);
    assert!(error("socket: {permissions: -1}").contains("socket.permissions"));
    assert!(error("socket: {permissions: 4294967296}").contains("too large"));
}

#[test]
fn a_bare_number_is_nanoseconds_and_text_needs_a_unit() {
    let got = |written: &str| error(&format!("heartbeat-interval: {written}"));
    for (written, shown) in [
        ("10", "10ns"),
        ("0", "0s"),
        ("'0'", "0s"),
        ("-5", "-5ns"),
        ("1.5", "1ns"),
        ("0x10", "16ns"),
        ("1_000", "1µs"),
        (".5s", "500ms"),
        ("-1.5h", "-1h30m0s"),
    ] {
        let text = format!("heartbeat-interval: heartbeat interval must be at least 1 minute (got {shown}) (c.yml:1)");
        assert_eq!(got(written), text);
    }
    for written in ["'10'", "1d", "s", "1 s", "''", "9223372036854775808ns", "1e3s", "[x]"] {
        assert!(got(written).starts_with("c.yml:1: heartbeat-interval: "), "{}", got(written));
    }
    assert!(load_yaml("heartbeat-interval: +1h").is_ok());
}

#[test]
fn text_stays_as_it_was_written_and_null_is_absent() {
    let path = |written: &str| match load_yaml(&format!("dbs:\n- path: {written}\n  {R}\n"))
        .unwrap()
        .config
        .dbs
        .remove(0)
        .target
    {
        Target::Path(path) => path.display().to_string(),
        Target::Dir(_) => panic!("no path"),
    };
    for written in ["0600", "1e5", "0x1F", "yes", "1.10", "2001-01-01", "12"] {
        assert_eq!(path(written), format!("/w/{written}"));
    }
    assert_eq!(path("sqlite3://~/x/../y//z/"), "/home/u/y/z");
    let error = error(&format!("dbs:\n- path: ~\n  {R}"));
    assert_eq!(error, "database config #1: must specify either 'path' or 'dir' (c.yml:2)");
    assert!(load_yaml("snapshot:\nlogging:\nsocket:\nlevels: ~\ndbs:\n").is_ok());
    let config = load_yaml("snapshot: {interval: ~}\nl0-retention: ~").unwrap().config;
    assert_eq!(config.snapshot.interval, Duration::from_secs(86_400));
}

#[test]
fn variables_are_filled_in_before_parsing_unless_forbidden() {
    let file = File::new("c.yml", "addr: ${HOST}:$PORT\nheartbeat-interval: 1s\n");
    let mut request = file.request();
    request.environment = request.environment.with("HOST", "h\n#").with("PORT", "9");
    let error = load(&request).unwrap_err().to_string();
    assert!(error.ends_with("c.yml:2)"), "the line of the file, not of the text: {error}");

    let file = File::new("c.yml", "addr: ${HOST}:$PORT\n");
    let mut request = file.request();
    request.environment = request.environment.with("HOST", "h").with("PORT", "9");
    assert_eq!(load(&request).unwrap().config.addr.as_deref(), Some("h:9"));
    request.expand_env = false;
    assert_eq!(load(&request).unwrap().config.addr.as_deref(), Some("${HOST}:$PORT"));
}

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
fn a_tiny_bare_duration_is_warned_of() {
    let warned = warnings(&format!(
        "l0-retention: 300\ndbs:\n- {{path: a, monitor-interval: 5, checkpoint-interval: 60000000000, {R}}}"
    ));
    assert_eq!(
        warned,
        [
            "c.yml:1: \"l0-retention\": a bare number is nanoseconds, so 300 is less than a millisecond; write a unit, as in 300s",
            "c.yml:3: \"dbs[0].monitor-interval\": a bare number is nanoseconds, so 5 is less than a millisecond; write a unit, as in 5s",
        ]
    );
}

#[test]
fn a_key_given_twice_is_warned_of() {
    let warned = warnings("addr: a\naddr: b\n");
    assert_eq!(warned, ["c.yml:1: \"addr\" is given twice; this one does not count"]);
}

#[test]
fn layers_go_over_each_other_and_know_where_values_came_from() {
    let file = File::new("c.yml", "addr: ':1'\nlogging:\n  level: warn\n  stderr: true\nsocket: {path: /f}\n");
    let mut request = file.request();
    request.environment = request
        .environment
        .with("LITESTREAM_SOCKET__PATH", "/e")
        .with("LITESTREAM_L0_RETENTION", "7m")
        .with("LITESTREAM_LOGGING__STDERR", "no")
        .with("LOG_LEVEL", "debug")
        .with("LITESTREAM_ACCESS_KEY_ID", "k")
        .with("LITESTREAM_DBS", "[]")
        .with("LITESTREAM_CONFIG", "/other");
    let loaded = load(&request).unwrap();
    assert_eq!(loaded.config.logging.level, LogLevel::Debug);
    assert_eq!(loaded.config.socket.path, PathBuf::from("/e"));
    assert_eq!(loaded.config.l0_retention, Some(Duration::from_secs(420)));
    assert!(!loaded.config.logging.stderr);
    let origin = |loaded: &Loaded, key| without_directory(&loaded.origins.of(key).to_string());
    assert_eq!(origin(&loaded, "addr"), "c.yml:1");
    assert_eq!(origin(&loaded, "socket.path"), "environment LITESTREAM_SOCKET__PATH");
    assert_eq!(origin(&loaded, "logging.level"), "environment LOG_LEVEL");
    assert_eq!(origin(&loaded, "socket.enabled"), "default");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);

    request.flags.push(FlagSetting { key: "logging.level", value: "error".into(), flag: "-log-level" });
    let loaded = load(&request).unwrap();
    assert_eq!((loaded.config.logging.level, loaded.config.logging.level_text.as_str()), (LogLevel::Error, "error"));
    assert_eq!(origin(&loaded, "logging.level"), "flag -log-level");

    request.environment = request.environment.with("LITESTREAM_L0_RETENTION", "10");
    let error = load(&request).unwrap_err().to_string();
    assert!(error.starts_with("environment LITESTREAM_L0_RETENTION: l0-retention: "), "{error}");
}

#[test]
fn values_inside_databases_know_their_lines_and_defaults_of_replicas_theirs() {
    let text = "sync-interval: 2s\nsnapshot: {interval: 2h}\ndbs:\n- path: a\n  monitor-interval: 5s\n  replica:\n    url: s3://b\n\
                - path: b\n  replicas:\n  - url: s3://c\n    sync-interval: 3s\n";
    let loaded = load_yaml(text).unwrap();
    let origin = |key: &str| without_directory(&loaded.origins.of(key).to_string());
    for (key, place) in [
        ("snapshot.interval", "c.yml:2"),
        ("snapshot.retention", "default"),
        ("dbs[0].monitor-interval", "c.yml:5"),
        ("dbs[0].busy-timeout", "default"),
        ("dbs[0].replica.url", "c.yml:7"),
        ("dbs[0].replica.sync-interval", "c.yml:1"),
        ("dbs[1].replicas[0].sync-interval", "c.yml:11"),
        ("dbs[1].replicas[0].auto-recover", "default"),
    ] {
        assert_eq!(origin(key), place, "{key}");
    }
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let file = File::new("c.yml", "");
    let mut request = file.request();
    request.environment = request.environment.with("LITESTREAM_L0_RETENSION", "7m").with("LITESTREAM_S3_DEBUG", "all");
    let warnings: Vec<String> = load(&request).unwrap().warnings.iter().map(ToString::to_string).collect();
    let expected = "environment LITESTREAM_L0_RETENSION: LITESTREAM_L0_RETENSION sets nothing; did you mean LITESTREAM_L0_RETENTION?";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_database_of_the_command_line_needs_no_file() {
    let mut request = LoadRequest::new(Source::None, Environment::empty("/w"));
    let argument = |urls: &[&str]| {
        let replica_urls = urls.iter().map(|url| (*url).to_owned()).collect();
        Some(DatabaseArgument { path: "a.db".into(), replica_urls })
    };
    request.database = argument(&["s3://b/p"]);
    let entry = load(&request).unwrap().config.dbs.remove(0);
    assert_eq!(entry.target, Target::Path("/w/a.db".into()));
    assert_eq!((entry.replica.kind.as_str(), entry.origin), ("s3", Origin::Argument));
    request.database = argument(&["s3://b/p", "s3://c"]);
    let error = load(&request).unwrap_err().to_string();
    assert_eq!(error, "multiple replicas on a single database are no longer supported (command line)");
}

#[test]
fn a_replica_keeps_its_own_keys_and_passes_on_the_rest() {
    let text = "sync-interval: 5s\nlayout: ltx\ndbs:\n- path: a\n  replica:\n    type: s3\n    bucket: 0123\n    path: \"\"\n\
                \x20   endpoint:\n    force-path-style: yes\n    part-size: 5MiB\n    max-sync-ltx-files: 0\n    auto-recover: on\n    name: x\n    x-note: y\n";
    let loaded = load_yaml(text).unwrap();
    let replica = &loaded.config.dbs[0].replica;
    assert_eq!(replica.kind, "s3");
    assert_eq!((replica.sync_interval, replica.layout), (Duration::from_secs(5), LayoutChoice::Ltx));
    assert_eq!((replica.max_sync_ltx_files, replica.auto_recover), (None, true));
    let values: Vec<(&str, String)> =
        replica.values.iter().map(|(key, given)| (key.as_str(), given.value.to_string())).collect();
    assert_eq!(
        values,
        [("bucket", "\"0123\"".into()), ("force-path-style", "\"yes\"".into()), ("part-size", "\"5MiB\"".into())]
    );
    assert_eq!(without_directory(&replica.values["bucket"].origin), "c.yml:7");
    assert_eq!(replica.place, "dbs[0].replica");

    let by_url = load_yaml("dbs: [{path: a, replica: {type: bogus, url: 'WEBDAVS://h/p'}}]").unwrap();
    assert_eq!(by_url.config.dbs[0].replica.kind, "webdavs", "a url beats the type");
    let old = load_yaml("dbs: [{path: a, replicas: [{path: r}]}]").unwrap();
    assert_eq!(
        (old.config.dbs[0].replica.kind.as_str(), old.config.dbs[0].replica.place.as_str()),
        ("file", "dbs[0].replicas[0]")
    );
    assert!(error("dbs: [{path: a, replica: {path: r, layout: odd}}]").starts_with("c.yml:1: dbs[0].replica.layout: "));
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let text = "secret-access-key: hunter1\nheartbeat-url: https://h/hunter2\ndbs:\n- path: a\n  replica: {url: 's3://u:hunter3@b/p?k=hunter4', secret-access-key: hunter5}\n";
    let file = File::new("c.yml", text);
    let mut request = file.request();
    request.environment = request.environment.with("LITESTREAM_SECRET_ACCESS_KEY", "hunter6");
    let loaded = load(&request).unwrap();
    let shown = format!("{request:?} {loaded:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn yaml_and_toml_say_the_same() {
    let yaml = "addr: ':9090'\nlevels: [{interval: 10s}]\nsocket: {enabled: true, permissions: 0660}\n\
                dbs:\n- dir: d\n  pattern: '*.db'\n  exclude: [a, b]\n  recursive: true\n  replica: {type: s3, bucket: b, part-size: 5, sign-payload: false}\n";
    let toml = "addr = ':9090'\nlevels = [{ interval = '10s' }]\n[socket]\nenabled = true\npermissions = 0o660\n\
                [[dbs]]\ndir = 'd'\npattern = '*.db'\nexclude = ['a', 'b']\nrecursive = true\n[dbs.replica]\ntype = 's3'\nbucket = 'b'\npart-size = 5\nsign-payload = false\n";
    let yaml = load_yaml(yaml).unwrap().config;
    let toml = load(&File::new("c.toml", toml).request()).unwrap().config;
    assert_eq!(without_origins(yaml), without_origins(toml));
    let error = load(&File::new("c.toml", "addr = 1\nlevels = 5\n").request()).unwrap_err().to_string();
    assert!(without_directory(&error).starts_with("c.toml:2: levels: "), "{error}");
}

/// So that two files can be compared.
pub(super) fn without_origins(mut config: Config) -> Config {
    for entry in &mut config.dbs {
        entry.origin = Origin::Default;
        entry.replica.origin = Origin::Default;
        entry.replica.values.values_mut().for_each(|given| given.origin.clear());
    }
    config.replica_defaults.values_mut().for_each(|given| given.origin.clear());
    config
}
