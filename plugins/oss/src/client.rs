//! One request to the service: address, signature, answer. No request is sent twice here.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqsign_aliyun_oss::Credential;
use reqsign_core::Signer;

use crate::config::{self, OssOptions};
use crate::{credentials, error};

/// What stays as it is in the path of a request; the signature is computed over exactly this form.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A connection pool to one bucket.
pub(crate) struct Client {
    http: reqwest::Client,
    signer: Signer<Credential>,
    /// The bucket's address, without a slash at the end.
    bucket: String,
}

/// One request, without what the client adds.
pub(crate) struct Call<'a> {
    /// Shown in errors.
    pub what: String,
    method: Method,
    /// `None` for the bucket itself.
    key: Option<&'a str>,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Call<'a> {
    /// About one object.
    pub fn object(method: Method, key: &'a str) -> Self {
        let what = format!("{method} {key}");
        Call { what, method, key: Some(key), query: Vec::new(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// About the bucket.
    pub fn bucket(method: Method, what: impl Into<String>) -> Self {
        let query = Vec::new();
        Call { what: what.into(), method, key: None, query, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| StorageError::invalid_input(format!("{}: {name} cannot carry {value:?}", self.what)))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    pub fn new(options: &OssOptions) -> Result<Client> {
        let http = reqwest::Client::builder()
            // A redirect would be signed for another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|failed| StorageError::permanent("the HTTP client could not be made").with_source(&failed))?;
        let bucket = config::bucket_address(options);
        Ok(Client { signer: credentials::signer(options, http.clone()), http, bucket })
    }

    /// Sends, and gives back a success; anything else is an error with the store's words.
    pub async fn send(&self, call: Call<'_>) -> Result<reqwest::Response> {
        let what = call.what.clone();
        let request = self.signed(call).await?.map(reqwest::Body::from);
        let failed = |error| error::from_transport(&what, error);
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = self.http.execute(request).await.map_err(failed)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Without its text the status still says what to do.
        let body = response.bytes().await.unwrap_or_default();
        Err(error::from_answer(&what, status, &headers, &body))
    }

    /// Sends, and reads the whole answer: for the small ones.
    pub async fn ask(&self, call: Call<'_>) -> Result<(HeaderMap, Bytes)> {
        let what = call.what.clone();
        let response = self.send(call).await?;
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(|failed| error::from_transport(&what, failed))?;
        Ok((headers, body))
    }

    async fn signed(&self, mut call: Call<'_>) -> Result<http::Request<Bytes>> {
        let no_address = || {
            let message = format!("{}: no valid address: check `bucket`, `region` and `endpoint`", call.what);
            StorageError::invalid_input(message)
        };
        let address = self.address(call.key, &call.query).ok_or_else(no_address)?;
        let host = address.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        // Signed too: a signature for this bucket is then good for no other.
        call.headers.insert(HOST, host.ok_or_else(no_address)?);
        if call.method == Method::PUT || call.method == Method::POST {
            call.headers.insert(CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        }
        let mut request = http::Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = address;
        *request.headers_mut() = call.headers;
        let (mut parts, body) = request.into_parts();
        self.signer.sign(&mut parts, None).await.map_err(|failed| credentials::failed(&call.what, &failed))?;
        Ok(http::Request::from_parts(parts, body))
    }

    fn address(&self, key: Option<&str>, query: &[(&str, String)]) -> Option<Uri> {
        let mut address = self.bucket.clone();
        address.push('/');
        address.extend(utf8_percent_encode(key.unwrap_or_default(), IN_PATH));
        for (at, (name, value)) in query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(name);
            if !value.is_empty() {
                address.push('=');
                address.extend(utf8_percent_encode(value, IN_QUERY));
            }
        }
        address.parse().ok()
    }
}
