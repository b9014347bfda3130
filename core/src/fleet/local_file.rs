//! Small reads of local LTX files for async code: on the runtime's blocking threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use litestream_sdk::{Body, Result as StorageResult};

use crate::db::MetaDir;
use crate::ltx::{HEADER_LEN, Header, HeaderError, Txid};
use crate::plugin::{FileSource, WriteSource};
use crate::sqlite::WAL_HEADER_LEN;

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
    /// It holds every page because the page size is not that of the file before it.
    pub changes_page_size: bool,
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

/// Looks at the header of a local L0 file, and takes along the content of a small one.
///
/// # Errors
/// It is missing, cannot be read, or is not an LTX file.
pub async fn read(meta: &MetaDir, txid: Txid) -> Result<LocalLtx, Unreadable> {
    let (meta, path) = (meta.clone(), meta.l0_path(txid));
    blocking(move || Ok(look(&meta, txid))).await.unwrap_or_else(|error| Err(Unreadable::Io { path, error }))
}

/// In one visit: each costs more than what it reads.
fn look(meta: &MetaDir, txid: Txid) -> Result<LocalLtx, Unreadable> {
    let path = meta.l0_path(txid);
    let (size, head, content) = read_small(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Io { path: path.clone(), error },
    })?;
    match Header::parse(&head) {
        Ok(header) => {
            let changes_page_size = changes_page_size(meta, &header);
            Ok(LocalLtx { path, size, header, changes_page_size, content })
        }
        Err(error) => Err(Unreadable::Damaged { path, error }),
    }
}

/// Size, header and, of a small file, the content.
fn read_small(path: &Path) -> io::Result<(u64, [u8; HEADER_LEN], Option<Bytes>)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = [0; HEADER_LEN];
    if size > SMALL {
        file.read_exact(&mut head)?;
        return Ok((size, head, None));
    }
    let mut content = vec![0; usize::try_from(size).unwrap_or(0).max(HEADER_LEN)];
    file.read_exact(&mut content)?;
    head.copy_from_slice(&content[..HEADER_LEN]);
    Ok((size, head, Some(Bytes::from(content))))
}

fn changes_page_size(meta: &MetaDir, header: &Header) -> bool {
    if header.wal_offset != WAL_HEADER_LEN as u64 || header.max_txid <= Txid::FIRST {
        return false;
    }
    // Where the file before it is gone, so are all of another page size: there was a full file in between.
    let mut head = [0; HEADER_LEN];
    let before = File::open(meta.l0_path(Txid(header.max_txid.0 - 1))).and_then(|mut file| file.read_exact(&mut head));
    before.is_ok() && Header::parse(&head).is_ok_and(|before| before.page_size != header.page_size)
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
        let meta = MetaDir::new(dir.path());
        let mut content = Header::new(PageSize::MIN, 1, Txid(1), Txid(1), 0).to_bytes().to_vec();
        content.resize(bytes, 7);
        std::fs::create_dir_all(meta.l0_dir()).unwrap();
        std::fs::write(meta.l0_path(Txid(1)), &content).unwrap();
        (dir, content, read(&meta, Txid(1)).await)
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
        assert!(matches!(read(&MetaDir::new("/nowhere"), Txid(1)).await, Err(Unreadable::Missing)));
    }

    #[tokio::test]
    async fn another_page_size_is_noticed_where_a_file_begins_a_wal() {
        let dir = tempfile::tempdir().unwrap();
        let meta = MetaDir::new(dir.path());
        std::fs::create_dir_all(meta.l0_dir()).unwrap();
        let file = |txid, page_size, wal_offset| {
            let header = Header { wal_offset, ..Header::new(page_size, 1, Txid(txid), Txid(txid), 0) };
            std::fs::write(meta.l0_path(Txid(txid)), header.to_bytes()).unwrap();
        };
        let begin = WAL_HEADER_LEN as u64;
        for (txid, page_size, offset) in
            [(1, PageSize::MIN, begin), (2, PageSize::MAX, begin), (3, PageSize::MAX, begin), (5, PageSize::MIN, begin)]
        {
            file(txid, page_size, offset);
        }
        file(6, PageSize::MAX, begin + 1);
        for (txid, changes) in [(1, false), (2, true), (3, false), (5, false), (6, false)] {
            assert_eq!(read(&meta, Txid(txid)).await.unwrap().changes_page_size, changes, "{txid}");
        }
    }
}
