//! From errors of the file system to `StorageError`: which file, what was done with it, and the kind the host acts on.

use std::io;
use std::path::Path;

use litestream_sdk::{ErrorKind, ObjectKey, ShownBytes, StorageError};
use std::os::unix::ffi::OsStrExt;

/// `doing` names the step: `writing`, `reading the directory`.
pub(crate) fn failed(doing: &str, path: &Path, error: io::Error) -> StorageError {
    let kind = kind_of(&error);
    let mut failed = StorageError::from(error);
    failed.kind = kind.unwrap_or(failed.kind);
    failed.context(format_args!("{doing} {}", ShownBytes(path.as_os_str().as_bytes())))
}

/// The kinds that the SDK's own table does not know.
fn kind_of(error: &io::Error) -> Option<ErrorKind> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        // Somebody will close some.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Some(ErrorKind::TRANSIENT),
        Errno::NAMETOOLONG => Some(ErrorKind::INVALID_INPUT),
        Errno::PERM => Some(ErrorKind::PERMISSION_DENIED),
        _ => None,
    }
}

/// Whether the object is simply not there. A file where a directory of its name would have to be says the same.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// NOT_FOUND for an absent object, else what went wrong.
pub(crate) fn lookup(key: &ObjectKey, path: &Path, error: io::Error) -> StorageError {
    if is_absent(&error) { StorageError::not_found(key) } else { failed("reading", path, error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_and_get_the_kind_the_host_acts_on() {
        let of = |errno: rustix::io::Errno| failed("writing", Path::new("/r/a"), errno.into());
        for (errno, kind) in [
            (rustix::io::Errno::NOSPC, ErrorKind::STORAGE_FULL),
            (rustix::io::Errno::DQUOT, ErrorKind::STORAGE_FULL),
            (rustix::io::Errno::ROFS, ErrorKind::PERMISSION_DENIED),
            (rustix::io::Errno::ACCESS, ErrorKind::PERMISSION_DENIED),
            (rustix::io::Errno::PERM, ErrorKind::PERMISSION_DENIED),
            (rustix::io::Errno::MFILE, ErrorKind::TRANSIENT),
            (rustix::io::Errno::STALE, ErrorKind::TRANSIENT),
            (rustix::io::Errno::NAMETOOLONG, ErrorKind::INVALID_INPUT),
            (rustix::io::Errno::IO, ErrorKind::PERMANENT),
        ] {
            assert_eq!(of(errno).kind, kind, "{errno:?}");
        }
        assert!(of(rustix::io::Errno::NOSPC).message.starts_with("writing /r/a: "));
    }
}
