#![doc = include_str!("../README.md")]
//!
//! ## The modules, in the order in which an author meets them
//!
//! | module | what |
//! |---|---|
//! | [`storage`] | the two traits: the contract |
//! | [`types`] | paths, requests, answers, bodies |
//! | [`error`] | one error, classified |
//! | [`context`] | runtime, log, metrics, cleaning after a cancelled call |
//! | [`mod@options`] | keys by declaration |
//! | [`listing`] | every kind of listing from a list of objects |
//! | [`export`] | from a type to a library |
//! | [`mod@conformance`] | the promises as checks |
//! | [`memory`], [`fault`] | a store that keeps every promise, and stores that do not |
//! | [`docs`] | why, and the rules that signatures cannot say |
//! | [`checked`], [`configure`], [`describe`], [`bridge`] | what a host uses |

pub mod bridge;
pub mod checked;
pub mod configure;
pub mod conformance;
pub mod context;
pub mod describe;
pub mod docs;
pub mod error;
pub mod export;
pub mod fault;
pub mod listing;
mod logging;
pub mod memory;
pub mod options;
mod runtime;
pub mod storage;
pub mod types;

pub use async_trait::async_trait;
pub use bytes::{self, Bytes};
pub use checked::Checked;
pub use context::{Context, HostServices, LogLevel, MetricKind, NoHost, OnDrop};
pub use error::{ErrorKind, Result, StorageError};
/// The crate whose streams [`Body`] and [`Pages`] are made of.
pub use futures;
pub use options::{Secret, Size};
pub use storage::{Plugin, Storage};
pub use tokio;
pub use types::{
    Body, Capability, CopyRequest, DbPath, Entry, ListMode, ListRequest, Location, ObjectInfo, ObjectKey, Page, Pages,
    ReadRequest, ReplicaPath, ShownBytes, Time, Timestamp, WriteRequest,
};

/// What the macros expand to. Not for authors.
#[doc(hidden)]
pub mod __private {
    pub use litestream_sdk_abi::abi_stable;
    pub use litestream_sdk_abi::{PluginModV1_Ref, RECORD_MAGIC};
    pub use serde_json::{Value, json};
}
