//! The keys of a configuration file: one table, from which the defaults, the check of key names, the environment names
//! and the test of `config/README.md` follow.
//!
//! Keys of a storage are not here: they belong to its plugin, which describes them.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of the file.
    Global,
    /// In an element of `dbs`.
    Database,
    /// In `replica`, and at the top of the file as a default for all replicas.
    Replica,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// Its name, `socket.path`.
    pub name: &'static str,
    /// What its value is, in words.
    pub kind: &'static str,
    /// The built-in value as YAML; empty if there is none.
    pub default: &'static str,
    /// Whether `LITESTREAM_...` can set it.
    pub environment: bool,
    /// The flag that sets it; empty if none does.
    pub flag: &'static str,
    /// `Litestream` for a key that the reference knows, else the version of litestream-rs that brought it.
    pub since: &'static str,
}

impl Key {
    /// The name of the environment variable that sets it: `LITESTREAM_SOCKET__PATH`.
    pub fn variable(&self) -> Option<String> {
        let name = || self.name.to_ascii_uppercase().replace('-', "_").replace('.', "__");
        self.environment.then(|| format!("LITESTREAM_{}", name()))
    }
}

const fn global(name: &'static str, kind: &'static str, default: &'static str) -> Key {
    Key { place: Place::Global, name, kind, default, environment: true, flag: "", since: "Litestream" }
}

const fn database(name: &'static str, kind: &'static str, default: &'static str) -> Key {
    Key { place: Place::Database, environment: false, ..global(name, kind, default) }
}

const fn replica(name: &'static str, kind: &'static str, default: &'static str) -> Key {
    Key { place: Place::Replica, environment: false, ..global(name, kind, default) }
}

const fn file_only(key: Key) -> Key {
    Key { environment: false, ..key }
}

const fn flag(flag: &'static str, key: Key) -> Key {
    Key { flag, ..key }
}

const fn ours(key: Key) -> Key {
    Key { since: "0.1", ..key }
}

/// Every key the program itself reads.
pub const KEYS: &[Key] = &[
    global("addr", "address", ""),
    global("mcp-addr", "address", ""),
    global("socket.enabled", "switch", "false"),
    global("socket.path", "path", "/var/run/litestream.sock"),
    global("socket.permissions", "octal number", "0600"),
    file_only(global("levels", "list of {interval: duration}", "[{interval: 30s}, {interval: 5m}, {interval: 1h}]")),
    global("snapshot.interval", "duration", "24h"),
    global("snapshot.retention", "duration", "24h"),
    global("l0-retention", "duration", "5m"),
    global("l0-retention-check-interval", "duration", "15s"),
    global("verify-compaction", "switch", "false"),
    global("retention.enabled", "switch", "true"),
    global("validation.interval", "duration", ""),
    global("heartbeat-url", "URL", ""),
    global("heartbeat-interval", "duration", "5m"),
    flag("-exec", global("exec", "command line", "")),
    flag("-log-level", global("logging.level", "trace, debug, info, warn or error", "info")),
    global("logging.type", "text, json or pretty", "text"),
    global("logging.stderr", "switch", "false"),
    global("logging.source", "switch", "false"),
    global("shutdown-sync-timeout", "duration", "30s"),
    global("shutdown-sync-interval", "duration", "500ms"),
    file_only(global("dbs", "list of databases", "")),
    flag("-plugin-dir", ours(file_only(global("plugin-dir", "path or list of paths", "")))),
    ours(global("max-open-databases", "number", "2500")),
    ours(global("memory-budget", "size", "128MiB")),
    ours(global("upload-concurrency", "number", "16")),
    ours(global("scan-interval", "duration", "30s")),
    ours(global("max-metric-databases", "number", "1000")),
    database("path", "path", ""),
    database("dir", "path", ""),
    database("pattern", "pattern", ""),
    ours(database("exclude", "list of patterns", "")),
    database("recursive", "switch", "false"),
    database("watch", "switch", "false"),
    database("meta-path", "path", ""),
    database("meta-dir", "path", ""),
    database("monitor-interval", "duration", "1s"),
    database("checkpoint-interval", "duration", "1m"),
    database("busy-timeout", "duration", "1s"),
    database("min-checkpoint-page-count", "number", "1000"),
    database("truncate-page-n", "number", "121359"),
    database("max-sync-wal-bytes", "number", "67108864"),
    ours(database("page-checksum-limit", "size", "64GiB")),
    ours(database("allow-network-file-system", "switch", "false")),
    database("snapshot.interval", "duration", ""),
    database("snapshot.retention", "duration", ""),
    flag("-restore-if-db-not-exists", database("restore-if-db-not-exists", "switch", "false")),
    database("replica", "replica", ""),
    database("replicas", "list of one replica", ""),
    replica("type", "replica type", "file"),
    replica("url", "URL", ""),
    replica("name", "text", ""),
    // Its plugin knows what suits the storage.
    replica("sync-interval", "duration", ""),
    replica("max-sync-ltx-files", "number", "256"),
    replica("auto-recover", "switch", "false"),
    replica("validation-interval", "duration", ""),
    replica("age.identities", "list", ""),
    replica("age.recipients", "list", ""),
    ours(replica("layout", "auto, ltx or hex", "auto")),
];

/// The keys of one place.
pub fn keys_of(place: Place) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.place == place)
}

/// Replica keys that never fill other replicas, wherever they come from.
pub(super) const NEVER_GLOBAL: [&str; 4] = ["type", "url", "name", "path"];

/// What a file may not be told about a name it holds: it has no effect here, and this is what has.
pub(super) struct Ignored {
    pub(super) name: &'static str,
    /// Completes "`name` has no effect: ".
    pub(super) instead: &'static str,
}

const fn ignored(name: &'static str, instead: &'static str) -> Ignored {
    Ignored { name, instead }
}

/// Keys of Litestream 0.3 (and its near misses) that 0.5 ignores without a word, wherever they stand.
pub(super) const IGNORED: &[Ignored] = &[
    ignored("retention", "how long a database can be restored back is set once, with `snapshot.retention` at the top"),
    ignored(
        "retention-check-interval",
        "the check follows `snapshot.interval`; for level 0 set `l0-retention-check-interval`",
    ),
    ignored("snapshot-interval", "use `snapshot.interval` at the top of the file"),
    ignored("snapshot-retention", "use `snapshot.retention` at the top of the file"),
    ignored("validation-interval", "use `validation.interval` at the top of the file"),
    ignored("max-checkpoint-page-count", "use `truncate-page-n`"),
    ignored("monitor-delay", "use `monitor-interval`"),
    ignored("monitor-delay-interval", "use `monitor-interval`"),
    ignored("shadow-retention", "there is no shadow WAL any more; see `l0-retention`"),
    ignored("shadow-retention-n", "there is no shadow WAL any more; see `l0-retention`"),
    ignored("shadow-wal", "there is no shadow WAL any more"),
    ignored("name", "replicas are told apart by their place since Litestream 0.5; remove it"),
];

/// Replica keys that Litestream 0.5 accepts in any replica and at the top of the file, whatever the type of the replica;
/// those that do not concern it are ignored there. Only used to tell such a key from a misspelt one: what a key means,
/// and whether it is one, is for the plugins to say.
pub(super) const REFERENCE_REPLICA_KEYS: &[&str] = &[
    "access-key-id",
    "secret-access-key",
    "region",
    "bucket",
    "endpoint",
    "force-path-style",
    "sign-payload",
    "require-content-md5",
    "skip-verify",
    "storage-class",
    "part-size",
    "concurrency",
    "sse-customer-algorithm",
    "sse-customer-key",
    "sse-customer-key-path",
    "sse-kms-key-id",
    "account-name",
    "account-key",
    "sas-token",
    "host",
    "user",
    "password",
    "path",
    "key-path",
    "host-key",
    "concurrent-writes",
    "webdav-url",
    "webdav-username",
    "webdav-password",
    "jwt",
    "seed",
    "creds",
    "nkey",
    "username",
    "token",
    "tls",
    "root-cas",
    "client-cert",
    "client-key",
    "max-reconnects",
    "reconnect-wait",
    "timeout",
];

/// The name among `known` that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::osa_distance(name, known), known));
    let (distance, best) = scored.min()?;
    // A third of the letters may differ; more is another word.
    (distance <= 1.max(name.len().min(best.len()) / 3)).then_some(best)
}
