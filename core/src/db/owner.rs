//! Whom local state belongs to: files take mode and owner of the database, directories those of the directory it lies in.
//! So whoever may read the database may read its history, and nobody else.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Mode and owner for new files and directories.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'database> {
    path: &'database Path,
    file: Access,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Owner<'_> {
    /// Takes them from the database, with `stat` only; its directory is looked at when one is made.
    pub(super) fn of_database(path: &Path) -> io::Result<Owner<'_>> {
        Ok(Owner { path, file: Access::of(&fs::metadata(path)?) })
    }

    /// Makes `directory` and what is missing above it.
    pub(super) fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.create_dir_all(parent)?;
        }
        let above = self.path.parent().map(fs::metadata).transpose()?;
        let access = above.map_or(Access { mode: 0o700, ..self.file }, |metadata| Access::of(&metadata));
        match DirBuilder::new().mode(access.mode).create(directory) {
            Ok(()) => access.apply(&File::open(directory)?, directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Creates or empties a file.
    pub(super) fn create_file(&self, path: &Path) -> io::Result<File> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(self.file.mode).clone();
        let file = options.open(path)?;
        self.file.apply(&file, path)?;
        Ok(file)
    }
}

impl Access {
    fn of(metadata: &Metadata) -> Access {
        Access { mode: metadata.mode() & 0o777, uid: metadata.uid(), gid: metadata.gid() }
    }

    /// Sets what differs: the mode despite the umask, and the owner as far as this process may.
    fn apply(self, file: &File, path: &Path) -> io::Result<()> {
        let metadata = file.metadata()?;
        if (metadata.uid(), metadata.gid()) != (self.uid, self.gid)
            && let Err(error) = fchown(file, Some(self.uid), Some(self.gid))
        {
            tracing::debug!(path = %path.display(), %error, "local state keeps another owner than its database");
        }
        if metadata.mode() & 0o777 != self.mode {
            file.set_permissions(Permissions::from_mode(self.mode))?;
        }
        Ok(())
    }
}
