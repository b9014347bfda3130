//! The keys of an abs replica, the rules between them, and the address that follows from them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use litestream_sdk::options::Findings;
use litestream_sdk::{Location, ReplicaPath, Result, Secret, options};

options! {
    /// Keys of an abs replica.
    pub struct AzureOptions {
        /// Storage account. Required unless `endpoint` and `sas-token` are set.
        account_name: Option<String>, [url = User];
        /// Access key of the account.
        account_key: Option<Secret>, [env = "LITESTREAM_AZURE_ACCOUNT_KEY"];
        /// Shared access signature; used instead of the key if both are set.
        sas_token: Option<Secret>, [env = "LITESTREAM_AZURE_SAS_TOKEN"];
        /// Container.
        bucket: String = "", [url = Host, not_with_url];
        /// Prefix of the replica in the container.
        path: String = "", [url = Path, location, not_with_url];
        /// Address of the blob service, for emulators and other clouds. Without it: `https://ACCOUNT.blob.core.windows.net`.
        endpoint: Option<String>;
    }
}

/// Rules between keys.
pub(crate) fn check(options: &AzureOptions, findings: &mut Findings) {
    if options.bucket.is_empty() {
        findings.problem("bucket", "bucket required for abs replica");
    }
    if options.account_name.is_none() && options.endpoint.is_none() {
        findings.problem("account-name", "account name required for abs replica without an endpoint");
    }
    // A signature that takes the place of the key makes the key, right or wrong, meaningless.
    if options.sas_token.is_some() {
        return;
    }
    match &options.account_key {
        Some(_) if options.account_name.is_none() => {
            findings.problem("account-name", "account name required beside account-key");
        }
        Some(key) if STANDARD.decode(key.expose().trim()).is_err() => {
            findings.problem("account-key", "not a key of Azure: it must be base64");
        }
        None if endpoint(options).starts_with("http://") && !is_local(&endpoint(options)) => {
            findings.problem("endpoint", "without account-key or sas-token a token is sent, and that only over https");
        }
        _ => {}
    }
}

/// The prefix, as a place in the container.
pub(crate) fn locate(options: &AzureOptions) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
}

/// The address of the blob service, with its scheme and without a slash at its end.
pub(crate) fn endpoint(options: &AzureOptions) -> String {
    let Some(endpoint) = &options.endpoint else {
        let account = options.account_name.as_deref().unwrap_or_default();
        return format!("https://{account}.blob.core.windows.net");
    };
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint {
        _ if endpoint.starts_with("http://") || endpoint.starts_with("https://") => endpoint.to_owned(),
        _ if is_local(endpoint) => format!("http://{endpoint}"),
        _ => format!("https://{endpoint}"),
    }
}

/// Whether an address is inside this machine.
fn is_local(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
