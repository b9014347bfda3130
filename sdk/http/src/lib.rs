//! For plugins whose storage speaks HTTP: what their protocols have in common, so that each plugin holds only what is its
//! store's own.
//!
//! ```text
//! Call -> the plugin's address and signature -> exchange::send, once, on a client of the Pool -> headers, body
//!                                                  \-> the plugin's reading of a refusal, with refusal.rs
//! ```
//!
//! Nothing here tries again, waits or limits: the host does that around every store. Nothing here knows a store.

pub mod call;
pub mod credentials;
pub mod exchange;
pub mod mime;
pub mod parts;
pub mod pool;
pub mod range;
pub mod refusal;
pub mod xml;

pub use call::Call;
pub use parts::Parts;
pub use pool::Pool;
