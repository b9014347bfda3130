//! One request to the blob service: address, signature, answer. No request is sent twice here.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use litestream_sdk_http::Pool;
use litestream_sdk_http::call::IN_PATH;
use litestream_sdk_http::exchange::{self, Answer};
use percent_encoding::utf8_percent_encode;
use reqsign_azure_storage::Credential;
use reqsign_core::Signer;

use crate::config::{self, AzureOptions};
use crate::{credentials, error};

/// The protocol spoken; names that XML cannot carry are marked as such from 2021 on.
const VERSION: &str = "2023-11-03";

/// A connection pool to one container.
pub(crate) struct Client {
    http: Pool,
    signer: Signer<Credential>,
    /// Its address, without a slash at the end.
    container: String,
}

/// A request; `None` is about the container itself.
pub(crate) type Call<'a> = litestream_sdk_http::Call<Option<&'a str>>;

/// About one blob.
pub(crate) fn blob(method: Method, key: &str) -> Call<'_> {
    let what = format!("{method} {key}");
    Call::new(method, Some(key), what)
}

/// About the container.
pub(crate) fn container<'a>(method: Method, what: &str) -> Call<'a> {
    Call::new(method, None, what).query("restype", "container")
}

impl Client {
    pub fn new(options: &AzureOptions) -> Result<Client> {
        let http = Pool::new(|builder| builder)?;
        let container = utf8_percent_encode(&options.bucket, IN_PATH);
        let container = format!("{}/{container}", config::endpoint(options));
        Ok(Client { signer: credentials::signer(options, http.aside()), http, container })
    }

    /// Sends, and gives back a success; anything else is an error with the store's words.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let what = call.what.clone();
        let request = self.signed(call).await?.map(reqwest::Body::from);
        let request = reqwest::Request::try_from(request).map_err(|failed| exchange::no_answer(&what, failed))?;
        let refused = |status, headers: &HeaderMap, body: &[u8]| error::from_answer(&what, status, headers, body);
        exchange::send(&self.http, &what, request, refused).await
    }

    /// Sends, and reads the whole answer: for the small ones.
    pub async fn ask(&self, call: Call<'_>) -> Result<(HeaderMap, Bytes)> {
        let what = call.what.clone();
        exchange::whole(&what, self.send(call).await?).await
    }

    async fn signed(&self, mut call: Call<'_>) -> Result<http::Request<Bytes>> {
        call.headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        if call.method == Method::PUT || call.method == Method::POST {
            call.headers.insert(CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        }
        self.sign(call).await
    }

    /// Adds address and signature alone: a request inside a batch must not repeat the version.
    pub(crate) async fn sign(&self, call: Call<'_>) -> Result<http::Request<Bytes>> {
        let address = self.address(&call).ok_or_else(|| {
            StorageError::invalid_input(format!("{}: no valid address: check `endpoint` and `account-name`", call.what))
        })?;
        let mut request = http::Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = address;
        *request.headers_mut() = call.headers;
        let (mut parts, body) = request.into_parts();
        self.signer.sign(&mut parts, None).await.map_err(|failed| credentials::failed(&call.what, &failed))?;
        Ok(http::Request::from_parts(parts, body))
    }

    fn address(&self, call: &Call<'_>) -> Option<Uri> {
        let mut address = self.container.clone();
        if let Some(key) = call.target {
            address.push('/');
            address.extend(utf8_percent_encode(key, IN_PATH));
        }
        call.put_query(&mut address);
        address.parse().ok()
    }
}
