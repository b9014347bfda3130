//! Between the author's traits and the binary interface, in both directions.
//!
//! ```text
//! host:    dyn Storage -> Checked -> LoadedStorage (host.rs)   ==ABI==>   plugin.rs -> the author's Storage
//! bodies:  the host's chunks (streams.rs)                      ==ABI==>   Body
//! ```
//!
//! Every future that crosses is guarded (`guard.rs`): it runs, and is dropped, with its own library's tokio runtime
//! entered, and its panics become PLUGIN_PANIC errors. Chunks cross without a copy. `convert.rs` translates the values.
//!
//! No policy lives here: no retry, no time limit, no log line of its own. This folder and the ABI crate are the only
//! places of the SDK with `unsafe`.

#![allow(unsafe_code)]

mod convert;
mod guard;
pub mod host;
pub mod plugin;
mod services;
mod streams;

#[cfg(test)]
mod tests;

pub use host::HostModule;
pub use plugin::{SELF_TEST_LOG, SELF_TEST_PANIC};
pub(crate) use services::RemoteHost;
