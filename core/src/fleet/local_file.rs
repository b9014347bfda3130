//! Small reads of local LTX files for async code: on the runtime's blocking threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::ltx::{HEADER_LEN, Header, HeaderError};

/// A local LTX file, as its header describes it.
pub struct LocalLtx {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Its header.
    pub header: Header,
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

/// Looks at the header of a local file.
///
/// # Errors
/// It is missing, cannot be read, or is not an LTX file.
pub async fn read(path: PathBuf) -> Result<LocalLtx, Unreadable> {
    let shown = path.clone();
    let looked = blocking(move || {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        let mut head = [0; HEADER_LEN];
        file.read_exact(&mut head)?;
        Ok((path, size, head))
    });
    let (path, size, head) = looked.await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Io { path: shown, error },
    })?;
    match Header::parse(&head) {
        Ok(header) => Ok(LocalLtx { path, size, header }),
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
