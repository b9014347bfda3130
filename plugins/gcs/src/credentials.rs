//! Where tokens come from: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, else what `gcloud` left in the home
//! directory, else the metadata service of the machine, by `reqsign`.
//!
//! `reqsign` asks for a new token with each request when it finds the key of a service account. Here such a key is
//! exchanged once, and the token kept until two minutes before its end.

use std::time::Duration;

use bytes::Bytes;
use litestream_sdk::{ErrorKind, StorageError};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error, ProvideCredential, Result, Signer};
use reqsign_google::{
    Credential, DefaultCredentialProvider, FileCredentialProvider, RequestSigner, ServiceAccount, Token,
    VmMetadataCredentialProvider, WellKnownCredentialProvider,
};
use serde::{Deserialize, Serialize};

use crate::config::GcsOptions;

/// To read, write, list and delete objects, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// Where a signed claim becomes a token.
const EXCHANGE: &str = "https://oauth2.googleapis.com/token";
/// What Google allows.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Adds tokens to requests; renews them.
pub(crate) fn signer(options: &GcsOptions, http: reqwest::Client) -> Signer<Credential> {
    let context = litestream_sdk_http::credentials::context(http);
    Signer::new(context, Tokens::new(options), RequestSigner::new("storage").with_scope(SCOPE))
}

/// What is said here holds no secret.
pub(crate) fn failed(what: &str, error: &Error) -> StorageError {
    let message = format!(
        "{what}: no usable credentials: name a file with GOOGLE_APPLICATION_CREDENTIALS, log in with `gcloud auth \
         application-default login`, or run where a service account is attached"
    );
    StorageError::new(ErrorKind::UNAUTHENTICATED, message).with_source(error)
}

/// Gives tokens only, whatever was found.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// A file that was named must work: nothing else is tried.
    File(FileCredentialProvider),
    Machine(DefaultCredentialProvider),
}

impl Tokens {
    pub fn new(options: &GcsOptions) -> Tokens {
        if let Some(file) = &options.credentials_file {
            return Tokens::File(FileCredentialProvider::new(file).with_scope(SCOPE));
        }
        let chain = DefaultCredentialProvider::builder().no_env();
        let chain = chain.well_known(WellKnownCredentialProvider::new().with_scope(SCOPE));
        Tokens::Machine(chain.vm_metadata(VmMetadataCredentialProvider::new().with_scope(SCOPE)).build())
    }
}

impl ProvideCredential for Tokens {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        let found = match self {
            Tokens::File(file) => file.provide_credential(context).await?,
            Tokens::Machine(chain) => chain.provide_credential(context).await?,
        };
        match found {
            Some(Credential { service_account: Some(account), .. }) => {
                exchanged(context, &account).await.map(|token| Some(Credential::with_token(token)))
            }
            other => Ok(other),
        }
    }
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

/// A token for the key of a service account.
async fn exchanged(context: &Context, account: &ServiceAccount) -> Result<Token> {
    let now = Timestamp::now();
    let (iat, exp) = (now.as_second(), (now + LIFETIME).as_second());
    let claims = Claims { iss: &account.client_email, scope: SCOPE, aud: EXCHANGE, iat, exp };
    let header = Header { alg: "RS256", typ: "JWT" };
    let signed = reqsign_core::jwt::encode_rs256_pem(&header, &claims, account.private_key.as_bytes())?;
    let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={signed}");
    let request = http::Request::post(EXCHANGE).header("content-type", "application/x-www-form-urlencoded");
    let answer = context.http_send(request.body(Bytes::from(form))?).await?;
    if !answer.status().is_success() {
        let (status, text) = (answer.status(), String::from_utf8_lossy(answer.body()));
        return Err(Error::credential_invalid(format!("{EXCHANGE} answered {status}: {}", text.trim())));
    }
    let unreadable = |error| Error::unexpected(format!("{EXCHANGE} gave no token")).with_source(anyhow(error));
    let token: Answer = serde_json::from_slice(answer.body()).map_err(unreadable)?;
    Ok(Token { access_token: token.access_token, expires_at: Some(now + Duration::from_secs(token.expires_in)) })
}

/// Where a JSON text went wrong, without the text.
fn anyhow(error: serde_json::Error) -> std::io::Error {
    std::io::Error::other(format!("line {}, column {}", error.line(), error.column()))
}
