//! Write a storage plugin for litestream-rs.

pub mod context;
pub mod describe;
pub mod error;
pub mod options;
pub mod storage;
pub mod types;

pub use async_trait::async_trait;
pub use bytes::Bytes;
pub use context::{Context, HostServices, LogLevel, MetricKind, OnDrop};
pub use error::{ErrorKind, Result, StorageError};
pub use options::{Secret, Size};
pub use storage::{Plugin, Storage};
pub use types::{
    Body, Capability, DbPath, Entry, ListMode, ListRequest, Location, ObjectInfo, ObjectKey, Page, Pages, ReadRequest,
    ReplicaPath, ShownBytes, Time, Timestamp, WriteRequest,
};
