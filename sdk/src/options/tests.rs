//! A declaration as users meet it: layers, problems, secrets, pools.

use crate::configure::{configure, describe};
use crate::context::Context;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Configured, Problem};
use crate::error::{Result, StorageError};
use crate::memory::MemoryStorage;
use crate::options::{Findings, Secret, Size, Url, Values};
use crate::storage::Plugin;
use crate::types::{DbPath, Location, ReplicaPath};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

crate::options! {
    /// Keys of a made-up bucket store.
    struct BucketOptions {
        /// Bucket name.
        bucket: String, [url = Host, not_with_url];
        /// Key prefix
        /// of the replica.
        path: String = "", [url = Path, location, not_with_url];
        region: Option<String>, [env = "BUCKET_REGION", env = "REGION"];
        port: Option<u16>, [url = Port];
        user: Option<String>, [url = User];
        secret_access_key: Option<Secret>, [env = "BUCKET_SECRET", url = Password];
        token: Option<Secret>, [query = "token"];
        part_size: Size = "5MiB", [local, query = "partSize", since = "1.1"];
        timeout: Duration = "10s";
        max_reconnects: i64 = -1;
        verify: bool = true;
        root_cas: Vec<String>;
        old: Option<String>, [hidden];
    }
}

struct Bucket;

#[async_trait]
impl Plugin for Bucket {
    type Options = BucketOptions;
    type Storage = MemoryStorage;

    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        // A host form of a provider: `bucket.REGION.example`.
        if let Some((bucket, region)) = url.host.strip_suffix(".example").and_then(|host| host.split_once('.')) {
            set.offer("bucket", bucket, "url");
            set.offer("region", region, "url");
        }
        set.fill_from_url::<BucketOptions>(url)
    }

    fn check(options: &BucketOptions, findings: &mut Findings) {
        if options.user.is_some() != options.secret_access_key.is_some() {
            findings.problem("user", "user and secret-access-key must both be specified");
        }
        if !options.verify {
            findings.warning("the server's certificate is not verified");
        }
    }

    fn locate(options: &BucketOptions) -> Result<Location> {
        Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
    }

    async fn open(_: BucketOptions, _: Context) -> Result<MemoryStorage> {
        Ok(MemoryStorage::new())
    }
}

fn accepted(request: ConfigureRequest) -> Configured {
    match configure::<Bucket>(&request) {
        ConfigureAnswer::Accepted(configured) => configured,
        ConfigureAnswer::Refused { problems } => panic!("refused: {problems:?}"),
    }
}

fn problems(request: ConfigureRequest) -> Vec<String> {
    match configure::<Bucket>(&request) {
        ConfigureAnswer::Accepted(configured) => panic!("accepted: {configured:?}"),
        ConfigureAnswer::Refused { problems } => problems.iter().map(Problem::to_string).collect(),
    }
}

fn url(url: &str) -> ConfigureRequest {
    ConfigureRequest::new().with_url(url)
}

#[test]
fn the_description_says_what_was_declared() {
    let record = r#"{"abi":1,"name":"bucket","version":"1","sdk":"1","schemes":["b"],"later":true}"#;
    let description = describe::<Bucket>(record).unwrap();
    assert_eq!(description.layouts, ["ltx"]);
    let shown = serde_json::to_value(description.option("part-size").unwrap()).unwrap();
    let expected = json!({"name": "part-size", "type": "size", "default": "5MiB", "query": ["partSize"],
        "since": "1.1", "help": ""});
    assert_eq!(shown, expected);
    let path = description.option("path").unwrap();
    assert_eq!((path.help.as_str(), path.location, path.global), ("Key prefix of the replica.", true, false));
    assert!(description.option("bucket").unwrap().required && !description.option("root-cas").unwrap().required);
    assert_eq!(description.option("root-cas").unwrap().type_name, "list of string");
    assert!(description.is_secret_parameter("token") && !description.is_secret_parameter("partSize"));
}

#[test]
fn layers_are_default_environment_url_table() {
    let base =
        || url("b://u:pw@host:81/p?partSize=6MiB&timeout=1m").with_env("REGION", "env").with_env("BUCKET_REGION", "");
    let configured = accepted(base().with_value("timeout", "2m", "f:1").with_value("region", "", "f:2"));
    let shown = |key: &str| {
        let shown = &configured.shown[key];
        (shown.value.to_string(), shown.origin.clone())
    };
    assert_eq!(shown("bucket"), (json!("host").to_string(), "url".into()));
    assert_eq!(shown("port"), (json!("81").to_string(), "url".into()));
    assert_eq!(shown("part-size"), (json!("6MiB").to_string(), "url parameter partSize".into()));
    assert_eq!(shown("timeout"), (json!("2m").to_string(), "f:1".into()));
    assert_eq!(shown("region"), (json!("env").to_string(), "environment REGION".into()));
    assert_eq!(shown("verify"), ("true".into(), "default".into()));
    assert_eq!((configured.location.base.as_str(), configured.location.from_url), ("p", true));
}

#[test]
fn every_problem_comes_at_once() {
    let request = ConfigureRequest::new()
        .with_value("pathh", "x", "f:1")
        .with_value("part_size", "1MiB", "f:2")
        .with_value("timeout", "1d", "f:3")
        .with_value("verify", "maybe", "f:4")
        .with_value("max-reconnects", 1.5, "f:5")
        .with_value("secret-access-key", json!({"a": "hunter2"}), "f:6");
    assert_eq!(
        problems(request),
        [
            "part_size: unknown key; did you mean `part-size`? (f:2)",
            "pathh: unknown key; did you mean `path`? (f:1)",
            "bucket: required",
            "secret-access-key: not usable (f:6)",
            "timeout: expected a duration such as 30s or 1h30m: unknown unit `d` (f:3)",
            "max-reconnects: expected a whole number from -9223372036854775808 to 9223372036854775807 (f:5)",
            "verify: expected true or false (f:4)",
        ]
    );
}

#[test]
fn a_broken_url_does_not_blame_the_keys_it_would_have_given() {
    assert_eq!(problems(url("bucket/path")), ["url: replica url scheme required"]);
    let wrong = "url: unknown url parameters `partsize`; did you mean `part-size`?, `zzz`";
    assert_eq!(problems(url("b://h/p?partsize=1&zzz=2")), [wrong]);
    assert_eq!(
        problems(url("b://h/a/../b")),
        [
            "path: path `a/../b`: `..` is not a path segment: it must not be empty, `.` or `..`, nor hold `/` or NUL (url)"
        ]
    );
}

#[test]
fn keys_that_a_url_replaces_are_refused_beside_it() {
    let both = url("b://h/p").with_value("bucket", "x", "f:1").with_value("path", "y", "f:2");
    let expected = [
        "bucket: cannot specify url & bucket for b replica (f:1)",
        "path: cannot specify url & path for b replica (f:2)",
    ];
    assert_eq!(problems(both), expected);
    accepted(url("b://h/p").with_value("bucket", "", "f:1"));
}

#[test]
fn rules_between_keys_are_problems_and_warnings() {
    let half = url("b://h/p").with_value("user", "u", "f:1");
    assert_eq!(problems(half), ["user: user and secret-access-key must both be specified (f:1)"]);
    let careless = accepted(url("b://h/p").with_value("verify", false, "f:1"));
    assert_eq!(careless.warnings, ["the server's certificate is not verified"]);
}

#[test]
fn provider_hosts_are_taken_apart_by_the_plugin() {
    let configured = accepted(url("b://data.eu-1.example/p"));
    assert_eq!(configured.shown["bucket"].value, "data");
    assert_eq!(configured.shown["region"].value, "eu-1");
}

#[test]
fn equal_stores_have_equal_pools_however_they_are_written() {
    let pool = |request| accepted(request).pool;
    let table = |size: serde_json::Value| {
        let bucket = ConfigureRequest::new().with_value("bucket", "h", "f:1");
        bucket.with_value("path", "elsewhere", "f:2").with_value("part-size", size, "f:3")
    };
    let by_url = pool(url("b://h/p"));
    assert_eq!(pool(table("5MiB".into())), by_url);
    assert_eq!(pool(table(5_242_880.into())), by_url);
    assert_ne!(pool(table("6MiB".into())), by_url);
    assert_ne!(pool(url("b://h/p").with_env("REGION", "r")), by_url);
    let secret = |text: &str| pool(url(&format!("b://u:{text}@h/p")));
    assert_ne!(secret("one"), secret("two"));
}

#[test]
fn secrets_are_in_no_text() {
    let request = url("b://u:hunter2@h/p?token=hunter2").with_env("BUCKET_SECRET", "hunter2");
    let configured = accepted(request.clone());
    let shown = serde_json::to_string(&configured.shown).unwrap();
    assert!(shown.contains("<secret>") && !shown.contains("hunter2"), "{shown}");
    assert!(configured.pool.0.contains("hunter2"), "the pool must tell two passwords apart");
    for debug in [format!("{configured:?}"), format!("{request:?}"), format!("{:?}", Secret::new("hunter2"))] {
        assert!(!debug.contains("hunter2"), "{debug}");
    }
    let by_chance = problems(url("b://h/p?secret-access-key=hunter2"));
    let expected =
        "url: unknown url parameter `secret-access-key` (a secret: set it in the configuration or the environment)";
    assert_eq!(by_chance, [expected]);
}

#[test]
fn the_default_resolve_wants_utf8() {
    let at = Location::new(ReplicaPath::parse("p").unwrap());
    let resolve = |db: &[u8]| Bucket::resolve(&at, &DbPath::parse(db).unwrap());
    assert_eq!(resolve(b"t/a b.db").unwrap().to_string(), "p/t/a b.db");
    assert_eq!(resolve(b"").unwrap().to_string(), "p");
    let error: StorageError = resolve(b"\xff").unwrap_err();
    assert_eq!(error.message, "`p/\\xff` is not UTF-8, which this storage needs in every name");
}

/// Whatever stands in a configuration, the worst it gets is a problem.
#[test]
fn no_text_makes_a_parser_panic() {
    let parts = [
        "s3",
        "://",
        "@",
        ":",
        "/",
        "?",
        "&",
        "=",
        "#",
        "%",
        "%2",
        "%ff",
        "..",
        ".",
        "9",
        "99999999999999999999",
        "-",
        "+",
        "µs",
        "h",
        "MiB",
        "ü",
        "\u{10ffff}",
        "\0",
        "T",
        "Z",
        "2025-11-22",
        " ",
        ",",
    ];
    let mut state: u64 = 7;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(state >> 33) as usize % parts.len()]);
            let _ = text.parse::<Size>();
            let _ = crate::options::duration::parse(&text);
            let _ = crate::Timestamp::parse_rfc3339(&text);
        }
        let request = url(&text).with_value("timeout", text.as_str(), "f").with_value(&text, 1, "f");
        let _ = configure::<Bucket>(&request);
    }
}
