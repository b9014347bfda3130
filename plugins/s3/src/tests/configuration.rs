//! Keys, URLs, presets: pure.

use super::*;
use crate::S3Options;

fn parsed(url: &str) -> S3Options {
    configure::options::<S3Plugin>(&ConfigureRequest::new().with_url(url))
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn problems(request: ConfigureRequest) -> Vec<String> {
    match configure::configure::<S3Plugin>(&request) {
        ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
        ConfigureAnswer::Accepted(_) => panic!("accepted"),
    }
}

#[test]
fn the_host_of_a_url_says_bucket_and_place() {
    for (url, bucket, path, region, endpoint, path_style) in [
        ("s3://b/p/a.db", "b", "p/a.db", None, None, None),
        ("s3://my.bucket/p", "my.bucket", "p", None, None, None),
        ("s3://b.s3.amazonaws.com/p", "b", "p", None, None, None),
        ("s3://b.s3.eu-west-1.amazonaws.com/p", "b", "p", Some("eu-west-1"), None, None),
        (
            "s3://b.nyc3.digitaloceanspaces.com/p",
            "b",
            "p",
            Some("nyc3"),
            Some("https://nyc3.digitaloceanspaces.com"),
            Some(false),
        ),
        (
            "s3://b.s3.us-west-002.backblazeb2.com/p",
            "b",
            "p",
            Some("us-west-002"),
            Some("https://s3.us-west-002.backblazeb2.com"),
            Some(true),
        ),
        ("s3://b.localhost:9000/p", "b", "p", Some("us-east-1"), Some("http://localhost:9000"), Some(true)),
        ("s3://b/p?endpoint=localhost:9000", "b", "p", None, Some("http://localhost:9000"), None),
        ("s3://b/p?endpoint=minio.example.com&region=r", "b", "p", Some("r"), Some("https://minio.example.com"), None),
        ("s3://b/p?endpoint=x.example&forcePathStyle=false", "b", "p", None, Some("https://x.example"), Some(false)),
    ] {
        let options = parsed(url);
        assert_eq!(options.bucket, bucket, "{url}");
        assert_eq!(options.path, path, "{url}");
        assert_eq!(options.region.as_deref(), region, "{url}");
        assert_eq!(options.endpoint.as_deref(), endpoint, "{url}");
        assert_eq!(options.force_path_style, path_style, "{url}");
    }
}

#[test]
fn an_access_point_is_named_by_its_arn() {
    let options = parsed("s3://arn:aws:s3:us-west-2:123456789012:accesspoint/db-access/backups/prod");
    assert_eq!(options.bucket, "arn:aws:s3:us-west-2:123456789012:accesspoint/db-access");
    assert_eq!((options.region.as_deref(), options.path.as_str()), (Some("us-west-2"), "backups/prod"));
    let bad = ConfigureRequest::new().with_url("s3://arn:aws:s3:us-west-2:1:bucket/x");
    assert!(problems(bad)[0].contains("invalid s3 access point arn: arn:aws:s3:us-west-2:1:bucket/x"));
}

#[test]
fn query_parameters_come_dashed_and_in_camel_case() {
    let options = parsed("s3://b?partSize=10485760&concurrency=7&storageClass=STANDARD_IA&signPayload=no&skipVerify=1");
    assert_eq!((options.part_size.0, options.concurrency), (10 << 20, Some(7)));
    assert_eq!(options.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!((options.sign_payload, options.skip_verify), (Some(false), false), "only `true` skips verification");
    let size = problems(ConfigureRequest::new().with_url("s3://b?part-size=5MB"));
    assert_eq!(size[0], r#"invalid value for query parameter "part-size": "5MB" (must be a positive integer)"#);
}

#[test]
fn rules_between_keys_are_all_reported() {
    let request = ConfigureRequest::new()
        .with_value("bucket", "b", "t")
        .with_value("part-size", "1MiB", "t")
        .with_value("sse-customer-key", "c2hvcnQ=", "t")
        .with_value("sse-kms-key-id", "k", "t")
        .with_value("endpoint", "http://example.com", "t");
    let problems = problems(request).join("\n");
    for part in ["smallest part", "cannot be combined", "only over https", "32 bytes, this one has 5"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    assert!(!problems.contains("c2hvcnQ"), "a secret in {problems}");
}

#[test]
fn what_is_missing_or_twofold_is_said_in_the_references_words() {
    assert_eq!(problems(ConfigureRequest::new()), ["bucket required for s3 replica"]);
    assert_eq!(problems(ConfigureRequest::new().with_url("s3://localhost:9000/p")), ["bucket required for s3 replica"]);
    for key in ["bucket", "path"] {
        let both = ConfigureRequest::new().with_url("s3://b/p").with_value(key, "x", "t");
        assert_eq!(problems(both), [format!("cannot specify url & {key} for s3 replica")]);
    }
    let unknown = problems(ConfigureRequest::new().with_url("s3://b/p?regon=x"));
    assert!(unknown[0].contains("regon") && unknown[0].contains("did you mean"), "{unknown:?}");
    let secret = problems(ConfigureRequest::new().with_url("s3://b?secret-access-key=hunter2")).join("");
    assert!(secret.contains("a secret: set it in the configuration") && !secret.contains("hunter2"), "{secret}");
    let inside =
        ConfigureRequest::new().with_value("bucket", "b", "t").with_value("endpoint", "https://me:hunter2@x", "t");
    assert_eq!(problems(inside), ["must hold no credentials: set `access-key-id` and `secret-access-key`"]);
}

#[test]
fn the_table_is_stronger_than_the_url_and_the_environment_weakest() {
    let request = ConfigureRequest::new()
        .with_url("s3://b?region=from-url&endpoint=url.example&sseKmsKeyId=k")
        .with_value("region", "from-table", "t")
        .with_env("LITESTREAM_S3_ENDPOINT", "env.example")
        .with_env("LITESTREAM_ACCESS_KEY_ID", "key")
        .with_env("LITESTREAM_SECRET_ACCESS_KEY", "hunter2");
    let options = configure::options::<S3Plugin>(&request).unwrap();
    assert_eq!(options.region.as_deref(), Some("from-table"));
    assert_eq!(options.endpoint.as_deref(), Some("https://url.example"));
    assert_eq!(options.sse_kms_key_id.as_deref(), Some("k"));
    assert_eq!(options.litestream_access_key_id.as_deref(), Some("key"));
    assert!(!format!("{options:?} {:?}", configure::configure::<S3Plugin>(&request)).contains("hunter2"));
}

#[test]
fn databases_of_one_bucket_share_a_store() {
    let pool = |url: &str| match configure::configure::<S3Plugin>(&ConfigureRequest::new().with_url(url)) {
        ConfigureAnswer::Accepted(configured) => configured.pool,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    };
    assert_eq!(pool("s3://b/one"), pool("s3://b/two"));
    assert_ne!(pool("s3://b/one"), pool("s3://c/one"));
    assert_ne!(pool("s3://b/one"), pool("s3://b/one?region=r"));
}
