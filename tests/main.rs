//! End-to-end tests: the real program, real plugin libraries, real SQLite applications in processes of their own.
//!
//! The subject is our binary; `LITESTREAM_SUBJECT=reference` runs the same tests against Litestream 0.5.17, which
//! proves the tests themselves. What the reference is known to do otherwise is then skipped, with a line that says so.
#![allow(clippy::unwrap_used, reason = "a test that cannot set its scene stops at the line that failed")]

mod harness;

mod cli; // flags, exit codes, texts
mod directory; // every sentence of the guide on directories
mod replicate; // single runs, the daemon, exec, signals
mod restore; // targets, refusals, damaged replicas, following
mod wal; // what applications do to their WAL
mod watch; // databases that come and go while it runs
