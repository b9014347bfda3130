//! The engine (`litestream_core::db`) against real applications: other processes, on SQLite of their own, because locks of
//! one process are invisible to itself. What it replicated is rebuilt from its L0 files and compared.

mod application;
mod database;
mod replica;
mod wal;

mod checkpoints;
mod content;
mod files;
mod generations;
mod load;
mod opening;
mod takeover;

// The harness's search for the reference, and as much of the harness as it needs.
#[path = "../harness/reference.rs"]
mod reference;
use takeover::{Kind, Program};

#[cfg(feature = "failpoints")]
mod schedules;
