//! A request and its answer. Nothing is sent twice.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, StatusCode};
use litestream_sdk::{Body, ErrorKind, Result, StorageError};
use reqwest::{Request, Response};

use crate::pool::{Lease, Pool};

/// The head of an answer. Its body is still to be read, by [`whole`] or [`content`]: what is not read to its end costs the
/// connection.
pub struct Answer {
    response: Response,
    lease: Lease,
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }
}

/// Sends, and gives back whatever answer comes.
///
/// # Errors
/// Those of [`no_answer`].
pub async fn execute(pool: &Pool, what: &str, request: Request) -> Result<Answer> {
    let lease = pool.lease()?;
    let response = lease.client.execute(request).await.map_err(|failed| no_answer(what, failed))?;
    Ok(Answer { response, lease })
}

/// Sends, and gives back a success; `refused` makes an error of any other answer: of its status, headers and body.
///
/// # Errors
/// Those of `refused`, and of [`no_answer`].
pub async fn send(
    pool: &Pool,
    what: &str,
    request: Request,
    refused: impl FnOnce(u16, &HeaderMap, &[u8]) -> StorageError,
) -> Result<Answer> {
    let answer = execute(pool, what, request).await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    // Without its text the status still says what to do.
    let body = whole(what, answer).await.map(|(_, body)| body).unwrap_or_default();
    Err(refused(status, &headers, &body))
}

/// The whole of a small answer, also of an empty one.
///
/// # Errors
/// Those of [`no_answer`].
pub async fn whole(what: &str, answer: Answer) -> Result<(HeaderMap, Bytes)> {
    let Answer { response, lease } = answer;
    let headers = response.headers().clone();
    let body = response.bytes().await.map_err(|failed| no_answer(what, failed))?;
    give_back(lease).await;
    Ok((headers, body))
}

/// The content of a large answer, piece by piece. Its errors are those of [`no_answer`].
pub fn content(what: String, answer: Answer) -> Body {
    let Answer { response, lease } = answer;
    let chunks = response.bytes_stream().map_err(move |failed| no_answer(&what, failed));
    // Nothing, once the connection is back.
    let end = stream::once(give_back(lease)).filter_map(|()| std::future::ready(None));
    Body::new(chunks.chain(end.boxed()))
}

/// Waits until the HTTP client has the connection back that an answer no longer needs: a request that came before would
/// open another one.
///
/// A task of the HTTP client's takes it back, which that of the connection wakes. Both run on the plugin's worker. This
/// call does not, it is polled by the host, and comes before them if it only asks for a turn there: a turn that is given
/// up once comes after everything that was ready.
async fn give_back(lease: Lease) {
    // It ends, or the runtime does.
    let _ = tokio::spawn(tokio::task::yield_now()).await;
    drop(lease);
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
    use http::Method;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    #[tokio::test]
    async fn a_store_that_is_not_there_is_named_without_what_its_address_carries() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let pool = Pool::new(|builder| builder).unwrap();
        let address = format!("http://127.0.0.1:{port}/k?sig=hunter2");
        let request = pool.request(Method::GET, &address).build().unwrap();
        let failed =
            send(&pool, "GET k", request, |_, _, _| unreachable!("there is no answer")).await.map(drop).unwrap_err();
        assert_eq!(failed.kind, ErrorKind::TRANSIENT);
        assert_eq!(failed.message, format!("GET k: 127.0.0.1:{port} did not answer"));
        assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
    }

    /// Answers every request with a few bytes; counts the connections.
    async fn small_store(listener: tokio::net::TcpListener, connections: Arc<AtomicUsize>) {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while matches!(stream.read_line(&mut line).await, Ok(1..)) {
                    if line == "\r\n" {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    }

    /// As in a plugin: whoever calls is no task of the runtime that drives the connections.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn requests_need_as_many_connections_as_there_are_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/k", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        tokio::spawn(small_store(listener, connections.clone()));
        let pool = Pool::new(|builder| builder).unwrap();
        let ask = async |number: usize| {
            let request = pool.request(Method::GET, &address).build().unwrap();
            let answer = execute(&pool, "GET k", request).await.unwrap();
            let body = match number % 2 {
                0 => whole("GET k", answer).await.unwrap().1,
                _ => content("GET k".to_owned(), answer).collect(u64::MAX).await.unwrap(),
            };
            assert_eq!(body, "hello");
        };
        for at_once in [1, 4] {
            stream::iter(0..200).map(&ask).buffer_unordered(at_once).collect::<()>().await;
            assert_eq!(connections.load(Ordering::SeqCst), at_once);
        }
    }
}
