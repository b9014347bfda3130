//! What the host of an `s3://` URL says: a bucket, or a bucket and where it lives.

use litestream_sdk::options::{Url, Values};
use litestream_sdk::{Result, StorageError};

use crate::config::S3Options;
use crate::provider::is_local;

/// Fills the values that a URL gives. The query comes first: what it says is stronger than what the host implies.
pub(crate) fn fill(url: &Url, set: &mut Values) -> Result<()> {
    let mut implied = from_host(url)?;
    if let Some(endpoint) = url.parameter("endpoint").filter(|endpoint| !endpoint.is_empty()) {
        set.offer("endpoint", with_scheme(endpoint), "url parameter endpoint");
    }
    for name in ["part-size", "partSize", "concurrency"] {
        if let Some(value) = url.parameter(name) {
            positive(name, value)?;
        }
    }
    for (key, names) in LOOSE_BOOLEANS {
        let given = names.iter().find_map(|name| url.parameter(name).map(|value| (name, value)));
        if let Some((name, value)) = given {
            set.offer(key, is_true(key, value), format!("url parameter {name}"));
        }
    }
    set.fill_from_query::<S3Options>(url)?;
    if !implied.iter().any(|(key, _)| *key == "path") {
        implied.push(("path", url.path()?.trim_start_matches('/').to_owned()));
    }
    for (key, value) in implied {
        if !value.is_empty() {
            set.offer(key, value, "url");
        }
    }
    Ok(())
}

/// Booleans of the query. The reference takes anything but the listed words for false, and so do we.
const LOOSE_BOOLEANS: [(&str, &[&str]); 4] = [
    ("force-path-style", &["forcePathStyle", "force-path-style"]),
    ("skip-verify", &["skipVerify", "skip-verify"]),
    ("sign-payload", &["signPayload", "sign-payload"]),
    ("require-content-md5", &["requireContentMD5", "require-content-md5"]),
];

fn is_true(key: &str, value: &str) -> bool {
    match key {
        "force-path-style" => !matches!(value, "false"),
        "skip-verify" => value == "true",
        _ => matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "t" | "yes"),
    }
}

fn positive(name: &str, value: &str) -> Result<()> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits && value.bytes().any(|byte| byte != b'0') {
        return Ok(());
    }
    let message = format!("invalid value for query parameter {name:?}: {value:?} (must be a positive integer)");
    Err(StorageError::invalid_input(message))
}

/// An endpoint without a scheme: plain text only inside the machine or a private network.
pub(crate) fn with_scheme(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.starts_with("http://") || endpoint.starts_with("https://") {
        return endpoint.to_owned();
    }
    format!("{}://{endpoint}", if is_local(endpoint) { "http" } else { "https" })
}

/// An access point: `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AccessPoint<'a> {
    pub region: &'a str,
    pub account: &'a str,
    pub name: &'a str,
    pub domain: &'static str,
}

/// Takes an access point's ARN apart.
pub(crate) fn access_point(arn: &str) -> Result<AccessPoint<'_>> {
    let malformed = || StorageError::invalid_input(format!("invalid s3 access point arn: {arn}"));
    let mut fields = arn.splitn(6, ':');
    let mut field = || fields.next().filter(|field| !field.is_empty()).ok_or_else(malformed);
    let (_, partition, service, region, account) = (field()?, field()?, field()?, field()?, field()?);
    let name = field()?.strip_prefix("accesspoint/").filter(|name| !name.is_empty() && !name.contains('/'));
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    match name {
        Some(name) if service == "s3" => Ok(AccessPoint { region, account, name, domain }),
        _ => Err(malformed()),
    }
}

type Implied = Vec<(&'static str, String)>;

fn from_host(url: &Url) -> Result<Implied> {
    let authority = url.authority();
    if authority.starts_with("arn:") {
        return from_arn(&authority, url);
    }
    let host = url.host.as_str();
    let labels: Vec<&str> = host.split('.').collect();
    let endpoint = |bucket: &str, endpoint: String, path_style: bool| -> Implied {
        vec![("bucket", bucket.into()), ("endpoint", endpoint), ("force-path-style", path_style.to_string())]
    };
    Ok(match labels.as_slice() {
        [bucket @ .., "s3", "amazonaws", "com"] if !bucket.is_empty() => vec![("bucket", bucket.join("."))],
        [bucket @ .., "s3", region, "amazonaws", "com"] if !bucket.is_empty() => {
            vec![("bucket", bucket.join(".")), ("region", (*region).into())]
        }
        [bucket, region, "digitaloceanspaces", "com"] => {
            let mut implied = endpoint(bucket, format!("https://{region}.digitaloceanspaces.com"), false);
            implied.push(("region", (*region).into()));
            implied
        }
        [bucket @ .., "s3", region, "backblazeb2", "com"] if !bucket.is_empty() => {
            let mut implied = endpoint(&bucket.join("."), format!("https://s3.{region}.backblazeb2.com"), true);
            implied.push(("region", (*region).into()));
            implied
        }
        [bucket @ .., "s3", "filebase", "com"] if !bucket.is_empty() => {
            endpoint(&bucket.join("."), "https://s3.filebase.com".into(), true)
        }
        [bucket @ .., "s3", region, "scw", "cloud"] if !bucket.is_empty() => {
            let mut implied = endpoint(&bucket.join("."), format!("https://s3.{region}.scw.cloud"), false);
            implied.push(("region", (*region).into()));
            implied
        }
        _ => match (url.port, host.split_once('.')) {
            (Some(_), _) if host.contains(".com") => vec![("bucket", host.into())],
            (Some(port), Some((bucket, host))) => {
                let mut implied = endpoint(bucket, format!("http://{host}:{port}"), true);
                implied.push(("region", "us-east-1".into()));
                implied
            }
            (Some(_), None) => Vec::new(),
            (None, _) => vec![("bucket", host.into())],
        },
    })
}

/// `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME[/KEY]`: the first slash is the ARN's own.
fn from_arn(authority: &str, url: &Url) -> Result<Implied> {
    let path = url.path()?;
    let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let arn = format!("{authority}/{name}");
    let region = access_point(&arn)?.region.to_owned();
    let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key).to_owned();
    Ok(vec![("bucket", arn), ("region", region), ("path", key)])
}
