//! One replica: what the program keeps for itself, and the values its plugin will judge.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use litestream_sdk::describe::{ConfigureRequest, Given, Sensitive};

use super::error::ReplicaProblem;
use super::origin::Origin;

/// Which directory names a replica has below its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayoutChoice {
    /// Whatever the replica already has; `ltx` for a new one.
    #[default]
    Auto,
    /// `ltx/<level>/`.
    Ltx,
    /// Four hex digits, as the reference does on S3 and OSS.
    Hex,
}

/// The configuration of one replica.
///
/// Its `Debug` shows neither values nor the URL: which of them are secret only the plugin can say.
#[derive(Clone, PartialEq)]
pub struct ReplicaConfig {
    /// Replica type or URL scheme: what to ask the plugins for.
    pub kind: String,
    /// `url`, as written. May hold a password.
    pub url: Option<Sensitive>,
    /// The plugin's keys: the table, and after [`Config::resolve_replicas`](super::Config::resolve_replicas) the global
    /// defaults, too. An empty text is an absent key.
    pub values: BTreeMap<String, Given>,
    /// The environment variables that the plugin declares. Filled by `resolve_replicas`.
    pub environment: BTreeMap<String, Sensitive>,
    /// How long after an upload the next one begins, at the earliest. Not zero. `None`: what suits the storage, which
    /// `resolve_replicas` fills in.
    pub sync_interval: Option<Duration>,
    /// Uploads of one sync stop after this many files. `None`: no limit.
    pub max_sync_ltx_files: Option<u64>,
    /// Whether damaged local state is thrown away and replication goes on with a full file.
    pub auto_recover: bool,
    /// Directory names.
    pub layout: LayoutChoice,
    /// `dbs[0].replica`, for messages.
    pub place: String,
    /// Where it was written.
    pub origin: Origin,
}

impl ReplicaConfig {
    /// What the plugin is asked to judge.
    pub fn configure_request(&self) -> ConfigureRequest {
        let mut request = ConfigureRequest::new();
        request.url.clone_from(&self.url);
        request.values.clone_from(&self.values);
        request.env.clone_from(&self.environment);
        request
    }

    /// How long after an upload the next one begins, at the earliest.
    pub fn sync_interval(&self) -> Duration {
        self.sync_interval.unwrap_or(Duration::from_secs(1))
    }

    /// A plugin's problem, with the place of this replica in front.
    pub fn problem(&self, problem: &litestream_sdk::describe::Problem) -> ReplicaProblem {
        let origin = if problem.origin.is_empty() { self.origin.to_string() } else { problem.origin.clone() };
        let (key, message) = (problem.key.clone(), problem.message.clone());
        ReplicaProblem { place: self.place.clone(), key, origin, message }
    }

    /// The URL without what may be secret: userinfo and query.
    pub fn display_url(&self) -> Option<String> {
        self.url.as_ref().map(|url| without_secrets(&url.0))
    }
}

impl fmt::Debug for ReplicaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaConfig")
            .field("kind", &self.kind)
            .field("url", &self.display_url())
            .field("keys", &self.values.keys())
            .field("sync_interval", &self.sync_interval)
            .field("layout", &self.layout)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The replica a URL on the command line means, with built-in values for everything else. Its scheme is its kind.
///
/// # Errors
/// `replica url scheme required`.
pub fn replica_from_url(url: &str) -> Result<ReplicaConfig, super::ConfigError> {
    let scheme = scheme_of(url).ok_or_else(|| scheme_required(url, Origin::Argument))?;
    Ok(ReplicaConfig {
        kind: scheme,
        url: Some(Sensitive(url.to_owned())),
        values: BTreeMap::new(),
        environment: BTreeMap::new(),
        sync_interval: None,
        max_sync_ltx_files: Some(256),
        auto_recover: false,
        layout: LayoutChoice::Auto,
        place: "replica".to_owned(),
        origin: Origin::Argument,
    })
}

/// True for text that begins like a URL, which decides whether an argument is a replica or a path.
pub fn is_url(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split_once("://").is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(is_word))
}

/// The scheme in lower case.
pub(super) fn scheme_of(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    (!scheme.is_empty() && scheme.chars().all(is_scheme)).then(|| scheme.to_ascii_lowercase())
}

pub(super) fn scheme_required(url: &str, origin: Origin) -> super::ConfigError {
    super::ConfigError::invalid(format!("replica url scheme required: {}", without_secrets(url)), origin)
}

/// Cuts userinfo and query out of a URL. Of one that is not well formed it may cut more, never less.
pub(super) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A `/` or `?` inside a password ends the authority too early; then only what follows the last `@` is safe.
    let torn = !authority.contains('@') && authority.rsplit_once(':').is_some_and(|(_, port)| !is_port(port));
    let userinfo_end = if torn { rest.rfind('@') } else { authority.rfind('@') };
    let rest = userinfo_end.map_or(rest, |at| &rest[at + 1..]);
    let rest = rest.split('?').next().unwrap_or_default();
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown_of_a_replica() {
        let mut replica = replica_from_url("SFTP://user:hunter1@host/path?key=hunter2").unwrap();
        replica.values.insert("password".into(), Given::new("hunter3", "f:1"));
        assert_eq!(replica.kind, "sftp");
        assert_eq!(replica.display_url().as_deref(), Some("SFTP://host/path"));
        assert!(!format!("{replica:?}").contains("hunter"), "{replica:?}");
    }

    #[test]
    fn no_shape_of_url_shows_its_password() {
        for (url, shown) in [
            ("s3://b/a@b/c?x=secret", "s3://b/a@b/c"),
            ("s3://h:9000/a@b", "s3://h:9000/a@b"),
            ("sftp://u:sec/ret@h/p", "sftp://h/p"),
            ("sftp://u:sec?ret@h/p", "sftp://h/p"),
            ("sftp://u:sec@ret@h/p", "sftp://h/p"),
            ("s3://arn:aws:s3:eu:1:accesspoint/n", "s3://arn:aws:s3:eu:1:accesspoint/n"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn a_replica_needs_a_scheme() {
        for text in ["", "path", "/a/b", "://x", "a b://x"] {
            assert!(replica_from_url(text).is_err(), "{text:?} was accepted");
        }
        let error = replica_from_url("user:hunter2@host/x").unwrap_err().to_string();
        assert_eq!(error, "replica url scheme required: host/x (command line)");
        assert!(is_url("s3://b") && is_url("x_1://b") && !is_url("s3+x://b") && !is_url("/a://b"));
    }

    #[test]
    fn a_plugins_problem_is_reported_with_its_place() {
        let mut replica = replica_from_url("s3://b").unwrap();
        replica.place = "dbs[2].replica".into();
        let problem = litestream_sdk::describe::Problem::new("part-size", "too small").with_origin("l.yml:12");
        assert_eq!(replica.problem(&problem).to_string(), "dbs[2].replica.part-size: too small (l.yml:12)");
    }
}
