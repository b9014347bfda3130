//! What is checked about a database before SQLite may open it, and what an unclear refusal of SQLite really means.
//! Looks with `stat` and its kin only; opens nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::error::{self, DbError, DbErrorKind, Result};
use super::stamp::wal_path;
use super::{DbSettings, MetaDir};

/// File systems where locks or shared memory belong to another machine or to a user program. From `statfs(2)`.
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: [(i64, &str); 10] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x7461_636f, "OCFS2"),
];

/// Refuses what is not (yet) a file that can be replicated.
pub(super) fn check(path: &Path, settings: &DbSettings) -> Result<()> {
    let doing = "open database";
    let metadata = fs::metadata(path).map_err(|error| DbError::io(doing, path, error))?;
    if !metadata.is_file() {
        return Err(DbError::new(DbErrorKind::NotADatabase, doing, path).because("not a regular file"));
    }
    if metadata.len() == 0 {
        return Err(DbError::new(DbErrorKind::NotADatabase, doing, path).because("zero bytes: not yet a database"));
    }
    match network_file_system(path).map_err(|error| DbError::io(doing, path, error))? {
        Some(name) if !settings.allow_network_file_system => {
            Err(DbError::new(DbErrorKind::NetworkFileSystem, doing, path).because(format!("on a {name} file system")))
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> io::Result<Option<&'static str>> {
    // The field's type differs between architectures; the magic numbers are 32 bits everywhere.
    #[allow(clippy::unnecessary_cast, reason = "not the same type everywhere")]
    let kind = rustix::fs::statfs(path)?.f_type as i64 & 0xffff_ffff;
    Ok(NETWORK_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name))
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_path: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

/// Warns when opening will change the file: SQLite rolls back what a writer that died left half done.
pub(super) fn warn_of_hot_journal(path: &Path) {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if fs::metadata(journal).is_ok_and(|metadata| metadata.len() > 0) {
        tracing::warn!(path = %path.display(), "rollback journal found; sqlite rolls it back if its writer died");
    }
}

/// The error of a failed open or first read, with the kind that the system's own answers point to.
pub(super) fn explain(doing: &'static str, path: &Path, error: rusqlite::Error) -> DbError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) if is_held_exclusively(path) => Some(DbErrorKind::ExclusiveLock),
        Some(
            ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::PermissionDenied,
        ) => reason_of_refusal(path),
        _ => None,
    };
    let error = DbError::sqlite(doing, path, error);
    match kind {
        Some(kind) => error.with_kind(kind),
        None => error,
    }
}

/// `locking_mode=EXCLUSIVE` in WAL mode keeps the wal-index in the memory of its one user: there is no `-shm`.
fn is_held_exclusively(path: &Path) -> bool {
    let mut shm = path.as_os_str().to_owned();
    shm.push("-shm");
    wal_path(path).exists() && !Path::new(&shm).exists()
}

fn reason_of_refusal(path: &Path) -> Option<DbErrorKind> {
    if File::open("/dev/null").is_err_and(|error| error::is_out_of_descriptors(&error)) {
        return Some(DbErrorKind::TooManyFiles);
    }
    if !path.exists() {
        return Some(DbErrorKind::Missing);
    }
    if statvfs(path).is_ok_and(|info| info.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Some(DbErrorKind::ReadOnlyFileSystem);
    }
    let may = |path: &Path, mode| access(path, mode).is_ok();
    let directory = path.parent().unwrap_or(Path::new("/"));
    let allowed = may(path, Access::READ_OK | Access::WRITE_OK) && may(directory, Access::WRITE_OK | Access::EXEC_OK);
    (!allowed).then_some(DbErrorKind::NoPermission)
}

/// Removes what a kill or a full disk left in the local state.
pub(super) fn clean(meta: &MetaDir) -> Result<()> {
    let removed = meta.remove_temporary_files();
    let removed = removed.map_err(|error| DbError::io("clean local state", meta.root(), error))?;
    if removed > 0 {
        tracing::debug!(meta = %meta.root().display(), removed, "removed temporary files");
    }
    Ok(())
}
