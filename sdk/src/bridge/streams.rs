//! Bodies and listings over the boundary: pulled, one piece at a time, without copying a chunk.

use super::convert::{entry_in, entry_out, error_in};
use super::guard::{Shared, guarded, inside};
use crate::error::Result;
use crate::types::{Body, Page, Pages};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, unfold};
use litestream_sdk_abi as abi;
use litestream_sdk_abi::abi_stable::prefix_type::PrefixTypeTrait;
use litestream_sdk_abi::abi_stable::std_types::{RErr, RNone, ROk, ROption, RSome, RVec};
use litestream_sdk_abi::async_ffi::FfiFuture;
use litestream_sdk_abi::{AbiResult, BodyObj, BodyVt, BodyVt_Ref, Buf, NONE_U64, PagesObj, PagesVt, PagesVt_Ref};
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// What stands behind a `BodyObj` or `PagesObj` made in this library.
struct Source<T> {
    /// Shared with a `next` that is under way: the object may be released meanwhile.
    stream: Arc<Mutex<Fused<T>>>,
    size: u64,
    runtime: Option<Shared>,
}

/// Ends after its end or first error, however often it is asked.
struct Fused<T>(Option<BoxStream<'static, Result<T>>>);

impl<T> Fused<T> {
    async fn next(&mut self) -> Result<Option<T>> {
        let Some(stream) = self.0.as_mut() else { return Ok(None) };
        // Dropping this future at the await keeps the stream and its place.
        let next = stream.next().await.transpose();
        if !matches!(next, Ok(Some(_))) {
            self.0 = None;
        }
        next
    }
}

fn leak_source<T>(stream: BoxStream<'static, Result<T>>, size: u64, runtime: Option<Shared>) -> *const () {
    let stream = Arc::new(Mutex::new(Fused(Some(stream))));
    Box::into_raw(Box::new(Source { stream, size, runtime })).cast_const().cast()
}

unsafe extern "C" fn release<T>(source: *const ()) {
    // SAFETY: `source` is a `Source<T>` of `leak_source`, and an object calls this once, at its drop.
    let source = unsafe { Box::from_raw(source.cast_mut().cast::<Source<T>>()) };
    let runtime = source.runtime.clone();
    inside(runtime.as_deref(), || drop(source));
}

unsafe extern "C" fn size_hint<T>(source: *const ()) -> u64 {
    // SAFETY: as above; an object calls this only while it lives.
    unsafe { &*source.cast::<Source<T>>() }.size
}

/// # Safety
/// `source` is a living `Source<T>`.
unsafe fn next<T, U>(source: *const (), convert: fn(T) -> U) -> FfiFuture<AbiResult<ROption<U>>>
where
    T: Send + 'static,
    U: Send + 'static,
{
    // SAFETY: promised by the caller.
    let source = unsafe { &*source.cast::<Source<T>>() };
    let stream = source.stream.clone();
    guarded(source.runtime.clone(), async move {
        let next = stream.lock_owned().await.next().await?;
        Ok(next.map_or(RNone, |piece| RSome(convert(piece))))
    })
}

unsafe extern "C" fn next_chunk(source: *const ()) -> FfiFuture<AbiResult<ROption<Buf>>> {
    // SAFETY: the object lives and was made by `body_out`.
    unsafe { next::<Bytes, Buf>(source, Buf::from_owner) }
}

unsafe extern "C" fn next_page(source: *const ()) -> FfiFuture<AbiResult<ROption<abi::Page>>> {
    // SAFETY: the object lives and was made by `pages_out`.
    unsafe { next::<Page, abi::Page>(source, page_out) }
}

fn page_out(page: Page) -> abi::Page {
    abi::Page { entries: page.into_iter().map(entry_out).collect(), extras: RVec::new() }
}

/// Lends a body to the other side; `runtime` is this library's.
pub(super) fn body_out(body: Body, runtime: Option<Shared>) -> BodyObj {
    static FUNCTIONS: OnceLock<BodyVt_Ref> = OnceLock::new();
    let make =
        || BodyVt { release: release::<Bytes>, size_hint: size_hint::<Bytes>, next: next_chunk }.leak_into_prefix();
    let size = body.size_hint().unwrap_or(NONE_U64);
    let source = leak_source(body.into_stream(), size, runtime);
    // SAFETY: the functions belong to a `Source<Bytes>`, which is `Send + Sync`, and none unwinds.
    unsafe { BodyObj::new(source, *FUNCTIONS.get_or_init(make)) }
}

/// Lends a listing to the host.
pub(super) fn pages_out(pages: Pages, runtime: Option<Shared>) -> PagesObj {
    static FUNCTIONS: OnceLock<PagesVt_Ref> = OnceLock::new();
    let make =
        || PagesVt { release: release::<Page>, size_hint: size_hint::<Page>, next: next_page }.leak_into_prefix();
    let source = leak_source(pages, NONE_U64, runtime);
    // SAFETY: the functions belong to a `Source<Page>`, which is `Send + Sync`, and none unwinds.
    unsafe { PagesObj::new(source, *FUNCTIONS.get_or_init(make)) }
}

/// The other side's body. Its chunks are used where they lie, and given back when the last `Bytes` of them is dropped.
pub(super) fn body_in(body: BodyObj) -> Body {
    let size = body.size_hint();
    let stream = unfold(Some(body), |body| async move {
        let body = body?;
        match body.next().await {
            ROk(RSome(chunk)) => Some((Ok(Bytes::from_owner(chunk)), Some(body))),
            ROk(RNone) => None,
            RErr(error) => Some((Err(error_in(error)), None)),
        }
    });
    let body = Body::new(stream);
    if size == NONE_U64 { body } else { body.with_size_hint(size) }
}

/// The plugin's listing, without the names that are no valid keys.
pub(super) fn pages_in(pages: PagesObj) -> Pages {
    unfold(Some(pages), |pages| async move {
        let pages = pages?;
        loop {
            match pages.next().await {
                ROk(RSome(page)) => {
                    let page = page_in(page);
                    if !page.is_empty() {
                        return Some((Ok(page), Some(pages)));
                    }
                }
                ROk(RNone) => return None,
                RErr(error) => return Some((Err(error_in(error)), None)),
            }
        }
    })
    .boxed()
}

fn page_in(page: abi::Page) -> Page {
    let given = page.entries.len();
    let kept: Page = page.entries.into_iter().filter_map(|entry| entry_in(entry).ok()).collect();
    let skipped = given - kept.len();
    if skipped > 0 {
        tracing::debug!(skipped, "left out names of a listing that are no valid keys: they belong to somebody else");
    }
    kept
}

#[cfg(test)]
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Source<Bytes>>();
    shared::<Source<Page>>();
};
