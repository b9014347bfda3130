//! One request to the store: address, signature, answer. No request is sent twice here.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use litestream_sdk::{Result, StorageError};
use litestream_sdk_http::Pool;
use litestream_sdk_http::call::IN_PATH;
use litestream_sdk_http::exchange::{self, Answer};
use percent_encoding::utf8_percent_encode;
use reqsign_aws_v4::Credential;
use reqsign_core::Signer;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::config::S3Options;
use crate::provider::{self, Provider};
use crate::{credentials, error, url};

const AMAZON_DEFAULT_REGION: &str = "us-east-1";

/// A connection pool to one bucket.
pub(crate) struct Client {
    http: Pool,
    options: S3Options,
    provider: Provider,
    /// Where the bucket is, and the signer for its region: found out by the first request.
    place: OnceCell<Place>,
}

struct Place {
    signer: Signer<Credential>,
    /// Everything before the key, with its slash.
    base: String,
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
    pub fn new(options: S3Options) -> Result<Client> {
        // A region in an answer that sends us elsewhere is shown to the user.
        let skip_verify = options.skip_verify;
        let http = Pool::new(move |builder| builder.danger_accept_invalid_certs(skip_verify))?;
        let provider = provider::of(options.endpoint.as_deref());
        Ok(Client { http, options, provider, place: OnceCell::new() })
    }

    /// Whether uploads and batch deletes carry an MD5.
    pub fn content_md5(&self) -> bool {
        self.options.require_content_md5.unwrap_or(self.provider.content_md5)
    }

    /// Keys that one batch delete takes; 1 where the store has none.
    pub fn delete_batch(&self) -> u32 {
        self.provider.delete_batch
    }

    /// An object as the source of a copy. An access point is written another way than a bucket: not supported.
    pub fn copy_source(&self, key: &str) -> Result<String> {
        let bucket = &self.options.bucket;
        if bucket.starts_with("arn:") {
            return Err(StorageError::unsupported("copies through an access point"));
        }
        Ok(format!("/{}/{}", utf8_percent_encode(bucket, IN_PATH), utf8_percent_encode(key, IN_PATH)))
    }

    /// Parts sent at once.
    pub fn concurrency(&self) -> u32 {
        self.options.concurrency.unwrap_or(self.provider.concurrency)
    }

    /// Sends, and gives back a success; anything else is an error with the store's words.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let place = self.place.get_or_try_init(|| self.find_place()).await?;
        let what = call.what.clone();
        let request = self.signed(place, call).await?;
        let refused = |status, headers: &HeaderMap, body: &[u8]| error::from_answer(&what, status, headers, body);
        exchange::send(&self.http, &what, request, refused).await
    }

    /// Sends, and reads the whole answer: for the small XML ones.
    pub async fn ask(&self, call: Call<'_>) -> Result<(HeaderMap, Bytes)> {
        let what = call.what.clone();
        exchange::whole(&what, self.send(call).await?).await
    }

    async fn signed(&self, place: &Place, call: Call<'_>) -> Result<reqwest::Request> {
        let mut address = place.base.clone();
        address.extend(utf8_percent_encode(call.target.unwrap_or_default(), IN_PATH));
        call.put_query(&mut address);
        let uri: Uri = address
            .parse()
            .map_err(|_| StorageError::invalid_input(format!("{}: no valid address: check `endpoint`", call.what)))?;
        let mut request = http::Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = call.headers;
        let digest = match self.options.sign_payload.unwrap_or(true) {
            true => hex(&Sha256::digest(request.body())),
            false => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let digest = HeaderValue::from_str(&digest).unwrap_or(HeaderValue::from_static("UNSIGNED-PAYLOAD"));
        request.headers_mut().insert("x-amz-content-sha256", digest);
        if matches!(*request.method(), Method::PUT | Method::POST) {
            // Also of an empty body: without it some stores refuse.
            let length = request.body().len();
            request.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        let (mut parts, body) = request.into_parts();
        place.signer.sign(&mut parts, None).await.map_err(|failed| credentials::failed(&call.what, &failed))?;
        let request = http::Request::from_parts(parts, reqwest::Body::from(body));
        reqwest::Request::try_from(request).map_err(|failed| exchange::no_answer(&call.what, failed))
    }

    async fn find_place(&self) -> Result<Place> {
        let region = self.region().await?;
        let signer = credentials::signer(&self.options, &region, self.http.aside());
        Ok(Place { base: self.base(&region)?, signer })
    }

    /// Configured, or the ARN's, or asked of Amazon, or the one that every other store accepts.
    async fn region(&self) -> Result<String> {
        if let Some(region) = &self.options.region {
            return Ok(region.clone());
        }
        if self.options.bucket.starts_with("arn:") {
            return Ok(url::access_point(&self.options.bucket)?.region.to_owned());
        }
        if self.options.endpoint.is_some() {
            return Ok(AMAZON_DEFAULT_REGION.to_owned());
        }
        // Amazon names the region to everybody, whatever the status.
        let address = format!("https://s3.amazonaws.com/{}", utf8_percent_encode(&self.options.bucket, IN_PATH));
        let what = format!("HEAD bucket {}", self.options.bucket);
        let request = self.http.aside().head(address).send();
        let answer = request.await.map_err(|failed| exchange::no_answer(&what, failed))?;
        if answer.status() == http::StatusCode::NOT_FOUND {
            let message = format!("bucket {} does not exist", self.options.bucket);
            return Err(StorageError::new(litestream_sdk::ErrorKind::NO_STORE, message).with_http_status(404));
        }
        let region = answer.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        Ok(region.unwrap_or(AMAZON_DEFAULT_REGION).to_owned())
    }

    /// Everything before the key.
    fn base(&self, region: &str) -> Result<String> {
        let bucket = self.options.bucket.as_str();
        if bucket.starts_with("arn:") {
            let point = url::access_point(bucket)?;
            return Ok(format!("https://{}-{}.s3-accesspoint.{region}.{}/", point.name, point.account, point.domain));
        }
        let endpoint = match &self.options.endpoint {
            Some(endpoint) => configured(endpoint),
            None => format!(
                "https://s3.{region}.{}",
                if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
            ),
        };
        // A bucket with a dot has no certificate as a host name.
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let path_style =
            self.options.force_path_style.unwrap_or(self.provider.path_style) || !bucket.bytes().all(is_label);
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
        Ok(match path_style {
            true => format!("{scheme}://{host}/{}/", utf8_percent_encode(bucket, IN_PATH)),
            false => format!("{scheme}://{bucket}.{host}/"),
        })
    }
}

/// An endpoint of the table always gets `https://`, one of a URL has its scheme already.
fn configured(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use litestream_sdk::configure;
    use litestream_sdk::describe::ConfigureRequest;

    fn base(url: &str, table: &[(&str, &str)]) -> String {
        let request = ConfigureRequest::new().with_url(url);
        let request = table.iter().fold(request, |request, (key, value)| request.with_value(*key, *value, "test"));
        let options = configure::options::<crate::S3Plugin>(&request).unwrap_or_else(|error| panic!("{url}: {error}"));
        let region = options.region.clone().unwrap_or_else(|| AMAZON_DEFAULT_REGION.to_owned());
        Client::new(options).unwrap().base(&region).unwrap()
    }

    #[test]
    fn requests_go_where_bucket_region_and_endpoint_say() {
        for (url, table, expected) in [
            ("s3://b", &[][..], "https://b.s3.us-east-1.amazonaws.com/"),
            ("s3://b?region=eu-west-1", &[], "https://b.s3.eu-west-1.amazonaws.com/"),
            ("s3://b?region=cn-north-1", &[], "https://b.s3.cn-north-1.amazonaws.com.cn/"),
            ("s3://my.bucket", &[], "https://s3.us-east-1.amazonaws.com/my.bucket/"),
            ("s3://b?forcePathStyle=true", &[], "https://s3.us-east-1.amazonaws.com/b/"),
            ("s3://b", &[("endpoint", "s3.example.com")], "https://s3.example.com/b/"),
            ("s3://b", &[("endpoint", "http://10.0.0.1:9000/")], "http://10.0.0.1:9000/b/"),
            (
                "s3://b",
                &[("endpoint", "https://s3.example.com"), ("force-path-style", "false")],
                "https://b.s3.example.com/",
            ),
            ("s3://b?endpoint=localhost:9000", &[], "http://localhost:9000/b/"),
            ("s3://b.nyc3.digitaloceanspaces.com", &[], "https://b.nyc3.digitaloceanspaces.com/"),
            ("s3://b.s3.fr-par.scw.cloud", &[], "https://b.s3.fr-par.scw.cloud/"),
            ("s3://b.s3.filebase.com", &[], "https://s3.filebase.com/b/"),
            (
                "s3://b",
                &[("endpoint", "https://x.supabase.co/storage/v1/s3")],
                "https://x.supabase.co/storage/v1/s3/b/",
            ),
            (
                "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/db/p",
                &[],
                "https://db-123456789012.s3-accesspoint.us-west-2.amazonaws.com/",
            ),
        ] {
            assert_eq!(base(url, table), expected, "{url} {table:?}");
        }
    }
}
