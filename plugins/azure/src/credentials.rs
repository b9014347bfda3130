//! Where credentials come from: a shared access signature, an account key, or the identities that Azure's own tools know
//! (service principal, pipeline, workload, managed identity, the `az` program), by `reqsign`.

use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use litestream_sdk::{ErrorKind, StorageError};
use reqsign_azure_storage::{
    AzureCliCredentialProvider, AzurePipelinesCredentialProvider, ClientCertificateCredentialProvider,
    ClientSecretCredentialProvider, Credential, ImdsCredentialProvider, RequestSigner, StaticCredentialProvider,
    WorkloadIdentityCredentialProvider,
};
use reqsign_core::{CommandExecute, CommandOutput, Context, HttpSend, OsEnv, ProvideCredentialChain, Signer};
use reqsign_file_read_tokio::TokioFileRead;

use crate::config::AzureOptions;

/// Outside Azure the metadata service does not refuse, it is silent.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(5);

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
    let context = Context::new()
        .with_file_read(TokioFileRead)
        .with_env(OsEnv)
        .with_http_send(Sender(http))
        .with_command_execute(Programs);
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

/// Sends the requests of the chain itself: metadata service, token service.
#[derive(Debug)]
struct Sender(reqwest::Client);

impl HttpSend for Sender {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| {
            reqsign_core::Error::unexpected("the credential service did not answer").with_source(error.without_url())
        };
        let mut request = reqwest::Request::try_from(request.map(reqwest::Body::from)).map_err(failed)?;
        *request.timeout_mut() = Some(SERVICE_TIMEOUT);
        let response = self.0.execute(request).await.map_err(failed)?;
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        *answer.body_mut() = response.bytes().await.map_err(failed)?;
        Ok(answer)
    }
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
