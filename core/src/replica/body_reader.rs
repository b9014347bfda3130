//! A body from the store as a blocking reader, for decoders. Only for blocking threads.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use litestream_sdk::Body;
use tokio::runtime::Handle;

/// Reads a [`Body`] on a blocking thread; waiting for the next chunk is left to the runtime.
pub struct BodyReader {
    runtime: Handle,
    body: Body,
    chunk: Bytes,
}

impl BodyReader {
    /// `runtime` drives the body. Reading from one of its own threads would panic: use its blocking threads.
    pub fn new(runtime: Handle, body: Body) -> BodyReader {
        BodyReader { runtime, body, chunk: Bytes::new() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.body.next()) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                // The store's error goes through the decoder whole, so that its kind is not lost.
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let len = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use litestream_sdk::{ErrorKind, StorageError};

    #[tokio::test]
    async fn chunks_become_bytes_and_errors_stay_errors() {
        let chunks =
            vec![Ok(Bytes::from("ab")), Ok(Bytes::new()), Ok(Bytes::from("cde")), Err(StorageError::not_found("x"))];
        let body = Body::new(stream::iter(chunks));
        let runtime = Handle::current();
        let (text, error) = tokio::task::spawn_blocking(move || {
            let mut reader = BodyReader::new(runtime, body);
            let mut text = [0; 5];
            reader.read_exact(&mut text).unwrap();
            (text, reader.read(&mut [0; 1]).unwrap_err())
        })
        .await
        .unwrap();
        assert_eq!(&text, b"abcde");
        let inner = error.into_inner().unwrap().downcast::<StorageError>().unwrap();
        assert_eq!(inner.kind, ErrorKind::NOT_FOUND);
    }
}
