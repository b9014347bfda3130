use serde_json::json;

use super::super::tests::{File, load_yaml, without_directory};
use super::*;
use crate::config::load;

/// Two plugins that do not exist: `cloud`, which serves `s3` and `s3x`, and `file`.
struct Catalog;

impl Catalog {
    fn all() -> Vec<Description> {
        let option = |name: &str, kind: &str, global: bool| json!({"name": name, "type": kind, "global": global});
        let cloud = json!({
            "name": "s3", "version": "1", "abi": 1, "sdk": "1", "schemes": ["s3", "s3x"], "layouts": ["ltx", "hex"],
            "options": [
                option("bucket", "string", true), option("path", "string", false), option("part-size", "size", false),
                option("concurrency", "integer", false), option("skip-verify", "bool", true),
                {"name": "secret-access-key", "type": "secret", "secret": true, "global": true,
                 "env": ["LITESTREAM_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"]},
            ],
        });
        let file = json!({
            "name": "file", "version": "1", "abi": 1, "sdk": "1", "schemes": ["file"],
            "options": [option("path", "string", false)],
        });
        [cloud, file].map(|plugin| serde_json::from_value(plugin).unwrap()).into()
    }
}

impl PluginCatalog for Catalog {
    fn describe(&self, kind: &str) -> Result<Description, PluginError> {
        let mut all = Self::all().into_iter();
        all.find(|plugin| plugin.schemes.iter().any(|scheme| scheme == kind)).ok_or_else(|| PluginError::Unknown {
            kind: kind.to_owned(),
            similar: None,
            searched: vec!["/plugins".into()],
        })
    }

    fn installed(&self) -> Vec<Description> {
        Self::all()
    }
}

fn resolved(text: &str) -> (Config, Result<Vec<Warning>, ConfigError>) {
    let file = File::new("c.yml", text);
    let mut request = file.request();
    request.environment = request.environment.with("AWS_SECRET_ACCESS_KEY", "aws").with("OTHER", "x");
    let mut config = load(&request).unwrap().config;
    let resolve = ResolveRequest { environment: &request.environment, lenient: false };
    let result = config.resolve_replicas(&Catalog, resolve);
    (config, result)
}

fn values(replica: &ReplicaConfig) -> Vec<(String, String)> {
    replica.values.iter().map(|(key, given)| (key.clone(), given.value.to_string())).collect()
}

fn warned(text: &str) -> Vec<String> {
    let (_, result) = resolved(text);
    result.unwrap().iter().map(|warning| without_directory(&warning.to_string())).collect()
}

fn refused(text: &str) -> String {
    without_directory(&resolved(text).1.unwrap_err().to_string())
}

#[test]
fn global_defaults_fill_what_a_replica_leaves_open() {
    let (config, result) = resolved(
        "bucket: all\nskip-verify: yes\ndbs:\n- {path: a, replica: {type: s3}}\n\
         - {path: b, replica: {type: s3x, bucket: mine, skip-verify: no}}\n- {path: c, replica: {path: r}}\n",
    );
    assert_eq!(result.unwrap(), []);
    let text = |text: &str| format!("{text:?}");
    let of = |index: usize| values(&config.dbs[index].replica);
    assert_eq!(of(0), [("bucket".to_owned(), text("all")), ("skip-verify".to_owned(), text("yes"))]);
    assert_eq!(of(1), [("bucket".to_owned(), text("mine")), ("skip-verify".to_owned(), text("no"))]);
    assert_eq!(of(2), [("path".to_owned(), text("r"))]);
    assert_eq!(without_directory(&config.dbs[0].replica.values["bucket"].origin), "c.yml:1");
}

#[test]
fn a_replica_gets_the_variables_its_plugin_declares_and_no_others() {
    let (config, _) = resolved("dbs: [{path: a, replica: {type: s3}}, {path: b, replica: {path: r}}]");
    let names: Vec<&String> = config.dbs[0].replica.environment.keys().collect();
    assert_eq!(names, ["AWS_SECRET_ACCESS_KEY"]);
    assert!(config.dbs[1].replica.environment.is_empty());
    let request = config.dbs[0].replica.configure_request();
    assert_eq!(request.env["AWS_SECRET_ACCESS_KEY"], Sensitive("aws".into()));
}

#[test]
fn values_that_go_reads_otherwise_are_translated() {
    let (config, _) = resolved(
        "dbs: [{path: a, replica: {type: s3, bucket: true, concurrency: 0x10, part-size: 5_000, secret-access-key: 1e5}}]",
    );
    let values = values(&config.dbs[0].replica);
    let expected =
        [("bucket", "\"true\""), ("concurrency", "16"), ("part-size", "5000"), ("secret-access-key", "\"1e5\"")];
    assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn names_that_are_no_keys_are_errors_with_the_nearest_key() {
    let text = "buckets: x\ndbs:\n- path: a\n  replica: {type: s3, buckt: b}\n- path: b\n  replica: {path: r, pth: r, qqqq: 1}\n";
    assert_eq!(
        refused(text),
        "c.yml:4: unknown key \"dbs[0].replica.buckt\"; did you mean \"bucket\"?\n\
         c.yml:6: unknown key \"dbs[1].replica.pth\"; did you mean \"path\"?\n\
         c.yml:6: unknown key \"dbs[1].replica.qqqq\"\n\
         c.yml:1: unknown key \"buckets\"; did you mean \"bucket\"?"
    );
    let mut config = load_yaml(text).unwrap().config;
    let environment = Environment::empty("/");
    let lenient = ResolveRequest { environment: &environment, lenient: true };
    assert_eq!(config.resolve_replicas(&Catalog, lenient).unwrap().len(), 4);
    assert!(!config.dbs[0].replica.values.contains_key("buckt"), "a plugin would refuse it");
}

#[test]
fn a_key_near_one_at_the_top_is_suggested() {
    assert_eq!(refused("hartbeat-url: x\n"), "c.yml:1: unknown key \"hartbeat-url\"; did you mean \"heartbeat-url\"?");
}

/// What Litestream accepts and ignores must not stop a start.
#[test]
fn keys_that_do_nothing_in_a_replica_are_warned_of() {
    let text = "access-key-id: k\npart-size: 5\ndbs:\n- path: a\n  replica: {type: file, path: r, bucket: b, retention: 72h, checkpoint-interval: 1s, addr: x, x-note: y}\n\
                - {path: b, replica: {type: s3}}\n";
    let expected = [
        "c.yml:5: \"dbs[0].replica.addr\" has no effect here: it belongs to the top of the file",
        "c.yml:5: \"dbs[0].replica.bucket\" has no effect here: it does not concern replicas of type \"file\"",
        "c.yml:5: \"dbs[0].replica.checkpoint-interval\" has no effect here: it belongs beside `replica`, not into it",
        "c.yml:5: \"dbs[0].replica.retention\" has no effect here: how long a database can be restored back is set once, with `snapshot.retention` at the top",
        "c.yml:1: \"access-key-id\" has no effect here: it does not concern the replicas of this file",
        "c.yml:2: \"part-size\" has no effect here: it is read in `replica` only, for each replica anew",
    ];
    assert_eq!(warned(text), expected);
}

#[test]
fn a_type_nobody_serves_is_named_with_where_to_put_a_plugin() {
    let text = refused("dbs: [{path: a, replica: {type: bogus}}, {path: b, replica: {url: 'gs://b'}}]");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("dbs[0].replica: unknown replica type in config: \"bogus\": "), "{text}");
    assert!(text.contains("dbs[1].replica: unknown replica type in config: \"gs\": "), "all of them: {text}");
    assert!(text.contains("/plugins"), "{text}");
}

#[test]
fn the_hex_layout_needs_a_plugin_that_has_it() {
    assert_eq!(resolved("dbs: [{path: a, replica: {type: s3, layout: hex}}]").1.unwrap(), []);
    let text = refused("dbs: [{path: a, replica: {path: r, layout: hex}}]");
    assert_eq!(text, "dbs[0].replica.layout: replicas of type \"file\" have the layouts ltx (c.yml:1)");
}
