//! Where credentials come from: the configuration, then Amazon's environment names, then the reference's, then what
//! Amazon's own tools know (shared files, SSO, a process, web identity, ECS, EC2), by `reqsign`.

use std::fmt;
use std::process::{Command, Stdio};

use litestream_sdk::{ErrorKind, Secret, StorageError};
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, EnvCredentialProvider,
    IMDSv2CredentialProvider, ProcessCredentialProvider, ProfileCredentialProvider, RequestSigner,
    SSOCredentialProvider,
};
use reqsign_core::{CommandExecute, CommandOutput, Context, Error, ProvideCredential, ProvideCredentialDyn, Signer};

use crate::config::S3Options;

/// Signs requests; renews credentials that expire.
pub(crate) fn signer(options: &S3Options, region: &str, http: reqwest::Client) -> Signer<Credential> {
    let mut chain = Chain::default();
    if let Some(given) = Given::from(options.access_key_id.as_ref(), options.secret_access_key.as_ref()) {
        chain = chain.then("configuration", given);
    } else {
        chain = chain.then("environment", EnvCredentialProvider::new());
        let ours = (options.litestream_access_key_id.as_ref(), options.litestream_secret_access_key.as_ref());
        if let Some(given) = Given::from(ours.0, ours.1) {
            chain = chain.then("LITESTREAM environment", given);
        }
        chain = chain
            .then("shared files", ProfileCredentialProvider::default())
            .then("SSO", SSOCredentialProvider::default())
            .then("web identity", AssumeRoleWithWebIdentityCredentialProvider::default())
            .then("credential process", ProcessCredentialProvider::default())
            .then("ECS", ECSCredentialProvider::default())
            .then("EC2", IMDSv2CredentialProvider::default());
    }
    let context = litestream_sdk_http::credentials::context(http).with_command_execute(Programs);
    Signer::new(context, chain, RequestSigner::new("s3", region))
}

/// The first source that has credentials. The library's own chain puts its sources into its log whole, and some of them
/// hold secrets; this one names them.
#[derive(Default)]
struct Chain(Vec<(&'static str, Box<dyn ProvideCredentialDyn<Credential = Credential>>)>);

impl Chain {
    fn then(mut self, name: &'static str, source: impl ProvideCredential<Credential = Credential>) -> Chain {
        self.0.push((name, Box::new(source)));
        self
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl ProvideCredential for Chain {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Credential>> {
        let mut failures = Vec::new();
        for (name, source) in &self.0 {
            match source.provide_credential_dyn(context).await {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
        if failures.is_empty() { Ok(None) } else { Err(Error::credential_invalid(failures.join("; "))) }
    }
}

/// Credentials that the user has written down.
struct Given(Credential);

impl Given {
    fn from(key: Option<&String>, secret: Option<&Secret>) -> Option<Given> {
        let (access_key_id, secret_access_key) = (key?.clone(), secret?.expose().to_owned());
        Some(Given(Credential { access_key_id, secret_access_key, session_token: None, expires_in: None }))
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration")
    }
}

impl ProvideCredential for Given {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Credential>> {
        Ok(Some(self.0.clone()))
    }
}

/// What the chain says holds no secret.
pub(crate) fn failed(what: &str, error: &Error) -> StorageError {
    let kind = match error.kind() {
        reqsign_core::ErrorKind::RequestInvalid => ErrorKind::INVALID_INPUT,
        _ => ErrorKind::UNAUTHENTICATED,
    };
    let message = format!(
        "{what}: no usable credentials: set access-key-id and secret-access-key, or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or give this machine a role"
    );
    StorageError::new(kind, message).with_source(error)
}

/// Runs a `credential_process`. On a blocking thread: the asynchronous way would install a signal handler in the host.
#[derive(Debug)]
struct Programs;

impl CommandExecute for Programs {
    async fn command_execute<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
    ) -> reqsign_core::Result<CommandOutput> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.map_err(|error| Error::unexpected(error.to_string()))??;
        Ok(CommandOutput { status: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: output.stderr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library puts its sources of credentials into its log in this form.
    #[test]
    fn a_secret_is_in_no_description_of_its_source() {
        let source = Given::from(Some(&"key".to_owned()), Some(&Secret::new("hunter2"))).unwrap();
        assert!(!format!("{source:?}").contains("hunter2"));
        assert_eq!(format!("{:?}", Chain::default().then("configuration", source)), r#"["configuration"]"#);
    }
}
