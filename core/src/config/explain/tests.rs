use std::collections::BTreeMap;

use super::super::resolve::tests::Catalog;
use super::super::tests::{File, without_directory};
use super::*;
use crate::config::{check, keys_of};

const TEXT: &str = "addr: ':1'\nplugin-dir: [/p, q]\nsync-interval: 2s\nvalidation: {interval: 1h}\nexec: run me\nmcp-addr: ':2'\nheartbeat-url: https://h/x\n\
    dbs:\n- dir: d\n  pattern: '*.db'\n  exclude: x\n  meta-dir: m\n  monitor-interval: 5s\n  replica:\n    type: s3\n    bucket: b\n    secret-access-key: hunter2\n\
    - path: q\n  meta-path: mp\n  truncate-page-n: -1\n  replica: {url: 's3://u:hunter3@h/p'}\n";

fn rows(settings: &[Setting]) -> BTreeMap<&str, (String, String)> {
    let row = |setting: &Setting| (setting.value.clone(), without_directory(&setting.origin));
    settings.iter().map(|setting| (setting.key.as_str(), row(setting))).collect()
}

fn pair(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

#[test]
fn every_value_is_shown_with_its_origin_and_no_secret_with_either() {
    let file = File::new("c.yml", TEXT);
    let mut request = file.request();
    request.environment = request.environment.with("LITESTREAM_SCAN_INTERVAL", "1m");
    let report = check(&request, |_| Box::new(Catalog)).unwrap();
    for configured in [&report.configured[..], &[]] {
        let explanation = explain(&report.loaded, configured);
        assert!(!format!("{explanation:?}").contains("hunter"));
        let top = rows(&explanation.settings);
        assert_eq!(top["addr"], pair(":1", "c.yml:1"));
        assert_eq!(top["plugin-dir"], pair("/p, /w/q", "c.yml:2"));
        assert_eq!(top["scan-interval"], pair("1m0s", "environment LITESTREAM_SCAN_INTERVAL"));
        assert_eq!(top["memory-budget"], pair("128MiB", "default"));
        assert_eq!(top["socket.permissions"], pair("0600", "default"));
        let database = &explanation.databases[0];
        assert_eq!((database.place.as_str(), database.target.as_path()), ("dbs[0]", Path::new("/w/d")));
        let settings = rows(&database.settings);
        assert_eq!(settings["monitor-interval"], pair("5s", "c.yml:13"));
        assert_eq!(settings["busy-timeout"], pair("1s", "default"));
        assert_eq!(settings["meta-dir"], pair("/w/m", "c.yml:12"));
        assert_eq!(settings["replica.sync-interval"], pair("2s", "c.yml:3"));
        assert_eq!(settings["replica.type"], pair("s3", "c.yml:15"));
        let bucket = match configured.is_empty() {
            true => pair("<not shown without its plugin>", "c.yml:16"),
            false => pair("b", "url"),
        };
        assert_eq!(settings["replica.bucket"], bucket);
        let own = rows(&explanation.databases[1].settings);
        assert_eq!(own["replica.url"], pair("s3://h/p", "c.yml:21"));
        assert_eq!(own["truncate-page-n"], pair("-1", "c.yml:20"));
    }
}

/// A key that is added to the table and not here would be missing without a word.
#[test]
fn no_key_is_left_out() {
    let file = File::new("c.yml", TEXT);
    let loaded = super::super::load(&file.request()).unwrap();
    let explanation = explain(&loaded, &[]);
    let top = rows(&explanation.settings);
    for key in keys_of(Place::Global).filter(|key| key.name != "dbs") {
        assert!(top.contains_key(key.name), "{} is not explained", key.name);
    }
    let (dir, own) = (rows(&explanation.databases[0].settings), rows(&explanation.databases[1].settings));
    let elsewhere = ["snapshot.interval", "snapshot.retention", "replica", "replicas"];
    for key in keys_of(Place::Database).filter(|key| !elsewhere.contains(&key.name)) {
        assert!(dir.contains_key(key.name) || own.contains_key(key.name), "{} is not explained", key.name);
    }
}
