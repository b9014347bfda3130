//! Where a followed database stands: the transaction id in the file `<database>-txid` beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::FollowError;
use crate::ltx::Txid;
use crate::restore::output::{self, OutputError, with_suffix};

/// The file beside a database.
pub(super) fn position_path(database: &Path) -> PathBuf {
    with_suffix(database, "-txid")
}

fn position_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FollowError {
    let path = path.to_owned();
    move |source| FollowError::Position { doing, path, source }
}

/// What it says.
pub(super) fn load_position(database: &Path) -> Result<Txid, FollowError> {
    let path = position_path(database);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse().map_err(|_| FollowError::BadPosition(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FollowError::NoPosition(database.to_owned())),
        Err(error) => Err(position_error("read", &path)(error)),
    }
}

/// Replaces it, durably.
pub(super) fn save_position(database: &Path, txid: Txid) -> Result<(), OutputError> {
    let path = position_path(database);
    let new = with_suffix(&path, ".tmp");
    let write = || -> io::Result<()> {
        fs::write(&new, format!("{txid}\n"))?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(output::io_error("write", &path))?;
    output::sync_directory(output::directory_of(&path))
}

/// Removes it, if it is there.
pub(super) fn remove_position(database: &Path) -> Result<(), FollowError> {
    let path = position_path(database);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(position_error("remove", &path)(error)),
        _ => Ok(()),
    }
}
