//! Where the restored database goes: what may be overwritten, and how it appears all at once.
//!
//! A restore writes `<output>.tmp`. Only when every file it used has been verified is that made durable and renamed. So
//! whatever stood at the output stays as it was until then, also with `-force`.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Files SQLite keeps beside a database. A valid `-wal` left behind would be replayed into the restored database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What to do about a database that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputRules {
    /// Replace it, and remove its side files.
    pub force: bool,
    /// Leave it, and count that as success.
    pub skip_existing: bool,
}

/// Why the output cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A directory.
    #[error("cannot restore, output path is a directory: {}", .0.display())]
    Directory(PathBuf),
    /// A file with something in it.
    #[error("cannot restore, output path already exists and is not empty: {}. Use -force to overwrite", .0.display())]
    Exists(PathBuf),
    /// A side file, whether the database is there or not.
    #[error("cannot restore, SQLite sidecar path already exists: {}. Use -force to overwrite", .0.display())]
    Sidecar(PathBuf),
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError::Io { doing, path, source }
}

/// A checked output path: what may be written where.
#[derive(Clone, Debug)]
pub struct Output {
    path: PathBuf,
    rules: OutputRules,
}

impl Output {
    /// Applies the rules to what is there now. `None`: a database is there and shall be left alone.
    pub fn check(path: &Path, rules: OutputRules) -> Result<Option<Output>, OutputError> {
        let output = Output { path: path.to_owned(), rules };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_error("look at", path)(error)),
        };
        match metadata {
            Some(metadata) if metadata.is_dir() => return Err(OutputError::Directory(path.to_owned())),
            Some(_) if rules.skip_existing => return Ok(None),
            Some(metadata) if metadata.len() > 0 && !rules.force => return Err(OutputError::Exists(path.to_owned())),
            _ => {}
        }
        if !rules.force
            && let Some(sidecar) = output.sidecars().find(|path| path.symlink_metadata().is_ok())
        {
            return Err(OutputError::Sidecar(sidecar));
        }
        Ok(Some(output))
    }

    /// Makes the directories above, for the owner alone, and the temporary file, empty.
    pub(super) fn create(&self) -> Result<TempOutput, OutputError> {
        let directory = self.directory();
        let make = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        make.map_err(io_error("create directory", directory))?;
        let path = with_suffix(&self.path, ".tmp");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = open.map_err(io_error("create", &path))?;
        Ok(TempOutput { file: Some(file), path, output: self.clone(), kept: false })
    }

    /// The path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    fn sidecars(&self) -> impl Iterator<Item = PathBuf> {
        SIDECARS.iter().map(|suffix| with_suffix(&self.path, suffix))
    }

    fn sync_directory(&self) -> Result<(), OutputError> {
        sync_directory(self.directory())
    }
}

/// The directory a path lies in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), OutputError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error("sync directory", directory))
}

/// The file a restore writes. Removed when dropped, unless it became the output.
#[derive(Debug)]
pub(super) struct TempOutput {
    /// Lent out while it is written.
    file: Option<File>,
    path: PathBuf,
    output: Output,
    kept: bool,
}

impl TempOutput {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lends the file to the writer, empty.
    pub(super) fn take_file(&mut self) -> Result<File, OutputError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let open = OpenOptions::new().read(true).write(true).open(&self.path);
                open.map_err(io_error("open", &self.path))?
            }
        };
        file.set_len(0).map_err(io_error("empty", &self.path))?;
        Ok(file)
    }

    /// Makes `file`, which is this one, durable, and lets it take the output's place. Blocks.
    pub(super) fn keep(mut self, file: File) -> Result<(), OutputError> {
        file.sync_all().map_err(io_error("sync", &self.path))?;
        drop(file);
        // Somebody may have made a database there meanwhile.
        Output::check(&self.output.path, OutputRules { skip_existing: false, ..self.output.rules })?;
        if self.output.rules.force {
            // Before the rename, and durably: a new database beside an old -wal would be a mixture of both.
            self.output.sidecars().try_for_each(|path| remove_if_there(&path))?;
            self.output.sync_directory()?;
        }
        fs::rename(&self.path, &self.output.path).map_err(io_error("rename to its final name", &self.path))?;
        self.kept = true;
        self.output.sync_directory()
    }
}

impl Drop for TempOutput {
    fn drop(&mut self) {
        // Side files come from SQLite, which rebuilds databases of the 0.3 layout.
        let sidecars = SIDECARS.iter().map(|suffix| with_suffix(&self.path, suffix));
        for path in (!self.kept).then(|| self.path.clone()).into_iter().chain(sidecars) {
            if let Err(error) = remove_if_there(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove temporary file");
            }
        }
    }
}

fn remove_if_there(path: &Path) -> Result<(), OutputError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
