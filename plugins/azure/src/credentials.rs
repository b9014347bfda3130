//! Where credentials come from: a shared access signature, an account key, or the identities that Azure's own tools know
//! (service principal, pipeline, workload, managed identity, the `az` program), by `reqsign`.

use std::process::{Command, Stdio};

use litestream_sdk::{ErrorKind, StorageError};
use reqsign_azure_storage::{
    AzureCliCredentialProvider, AzurePipelinesCredentialProvider, ClientCertificateCredentialProvider,
    ClientSecretCredentialProvider, Credential, ImdsCredentialProvider, RequestSigner, StaticCredentialProvider,
    WorkloadIdentityCredentialProvider,
};
use reqsign_core::{CommandExecute, CommandOutput, ProvideCredentialChain, Signer};

use crate::config::AzureOptions;

/// Signs requests; renews tokens that expire.
pub(crate) fn signer(options: &AzureOptions, http: reqwest::Client) -> Signer<Credential> {
    let chain = match (&options.sas_token, &options.account_name, &options.account_key) {
        (Some(token), ..) => {
            let token = token.expose().trim().trim_start_matches('?');
            ProvideCredentialChain::new().push(StaticCredentialProvider::new_sas_token(token))
        }
        (None, Some(account), Some(key)) => {
            let key = StaticCredentialProvider::new_shared_key(account, key.expose().trim());
            ProvideCredentialChain::new().push(key)
        }
        _ => ProvideCredentialChain::new()
            .push(ClientSecretCredentialProvider::new())
            .push(ClientCertificateCredentialProvider::new())
            .push(AzurePipelinesCredentialProvider::new())
            .push(WorkloadIdentityCredentialProvider::new())
            .push(ImdsCredentialProvider::new())
            .push(AzureCliCredentialProvider::new()),
    };
    let context = litestream_sdk_http::credentials::context(http).with_command_execute(Programs);
    Signer::new(context, chain, RequestSigner::new())
}

/// What the chain says holds no secret.
pub(crate) fn failed(what: &str, error: &reqsign_core::Error) -> StorageError {
    let kind = match error.kind() {
        reqsign_core::ErrorKind::RequestInvalid => ErrorKind::INVALID_INPUT,
        _ => ErrorKind::UNAUTHENTICATED,
    };
    let message = format!(
        "{what}: no usable credentials: set account-key or sas-token, or LITESTREAM_AZURE_ACCOUNT_KEY or \
         LITESTREAM_AZURE_SAS_TOKEN, or log this machine in to Azure"
    );
    StorageError::new(kind, message).with_source(error)
}

/// Runs `az`. On a blocking thread: the asynchronous way would install a signal handler in the host.
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
        let output = ran.map_err(|error| reqsign_core::Error::unexpected(error.to_string()))??;
        Ok(CommandOutput { status: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: output.stderr })
    }
}
