//! Stores that speak the protocol with an accent: what each needs, by the host of its endpoint.

use std::net::IpAddr;

/// What the store behind an endpoint wants when the user said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// Upload requests and batch deletes carry an MD5.
    pub content_md5: bool,
    /// Parts sent at once in one upload.
    pub concurrency: u32,
    /// Keys in one batch delete.
    pub delete_batch: u32,
    /// The bucket stands in the path of a request.
    pub path_style: bool,
}

/// Looks an endpoint up. `None` is Amazon itself.
pub(crate) fn of(endpoint: Option<&str>) -> Provider {
    let amazon = Provider { content_md5: true, concurrency: 5, delete_batch: 1000, path_style: false };
    let Some(endpoint) = endpoint else { return amazon };
    // Any endpoint turns path style on: of an unknown store nobody knows whether its name has subdomains.
    let unknown = Provider { path_style: true, ..amazon };
    let host = host_of(endpoint);
    match host.as_str() {
        "fly.storage.tigris.dev" | "t3.storage.dev" => Provider { content_md5: false, ..unknown },
        host if host.ends_with(".r2.cloudflarestorage.com") => Provider { concurrency: 2, ..unknown },
        // Google's form of the protocol has no batch delete.
        host if host.ends_with("googleapis.com") => Provider { delete_batch: 1, ..unknown },
        _ => unknown,
    }
}

/// Host, port and userinfo of an endpoint.
pub(crate) fn authority_of(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The host of an endpoint, without scheme, port and path, in lower case.
fn host_of(endpoint: &str) -> String {
    let authority = authority_of(endpoint);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

/// Whether an endpoint is inside this machine or a private network.
pub(crate) fn is_local(endpoint: &str) -> bool {
    let host = host_of(endpoint);
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => host == "localhost" || host.ends_with(".local") || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_recognised_by_its_host_alone() {
        assert!(!of(None).path_style);
        assert!(of(Some("https://minio.example:9000")).path_style);
        assert!(!of(Some("https://t3.storage.dev")).content_md5);
        assert!(of(Some("https://evil.example/t3.storage.dev")).content_md5);
        assert_eq!(of(Some("https://abc.R2.cloudflarestorage.com/")).concurrency, 2);
        assert_eq!(of(Some("https://r2.cloudflarestorage.com.example")).concurrency, 5);
        assert_eq!(of(Some("https://storage.googleapis.com")).delete_batch, 1);
    }

    #[test]
    fn only_private_addresses_are_local() {
        for local in
            ["localhost:9000", "127.0.0.1", "10.1.2.3:80", "172.31.0.1", "192.168.1.1", "a.local", "[::1]:9000"]
        {
            assert!(is_local(local), "{local}");
        }
        for public in ["172.200.1.1", "172.2.1.1", "s3.example.com", "1.2.3.4:9000", "local.example.com"] {
            assert!(!is_local(public), "{public}");
        }
    }
}
