//! The keys of an oss replica, the rules between them, and the address that follows from them.

use std::net::IpAddr;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Location, ReplicaPath, Result, Secret, Size, options};

options! {
    /// Keys of an oss replica.
    pub struct OssOptions {
        /// Bucket name.
        bucket: String = "", [not_with_url];
        /// Prefix of the replica in the bucket.
        path: String = "", [url = Path, location, not_with_url];
        /// Region of the bucket. Without it: the endpoint's, or `cn-hangzhou`.
        region: Option<String>;
        /// Address of the service. Without it: `https://oss-REGION.aliyuncs.com`.
        endpoint: Option<String>;
        /// Access key. With the secret key, used instead of the usual chain of Alibaba's tools.
        access_key_id: Option<String>;
        /// Secret key.
        secret_access_key: Option<Secret>;
        /// Bytes in one part of a large upload.
        part_size: Size = "5MiB", [local, query = "partSize"];
        /// Parts sent at once in one upload.
        concurrency: u32 = 3, [local];
    }
}

const DEFAULT_REGION: &str = "cn-hangzhou";
const DOMAIN: &str = ".aliyuncs.com";

/// The smallest part, except as the last, and the largest, by the protocol.
const PART_BYTES: std::ops::RangeInclusive<u64> = 100 << 10..=5 << 30;

/// Fills the values that a URL gives. The host is a bucket, or a bucket and where it lives:
/// `b.oss-cn-beijing-internal.aliyuncs.com`.
pub(crate) fn from_url(url: &Url, set: &mut Values) -> Result<()> {
    let place = url.host.strip_suffix(DOMAIN).and_then(|host| host.split_once(".oss-"));
    let bucket = place.map_or(url.host.as_str(), |(bucket, _)| bucket);
    if !bucket.is_empty() {
        set.offer("bucket", bucket, "url");
    }
    // The query is stronger than what the host implies.
    set.fill_from_url::<OssOptions>(url)?;
    if let Some((_, region)) = place {
        set.offer("region", region.strip_suffix("-internal").unwrap_or(region), "url");
        set.offer("endpoint", format!("https://oss-{region}{DOMAIN}"), "url");
    }
    Ok(())
}

/// Rules between keys.
pub(crate) fn check(options: &OssOptions, findings: &mut Findings) {
    if options.bucket.is_empty() {
        findings.problem("bucket", "bucket required for oss replica");
    }
    if options.access_key_id.is_some() != options.secret_access_key.is_some() {
        findings.warning(
            "only one of `access-key-id` and `secret-access-key` is set: both are ignored, and credentials are looked \
             for in the environment, the shared files and the metadata service",
        );
    }
    if !PART_BYTES.contains(&options.part_size.0) {
        findings.problem("part-size", "must be from 100KiB to 5GiB, by the protocol");
    }
    if options.concurrency == 0 {
        findings.problem("concurrency", "must be at least 1");
    }
}

/// The prefix, as a place in the bucket.
pub(crate) fn locate(options: &OssOptions) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
}

/// The region that signatures name.
pub(crate) fn region(options: &OssOptions) -> String {
    let of_endpoint = || {
        let host = host_of(options.endpoint.as_deref()?);
        let region = host.strip_suffix(DOMAIN)?.strip_prefix("oss-")?;
        Some(region.strip_suffix("-internal").unwrap_or(region).to_owned())
    };
    options.region.clone().or_else(of_endpoint).unwrap_or_else(|| DEFAULT_REGION.to_owned())
}

/// The address of the bucket, without a slash at its end.
pub(crate) fn bucket_address(options: &OssOptions) -> String {
    let endpoint = options.endpoint.clone();
    let endpoint = endpoint.unwrap_or_else(|| format!("https://oss-{}{DOMAIN}", region(options)));
    let endpoint = endpoint.trim_end_matches('/');
    let local = is_local(endpoint);
    let (scheme, host) = endpoint.split_once("://").unwrap_or((if local { "http" } else { "https" }, endpoint));
    let bucket = &options.bucket;
    // A number has no subdomains, and neither has this machine.
    let by_path = local || host_of(endpoint).parse::<IpAddr>().is_ok();
    if by_path { format!("{scheme}://{host}/{bucket}") } else { format!("{scheme}://{bucket}.{host}") }
}

/// The host of an address, without scheme, port and path.
fn host_of(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_matches(['[', ']'])
}

fn is_local(endpoint: &str) -> bool {
    let host = host_of(endpoint);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
