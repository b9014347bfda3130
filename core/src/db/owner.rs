//! Whom local state belongs to: files take mode and owner of the database, directories those of the directory it lies in.
//! So whoever may read the database may read its history, and nobody else.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

/// Mode and owner for new files and directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    file: Access,
    directory: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Takes them from the database and its directory, with `stat` only.
    pub(super) fn of_database(path: &Path) -> io::Result<Owner> {
        let file = Access::of(path)?;
        let parent = path.parent().map_or(Ok(Access { mode: 0o700, ..file }), Access::of)?;
        Ok(Owner { file, directory: parent })
    }

    /// Makes `directory` and what is missing above it.
    pub(super) fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(self.directory.mode).create(directory) {
            Ok(()) => self.directory.apply(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Creates or empties a file.
    pub(super) fn create_file(&self, path: &Path) -> io::Result<File> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(self.file.mode).clone();
        let file = options.open(path)?;
        self.file.apply(path)?;
        Ok(file)
    }
}

impl Access {
    fn of(path: &Path) -> io::Result<Access> {
        let metadata = fs::metadata(path)?;
        Ok(Access { mode: metadata.mode() & 0o777, uid: metadata.uid(), gid: metadata.gid() })
    }

    /// Sets what differs: the mode despite the umask, and the owner as far as this process may.
    fn apply(self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        if (metadata.uid(), metadata.gid()) != (self.uid, self.gid)
            && let Err(error) = chown(path, Some(self.uid), Some(self.gid))
        {
            tracing::debug!(path = %path.display(), %error, "local state keeps another owner than its database");
        }
        if metadata.mode() & 0o777 != self.mode {
            fs::set_permissions(path, Permissions::from_mode(self.mode))?;
        }
        Ok(())
    }
}
