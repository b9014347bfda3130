//! A body cut into parts of one size, for uploads of several requests.

use bytes::{Bytes, BytesMut};
use litestream_sdk::{Body, ErrorKind, Result, StorageError};
use tokio::task::JoinError;

/// Cuts a body into parts. Chunks are copied together, so that each lent one goes back to the host at once; what is held
/// is one part.
pub struct Parts {
    body: Body,
    /// What the last chunk held beyond its part.
    rest: Bytes,
    part_bytes: usize,
}

impl Parts {
    /// Parts of `part_bytes` bytes each.
    pub fn new(body: Body, part_bytes: u64) -> Parts {
        Parts { body, rest: Bytes::new(), part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX) }
    }

    /// The next part; shorter only at the end of the body, and empty after it.
    ///
    /// # Errors
    /// Those of the body.
    pub async fn next(&mut self) -> Result<Bytes> {
        let mut part = BytesMut::new();
        while part.len() < self.part_bytes {
            if self.rest.is_empty() {
                match self.body.next().await? {
                    Some(chunk) => self.rest = chunk,
                    None => break,
                }
            }
            let room = self.part_bytes - part.len();
            part.extend_from_slice(&self.rest.split_to(room.min(self.rest.len())));
        }
        Ok(part.freeze())
    }
}

/// The result of a part that was sent by a task of its own.
///
/// # Errors
/// The task's, its panic, or that the runtime has stopped it.
pub fn ended<T>(task: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    match task {
        Ok(result) => result,
        Err(stopped) if stopped.is_panic() => Err(StorageError::from_panic(&*stopped.into_panic())),
        Err(_) => Err(StorageError::new(ErrorKind::CANCELLED, "the plugin's runtime has stopped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_are_full_but_for_the_last_whatever_the_chunks_are() {
        for chunks in [&["abcdefgh"][..], &["a", "", "bcd", "efgh"], &["abcd", "efgh"], &["abcdefg", "h"]] {
            let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
            let mut parts = Parts::new(Body::new(futures::stream::iter(chunks)), 3);
            let mut cut = Vec::new();
            loop {
                let part = parts.next().await.unwrap();
                if part.is_empty() {
                    break;
                }
                cut.push(part);
            }
            assert_eq!(cut, ["abc", "def", "gh"]);
        }
    }

    #[tokio::test]
    async fn a_body_that_fails_fails_its_part() {
        let chunks = [Ok(Bytes::from_static(b"ab")), Err(StorageError::transient("gone"))];
        let mut parts = Parts::new(Body::new(futures::stream::iter(chunks)), 8);
        assert_eq!(parts.next().await.unwrap_err().message, "gone");
    }

    #[tokio::test]
    async fn a_panic_of_a_task_is_an_error() {
        let task = tokio::spawn(async { if true { panic!("planted") } else { Ok(()) } });
        let failed = ended(task.await).unwrap_err();
        assert_eq!(failed.kind, ErrorKind::PLUGIN_PANIC);
    }
}
