//! The operation `copy`. It came after ABI 1 was frozen, so it crosses as an extension: a store that can copy without the
//! bytes passing through this machine claims `Capability::COPY` and serves it in `Storage::extension`.

use super::ObjectKey;
use crate::error::{Result, StorageError};
use crate::storage::Storage;
use bytes::Bytes;

/// No key holds it.
const BETWEEN: u8 = 0;

/// Asks a store to make a second object of the content and the time of a first one.
///
/// What is promised is what `Storage::write` promises: durable and whole when the answer comes, replacing an older object
/// in one step; after an error, readers of `to` see the old state or the new one. `from` stays as it is. Idempotent. The
/// host sends it once and falls back to reading and writing, so an error costs little: UNSUPPORTED where this object
/// cannot be copied, NOT_FOUND where `from` is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyRequest {
    /// What is there.
    pub from: ObjectKey,
    /// What is to be there, too.
    pub to: ObjectKey,
}

impl CopyRequest {
    /// Its name for `Storage::extension`.
    pub const OPERATION: &'static str = "copy";

    /// `to` becomes what `from` is.
    pub fn new(from: ObjectKey, to: ObjectKey) -> Self {
        Self { from, to }
    }

    /// What a store's `extension` was given.
    ///
    /// # Errors
    /// INVALID_INPUT if these are no two keys.
    pub fn from_args(args: &[u8]) -> Result<Self> {
        let between = args.iter().position(|byte| *byte == BETWEEN);
        let at = between.ok_or_else(|| StorageError::invalid_input("copy: the arguments are no two keys"))?;
        Ok(Self { from: ObjectKey::parse(&args[..at])?, to: ObjectKey::parse(&args[at + 1..])? })
    }

    /// The two keys with a NUL between them.
    pub fn to_args(&self) -> Bytes {
        [self.from.as_bytes(), self.to.as_bytes()].join(&BETWEEN).into()
    }

    /// Asks `storage`, which claims `Capability::COPY`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn send(&self, storage: &dyn Storage) -> Result<()> {
        storage.extension(Self::OPERATION, self.to_args()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn arguments_come_back_whatever_bytes_the_keys_have() {
        let key = |bytes: &[u8]| ObjectKey::parse(bytes).unwrap();
        let request = CopyRequest::new(key(b"/a/\xff\n{}"), key("ü/\"b".as_bytes()));
        assert_eq!(CopyRequest::from_args(&request.to_args()).unwrap(), request);
        for args in [&b""[..], b"a", b"a\0", b"\0b", b"a\0b\0c", b"a/../b\0c"] {
            let refused = CopyRequest::from_args(args).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::INVALID_INPUT, "{args:?}");
        }
    }
}
