//! The vocabulary both sides share: paths, requests, answers, bodies. Plain Rust values, no I/O.
//!
//! Every struct here is `#[non_exhaustive]`: build it with its constructor and `with_*`, read its fields freely.
//! A later 1.x SDK can then add a field that has a default, and no plugin needs a change.

mod body;
mod capability;
mod copy;
mod object;
mod path;
mod request;
mod timestamp;

pub use body::{Body, Page, Pages};
pub use capability::Capability;
pub use copy::CopyRequest;
pub use object::{Entry, ObjectInfo, Time};
pub use path::{DbPath, ObjectKey, ReplicaPath, ShownBytes};
pub use request::{ListMode, ListRequest, Location, ReadRequest, WriteRequest};
pub use timestamp::Timestamp;
