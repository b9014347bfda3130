//! One request to the service: address, signature, answer. No request is sent twice here.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use litestream_sdk_http::Pool;
use litestream_sdk_http::call::IN_PATH;
use litestream_sdk_http::exchange::{self, Answer};
use percent_encoding::utf8_percent_encode;
use reqsign_aliyun_oss::Credential;
use reqsign_core::Signer;

use crate::config::{self, OssOptions};
use crate::{credentials, error};

/// A connection pool to one bucket.
pub(crate) struct Client {
    http: Pool,
    signer: Signer<Credential>,
    /// The bucket's address, without a slash at the end.
    bucket: String,
}

/// A request; `None` is about the bucket itself.
pub(crate) type Call<'a> = litestream_sdk_http::Call<Option<&'a str>>;

/// About one object.
pub(crate) fn object(method: Method, key: &str) -> Call<'_> {
    let what = format!("{method} {key}");
    Call::new(method, Some(key), what)
}

/// About the bucket.
pub(crate) fn bucket<'a>(method: Method, what: &str) -> Call<'a> {
    Call::new(method, None, what)
}

impl Client {
    pub fn new(options: &OssOptions) -> Result<Client> {
        let http = Pool::new(|builder| builder)?;
        let bucket = config::bucket_address(options);
        Ok(Client { signer: credentials::signer(options, http.aside()), http, bucket })
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
        let no_address = || {
            let message = format!("{}: no valid address: check `bucket`, `region` and `endpoint`", call.what);
            StorageError::invalid_input(message)
        };
        let address = self.address(&call).ok_or_else(no_address)?;
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

    fn address(&self, call: &Call<'_>) -> Option<Uri> {
        let mut address = format!("{}/{}", self.bucket, utf8_percent_encode(call.target.unwrap_or_default(), IN_PATH));
        call.put_query(&mut address);
        address.parse().ok()
    }
}
