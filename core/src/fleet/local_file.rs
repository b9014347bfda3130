//! Small reads of local LTX files for async code: on the runtime's blocking threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use litestream_sdk::{Body, Result as StorageResult};

use crate::ltx::{HEADER_LEN, Header, HeaderError};
use crate::plugin::{FileSource, WriteSource};

/// Up to this size a file is read whole with its header: most are the pages of one commit, and each further visit to a
/// blocking thread costs more than the bytes.
const SMALL: u64 = 64 << 10;

/// A local LTX file, as its header describes it.
pub struct LocalLtx {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Its header.
    pub header: Header,
    /// All of it, if it is small.
    content: Option<Bytes>,
}

impl WriteSource for LocalLtx {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn open(&self) -> StorageResult<Body> {
        match &self.content {
            Some(content) => Ok(Body::from_bytes(content.clone())),
            None => FileSource::new(&self.path, self.size).open(),
        }
    }
}

/// Why a local file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not there.
    #[error("ltx file missing")]
    Missing,
    /// The operating system.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not an LTX file.
    #[error("{}: {error}. Run `litestream-rs reset` for this database, or set auto-recover", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// Why.
        error: HeaderError,
    },
}

/// Looks at the header of a local file, and takes along the content of a small one.
///
/// # Errors
/// It is missing, cannot be read, or is not an LTX file.
pub async fn read(path: PathBuf) -> Result<LocalLtx, Unreadable> {
    let shown = path.clone();
    let looked = blocking(move || {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        let mut head = [0; HEADER_LEN];
        if size > SMALL {
            file.read_exact(&mut head)?;
            return Ok((path, size, head, None));
        }
        let mut content = vec![0; usize::try_from(size).unwrap_or(0).max(HEADER_LEN)];
        file.read_exact(&mut content)?;
        head.copy_from_slice(&content[..HEADER_LEN]);
        Ok((path, size, head, Some(Bytes::from(content))))
    });
    let (path, size, head, content) = looked.await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Io { path: shown, error },
    })?;
    match Header::parse(&head) {
        Ok(header) => Ok(LocalLtx { path, size, header, content }),
        Err(error) => Err(Unreadable::Damaged { path, error }),
    }
}

/// Runs blocking work on the runtime's threads for it.
///
/// # Errors
/// The work's own, or that the process is ending.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(io::Error::other(ended)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltx::{PageSize, Txid};

    async fn written(bytes: usize) -> (tempfile::TempDir, Vec<u8>, Result<LocalLtx, Unreadable>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ltx");
        let mut content = Header::new(PageSize::MIN, 1, Txid(1), Txid(1), 0).to_bytes().to_vec();
        content.resize(bytes, 7);
        std::fs::write(&path, &content).unwrap();
        (dir, content, read(path).await)
    }

    #[tokio::test]
    async fn a_small_file_and_a_large_one_are_sent_as_they_are() {
        for size in [HEADER_LEN, HEADER_LEN + 1, SMALL as usize, SMALL as usize + 1] {
            let (_dir, content, file) = written(size).await;
            let file = file.unwrap();
            assert_eq!((file.size, file.header.max_txid), (size as u64, Txid(1)));
            for _ in 0..2 {
                assert_eq!(file.open().unwrap().collect(1 << 20).await.unwrap(), content, "{size} bytes, at each try");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_cut_short_is_not_sent() {
        let (_dir, _, file) = written(HEADER_LEN - 1).await;
        assert!(matches!(file, Err(Unreadable::Io { .. })));
        assert!(matches!(read("/nowhere/a.ltx".into()).await, Err(Unreadable::Missing)));
    }
}
