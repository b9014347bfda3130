//! One destination of one database: layout, listing, upload.
//!
//! [`ReplicaClient`] speaks LTX files and levels; the [`Store`](crate::plugin::Store) below it speaks objects. Only
//! `layout.rs` knows how an LTX file is named there. What to upload, merge or delete is decided in `fleet`.

mod body_reader;
mod client;
mod continuity;
mod find;
mod generations;
mod layout;
mod spool;
mod trailer;

pub use body_reader::BodyReader;
pub use client::ReplicaClient;
pub use continuity::{Remote, Verdict, contiguous, judge};
pub use find::{FoundReplica, find_replicas};
pub use generations::Generations;
pub use layout::{Layout, layout_segment};
pub use spool::{Spool, SpoolReader, SpoolWriter};
pub use trailer::local_trailer;
