//! Streams that are pulled: the bytes of an object, and the pages of a listing.
//!
//! Pull, not push: whoever needs the bytes asks for them, so there is no writer object with open, close and abort to
//! get wrong, and stopping is dropping.

use super::Entry;
use crate::error::{Result, StorageError};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::fmt;

/// Up to 10,000 lines of a listing, at least one.
pub type Page = Vec<Entry>;

/// A listing. It may fail once, and ends then.
pub type Pages = BoxStream<'static, Result<Page>>;

/// The bytes of one object, as owned chunks. An `Err` ends it and is never the end of the object; only `None` is.
pub struct Body {
    stream: BoxStream<'static, Result<Bytes>>,
    size: Option<u64>,
}

impl Body {
    /// Chunks from a stream. 1 MiB is a good size, 4 MiB the most.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        // Asking again at the end is an easy mistake, and some streams panic then.
        Self { stream: stream.fuse().boxed(), size: None }
    }

    /// All the bytes at once.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Self::new(stream::iter((!bytes.is_empty()).then_some(Ok(bytes)))).with_size_hint(size)
    }

    /// No bytes.
    pub fn empty() -> Self {
        Self::from_bytes(Bytes::new())
    }

    /// Tells how many bytes will come. A hint: nobody checks it here.
    pub fn with_size_hint(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// How many bytes will come, if it was told.
    pub fn size_hint(&self) -> Option<u64> {
        self.size
    }

    /// The next chunk; `None` at the end. Dropping the future loses nothing: ask again.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.stream.next().await.transpose()
    }

    /// The rest in one piece.
    ///
    /// # Errors
    /// INVALID_INPUT when there are more than `limit` bytes; whatever the stream fails with.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut all = BytesMut::new();
        let mut next = Some(first);
        while let Some(chunk) = next {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(StorageError::invalid_input(format!("the body is larger than {limit} bytes")));
            }
            let after = self.next().await?;
            if all.is_empty() && after.is_none() {
                return Ok(chunk); // the usual small object: no copy
            }
            all.extend_from_slice(&chunk);
            next = after;
        }
        Ok(all.freeze())
    }

    /// The chunks as a stream.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.stream
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(parts: &[&'static str]) -> Body {
        let parts: Vec<Result<Bytes>> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
        Body::new(stream::iter(parts))
    }

    #[tokio::test]
    async fn collects_up_to_the_limit() {
        assert_eq!(chunks(&["ab", "", "c"]).collect(3).await.unwrap(), "abc");
        assert_eq!(chunks(&["abc"]).collect(3).await.unwrap(), "abc");
        assert_eq!(Body::empty().collect(0).await.unwrap(), "");
        for parts in [&["ab", "cd"][..], &["abcd"]] {
            assert!(chunks(parts).collect(3).await.is_err());
        }
    }

    #[tokio::test]
    async fn the_end_stays_the_end() {
        let once = stream::unfold(Some("a"), |text| async move { text.map(|text| (Ok(Bytes::from(text)), None)) });
        let mut body = Body::new(once);
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        assert_eq!((body.next().await, body.next().await), (Ok(None), Ok(None)));
    }

    #[tokio::test]
    async fn an_error_is_not_the_end() {
        let failing = || stream::iter([Ok(Bytes::from_static(b"a")), Err(StorageError::transient("cut"))]);
        assert!(Body::new(failing()).collect(10).await.is_err());
        let mut body = Body::new(failing());
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        assert!(body.next().await.is_err());
    }
}
