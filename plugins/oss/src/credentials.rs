//! Where credentials come from: the configuration, else what Alibaba's own tools know (environment, shared files, roles,
//! the metadata service of the machine), by `reqsign`.

use std::fmt;

use litestream_sdk::{ErrorKind, Secret, StorageError};
use reqsign_aliyun_oss::{Credential, DefaultCredentialProvider, RequestSigner, SigningVersion};
use reqsign_core::{Context, Error, ProvideCredential, ProvideCredentialChain, Result, Signer};

use crate::config::{self, OssOptions};

/// Signs requests; renews credentials that expire.
pub(crate) fn signer(options: &OssOptions, http: reqwest::Client) -> Signer<Credential> {
    let chain = ProvideCredentialChain::new();
    let chain = match (&options.access_key_id, &options.secret_access_key) {
        (Some(key), Some(secret)) => chain.push(Given::new(key, secret)),
        _ => chain.push(DefaultCredentialProvider::new()),
    };
    let context = litestream_sdk_http::credentials::context(http);
    // Older forms are refused for accounts and buckets of today.
    let form = RequestSigner::new(&options.bucket).with_signing_version(SigningVersion::V4);
    Signer::new(context, chain, form.with_region(config::region(options)))
}

/// Credentials that the user has written down. The library has such a type as well, but puts it into its log whole.
struct Given(Credential);

impl Given {
    fn new(key: &str, secret: &Secret) -> Given {
        let (access_key_id, access_key_secret) = (key.to_owned(), secret.expose().to_owned());
        Given(Credential { access_key_id, access_key_secret, security_token: None, expires_in: None })
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration")
    }
}

impl ProvideCredential for Given {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> Result<Option<Credential>> {
        Ok(Some(self.0.clone()))
    }
}

/// What the chain says holds no secret.
pub(crate) fn failed(what: &str, error: &Error) -> StorageError {
    let message = format!(
        "{what}: no usable credentials: set access-key-id and secret-access-key, or OSS_ACCESS_KEY_ID and \
         OSS_ACCESS_KEY_SECRET, or give this machine a role"
    );
    StorageError::new(ErrorKind::UNAUTHENTICATED, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library puts its sources of credentials into its log in this form.
    #[test]
    fn a_secret_is_in_no_description_of_its_source() {
        let chain = ProvideCredentialChain::new().push(Given::new("key", &Secret::new("hunter2")));
        assert!(!format!("{chain:?}").contains("hunter2"));
    }
}
