//! The keys of an SFTP replica, and the server, paths and host key that they name.

use std::fmt;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Location, ReplicaPath, Result, Secret, options};

use crate::host_key;

options! {
    /// The keys of an SFTP replica.
    pub struct SftpOptions {
        /// Server to connect to, with `:port` if that is not 22.
        host: String = "", [not_with_url];
        /// Name to log in with.
        user: String = "", [url = User];
        /// Password to log in with.
        password: Option<Secret>, [url = Password, env = "LITESTREAM_SFTP_PASSWORD"];
        /// Directory of the replica: relative to the login directory, or absolute.
        path: String = "", [url = Path, location, not_with_url];
        /// File of the private key to log in with.
        key_path: Option<String>, [env = "LITESTREAM_SFTP_KEY_PATH", query = "keyPath"];
        /// The server's public key (`ssh-ed25519 AAAA...`), the only one that is accepted.
        host_key: Option<String>, [local, env = "LITESTREAM_SFTP_HOST_KEY", query = "hostKey"];
        /// File of the public keys of known servers, as OpenSSH keeps them; used without `host-key`.
        known_hosts: Option<String>, [env = "LITESTREAM_SFTP_KNOWN_HOSTS", query = "knownHosts"];
        /// Whether one upload sends several pieces at once.
        concurrent_writes: bool = true, [query = "concurrentWrites"];
        /// The home directory, for `~` in names of files.
        home: String = "", [location, hidden, env = "HOME"];
    }
}

/// A server: what to connect to, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("22"))),
            None if text.matches(':').count() > 1 => (text, Some("22")),
            None => text.split_once(':').map_or((text, Some("22")), |(host, port)| (host, Some(port))),
        };
        let port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        match port {
            Some(port) if !host.is_empty() => Ok(Self { host: host.to_owned(), port }),
            _ => Err("expected a host, or host:port".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The authority is the server; the path keeps its leading slash, so a URL always names an absolute directory.
pub(crate) fn from_url(url: &Url, set: &mut Values) -> Result<()> {
    set.offer("host", url.authority(), "url");
    set.fill_from_url::<SftpOptions>(url)
}

/// Refuses a configuration that nobody can log in with.
pub(crate) fn check(options: &SftpOptions, findings: &mut Findings) {
    if options.host.is_empty() {
        findings.problem("host", "host required for sftp replica");
    } else if let Err(expected) = Address::parse(&options.host) {
        findings.problem("host", expected);
    }
    if options.user.is_empty() {
        findings.problem("user", "user required for sftp replica");
    }
    match &options.host_key {
        Some(text) if host_key::parse(text).is_none() => {
            findings.problem("host-key", "expected a public key such as `ssh-ed25519 AAAA...`");
        }
        None if options.known_hosts.is_none() => {
            findings.warning("sftp host key not verified: set `host-key` (what `ssh-keyscan` prints) or `known-hosts`");
        }
        _ => {}
    }
}

/// The configured directory.
pub(crate) fn locate(options: &SftpOptions) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(&options.path)?))
}

impl SftpOptions {
    /// `~` of a file's name becomes the home directory, as a shell would do it.
    pub(crate) fn expand(&self, path: &str) -> String {
        match path.strip_prefix('~') {
            Some(below) if !self.home.is_empty() && (below.is_empty() || below.starts_with('/')) => {
                format!("{}{below}", self.home)
            }
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_shown() {
        for (text, host, port, shown) in [
            ("backup.example.com", "backup.example.com", 22, "backup.example.com:22"),
            ("10.0.0.1:2222", "10.0.0.1", 2222, "10.0.0.1:2222"),
            ("[::1]:2222", "::1", 2222, "[::1]:2222"),
            ("[::1]", "::1", 22, "[::1]:22"),
            ("fe80::1", "fe80::1", 22, "[fe80::1]:22"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        for text in ["", ":22", "h:", "h:x", "h:70000", "h:0", "[::1]x", "[::1]:"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
