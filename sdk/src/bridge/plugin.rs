//! The plugin's half: an author's [`Plugin`] and its stores as objects of the ABI.

use super::convert::{
    bytes_out, capability_out, info_out, key_of_host, list_in, location_in, no_info, read_in, result_out, write_in,
};
use super::guard::{Shared, caught, guarded, inside};
use super::services::RemoteHost;
use super::streams::{body_in, body_out, pages_out};
use crate::configure;
use crate::context::Context;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Problem};
use crate::error::{Result, StorageError};
use crate::export::Exported;
use crate::storage::{Plugin, Storage};
use crate::types::DbPath;
use crate::{logging, runtime};
use bytes::Bytes;
use litestream_sdk_abi as abi;
use litestream_sdk_abi::abi_stable::prefix_type::PrefixTypeTrait;
use litestream_sdk_abi::abi_stable::std_types::{RSlice, RString, RVec};
use litestream_sdk_abi::async_ffi::FfiFuture;
use litestream_sdk_abi::{AbiResult, Buf, HostApi, PluginModV1, PluginModV1_Ref, StorageObj, StorageVt, StorageVt_Ref};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long `close` waits for cleaning that cancelled calls have started.
const CLEANING_LIMIT: Duration = Duration::from_secs(10);

/// A name for `extension` that the SDK answers in place of the plugin: the call panics, as a bug of the plugin's would
/// make it. For the conformance check of what a panic leaves behind.
pub const SELF_TEST_PANIC: &str = "sdk.self-test.panic";

/// As [`SELF_TEST_PANIC`]: one line through `tracing` and one through `log`, as the plugin's own code would write them;
/// their text is the argument.
pub const SELF_TEST_LOG: &str = "sdk.self-test.log";

/// The functions of a library. With `OWN_LIBRARY` its `open` also installs the panic hook and the log glue, which belong
/// to the whole library; a plugin that is linked into its host must leave those alone.
pub fn module<E: Exported, const OWN_LIBRARY: bool>() -> PluginModV1_Ref {
    PluginModV1 {
        describe: describe::<E>,
        configure: configure_json::<E>,
        resolve: resolve::<E>,
        open: open::<E, OWN_LIBRARY>,
    }
    .leak_into_prefix()
}

fn json(value: &impl serde::Serialize) -> Result<RString> {
    let text = serde_json::to_string(value);
    text.map(RString::from).map_err(|e| StorageError::permanent("writing JSON").with_source(&e))
}

extern "C" fn describe<E: Exported>() -> RString {
    // An empty text is no description: the host reports a broken contract.
    caught(|| json(&configure::describe::<E::Plugin>(E::RECORD)?)).unwrap_or_default()
}

extern "C" fn configure_json<E: Exported>(request: RString) -> RString {
    let answer = caught(|| json(&configure::configure::<E::Plugin>(&request_in(&request)?)));
    answer.unwrap_or_else(|error| {
        let problems = vec![Problem::new("", error.to_string())];
        json(&ConfigureAnswer::Refused { problems }).unwrap_or_default()
    })
}

fn request_in(text: &str) -> Result<ConfigureRequest> {
    serde_json::from_str(text).map_err(|e| StorageError::invalid_input("reading the configuration").with_source(&e))
}

extern "C" fn resolve<E: Exported>(at: &abi::LocationAbi, db: RSlice<'_, u8>) -> AbiResult<RVec<u8>> {
    result_out(caught(|| {
        let place = E::Plugin::resolve(&location_in(at)?, &DbPath::parse(db)?)?;
        Ok(bytes_out(place.as_bytes()))
    }))
}

extern "C" fn open<E: Exported, const OWN_LIBRARY: bool>(
    host: HostApi,
    request: RString,
) -> FfiFuture<AbiResult<StorageObj>> {
    let runtime = catch_unwind(|| runtime::of_library(E::NAME, host.worker_threads(), host.blocking_threads()));
    let runtime = match runtime.unwrap_or_else(|panic| Err(StorageError::from_panic(&*panic))) {
        Ok(runtime) => runtime,
        Err(error) => return guarded(None, std::future::ready(Err(error))),
    };
    if OWN_LIBRARY {
        logging::install(host);
    }
    let context = Context::new(runtime.clone(), Arc::new(RemoteHost(host)));
    guarded(Some(Shared::Borrowed(runtime)), async move {
        let options = configure::options::<E::Plugin>(&request_in(&request)?)?;
        let storage = E::Plugin::open(options, context.clone()).await?;
        Ok(storage_out(Arc::new(storage), context, runtime))
    })
}

/// What stands behind a `StorageObj`.
struct Open {
    storage: Arc<dyn Storage>,
    context: Context,
    runtime: &'static Handle,
}

impl Open {
    /// Starts a call: `'static`, on this library's runtime.
    fn call<T, F>(&self, call: impl FnOnce(Arc<dyn Storage>) -> F) -> FfiFuture<AbiResult<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        guarded(self.runtime(), call(self.storage.clone()))
    }

    /// For what a call gives back and lives on.
    fn runtime(&self) -> Option<Shared> {
        Some(Shared::Borrowed(self.runtime))
    }
}

/// An open store as an object of the ABI.
fn storage_out(storage: Arc<dyn Storage>, context: Context, runtime: &'static Handle) -> StorageObj {
    static FUNCTIONS: OnceLock<StorageVt_Ref> = OnceLock::new();
    let make =
        || StorageVt { release, capability, list, stat, read, write, delete, close, extension }.leak_into_prefix();
    let open = Box::into_raw(Box::new(Open { storage, context, runtime }));
    // SAFETY: the functions belong to an `Open`, which is `Send + Sync`, and none unwinds.
    unsafe { StorageObj::new(open.cast_const().cast(), *FUNCTIONS.get_or_init(make)) }
}

/// # Safety
/// `ctx` is a living `Open` of [`storage_out`].
unsafe fn open_at<'a>(ctx: *const ()) -> &'a Open {
    // SAFETY: promised by the caller.
    unsafe { &*ctx.cast::<Open>() }
}

unsafe extern "C" fn release(ctx: *const ()) {
    // SAFETY: made by `Box::into_raw` in `storage_out`, and released once.
    let open = unsafe { Box::from_raw(ctx.cast_mut().cast::<Open>()) };
    inside(Some(open.runtime), || drop(open));
}

unsafe extern "C" fn capability(ctx: *const ()) -> abi::CapabilityAbi {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    // A store whose capability panics can do nothing: the least of everything, and each call will say why.
    capability_out(catch_unwind(AssertUnwindSafe(|| open.storage.capability())).unwrap_or_default())
}

unsafe extern "C" fn list(ctx: *const (), request: abi::ListReq) -> FfiFuture<AbiResult<abi::PagesObj>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    let runtime = open.runtime();
    open.call(|storage| async move { Ok(pages_out(storage.list(list_in(request)?).await?, runtime)) })
}

unsafe extern "C" fn stat(ctx: *const (), key: RVec<u8>) -> FfiFuture<AbiResult<abi::Entry>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    open.call(|storage| async move { Ok(info_out(storage.stat(&key_of_host(key)).await?)) })
}

unsafe extern "C" fn read(ctx: *const (), request: abi::ReadReq) -> FfiFuture<AbiResult<abi::ReadResp>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    let runtime = open.runtime();
    open.call(|storage| async move {
        let (info, body) = storage.read(read_in(request)?).await?;
        let info = info.map_or_else(no_info, info_out);
        Ok(abi::ReadResp { info, body: body_out(body, runtime), extras: RVec::new() })
    })
}

unsafe extern "C" fn write(
    ctx: *const (),
    request: abi::WriteReq,
    body: abi::BodyObj,
) -> FfiFuture<AbiResult<abi::Entry>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    open.call(|storage| async move { Ok(info_out(storage.write(write_in(request)?, body_in(body)).await?)) })
}

unsafe extern "C" fn delete(ctx: *const (), keys: RVec<RVec<u8>>) -> FfiFuture<AbiResult<RVec<AbiResult<()>>>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    open.call(|storage| async move {
        let keys = keys.into_iter().map(key_of_host).collect();
        Ok(storage.delete(keys).await?.into_iter().map(result_out).collect())
    })
}

unsafe extern "C" fn close(ctx: *const ()) -> FfiFuture<AbiResult<()>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    let context = open.context.clone();
    open.call(|storage| async move {
        let closed = storage.close().await;
        context.finish_cleaning(CLEANING_LIMIT).await;
        closed
    })
}

unsafe extern "C" fn extension(ctx: *const (), operation: RString, args: Buf) -> FfiFuture<AbiResult<Buf>> {
    // SAFETY: the object lives.
    let open = unsafe { open_at(ctx) };
    open.call(|storage| async move {
        let args = Bytes::from_owner(args);
        let answer = match operation.as_str() {
            SELF_TEST_PANIC => panic!("a conformance check asked for it"),
            SELF_TEST_LOG => logging::self_test(&String::from_utf8_lossy(&args)),
            operation => storage.extension(operation, args).await?,
        };
        Ok(Buf::from_owner(answer))
    })
}
