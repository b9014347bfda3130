//! What `reqsign`, which finds credentials and signs with them, is given of the world: files, environment, requests.

use std::time::Duration;

use bytes::Bytes;
use reqsign_core::{Context, Error, HttpSend, OsEnv, Result};
use reqsign_file_read_tokio::TokioFileRead;

/// A metadata service outside its provider's machines does not refuse, it is silent.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(5);

/// Files, environment and a client of [`Pool::aside`](crate::Pool::aside); no programs are run.
pub fn context(client: reqwest::Client) -> Context {
    Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(Sender(client))
}

/// Sends the requests of the chain itself: metadata service, token service.
#[derive(Debug)]
struct Sender(reqwest::Client);

impl HttpSend for Sender {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| {
            Error::unexpected("the credential service did not answer").with_source(error.without_url())
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
