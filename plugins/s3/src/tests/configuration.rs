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
