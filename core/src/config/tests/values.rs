//! What a value may look like.

use super::super::*;
use super::{File, R, error, load_yaml, warnings, without_directory, without_origins};

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
    assert_eq!(config.dbs[0].replica.sync_interval(), Duration::from_secs(1));
    assert_eq!(config.dbs[0].replica.max_sync_ltx_files, Some(256));
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

#[test]
fn no_value_of_any_key_panics() {
    let values = [
        "",
        "~",
        "x",
        "''",
        "-1",
        "0",
        "99999999999999999999",
        "1e400",
        ".nan",
        "[]",
        "[[x]]",
        "{}",
        "{a: {b: c}}",
        "[{}]",
        "0x",
        "-",
        "'é'",
        "1h",
        "yes",
        "'[a'",
        "s3://b",
    ];
    for key in KEYS {
        for value in values {
            let (tables, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            let table =
                if tables.is_empty() { format!("{name}: {value}") } else { format!("{tables}: {{{name}: {value}}}") };
            let text = match key.place {
                Place::Global => format!("{table}\n"),
                Place::Database => format!("dbs:\n- {{dir: d, pattern: p, {R}}}\n- {table}\n  replica: {{path: r}}\n"),
                Place::Replica => format!("{table}\ndbs:\n- path: a\n  replica:\n    {table}\n"),
            };
            if let Err(error) = load_yaml(&text) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}
