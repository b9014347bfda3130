//! The two traits an author implements: [`Plugin`], the static part, and [`Storage`], one open store.
//!
//! These doc comments are the contract. The host relies on each sentence, and the conformance suite checks them through
//! the same trait. Retries, time limits, concurrency limits, metrics and tracing wrap a `Storage` from outside: a plugin
//! has none of them, and only *classifies* its errors.

use crate::context::Context;
use crate::error::{Result, StorageError};
use crate::options::{Findings, Options, Url, Values};
use crate::types::{
    Body, Capability, DbPath, ListRequest, Location, ObjectInfo, ObjectKey, Pages, ReadRequest, ReplicaPath,
    WriteRequest,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// How to configure a kind of storage, where databases go in it, and how to open it. No state, and no I/O before
/// [`Plugin::open`].
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// The keys a user can set, made by [`options!`](crate::options!).
    type Options: Options;
    /// One open store.
    type Storage: Storage;

    /// How long after an upload of a database its next one begins, if the user sets no `sync-interval` and there are
    /// changes all the time. (The first change after a pause is uploaded at once.) One second suits a store that charges for
    /// each request; where a write costs next to nothing, less shortens what can be lost.
    const SYNC_INTERVAL: Duration = Duration::from_secs(1);

    /// Puts the values found in a URL under their keys, if these are not set yet: the configuration table wins over the
    /// URL. Pure.
    ///
    /// The default follows the declarations: query parameters by key or `query` name, then host, port, user, password
    /// and path by `url`. Override it for host names that carry meaning (`bucket.s3.eu-west-1.amazonaws.com`), and
    /// call [`Values::fill_from_url`] for the rest.
    ///
    /// # Errors
    /// INVALID_INPUT with a sentence for the user.
    fn from_url(url: &Url, set: &mut Values) -> Result<()> {
        set.fill_from_url::<Self::Options>(url)
    }

    /// Rules between options: report every problem and warning, not only the first. Pure.
    fn check(_options: &Self::Options, _findings: &mut Findings) {}

    /// The base below which databases go. Two configurations of one place give one base. Pure.
    ///
    /// # Errors
    /// INVALID_INPUT with a sentence for the user.
    fn locate(options: &Self::Options) -> Result<Location>;

    /// The place of one database; an empty `db` is a single database at the base itself. Pure, microseconds, and
    /// injective: two databases of one location never share a place. Called for 100,000 databases without a connection.
    ///
    /// The default is `base/db`, for stores whose names are UTF-8.
    ///
    /// # Errors
    /// INVALID_INPUT with the reason; the user sees it beside the database that is not protected.
    fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        let path = at.base.join(db);
        path.to_utf8()?;
        Ok(path)
    }

    /// Makes the connection pool. May connect, need not. Creates no bucket and writes no object; may remove its own
    /// leftovers older than 24 h. The host calls it with options that passed everything above, and again after an error.
    ///
    /// # Errors
    /// NO_STORE, UNAUTHENTICATED, and whatever connecting meets.
    async fn open(options: Self::Options, context: Context) -> Result<Self::Storage>;
}

/// One open store: a connection pool that every database with the same options shares. Paths given to it are absolute
/// inside the store; the configured base is already part of them.
///
/// Every method may be called at any time, from any thread, many at once (up to `Capability::max_in_flight`).
///
/// **Cancelling is dropping**, of a call's future, of a body or of a listing, at any await and on any host thread, with
/// the plugin's runtime entered. Synchronous cleaning goes into `Drop`; asynchronous cleaning is registered first with
/// [`Context::on_drop`]. What a crash leaves invisible (parts, temporary files) must be recognisable, and listings
/// ignore it.
///
/// **The host promises**: valid keys that fit `max_key`; at most `delete_batch` keys; no two writes of one key at once
/// in this process; one `next` at a time on a stream; ranges inside the size it knows; times of the years 1970 to 2261;
/// every stream is drained or dropped; nothing is sent again after an error that is not retryable; no call during or
/// after `close`.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// What this store can do. Constant after `open`, and cheap.
    fn capability(&self) -> Capability;

    /// Every object below `prefix/`: at least those that existed before the call and were not deleted during it, each
    /// at most once, never a half-written or temporary one.
    ///
    /// A prefix ends at a segment (`a` does not match `ab/x`). **The objects of one directory ascend by bytes**; nothing
    /// is promised between directories, or between directories and objects. `start_after` is strict and need not exist.
    /// A missing prefix is an empty listing. Pages hold 1 to 10,000 entries; the stream may fail once and ends then.
    /// Names that are no valid [`ObjectKey`] belong to somebody else: left out, never an error. Idempotent.
    ///
    /// [`crate::listing::arrange`] serves every mode from a complete list of objects, and
    /// [`crate::listing::by_delimiter`] from requests by prefix and delimiter.
    ///
    /// # Errors
    /// NO_STORE for a missing bucket or root; UNSUPPORTED for a mode that is not claimed.
    async fn list(&self, request: ListRequest) -> Result<Pages>;

    /// Size, and `Time::Exact` where the store keeps the written time. Idempotent.
    ///
    /// # Errors
    /// NOT_FOUND.
    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo>;

    /// Exactly the bytes `[offset, offset + len)`, or from `offset` to the end. `len: Some(0)`, and an open range that
    /// begins at the end, are an empty body, never everything.
    ///
    /// A range past the end is an error: the SDK counts, so a cut stream is never taken for a whole one. Chunks as they
    /// come, 1 MiB wanted, 4 MiB at most. The info only if it came with the answer: no second request for it. When the
    /// object is replaced meanwhile: the old bytes, or the new ones, or CONFLICT; never a mix. Idempotent.
    ///
    /// # Errors
    /// NOT_FOUND, here or from the first chunk; CONFLICT when `version` is asked for and gone.
    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)>;

    /// Returns when the object is durable and visible whole, replacing any older one in one step. Before that, and
    /// after any error, cancellation or crash, readers see the old state.
    ///
    /// An `Err` from the body ends the write with that error: it is **not** the end of the object. Never holds more than
    /// `request.buffer` bytes of the body: with parts of p bytes, ask for at least 2p in `Capability::write_buffer`.
    /// Stores `time` as exactly as `time_step` allows. With `if_absent`, among concurrent writers one wins and the
    /// others get CONFLICT. Idempotent without `if_absent`.
    ///
    /// # Errors
    /// CONFLICT, STORAGE_FULL, INVALID_INPUT (key or size over the limit).
    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo>;

    /// One result for each key, in order; an absent key is `Ok`. `Ok` means that a later `list` and `stat` do not show
    /// it. The outer `Err` says nothing about any key. Idempotent.
    ///
    /// # Errors
    /// For a key: why that key stays. Outer: the request as a whole failed.
    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>>;

    /// Sent once, after the last call ended: flush and disconnect within 10 s. The SDK also waits for
    /// [`Context::on_drop`] work. The host may exit without it.
    ///
    /// # Errors
    /// Only for the log.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// Operations of later days, by name. Names that begin with `sdk.` are the SDK's own and do not come here. So far there
    /// is one, [`CopyRequest`](crate::CopyRequest), for stores that claim `Capability::COPY`.
    ///
    /// # Errors
    /// UNSUPPORTED for every name this plugin does not know.
    async fn extension(&self, operation: &str, _args: Bytes) -> Result<Bytes> {
        Err(StorageError::unsupported(format_args!("operation `{operation}`")))
    }
}
