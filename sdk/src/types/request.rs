//! What the host asks for, and where a configuration points.

use super::{ObjectKey, ReplicaPath, Timestamp};

/// The place inside a store that one configuration names: the result of `Plugin::locate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The base below which databases go.
    pub base: ReplicaPath,
    /// Whether the base came from a URL. The file store writes other names then; set by the SDK.
    pub from_url: bool,
    /// Anything else that `resolve` of this plugin needs, as text.
    pub extras: Vec<(String, String)>,
}

impl Location {
    /// A base and nothing else.
    pub fn new(base: ReplicaPath) -> Self {
        Self { base, ..Self::default() }
    }

    /// Adds a text that `resolve` of this plugin will look for with [`Location::extra`].
    pub fn with_extra(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.push((key.into(), value.into()));
        self
    }

    /// The first extra of that name.
    pub fn extra(&self, key: &str) -> Option<&str> {
        self.extras.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// How deep a listing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListMode {
    /// Every object below the prefix.
    #[default]
    Recursive,
    /// Objects right below the prefix, and directories without entering them.
    Shallow,
    /// Directories up to and including the first segment of this name, entering nothing below it; objects that have
    /// no such directory above them come as they are. Needs `Capability::ROLL_UP`.
    RollUp(String),
}

/// Asks for the names below a prefix.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListRequest {
    /// A directory; it ends at a segment, so `a` does not match `ab/x`.
    pub prefix: ReplicaPath,
    /// Only names strictly after this one. It need not exist.
    pub start_after: Option<ObjectKey>,
    /// How deep.
    pub mode: ListMode,
    /// The host needs no more entries than this: a hint to stop early.
    pub limit: Option<u64>,
}

impl ListRequest {
    /// Everything below `prefix`.
    pub fn below(prefix: ReplicaPath) -> Self {
        Self { prefix, start_after: None, mode: ListMode::Recursive, limit: None }
    }

    /// Only names strictly after `key`.
    pub fn with_start_after(mut self, key: ObjectKey) -> Self {
        self.start_after = Some(key);
        self
    }

    /// How deep.
    pub fn with_mode(mut self, mode: ListMode) -> Self {
        self.mode = mode;
        self
    }

    /// A hint to stop early.
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Asks for the bytes of one object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadRequest {
    /// Which object.
    pub key: ObjectKey,
    /// The first byte.
    pub offset: u64,
    /// How many bytes; `None` is to the end, `Some(0)` is none.
    pub len: Option<u64>,
    /// Only this content: CONFLICT if the object is another one by now. Needs `Capability::READ_VERSION`.
    pub version: Option<String>,
}

impl ReadRequest {
    /// The whole object.
    pub fn whole(key: ObjectKey) -> Self {
        Self::from_offset(key, 0)
    }

    /// From `offset` to the end.
    pub fn from_offset(key: ObjectKey, offset: u64) -> Self {
        Self { key, offset, len: None, version: None }
    }

    /// Exactly `len` bytes from `offset`.
    pub fn range(key: ObjectKey, offset: u64, len: u64) -> Self {
        Self { key, offset, len: Some(len), version: None }
    }

    /// Only this content.
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

/// Asks to store one object. The bytes come beside it, as a body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteRequest {
    /// Which object.
    pub key: ObjectKey,
    /// Its length, when known. The SDK makes an error of a body that ends elsewhere.
    pub size: Option<u64>,
    /// The time to store with it, as exactly as `Capability::time_step` allows.
    pub time: Timestamp,
    /// CONFLICT if the object exists. Needs `Capability::IF_ABSENT`.
    pub if_absent: bool,
    /// Never hold more bytes of the body than this at once.
    pub buffer: u64,
}

impl WriteRequest {
    /// Of unknown size, replacing any older object, with a buffer of 4 MiB.
    pub fn new(key: ObjectKey, time: Timestamp) -> Self {
        Self { key, size: None, time, if_absent: false, buffer: 4 << 20 }
    }

    /// Of this many bytes.
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Only if there is no such object.
    pub fn with_if_absent(mut self, if_absent: bool) -> Self {
        self.if_absent = if_absent;
        self
    }

    /// How many bytes of the body may be held at once.
    pub fn with_buffer(mut self, buffer: u64) -> Self {
        self.buffer = buffer;
        self
    }
}
