//! Keys, URLs, addresses: pure.

use litestream_sdk::describe::ConfigureAnswer;

use super::*;
use crate::OssOptions;
use crate::config::{bucket_address, region};

fn parsed(request: ConfigureRequest) -> OssOptions {
    configure::options::<OssPlugin>(&request).unwrap_or_else(|error| panic!("{error}"))
}

fn configured(request: ConfigureRequest) -> std::result::Result<Vec<String>, Vec<String>> {
    match configure::configure::<OssPlugin>(&request) {
        ConfigureAnswer::Refused { problems } => Err(problems.into_iter().map(|problem| problem.message).collect()),
        ConfigureAnswer::Accepted(configured) => Ok(configured.warnings),
    }
}

fn url(url: &str) -> ConfigureRequest {
    ConfigureRequest::new().with_url(url)
}

#[test]
fn a_url_says_bucket_and_place() {
    for (text, address, place, path) in [
        ("oss://b/p/a.db", "https://b.oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou", "p/a.db"),
        ("oss://b.oss-cn-beijing.aliyuncs.com/p", "https://b.oss-cn-beijing.aliyuncs.com", "cn-beijing", "p"),
        (
            "oss://b.oss-cn-beijing-internal.aliyuncs.com/p",
            "https://b.oss-cn-beijing-internal.aliyuncs.com",
            "cn-beijing",
            "p",
        ),
        ("oss://b/p?region=eu-central-1", "https://b.oss-eu-central-1.aliyuncs.com", "eu-central-1", "p"),
        ("oss://b?endpoint=oss-cn-beijing.aliyuncs.com", "https://b.oss-cn-beijing.aliyuncs.com", "cn-beijing", ""),
        ("oss://b?endpoint=127.0.0.1:9000", "http://127.0.0.1:9000/b", "cn-hangzhou", ""),
        ("oss://b?endpoint=https://10.0.0.1&region=x", "https://10.0.0.1/b", "x", ""),
        ("oss://b/a%20b%2525?endpoint=https://store.example", "https://b.store.example", "cn-hangzhou", "a b%25"),
    ] {
        let options = parsed(url(text));
        assert_eq!((bucket_address(&options), region(&options)), (address.to_owned(), place.to_owned()), "{text}");
        assert_eq!(options.bucket, "b", "{text}");
        assert_eq!(OssPlugin::locate(&options).unwrap().base.to_string(), path, "{text}");
    }
}

#[test]
fn the_table_is_stronger_than_the_url() {
    let request = url("oss://b.oss-cn-beijing.aliyuncs.com/p?part-size=2097152&concurrency=7");
    let options = parsed(request.with_value("region", "x", "f:1").with_value("part-size", "1MiB", "f:2"));
    assert_eq!((region(&options).as_str(), options.part_size.0, options.concurrency), ("x", 1 << 20, 7));
    let defaults = parsed(url("oss://b"));
    assert_eq!((defaults.part_size.0, defaults.concurrency), (5 << 20, 3));
}

#[test]
fn problems_are_the_references_and_come_at_once() {
    let table = |key: &str| configured(url("oss://b/p").with_value(key, "x", "litestream.yml:3")).unwrap_err();
    assert_eq!(table("path"), ["cannot specify url & path for oss replica"]);
    assert_eq!(table("bucket"), ["cannot specify url & bucket for oss replica"]);
    let request = ConfigureRequest::new().with_value("part-size", "1KiB", "t").with_value("concurrency", 0, "t");
    let problems = configured(request).unwrap_err();
    assert_eq!(
        problems,
        ["bucket required for oss replica", "must be from 100KiB to 5GiB, by the protocol", "must be at least 1"]
    );
    let in_url = configured(url("oss://b?secret-access-key=hunter2")).unwrap_err().join("\n");
    assert!(in_url.contains("a secret: set it in the configuration") && !in_url.contains("hunter2"), "{in_url}");
    let warned = configured(url("oss://b").with_value("access-key-id", "a", "t")).unwrap();
    assert!(warned[0].starts_with("only one of"), "{warned:?}");
}

#[test]
fn databases_of_one_bucket_share_a_store() {
    let pool = |request: &ConfigureRequest| match configure::configure::<OssPlugin>(request) {
        ConfigureAnswer::Accepted(configured) => configured.pool,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    };
    assert_eq!(pool(&url("oss://b/one")), pool(&url("oss://b/two")));
    assert_ne!(pool(&url("oss://b/one")), pool(&url("oss://c/one")));
}
