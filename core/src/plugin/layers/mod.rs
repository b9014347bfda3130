//! What every store gets around it, outermost first:
//!
//! | layer | does |
//! |---|---|
//! | [`measure`] | counts and traces each operation |
//! | [`one_writer`] | lets one write of a key run at a time |
//! | [`retry`] | sends again what may be sent again |
//! | [`concurrency`] | waits for a place; [`admission`] holds the places |
//! | [`lending`] | reserves memory for a body, and counts the chunks the plugin holds |
//! | [`rate`] | tells admission how the store feels |
//! | [`timeout`] | ends what makes no progress |
//! | [`reopen`] | replaces a store that panicked or broke the contract |
//!
//! Below is the ABI adaptor. A plugin has none of these.
//!
//! The time limits lie inside the queue for a place, not around it: waiting for our own turn is not the store's
//! silence, and must not be counted as a failure of it.

use litestream_sdk::Body;

pub(super) mod admission;
pub(super) mod concurrency;
#[cfg(feature = "failpoints")]
pub(super) mod crash;
pub(super) mod lending;
pub(super) mod measure;
pub(super) mod one_writer;
pub(super) mod rate;
pub(super) mod reopen;
pub(super) mod retry;
pub(super) mod timeout;

#[cfg(test)]
pub(in crate::plugin) mod fake;
#[cfg(test)]
mod tests;

/// Keeps the size hint of a body that was wrapped.
pub(super) fn hinted(body: Body, size: Option<u64>) -> Body {
    match size {
        Some(size) => body.with_size_hint(size),
        None => body,
    }
}
