//! What a store says about its objects.

use super::{ObjectKey, ReplicaPath, Timestamp};

/// One object, as `stat`, `write` and listings describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its whole name inside the store.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// The written time, as exactly as the store knows it.
    pub time: Time,
    /// Names this very content (an ETag, a generation). Only with `Capability::READ_VERSION`; never empty.
    pub version: Option<String>,
}

impl ObjectInfo {
    /// Without a version.
    pub fn new(key: ObjectKey, size: u64, time: Time) -> Self {
        Self { key, size, time, version: None }
    }

    /// With the name of this very content; an empty text counts as none.
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into()).filter(|version| !version.is_empty());
        self
    }
}

/// A time and how far to trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// What the writer asked for with `WriteRequest::time`, within `Capability::time_step`.
    Exact(Timestamp),
    /// When the server took the object: an upload time.
    Server(Timestamp),
    /// The store does not say.
    Unknown,
}

impl Time {
    /// The time, exact or not.
    pub fn known(self) -> Option<Timestamp> {
        match self {
            Self::Exact(time) | Self::Server(time) => Some(time),
            Self::Unknown => None,
        }
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectInfo),
    /// A directory that was not entered (shallow and roll-up listings only).
    Dir(ReplicaPath),
}
