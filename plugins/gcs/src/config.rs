//! The keys of a gs replica, and the rules between them.

use litestream_sdk::options::Findings;
use litestream_sdk::{Location, ReplicaPath, Result, options};

options! {
    /// Keys of a gs replica.
    pub struct GcsOptions {
        /// Bucket name.
        bucket: String = "", [url = Host, not_with_url];
        /// Prefix of the replica in the bucket.
        path: String = "", [url = Path, location, not_with_url];
        /// File with credentials, of any kind that Google's tools write.
        credentials_file: Option<String>, [hidden, env = "GOOGLE_APPLICATION_CREDENTIALS"];
        /// Address of an emulator, which is asked without credentials.
        emulator_host: Option<String>, [hidden, env = "STORAGE_EMULATOR_HOST"];
    }
}

const GOOGLE: &str = "https://storage.googleapis.com";

/// Rules between keys.
pub(crate) fn check(options: &GcsOptions, findings: &mut Findings) {
    if options.bucket.is_empty() {
        findings.problem("bucket", "bucket required for gs replica");
    }
    if let Some(host) = &options.emulator_host {
        findings.warning(format!("STORAGE_EMULATOR_HOST is set: replicas go to {host}, without credentials"));
    }
}

/// The prefix, as a place in the bucket.
pub(crate) fn locate(options: &GcsOptions) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
}

/// The address of the service, with its scheme and without a slash at its end.
pub(crate) fn endpoint(options: &GcsOptions) -> String {
    match options.emulator_host.as_deref().map(|host| host.trim_end_matches('/')) {
        None => GOOGLE.to_owned(),
        Some(host) if host.contains("://") => host.to_owned(),
        Some(host) => format!("http://{host}"),
    }
}
