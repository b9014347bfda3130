//! The values of the data plane. See the crate docs for "none".

use crate::objects::BodyObj;
use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString, RVec};

/// Stands for "none" wherever a number may be absent.
pub const NONE_U64: u64 = u64::MAX;

/// A named text.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name; of an extra, `!` in front means "understand this or refuse".
    pub key: RString,
    /// Its text.
    pub value: RString,
}

/// Later inputs and outputs of an operation.
pub type Extras = RVec<Pair>;

/// What every fallible call gives.
pub type AbiResult<T> = RResult<T, AbiError>;

/// The SDK's `StorageError`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AbiError {
    /// The SDK's `ErrorKind`.
    pub kind: u16,
    /// 0 if there was none.
    pub http_status: u16,
    /// Milliseconds, or none.
    pub retry_after_ms: u64,
    /// For a person.
    pub message: RString,
    /// The store's own code.
    pub code: RString,
    /// The store's request id.
    pub request_id: RString,
    /// Texts of the underlying errors, outermost first.
    pub chain: RVec<RString>,
    /// Later members.
    pub extras: Extras,
}

/// The entry is a directory.
pub const ENTRY_DIR: u32 = 1;
/// The entry has a time.
pub const ENTRY_TIME: u32 = 2;
/// The time is the written one, not the server's.
pub const ENTRY_TIME_EXACT: u32 = 4;
/// There is no entry: a read that was answered without a description.
pub const ENTRY_NONE: u32 = 8;

/// An object or a directory.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole name.
    pub key: RVec<u8>,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970, if flagged.
    pub time_ns: i64,
    /// `ENTRY_*`.
    pub flags: u32,
    /// Names this content.
    pub version: RString,
}

/// Some lines of a listing.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct Page {
    /// 1 to 10,000.
    pub entries: RVec<Entry>,
    /// Later members.
    pub extras: Extras,
}

/// The base came from a URL.
pub const LOCATION_FROM_URL: u32 = 1;

/// Where one configuration points.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct LocationAbi {
    /// The base path.
    pub base: RVec<u8>,
    /// `LOCATION_*`.
    pub flags: u32,
    /// The plugin's own texts for `resolve`.
    pub extras: Extras,
}

/// Everything below the prefix.
pub const LIST_RECURSIVE: u32 = 0;
/// One directory.
pub const LIST_SHALLOW: u32 = 1;
/// Directories up to the first segment `marker`.
pub const LIST_ROLL_UP: u32 = 2;

/// Input of `list`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct ListReq {
    /// A directory.
    pub prefix: RVec<u8>,
    /// Strictly after this key.
    pub start_after: RVec<u8>,
    /// Of `LIST_ROLL_UP`.
    pub marker: RVec<u8>,
    /// `LIST_*`.
    pub mode: u32,
    /// A hint to stop early.
    pub limit: u64,
    /// Later inputs.
    pub extras: Extras,
}

/// Input of `read`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct ReadReq {
    /// Which object.
    pub key: RVec<u8>,
    /// First byte.
    pub offset: u64,
    /// How many; none is to the end.
    pub len: u64,
    /// Only this content.
    pub version: RString,
    /// Later inputs.
    pub extras: Extras,
}

/// Output of `read`.
#[repr(C)]
#[derive(StableAbi)]
pub struct ReadResp {
    /// The object, or `ENTRY_NONE`.
    pub info: Entry,
    /// Its bytes.
    pub body: BodyObj,
    /// Later outputs.
    pub extras: Extras,
}

/// Refuse if the object exists.
pub const WRITE_IF_ABSENT: u32 = 1;

/// Input of `write`, beside the body.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct WriteReq {
    /// Which object.
    pub key: RVec<u8>,
    /// Bytes, or none.
    pub size: u64,
    /// The time to keep with it.
    pub time_ns: i64,
    /// `WRITE_*`.
    pub flags: u32,
    /// Most bytes of the body to hold at once.
    pub buffer: u64,
    /// Later inputs.
    pub extras: Extras,
}

/// The SDK's `Capability`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct CapabilityAbi {
    /// Sum of bits.
    pub bits: u64,
    /// Calls at once.
    pub max_in_flight: u32,
    /// Keys in one delete.
    pub delete_batch: u32,
    /// Least useful buffer of a write.
    pub write_buffer_min: u64,
    /// Most useful buffer of a write.
    pub write_buffer_max: u64,
    /// Bytes one read may hold.
    pub read_buffer: u64,
    /// Largest object.
    pub max_object: u64,
    /// Precision of times; 0 if none is kept.
    pub time_step_ns: u64,
    /// Longest key.
    pub max_key: u32,
    /// Later members.
    pub extras: Extras,
}
