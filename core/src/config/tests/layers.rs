//! Which layer wins, where values come from, and what a replica is given.

use super::super::*;
use super::{File, error, load_yaml, without_directory};

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
    assert_eq!((replica.sync_interval(), replica.layout), (Duration::from_secs(5), LayoutChoice::Ltx));
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
