//! What can go wrong in a restore. Each text says which file or path, why, and what to do.

use std::io;
use std::path::Path;

use litestream_sdk::StorageError;

use super::integrity::IntegrityError;
use super::output::OutputError;
use super::plan::PlanError;
use crate::ltx::{HEADER_LEN, Level, LtxError, LtxInfo};

/// Why nothing was restored. No output exists then, except where a text says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// No files lead to the wanted state.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A listing failed.
    #[error("cannot list level {level} of the replica: {source}")]
    List {
        /// Which level.
        level: Level,
        /// The storage's answer.
        source: Box<StorageError>,
    },
    /// A listing of the 0.3 layout failed.
    #[error("cannot list the replica's generations: {0}")]
    ListV3(Box<StorageError>),
    /// A file could not be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which file.
        file: LtxInfo,
        /// The storage's answer.
        source: Box<StorageError>,
    },
    /// A file is damaged, and no others can stand in for it.
    #[error("{file} is damaged: {source}. An earlier state may still be restorable: try -txid or -timestamp")]
    Damaged {
        /// Which file.
        file: LtxInfo,
        /// What is wrong with it.
        source: LtxError,
    },
    /// A file too short to be one.
    #[error(
        "invalid ltx file: level={} min={} max={} has size {} bytes (minimum {HEADER_LEN})",
        .file.level, .file.min_txid, .file.max_txid, .file.size
    )]
    TooShort {
        /// Which file.
        file: LtxInfo,
    },
    /// The files are sound, but together do not hold the whole database.
    #[error("page {pgno} of {commit} is in none of the files: the replica is incomplete, take a new snapshot")]
    Incomplete {
        /// The first page missing.
        pgno: u32,
        /// Pages in the database.
        commit: u32,
    },
    /// A file of the 0.3 layout is missing or damaged.
    #[error("{path}: {reason}")]
    V3 {
        /// Its path below the replica.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The place the database should go cannot take it.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The restored database failed its check; the output is as it was.
    #[error("post-restore integrity check: {0}")]
    Integrity(#[from] IntegrityError),
}

impl RestoreError {
    /// A write to the temporary file failed.
    pub(super) fn write(path: &Path, source: io::Error) -> RestoreError {
        OutputError::Io { doing: "write", path: path.to_owned(), source }.into()
    }

    /// True when the replica simply holds nothing that was asked for: what `-if-replica-exists` forgives.
    pub fn is_nothing_to_restore(&self) -> bool {
        matches!(self, RestoreError::Plan(PlanError::Empty | PlanError::NotAvailable { .. }))
    }

    /// The file to do without, if doing without a file may help.
    pub(super) fn blamed_file(&self) -> Option<&LtxInfo> {
        match self {
            RestoreError::Damaged { file, .. } | RestoreError::TooShort { file } => Some(file),
            RestoreError::Read { file, source } if is_lost(source) => Some(file),
            _ => None,
        }
    }

    /// True when a file that was listed is not there any more, so that a new listing may show its successor.
    pub(super) fn is_vanished_file(&self) -> bool {
        matches!(self, RestoreError::Read { source, .. } if source.kind == litestream_sdk::ErrorKind::NOT_FOUND)
    }
}

fn is_lost(error: &StorageError) -> bool {
    use litestream_sdk::ErrorKind;
    [ErrorKind::NOT_FOUND, ErrorKind::CORRUPT].contains(&error.kind)
}
