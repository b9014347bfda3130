//! A request and its answer. Nothing is sent twice.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use litestream_sdk::{Body, ErrorKind, Result, StorageError};
use reqwest::{Client, ClientBuilder, Request, Response};

/// A pool of connections that does exactly what it is told: a redirect would carry the login or signature to another host,
/// and a second try is the host's to decide.
///
/// # Errors
/// PERMANENT if there is no TLS to be had.
pub fn pool(adapt: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("litestream-rs/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    let failed =
        |error: reqwest::Error| StorageError::permanent("the HTTP client could not be made").with_source(&error);
    adapt(builder).build().map_err(failed)
}

/// Sends, and gives back a success; `refused` makes an error of any other answer: of its status, headers and body.
///
/// # Errors
/// Those of `refused`, and of [`no_answer`].
pub async fn send(
    pool: &Client,
    what: &str,
    request: Request,
    refused: impl FnOnce(u16, &HeaderMap, &[u8]) -> StorageError,
) -> Result<Response> {
    let response = pool.execute(request).await.map_err(|failed| no_answer(what, failed))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // Without its text the status still says what to do.
    let body = whole(what, response).await.map(|(_, body)| body).unwrap_or_default();
    Err(refused(status, &headers, &body))
}

/// The whole of a small answer, also of an empty one: what is not read to its end costs the connection.
///
/// # Errors
/// Those of [`no_answer`].
pub async fn whole(what: &str, response: Response) -> Result<(HeaderMap, Bytes)> {
    let headers = response.headers().clone();
    let body = response.bytes().await.map_err(|failed| no_answer(what, failed))?;
    connection_is_back().await;
    Ok((headers, body))
}

/// The content of a large answer, piece by piece. Its errors are those of [`no_answer`].
pub fn content(what: String, response: Response) -> Body {
    let chunks = response.bytes_stream().map_err(move |failed| no_answer(&what, failed));
    // Nothing, once the connection is back.
    let end = stream::once(connection_is_back()).filter_map(|()| std::future::ready(None));
    Body::new(chunks.chain(end.boxed()))
}

/// Waits until the connection of an answer that ended is back in the pool. A call that ends before would let the next one,
/// which the host has held back for it, open a connection of its own.
///
/// The HTTP client gives it back from a task that the connection's own wakes. Both run on the plugin's worker, which then
/// comes to this one; with several workers it is only likely.
async fn connection_is_back() {
    // It ends, or the runtime does.
    let _ = tokio::spawn(std::future::ready(())).await;
}

/// No answer at all, or one that broke off. Of the address only the host is kept: the rest may be a credential, such as
/// that of an upload that has begun.
pub fn no_answer(what: &str, error: reqwest::Error) -> StorageError {
    let store = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let kind = match &error {
        error if error.is_builder() => ErrorKind::INVALID_INPUT,
        error if error.is_timeout() => ErrorKind::TIMEOUT,
        _ => ErrorKind::TRANSIENT,
    };
    let happened = if error.is_body() || error.is_decode() { "broke off its answer" } else { "did not answer" };
    let store = store.as_deref().unwrap_or("the store");
    StorageError::new(kind, format!("{what}: {store} {happened}")).with_source(&error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_is_not_there_is_named_without_what_its_address_carries() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let pool = pool(|builder| builder).unwrap();
        let request = pool.get(format!("http://127.0.0.1:{port}/k?sig=hunter2")).build().unwrap();
        let failed = send(&pool, "GET k", request, |_, _, _| unreachable!("there is no answer")).await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::TRANSIENT);
        assert_eq!(failed.message, format!("GET k: 127.0.0.1:{port} did not answer"));
        assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
    }
}
