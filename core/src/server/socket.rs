//! The file of the control socket: made, opened to its users, removed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::config::SocketConfig;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// It is left alone.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("{action} {}: {error}", .path.display())]
    Io {
        /// `bind`
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// Its answer.
        error: io::Error,
    },
}

/// A socket's file. Removed at the end, unless another daemon has put its own there meanwhile.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Makes the socket. One that is there already is what a killed daemon left behind, and is replaced.
pub(super) fn bind(config: &SocketConfig) -> Result<(UnixListener, SocketFile), SocketError> {
    let path = &config.path;
    let failed = |action| move |error| SocketError::Io { action, path: path.clone(), error };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path).map_err(failed("remove"))?,
        Ok(_) => return Err(SocketError::NotASocket(path.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at")(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed("bind"))?;
    let identity = identity(path).map_err(failed("look at"))?;
    let file = SocketFile { path: path.clone(), identity };
    fs::set_permissions(path, fs::Permissions::from_mode(config.permissions)).map_err(failed("set the mode of"))?;
    Ok((listener, file))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "control socket not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> SocketConfig {
        SocketConfig { enabled: true, path: path.to_owned(), permissions: 0o640 }
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        let bound = bind(&config(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(bind(&config(&path)), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let old = bind(&config(&path)).unwrap();
        let new = bind(&config(&path)).unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());
    }
}
