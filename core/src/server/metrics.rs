//! `GET /metrics`, and the address it is served at.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::metrics;

use super::Watched;

/// Answers under way at once: each keeps a thread while its reader is slow.
static READERS: Semaphore = Semaphore::const_new(4);

/// The text is sent in pieces of this size: a hundred thousand databases are a hundred megabytes of it.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(watched): State<Arc<Watched>>) -> Response {
    let Ok(permit) = READERS.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many requests for metrics are under way\n").into_response();
    };
    let (pieces, receiver) = mpsc::channel::<Bytes>(PIECES);
    let render = move || {
        let _permit = permit;
        metrics::global().fleet().set(&watched.reading());
        let mut out = Pieces { piece: Vec::with_capacity(PIECE_BYTES), pieces };
        // An error means that the reader went away.
        let series = watched.fleet.series(watched.max_metric_databases);
        if metrics::global().render(&mut out, series).and_then(|()| out.flush()).is_err() {
            tracing::debug!(system = "server", "metrics were not read to their end");
        }
    };
    // What a scrape allocates goes with its thread. On the runtime's threads for blocking work each scrape would leave
    // megabytes behind on another one of a hundred.
    if let Err(error) = std::thread::Builder::new().name("metrics".to_owned()).spawn(render) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("no thread for the metrics: {error}\n")).into_response();
    }
    let body = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, io::Error>(piece), receiver))
    });
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::from_stream(body)).into_response()
}

/// Hands text over to the connection.
struct Pieces {
    piece: Vec<u8>,
    pieces: mpsc::Sender<Bytes>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.pieces.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// `addr`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// Without brackets; empty for all interfaces.
    host: String,
    port: u16,
}

/// An `addr` without a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must specify port for bind address: {0:?}")]
pub struct NoPort(pub String);

impl BindAddress {
    /// Reads `host:port`, `[v6]:port` or `:port`.
    ///
    /// # Errors
    /// There is no port in it.
    pub fn parse(text: &str) -> Result<BindAddress, NoPort> {
        let no_port = || NoPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let port = port.parse().map_err(|_| no_port())?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(no_port)?,
            // An IPv6 address without brackets: which of its colons begins the port cannot be told.
            None if host.contains(':') => return Err(no_port()),
            None => host,
        };
        Ok(BindAddress { host: host.to_owned(), port })
    }

    /// Where to look at the metrics from this machine.
    pub fn url(&self) -> String {
        let host = if self.host.is_empty() { "localhost" } else { self.host.as_str() };
        let port = self.port;
        if host.contains(':') {
            format!("http://[{host}]:{port}/metrics")
        } else {
            format!("http://{host}:{port}/metrics")
        }
    }

    pub(super) async fn bind(&self) -> io::Result<TcpListener> {
        if !self.host.is_empty() {
            return TcpListener::bind((self.host.as_str(), self.port)).await;
        }
        // All interfaces, of both families where the machine has both.
        match TcpListener::bind(("::", self.port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            Err(_) => TcpListener::bind(("0.0.0.0", self.port)).await,
            bound => bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port() {
        for (text, url) in [
            (":9090", "http://localhost:9090/metrics"),
            ("127.0.0.1:9090", "http://127.0.0.1:9090/metrics"),
            ("[::1]:9090", "http://[::1]:9090/metrics"),
            ("metrics.local:80", "http://metrics.local:80/metrics"),
        ] {
            assert_eq!(BindAddress::parse(text).unwrap().url(), url);
        }
        for text in ["", "localhost", "localhost:", "::1", "[::1]", "localhost:port", "1:2:3", ":65536"] {
            let error = BindAddress::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("must specify port for bind address: {text:?}"));
        }
    }
}
