//! One request to the service: address, token, answer. No request is sent twice here.

use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqsign_core::Signer;
use reqsign_google::Credential;

use crate::config::{self, GcsOptions};
use crate::{credentials, error};

/// What stays as it is in an address; the slashes of a name do not, they would end it.
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A connection pool to one bucket.
pub(crate) struct Client {
    http: reqwest::Client,
    /// `None` for an emulator.
    signer: Option<Signer<Credential>>,
    endpoint: String,
    bucket: String,
}

/// What a request is about: the rest of its address.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The names in the bucket.
    Names,
    /// What is known of an object.
    Object(String),
    /// Its bytes.
    Content(String),
    /// A new object.
    Upload,
    /// Several requests in one.
    Batch,
    /// An upload that has begun. This address is all the right that is needed to go on with it.
    Session(Uri),
}

/// One request, without what the client adds.
pub(crate) struct Call {
    /// Shown in errors.
    pub what: String,
    pub method: Method,
    pub target: Target,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Vec<Bytes>,
}

impl Call {
    pub fn new(method: Method, target: Target, what: impl Into<String>) -> Call {
        Call { what: what.into(), method, target, query: Vec::new(), headers: HeaderMap::new(), body: Vec::new() }
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

    /// Pieces that are sent one after the other, and not copied together.
    pub fn body(mut self, pieces: impl IntoIterator<Item = Bytes>) -> Self {
        self.body = pieces.into_iter().collect();
        self
    }
}

impl Client {
    pub fn new(options: &GcsOptions) -> Result<Client> {
        let http = reqwest::Client::builder()
            // What the protocol calls 308 is no redirect, and a token must not go elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|failed| StorageError::permanent("the HTTP client could not be made").with_source(&failed))?;
        let signer = options.emulator_host.is_none().then(|| credentials::signer(options, http.clone()));
        Ok(Client { signer, http, endpoint: config::endpoint(options), bucket: options.bucket.clone() })
    }

    /// Sends, and gives back a success; anything else is an error with the store's words.
    pub async fn send(&self, call: Call) -> Result<reqwest::Response> {
        let (what, target) = (call.what.clone(), call.target.clone());
        let response = self.exchange(call).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Without its text the status still says what to do.
        let body = response.bytes().await.unwrap_or_default();
        Err(error::from_answer(&what, &target, status, &headers, &body))
    }

    /// Sends, and gives back whatever comes.
    pub async fn exchange(&self, call: Call) -> Result<reqwest::Response> {
        let what = call.what.clone();
        let request = self.prepared(call).await?;
        self.http.execute(request).await.map_err(|failed| error::from_transport(&what, failed))
    }

    /// Sends, and reads the whole answer: for the small ones.
    pub async fn ask(&self, call: Call) -> Result<(HeaderMap, Bytes)> {
        let what = call.what.clone();
        let response = self.send(call).await?;
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(|failed| error::from_transport(&what, failed))?;
        Ok((headers, body))
    }

    async fn prepared(&self, call: Call) -> Result<reqwest::Request> {
        let mut request = http::Request::new(());
        *request.method_mut() = call.method.clone();
        *request.headers_mut() = call.headers;
        *request.uri_mut() = self.address(&call.target, &call.query).ok_or_else(|| {
            StorageError::invalid_input(format!("{}: no valid address: check STORAGE_EMULATOR_HOST", call.what))
        })?;
        let (mut parts, ()) = request.into_parts();
        if let (Some(signer), false) = (&self.signer, matches!(call.target, Target::Session(_))) {
            signer.sign(&mut parts, None).await.map_err(|failed| credentials::failed(&call.what, &failed))?;
        }
        let length: usize = call.body.iter().map(Bytes::len).sum();
        if call.method == Method::PUT || call.method == Method::POST {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let body = match <[Bytes; 1]>::try_from(call.body) {
            Ok([one]) => reqwest::Body::from(one),
            Err(none) if none.is_empty() => reqwest::Body::default(),
            Err(more) => reqwest::Body::wrap_stream(stream::iter(more.into_iter().map(Ok::<_, StorageError>))),
        };
        let request = http::Request::from_parts(parts, body);
        reqwest::Request::try_from(request).map_err(|failed| error::from_transport(&call.what, failed))
    }

    fn address(&self, target: &Target, query: &[(&str, String)]) -> Option<Uri> {
        let path = match target {
            Target::Session(address) => return Some(address.clone()),
            Target::Names => format!("/storage/v1/b/{}/o", encoded(&self.bucket)),
            Target::Object(key) => self.object_path(key),
            Target::Content(key) => format!("/download{}", self.object_path(key)),
            Target::Upload => format!("/upload/storage/v1/b/{}/o", encoded(&self.bucket)),
            Target::Batch => "/batch/storage/v1".to_owned(),
        };
        let mut address = format!("{}{path}", self.endpoint);
        for (at, (name, value)) in query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address.extend(utf8_percent_encode(value, IN_ADDRESS));
        }
        address.parse().ok()
    }

    /// The path of an object, without the host.
    pub fn object_path(&self, key: &str) -> String {
        format!("/storage/v1/b/{}/o/{}", encoded(&self.bucket), encoded(key))
    }
}

fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, IN_ADDRESS)
}
