//! Why following does not begin, or cannot go on: and which errors a follower lives with.

use std::io;
use std::path::PathBuf;

use litestream_sdk::{ErrorKind, StorageError};

use super::in_place::InPlaceError;
use crate::ltx::{LtxError, LtxInfo, Txid};
use crate::restore::error::RestoreError;

/// Why following does not begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The first restore failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// There is a database, and nothing says which state it is in.
    #[error(
        "cannot resume follow mode: database exists but no -txid file found; delete the database to re-restore: {}",
        .0.display()
    )]
    NoPosition(PathBuf),
    /// The file beside the database does not hold a transaction id.
    #[error("cannot resume follow mode: {} holds no transaction id; delete it and the database to re-restore", .0.display())]
    BadPosition(PathBuf),
    /// The database is of another replica, or of an older life of this one.
    #[error(
        "cannot follow: {} is at transaction {at}, but the replica reaches only {tip}: it is another one, or began anew; \
         delete the database and its -txid file to re-restore",
        .path.display()
    )]
    Ahead {
        /// The database.
        path: PathBuf,
        /// Its transaction.
        at: Txid,
        /// The replica's newest.
        tip: Txid,
    },
    /// The file beside the database cannot be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Position {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The replica does not answer.
    #[error("replica: {0}")]
    Storage(#[from] StorageError),
    /// Files that would bring the next transaction are gone, or not there yet.
    #[error(
        "no file of the replica continues transaction {0}; if this stays, delete the database and its -txid file to re-restore"
    )]
    Gap(Txid),
    /// What stands at the output cannot be opened.
    #[error("cannot resume follow mode: {}: {source}; delete it and its -txid file to re-restore", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        source: InPlaceError,
    },
    /// A file could not be applied; the database is as it was.
    #[error("{file}: {source}")]
    Apply {
        /// Which file.
        file: LtxInfo,
        /// What is wrong.
        source: InPlaceError,
    },
}

impl FollowError {
    /// Trying again cannot help.
    pub(super) fn is_final(&self) -> bool {
        use InPlaceError::{PageSize, TwoFollowers};
        matches!(self, FollowError::Apply { source: PageSize { .. } | TwoFollowers(_), .. })
    }

    /// The file itself is the reason: it is damaged, or gone.
    pub(super) fn blames_file(&self) -> bool {
        match self {
            FollowError::Apply { source: InPlaceError::Ltx(LtxError::Io(error)), .. } => {
                let storage = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>());
                storage.is_some_and(|error| [ErrorKind::NOT_FOUND, ErrorKind::CORRUPT].contains(&error.kind))
            }
            FollowError::Apply { source: InPlaceError::Ltx(_), .. } => true,
            _ => false,
        }
    }
}
