//! Futures that may be polled and dropped by the other side's threads.
//!
//! Each library links its own tokio, and tokio finds its runtime through thread-locals. So a future that was made here
//! must see *this* library's runtime whenever it runs and whenever it is dropped, on whatever thread that happens. A
//! panic must not cross either way: it becomes an error of that call.

use super::convert::{error_out, result_out};
use crate::error::{ErrorKind, Result, StorageError};
use litestream_sdk_abi::AbiResult;
use litestream_sdk_abi::abi_stable::std_types::RErr;
use litestream_sdk_abi::async_ffi::{FfiFuture, FutureExt};
use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// A runtime for a while: a plugin library's lives for ever, the host's is counted.
pub(super) type Shared = Cow<'static, Handle>;

/// A call on its way, with its future inside: one allocation for each call.
struct Guarded<F> {
    /// `None` once it has ended. Pinned as a part of this struct: it is never moved, and dropped where it lies.
    future: Option<F>,
    /// The runtime of this library; the host may call from outside any runtime.
    runtime: Option<Shared>,
}

impl<T, F: Future<Output = Result<T>>> Future for Guarded<F> {
    type Output = AbiResult<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is not moved out of `this`, only polled through a pin and replaced by `None`, which drops it
        // in place; `runtime` is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(future) = this.future.as_mut() else {
            let error = StorageError::new(ErrorKind::CANCELLED, "the call has already ended");
            return Poll::Ready(RErr(error_out(error)));
        };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(future) };
        let _entered = this.runtime.as_deref().map(Handle::enter);
        // Unwind safety: whatever panicked is dropped below and never seen again, and shared state behind it is
        // synchronised with its own poisoning.
        let result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx).map(result_out))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => RErr(error_out(panic_error(&*panic))),
        };
        quietly(|| this.future = None);
        Poll::Ready(result)
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        // Of a call that has ended nothing is left to be dropped inside.
        if self.future.is_some() {
            let Self { future, runtime } = self;
            inside(runtime.as_deref(), || *future = None);
        }
    }
}

/// A call that the other side may poll, spawn and drop as it likes.
pub(super) fn guarded<T: Send + 'static>(
    runtime: Option<Shared>,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> FfiFuture<AbiResult<T>> {
    Guarded { future: Some(call), runtime }.into_ffi()
}

/// Runs `work`, usually a drop, with the runtime entered and panics kept in.
pub(super) fn inside(runtime: Option<&Handle>, work: impl FnOnce()) {
    let _entered = runtime.map(Handle::enter);
    quietly(work);
}

/// A panic in a drop has nobody to report to but the panic hook, which has run by then.
fn quietly(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// Runs a synchronous call with panics turned into errors.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_error(&*panic)))
}

fn panic_error(panic: &(dyn Any + Send)) -> StorageError {
    StorageError::from_panic(panic)
}
