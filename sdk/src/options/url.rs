//! The text form of a replica URL, taken apart without knowing any storage.
//!
//! Not the `url` crate: that one rewrites hosts and paths by the rules of the web, and here a host may be a bucket with
//! underscores, an ARN with colons, or nothing, and a path must come out exactly as it was written.

use crate::error::{Result, StorageError};
use percent_encoding::percent_decode_str;
use std::fmt;

/// `scheme://user:password@host:port/path?name=value`. Its `Debug` and `Display` show neither userinfo nor values.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Url {
    /// In lower case.
    pub scheme: String,
    /// Decoded.
    pub user: Option<String>,
    /// Decoded.
    pub password: Option<String>,
    /// Without userinfo and port, as written.
    pub host: String,
    /// The number after the last `:` of the authority, if it is one.
    pub port: Option<u16>,
    /// With its leading slash, as written (`/a%20b`).
    pub raw_path: String,
    /// Decoded names and values, in order.
    pub query: Vec<(String, String)>,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// INVALID_INPUT with a sentence for the user; the text itself is not repeated, it may hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: &str| Err(StorageError::invalid_input(message));
        let Some((scheme, rest)) = text.split_once("://") else { return invalid("replica url scheme required") };
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return invalid("replica url scheme required");
        }
        if rest.contains('#') {
            return invalid("a `#` in a replica url must be written `%23`");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host_and_port);
        let (user, password) = match userinfo.map(|info| info.split_once(':').unwrap_or((info, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (String::new(), String::new()),
        };
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user: Some(user).filter(|user| !user.is_empty()),
            password: Some(password).filter(|password| !password.is_empty()),
            host: host.to_owned(),
            port,
            raw_path: path.to_owned(),
            query: parameters(query)?,
        })
    }

    /// The path, decoded once, with its leading slash.
    ///
    /// # Errors
    /// INVALID_INPUT if the decoded bytes are not UTF-8.
    pub fn path(&self) -> Result<String> {
        decoded(&self.raw_path)
    }

    /// `host:port`, or `host`.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The text for people: without userinfo, and with `<secret>` for the parameters that `is_secret` names.
    pub fn redacted(&self, is_secret: impl Fn(&str) -> bool) -> String {
        let mut text = self.to_string();
        for (number, (name, value)) in self.query.iter().enumerate() {
            let value = if is_secret(name) { "<secret>" } else { value };
            text.push(if number == 0 { '?' } else { '&' });
            text.push_str(&format!("{name}={value}"));
        }
        text
    }

    /// The first query parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A port only if it is one: `s3://arn:aws:s3:...:accesspoint` keeps its last colon.
fn split_port(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        _ => (text, None),
    }
}

fn parameters(query: &str) -> Result<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String> {
    let bytes = percent_decode_str(text).decode_utf8();
    bytes.map(Into::into).map_err(|_| StorageError::invalid_input("the replica url decodes to text that is not UTF-8"))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.raw_path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn takes_every_part() {
        let parts = url("SFTP://us%40er:p%3Aw@h.example:2222/a%20b/c%2525?x=1&y=a%26b+c&flag");
        assert_eq!((parts.scheme.as_str(), parts.host.as_str(), parts.port), ("sftp", "h.example", Some(2222)));
        assert_eq!((parts.user.as_deref(), parts.password.as_deref()), (Some("us@er"), Some("p:w")));
        assert_eq!((parts.raw_path.as_str(), parts.path().unwrap().as_str()), ("/a%20b/c%2525", "/a b/c%25"));
        assert_eq!(parts.parameter("y"), Some("a&b c"));
        assert_eq!(parts.parameter("flag"), Some(""));
        assert_eq!(parts.authority(), "h.example:2222");
    }

    #[test]
    fn hosts_need_not_be_hosts() {
        let arn = url("s3://arn:aws:s3:us-east-1:123:accesspoint/name/key");
        assert_eq!((arn.host.as_str(), arn.port), ("arn:aws:s3:us-east-1:123:accesspoint", None));
        assert_eq!(url("gs://my_bucket").host, "my_bucket");
        let file = url("file:///srv/re p!u");
        assert_eq!((file.host.as_str(), file.raw_path.as_str()), ("", "/srv/re p!u"));
        assert_eq!(url("abs://account@container/p").user.as_deref(), Some("account"));
        assert_eq!((url("nats://[::1]:4222/b").host.as_str(), url("nats://[::1]:4222/b").port), ("[::1]", Some(4222)));
        assert_eq!(url("nats://[::1]/b").port, None);
    }

    #[test]
    fn refuses_with_a_reason_that_holds_no_secret() {
        for (text, reason) in [
            ("bucket/path", "replica url scheme required"),
            ("://x", "replica url scheme required"),
            ("s3://u:hunter2@b/a#b", "a `#` in a replica url must be written `%23`"),
            ("s3://u:hunter2%ff@b/a", "the replica url decodes to text that is not UTF-8"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().message, reason);
        }
        let shown = format!("{0} {0:?}", url("s3://u:hunter2@b/a?token=hunter2"));
        assert_eq!(shown, "s3://b/a `s3://b/a`");
        let url = url("s3://u:hunter2@b/a?token=hunter2&region=x");
        assert_eq!(url.redacted(|name| name == "token"), "s3://b/a?token=<secret>&region=x");
    }
}
