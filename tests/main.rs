//! End-to-end tests: the real program, real plugin libraries, real SQLite applications in processes of their own.
//!
//! The subject is our binary; `LITESTREAM_SUBJECT=reference` runs the same tests against Litestream 0.5.17, which
//! proves the tests themselves. What the reference is known to do otherwise is then skipped, with a line that says so.
#![allow(clippy::unwrap_used, reason = "a test that cannot set its scene stops at the line that failed")]

mod harness;

// What commands say to arguments that are wrong.
mod bad_input;
// Network storages against real servers.
mod backends;
// Flags, exit codes, texts.
mod cli;
// Configuration files: refusals, values, layers.
mod config;
// Everybody killed at random moments.
mod crash;
// Every sentence of the guide on replicating directories.
mod directory;
// Replicas in version control, whole and damaged.
mod fixtures;
// Hard cases that need the whole program: disks, signals, load, levels.
mod hard_cases;
// With Litestream itself: each restores the other's replicas, and they take turns.
mod interop;
// A storage held to every promise of the contract.
mod plugin_check;
// A crate for a new plugin.
mod plugin_new;
// Plugins as files: found, missing, refused.
mod plugin_load;
// Databases made by others.
mod real_databases;
// SIGHUP: another configuration for a running daemon.
mod reload;
// Single runs, the daemon, exec, signals.
mod replicate;
// Starts over databases that are known already.
mod restart;
// Whole directories brought back: interrupted, continued, partly impossible.
mod restore_directory;
// Targets, refusals, damaged replicas, following.
mod restore;
// The control socket and the metrics.
mod server;
// Clients that go away, and what a database leaves behind.
mod server_clients;
// The unit for systemd.
mod service;
// The status page in a browser.
mod status_page;
// What a person at a terminal sees: progress bars, and log lines beside them.
mod terminal;
// What applications do to their WAL.
mod wal;
// Databases that come and go while it runs.
mod watch;
