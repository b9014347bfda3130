//! The keys of a NATS replica, and the bucket and names that they lead to.

use std::time::Duration;

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{DbPath, Location, ReplicaPath, Result, Secret, StorageError, options};

/// Extra of a location: the bucket holds one database.
const SINGLE: &str = "single";

options! {
    /// The keys of a NATS replica.
    pub struct NatsOptions {
        /// The server of a replica URL; several with commas.
        server: String = "127.0.0.1:4222", [hidden];
        /// Object-store bucket; it must exist. The path of the URL, where it has one, wins.
        bucket: String = "", [];
        /// The bucket of a replica URL.
        url_bucket: String = "", [hidden];
        /// Where names begin in the bucket, with `prefix`; else without meaning, as in Litestream.
        path: String = "", [location];
        /// Whether many databases share the bucket, each below its own name. Litestream cannot read that.
        prefix: bool = false, [location];
        /// Token of a user, with `seed`.
        jwt: Option<Secret>, [env = "LITESTREAM_NATS_JWT"];
        /// Private key of that user.
        seed: Option<Secret>, [env = "LITESTREAM_NATS_SEED"];
        /// File with token and private key of a user.
        creds: Option<String>, [env = "LITESTREAM_NATS_CREDS"];
        /// Private key of a user, or a file with it.
        nkey: Option<Secret>, [env = "LITESTREAM_NATS_NKEY"];
        /// Name to log in with.
        username: Option<String>, [url = User, env = "LITESTREAM_NATS_USERNAME"];
        /// Password to log in with.
        password: Option<Secret>, [url = Password, env = "LITESTREAM_NATS_PASSWORD"];
        /// Token to log in with.
        token: Option<Secret>, [env = "LITESTREAM_NATS_TOKEN"];
        /// Whether the connection must be encrypted.
        tls: bool = false, [];
        /// File of certificates that the server's must be signed by.
        root_cas: Vec<String>, [];
        /// File of a certificate to show to the server, with `client-key`.
        client_cert: Option<String>, [];
        /// File of its private key.
        client_key: Option<String>, [];
        /// Tries to connect again after a cut; 0 or any negative number is without end.
        max_reconnects: i64 = -1, [];
        /// Time between them.
        reconnect_wait: Duration = "2s", [];
        /// How long one answer may take.
        timeout: Duration = "10s", [];
        /// The home directory, for `~` in names of files.
        home: String = "", [location, hidden, env = "HOME"];
    }
}

/// The first segment of the path is the bucket; what follows is where names begin in it.
pub(crate) fn from_url(url: &Url, set: &mut Values) -> Result<()> {
    let path = url.path()?;
    let (bucket, below) = path.trim_matches('/').split_once('/').unwrap_or((path.trim_matches('/'), ""));
    for (key, value) in [("server", url.authority().as_str()), ("url-bucket", bucket), ("path", below)] {
        if !value.is_empty() {
            set.offer(key, value, "url");
        }
    }
    set.fill_from_url::<NatsOptions>(url)
}

/// Refuses a configuration without a bucket, or with half a certificate.
pub(crate) fn check(options: &NatsOptions, findings: &mut Findings) {
    let bucket = options.bucket();
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if bucket.is_empty() {
        findings.problem("bucket", "bucket required for NATS replica");
    } else if !bucket.chars().all(legal) {
        findings.problem("bucket", format!("`{bucket}` is no bucket: letters, digits, `-` and `_` are"));
    }
    if options.client_cert.is_some() != options.client_key.is_some() {
        let message = "client-cert and client-key must both be specified for mutual TLS authentication";
        findings.problem("client-cert", message);
    }
    // The client keeps the last file only, and would trust fewer authorities than the configuration says.
    if options.root_cas.len() > 1 {
        findings.problem("root-cas", "root-cas takes one file: put all certificates into it");
    }
    if options.jwt.is_some() != options.seed.is_some() {
        findings.problem("jwt", "jwt and seed must both be specified");
    }
    if !options.prefix && !options.path.is_empty() {
        let why = "one bucket holds one database (`prefix: true` changes that)";
        findings.warning(format!("`path` has no effect on NATS, as in Litestream: {why}"));
    }
}

impl NatsOptions {
    /// The bucket that counts.
    pub(crate) fn bucket(&self) -> &str {
        if self.url_bucket.is_empty() { &self.bucket } else { &self.url_bucket }
    }

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

/// The bucket itself, or with `prefix` a place in it.
pub(crate) fn locate(options: &NatsOptions) -> Result<Location> {
    if options.prefix {
        return Ok(Location::new(ReplicaPath::clean(&options.path)?.with_absolute(false)));
    }
    Ok(Location::new(ReplicaPath::default()).with_extra(SINGLE, options.bucket()))
}

/// The reference names objects without the replica's path, so two databases of one bucket would overwrite each other.
pub(crate) fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
    match at.extra(SINGLE) {
        Some(bucket) if !db.is_empty() => Err(StorageError::invalid_input(format!(
            "the NATS bucket `{bucket}` holds one database: give `{db}` a bucket of its own, or set `prefix: true` \
             (Litestream cannot read that)"
        ))),
        Some(_) => Ok(at.base.clone()),
        None => {
            let path = at.base.join(db);
            path.to_utf8()?;
            Ok(path)
        }
    }
}
