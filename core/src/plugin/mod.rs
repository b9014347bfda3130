//! Storage plugins: found by file name, checked, loaded, and wrapped in the layers every store gets.
//!
//! ```text
//! search -> record, trust -> registry (claims) -> loader -> Stores (one Store for each pool) -> layers -> ABI -> plugin
//! ```
//!
//! [`Registry::discover`] reads files and loads nothing; [`Registry::for_type`] loads what a configuration needs;
//! [`Stores::open`] gives one [`Store`] to all replicas that name the same pool.
//!
//! No key, URL rule or quirk of any storage is known here, and no layout: what a path means is decided above.

mod budget;
mod extent;
mod host_services;
mod layers;
mod loader;
mod record;
mod refusal;
mod registry;
mod search;
mod source;
mod store;
mod stores;
mod trust;

#[cfg(test)]
mod tests;

pub use budget::{ByteBudget, Reservation};
pub use layers::retry::Urgency;
pub use loader::LoadedPlugin;
pub use record::Record;
pub use refusal::{ABI, PluginError, Reason, Refusal};
pub use registry::{PluginFile, Registry};
pub use search::SearchPath;
pub use source::{BytesSource, CHUNK, FileSource, WriteSource};
pub use store::{Store, StoreSettings};
pub use stores::Stores;
pub use trust::Distrust;
