//! Where a restore reads from: the two things it needs of a replica, and nothing about storage or layout.

use async_trait::async_trait;
use litestream_sdk::{Body, StorageError};

use crate::clock::UnixMillis;
use crate::ltx::{Level, LtxInfo};

/// A replica, as a restore sees it. `replica::ReplicaClient` is one; tests use memory.
///
/// Retries, timeouts and resuming a broken stream belong to the implementation: an error given here ends the attempt.
#[async_trait]
pub trait Source: Send + Sync {
    /// Every LTX file of a level, in any order. An absent level is empty; names that are not LTX files are left out.
    async fn list(&self, level: Level) -> Result<Vec<LtxInfo>, StorageError>;

    /// The files of all levels in one listing, where that saves requests. It may miss files that move to another level
    /// meanwhile, so what it lacks proves nothing; its newest file is always there.
    async fn list_at_once(&self) -> Result<Option<Vec<LtxInfo>>, StorageError> {
        Ok(None)
    }

    /// Exactly the bytes from `offset`, `len` of them or to the end. NOT_FOUND may come here or from the first chunk.
    async fn open(&self, file: &LtxInfo, offset: u64, len: Option<u64>) -> Result<Body, StorageError>;

    /// When the file's newest transaction was copied, exactly as it was written. Asked only for restores by time, since
    /// on some storages it costs a request for each file; where listings are exact, it is `file.created_at`.
    async fn exact_time(&self, file: &LtxInfo) -> Result<UnixMillis, StorageError>;
}
