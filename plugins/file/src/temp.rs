//! The temporary file of a write: made beside its target, invisible to listings, gone unless it is put in place.
//!
//! The name is random: a piece of a cancelled write may still run while the next write of the same object begins.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// The end of every name that a listing leaves out; also of the reference's temporary files.
const SUFFIX: &[u8] = b".tmp";
/// The beginning of our own.
const PREFIX: &[u8] = b".litestream-rs-";
/// A write never takes this long, so an older one is a leftover of a crash.
const LEFTOVER_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a listing leaves this name out.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.as_bytes().ends_with(SUFFIX)
}

/// A file being written. Dropping it removes it, unless it was put in place.
pub(crate) struct Temp {
    path: PathBuf,
    target: PathBuf,
    /// Guards the moment of putting in place against cancellation.
    fate: Mutex<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Placed,
    Cancelled,
}

impl Temp {
    /// A name beside `target`. Nothing is made yet.
    pub fn beside(target: PathBuf) -> Temp {
        let random = RandomState::new().build_hasher().finish();
        let name = format!(".litestream-rs-{}-{random:016x}.tmp", std::process::id());
        Temp { path: target.with_file_name(name), target, fate: Mutex::new(Fate::Open) }
    }

    /// Makes the file, and the directories above it that are missing, readable for the owner alone: a database's
    /// content must not become readable by being replicated.
    ///
    /// # Errors
    ///
    /// `Interrupted` after [`Temp::cancel`]: a visit to the disk that was waiting for its turn may begin after it.
    pub fn create(&self) -> io::Result<File> {
        // Held until the file is there, so that it is either not made or found by who cancels.
        let _fate = self.open()?;
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dirs(parent(&self.target))?;
                open()
            }
            result => result,
        }
    }

    /// Makes the finished file the object, in one step, and durable.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` with `if_absent` and another object in place; `Interrupted` after [`Temp::cancel`].
    pub fn place(&self, if_absent: bool) -> io::Result<()> {
        {
            let mut fate = self.open()?;
            if if_absent {
                rename_if_absent(&self.path, &self.target)?
            } else {
                fs::rename(&self.path, &self.target)?
            }
            *fate = Fate::Placed;
        }
        sync_dir(parent(&self.target))
    }

    /// From now on the file cannot be put in place; if it was not, it is removed.
    pub fn cancel(&self) {
        let mut fate = self.lock();
        if *fate == Fate::Open {
            *fate = Fate::Cancelled;
            // A file that was never made needs no removal, and one that cannot be removed is left out of listings.
            drop(fs::remove_file(&self.path));
        }
    }

    /// What is to become of it, while it is not cancelled.
    fn open(&self) -> io::Result<MutexGuard<'_, Fate>> {
        let fate = self.lock();
        if *fate == Fate::Cancelled {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the write was cancelled"));
        }
        Ok(fate)
    }

    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory of a file; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory and those above it, each durable in its parent.
fn make_dirs(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => sync_dir(parent(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dirs(parent(dir))?;
            make_dirs(dir)
        }
        // Another write was faster, and may not have come to the sync yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => sync_dir(parent(dir)),
        Err(error) => Err(error),
    }
}

/// `rename` that never replaces. File systems without it (NFS) have hard links, which do not replace either.
fn rename_if_absent(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            // The object stands; a second name of it that is left over is left out of listings.
            drop(fs::remove_file(from));
            Ok(())
        }
        result => Ok(result?),
    }
}

/// Removes what crashes have left in a directory. By the time of change, which nobody can set: the time of content is
/// the one the caller asked for.
pub(crate) fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name: OsString = entry.file_name();
        let ours = name.as_bytes().starts_with(PREFIX) && is_temporary(&name);
        if ours && entry.metadata().is_ok_and(|metadata| is_leftover(metadata.ctime())) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a plugin has no clock of its own; the file system's is the real one")]
fn is_leftover(changed_at: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(u64::try_from(changed_at).unwrap_or(0))) > LEFTOVER_AFTER
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_cancelled_file_leaves_nothing_and_cannot_be_placed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/object");
        let temp = Temp::beside(target.clone());
        temp.create().unwrap();
        temp.cancel();
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 0);
        assert_eq!(temp.place(false).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(!target.exists());
    }

    #[test]
    fn a_file_that_was_cancelled_before_it_was_made_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let temp = Temp::beside(dir.path().join("object"));
        temp.cancel();
        assert_eq!(temp.create().unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_made_is_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let temp = Temp::beside(dir.path().join("a/b/object"));
        temp.create().unwrap();
        temp.place(true).unwrap();
        let mode = |below: &str| fs::metadata(dir.path().join(below)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("a"), mode("a/b"), mode("a/b/object")], [0o700, 0o700, 0o600]);
    }

    #[test]
    fn an_existing_object_is_not_replaced_by_a_conditional_write() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"old").unwrap();
        assert_eq!(rename_if_absent(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"old");
    }

    #[test]
    fn only_old_leftovers_of_ours_are_swept() {
        assert!(is_leftover(1_000_000_000));
        assert!(!is_leftover(i64::MAX), "a clock that stands in the future");
        let dir = tempfile::tempdir().unwrap();
        let young = Temp::beside(dir.path().join("object"));
        young.create().unwrap();
        sweep(dir.path());
        assert!(young.path.exists());
    }
}
