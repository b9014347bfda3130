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
mod opening;
#[cfg(feature = "failpoints")]
mod schedules;
