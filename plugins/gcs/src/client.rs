//! One request to the service: address, token, answer. No request is sent twice here.

use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use litestream_sdk_http::Pool;
use litestream_sdk_http::call::UNRESERVED;
use litestream_sdk_http::exchange::{self, Answer};
use percent_encoding::utf8_percent_encode;
use reqsign_core::Signer;
use reqsign_google::Credential;

use crate::config::{self, GcsOptions};
use crate::{credentials, error};

/// A connection pool to one bucket.
pub(crate) struct Client {
    http: Pool,
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

/// A request; its body may be pieces that are sent one after the other, and not copied together.
pub(crate) type Call = litestream_sdk_http::Call<Target, Vec<Bytes>>;

impl Client {
    pub fn new(options: &GcsOptions) -> Result<Client> {
        // What the protocol calls 308 is no redirect.
        let http = Pool::new(|builder| builder)?;
        let signer = options.emulator_host.is_none().then(|| credentials::signer(options, http.aside()));
        Ok(Client { signer, http, endpoint: config::endpoint(options), bucket: options.bucket.clone() })
    }

    /// Sends, and gives back a success; anything else is an error with the store's words.
    pub async fn send(&self, call: Call) -> Result<Answer> {
        let (what, target) = (call.what.clone(), call.target.clone());
        let request = self.prepared(call).await?;
        let refused =
            |status, headers: &HeaderMap, body: &[u8]| error::from_answer(&what, &target, status, headers, body);
        exchange::send(&self.http, &what, request, refused).await
    }

    /// Sends, and gives back whatever comes.
    pub async fn exchange(&self, call: Call) -> Result<Answer> {
        let what = call.what.clone();
        let request = self.prepared(call).await?;
        exchange::execute(&self.http, &what, request).await
    }

    /// Sends, and reads the whole answer: for the small ones.
    pub async fn ask(&self, call: Call) -> Result<(HeaderMap, Bytes)> {
        let what = call.what.clone();
        exchange::whole(&what, self.send(call).await?).await
    }

    async fn prepared(&self, call: Call) -> Result<reqwest::Request> {
        let mut request = http::Request::new(());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = self.address(&call).ok_or_else(|| {
            StorageError::invalid_input(format!("{}: no valid address: check STORAGE_EMULATOR_HOST", call.what))
        })?;
        *request.headers_mut() = call.headers;
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
        reqwest::Request::try_from(request).map_err(|failed| exchange::no_answer(&call.what, failed))
    }

    fn address(&self, call: &Call) -> Option<Uri> {
        let path = match &call.target {
            Target::Session(address) => return Some(address.clone()),
            Target::Names => format!("/storage/v1/b/{}/o", encoded(&self.bucket)),
            Target::Object(key) => self.object_path(key),
            Target::Content(key) => format!("/download{}", self.object_path(key)),
            Target::Upload => format!("/upload/storage/v1/b/{}/o", encoded(&self.bucket)),
            Target::Batch => "/batch/storage/v1".to_owned(),
        };
        let mut address = format!("{}{path}", self.endpoint);
        call.put_query(&mut address);
        address.parse().ok()
    }

    /// The path of an object, without the host.
    pub fn object_path(&self, key: &str) -> String {
        format!("/storage/v1/b/{}/o/{}", encoded(&self.bucket), encoded(key))
    }
}

/// The slashes of a name do not stay as they are: they would end it.
fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}
