//! The litestream-rs engine, as a library. Modules in the order in which data flows:
//!
//! ```text
//! config -> discovery -> fleet -> db (WAL to LTX) -> replica (layout, upload) -> plugin -> storage
//! server (control socket, metrics) asks the fleet
//! restore walks back: storage -> plugin -> replica -> restore (plan, merge) -> database file
//! ```

pub mod clock;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
pub mod metrics;

pub mod config;
pub mod discovery;
pub mod fleet;
pub mod server;

pub mod db;
pub mod ltx;
pub mod sqlite;

pub mod plugin;
pub mod replica;

pub mod restore;
