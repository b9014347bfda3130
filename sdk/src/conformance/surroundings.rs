//! What a test of a plugin can hand over beside the open store, so that the checks of a hostile world run too: a second
//! client, a key that may not be deleted, a network that fails.
//!
//! Give what you have to [`Subject`](super::Subject); each is used by the checks that it names and by nothing else.

use crate::error::Result;
use crate::types::ObjectKey;
use async_trait::async_trait;
use std::time::Duration;

/// Another program that uses the same store, with names that are no [`ObjectKey`]. Used by L6.
#[async_trait]
pub trait ForeignClient: Send + Sync + 'static {
    /// Puts an object of at least one byte under exactly this name: `<directory>//b`, `<directory>/b/`,
    /// `<directory>/./b`, `<directory>/../b`.
    ///
    /// # Errors
    /// UNSUPPORTED for a name that a store of this kind cannot have (most file systems: all of them).
    async fn put(&self, name: &[u8]) -> Result<()>;

    /// Removes what [`ForeignClient::put`] put.
    ///
    /// # Errors
    /// Whatever the store says.
    async fn remove(&self, name: &[u8]) -> Result<()>;
}

/// Takes the right to delete one object away from the store that is judged, and gives it back. Used by D2.
#[async_trait]
pub trait KeyLock: Send + Sync + 'static {
    /// From now on the object cannot be deleted: a bucket policy, an object lock, the mode of its directory.
    ///
    /// # Errors
    /// Whatever the store says.
    async fn lock(&self, key: &ObjectKey) -> Result<()>;

    /// It can be deleted again.
    ///
    /// # Errors
    /// Whatever the store says.
    async fn unlock(&self, key: &ObjectKey) -> Result<()>;
}

/// What a [`FaultProxy`] does to everything that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkFault {
    /// A connection is cut after so many bytes *of the server*: of one answer if the proxy tells answers apart, else
    /// counted from the moment of `set`.
    CutDownload {
        /// Bytes that still arrive.
        after: u64,
    },
    /// A connection is cut after so many bytes *of the client*, counted likewise.
    CutUpload {
        /// Bytes that still arrive.
        after: u64,
    },
    /// Each request is answered with `503 Slow Down` and `Retry-After: <seconds>`, without asking the server.
    SlowDown {
        /// Whole seconds.
        retry_after: Duration,
    },
    /// No connection is made, and open ones are cut.
    Refuse,
}

/// Something between a store and its server. Used by R4 and E2, and by E1 to count.
#[async_trait]
pub trait FaultProxy: Send + Sync + 'static {
    /// From now on, on every connection, new ones and open ones; `None` lets everything pass again.
    ///
    /// # Errors
    /// UNSUPPORTED for a fault that this protocol has no form for (`SlowDown` where nothing is HTTP): that part is
    /// skipped.
    async fn set(&self, fault: Option<NetworkFault>) -> Result<()>;

    /// Requests that came so far; connections if requests cannot be told apart. 0 if nobody counts.
    fn requests(&self) -> u64 {
        0
    }
}
