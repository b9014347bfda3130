//! ABI v1: every type that crosses between litestream-rs and a storage plugin, and nothing else.
//!
//! Frozen at 1.0. No plugin author sees these types: `litestream-sdk` adapts them to its traits on both sides.
//!
//! - Control (describe, configure) crosses as JSON text, so it can grow without a change of layout.
//! - Data (requests, pages, chunks, errors) crosses as the few `repr(C)` values of [`values`] and [`buf`].
//! - Objects are a context pointer and a vtable of plain `extern "C"` functions ([`objects`]); a `sabi_trait` method
//!   would end the process on a panic.
//! - This is the only crate that names abi_stable and async-ffi.
#![doc = include_str!("growth.md")]
// abi_stable's derives emit both; neither says anything about this code.
#![allow(non_local_definitions, non_camel_case_types)]

pub mod buf;
pub mod host;
pub mod load;
pub mod module;
pub mod objects;
pub mod values;

#[cfg(test)]
mod layout_tests;

pub use abi_stable;
pub use async_ffi;
pub use buf::Buf;
pub use host::HostApi;
pub use load::{LoadError, load};
pub use module::{ABI, PluginModV1, PluginModV1_Ref, RECORD_MAGIC, RECORD_SYMBOL};
pub use objects::{BodyObj, BodyVt, BodyVt_Ref, PagesObj, PagesVt, PagesVt_Ref, StorageObj, StorageVt, StorageVt_Ref};
pub use values::*;
