//! Keys, URLs, addresses: pure.

use litestream_sdk::describe::ConfigureAnswer;

use super::*;
use crate::GcsOptions;
use crate::config::endpoint;

fn parsed(request: ConfigureRequest) -> GcsOptions {
    configure::options::<GcsPlugin>(&request).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(request: ConfigureRequest) -> Vec<String> {
    match configure::configure::<GcsPlugin>(&request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(_) => panic!("accepted"),
    }
}

fn url(url: &str) -> ConfigureRequest {
    ConfigureRequest::new().with_url(url)
}

#[test]
fn a_url_says_bucket_and_path() {
    for (text, bucket, path) in [
        ("gs://b/p/a.db", "b", "p/a.db"),
        ("gs://my_bucket.example.com", "my_bucket.example.com", ""),
        ("gs://b/a%20b%2525.db/", "b", "a b%25.db"),
        ("gs://b//p//x", "b", "p/x"),
    ] {
        let options = parsed(url(text));
        assert_eq!(options.bucket, bucket, "{text}");
        assert_eq!(GcsPlugin::locate(&options).unwrap().base.to_string(), path, "{text}");
    }
}

#[test]
fn the_errors_are_the_references() {
    let table = |key: &str| url("gs://b/p").with_value(key, "x", "litestream.yml:3");
    assert_eq!(problems(table("path")), ["cannot specify url & path for gs replica"]);
    assert_eq!(problems(table("bucket")), ["cannot specify url & bucket for gs replica"]);
    assert_eq!(problems(ConfigureRequest::new()), ["bucket required for gs replica"]);
    assert_eq!(problems(url("gs://b?endpoint=x"))[0], "unknown url parameter `endpoint`");
}

#[test]
fn an_emulator_is_named_by_the_environment_with_or_without_a_scheme() {
    for (host, address) in [
        ("", "https://storage.googleapis.com"),
        ("127.0.0.1:9023", "http://127.0.0.1:9023"),
        ("https://gcs.local/", "https://gcs.local"),
    ] {
        assert_eq!(endpoint(&parsed(url("gs://b").with_env("STORAGE_EMULATOR_HOST", host))), address);
    }
    let warned = configure::configure::<GcsPlugin>(&url("gs://b").with_env("STORAGE_EMULATOR_HOST", "h:1"));
    let ConfigureAnswer::Accepted(configured) = warned else { panic!("refused") };
    assert!(configured.warnings[0].contains("without credentials"), "{:?}", configured.warnings);
}

#[test]
fn databases_of_one_bucket_share_a_store() {
    let pool = |request: &ConfigureRequest| match configure::configure::<GcsPlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured.pool,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    };
    assert_eq!(pool(&url("gs://b/one")), pool(&url("gs://b/two")));
    assert_ne!(pool(&url("gs://b/one")), pool(&url("gs://c/one")));
}
