//! Objects that live on one side and are called from the other: a context pointer and a table of functions.
//!
//! Each table is complete in v1 and never grows. Every future is `'static`: a call clones what it needs from its object,
//! so the other side may spawn it and drop the object meanwhile. Dropping a future cancels the call.

use crate::buf::Buf;
use crate::values::{AbiResult, CapabilityAbi, Entry, ListReq, Page, ReadReq, ReadResp, WriteReq};
use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RString, RVec};
use async_ffi::FfiFuture;
use std::fmt;

macro_rules! object {
    (
        $(#[$obj_meta:meta])* $obj:ident;
        $(#[$vt_meta:meta])* $vt:ident, $vt_ref:ident;
        { $( $(#[$meta:meta])* $name:ident ( $($arg:ident : $arg_ty:ty),* ) -> $ret:ty; )+ }
        last $(#[$last_meta:meta])* $last:ident ( $($last_arg:ident : $last_ty:ty),* ) -> $last_ret:ty;
    ) => {
        $(#[$vt_meta])*
        #[repr(C)]
        #[derive(StableAbi)]
        #[sabi(kind(Prefix(prefix_ref = $vt_ref)))]
        #[sabi(missing_field(panic))]
        pub struct $vt {
            /// Frees the context. Called exactly once, from any thread.
            pub release: unsafe extern "C" fn(*const ()),
            $( $(#[$meta])* pub $name: unsafe extern "C" fn(*const () $(, $arg_ty)*) -> $ret, )+
            $(#[$last_meta])*
            #[sabi(last_prefix_field)]
            pub $last: unsafe extern "C" fn(*const () $(, $last_ty)*) -> $last_ret,
        }

        $(#[$obj_meta])*
        #[repr(C)]
        #[derive(StableAbi)]
        pub struct $obj {
            ctx: *const (),
            vt: $vt_ref,
        }

        // SAFETY: `new` makes its caller promise that the context may be used from any thread.
        unsafe impl Send for $obj {}
        // SAFETY: as above.
        unsafe impl Sync for $obj {}

        impl $obj {
            /// An object of its context and its functions.
            ///
            /// # Safety
            /// `ctx` must suit every function of `vt`, stay valid until `release`, and be usable from any thread, by
            /// many calls at once. No function may unwind.
            pub unsafe fn new(ctx: *const (), vt: $vt_ref) -> Self {
                Self { ctx, vt }
            }

            $(
                $(#[$meta])*
                pub fn $name(&self $(, $arg: $arg_ty)*) -> $ret {
                    // SAFETY: promised to `new`; the context lives until `drop`.
                    unsafe { (self.vt.$name())(self.ctx $(, $arg)*) }
                }
            )+

            $(#[$last_meta])*
            pub fn $last(&self $(, $last_arg: $last_ty)*) -> $last_ret {
                // SAFETY: as above.
                unsafe { (self.vt.$last())(self.ctx $(, $last_arg)*) }
            }
        }

        impl Drop for $obj {
            fn drop(&mut self) {
                // SAFETY: promised to `new`; this runs once.
                unsafe { (self.vt.release())(self.ctx) }
            }
        }

        impl fmt::Debug for $obj {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($obj))
            }
        }
    };
}

object! {
    /// The bytes of one object, made by whoever has them: the host for a write, the plugin for a read.
    BodyObj;
    /// Functions of a [`BodyObj`].
    BodyVt, BodyVt_Ref;
    {
    /// How many bytes will come, or none. A hint.
    size_hint() -> u64;
    }
    last
    /// The next chunk; none at the end. One at a time. Dropping the future loses nothing.
    next() -> FfiFuture<AbiResult<ROption<Buf>>>;
}

object! {
    /// A listing.
    PagesObj;
    /// Functions of a [`PagesObj`].
    PagesVt, PagesVt_Ref;
    {
    /// How many entries will come, or none. A hint.
    size_hint() -> u64;
    }
    last
    /// The next page; none at the end. One at a time. Dropping the future loses nothing.
    next() -> FfiFuture<AbiResult<ROption<Page>>>;
}

object! {
    /// One open store.
    StorageObj;
    /// Functions of a [`StorageObj`].
    StorageVt, StorageVt_Ref;
    {
    /// Constant after open.
    capability() -> CapabilityAbi;
    /// Names below a prefix.
    list(request: ListReq) -> FfiFuture<AbiResult<PagesObj>>;
    /// One object's description.
    stat(key: RVec<u8>) -> FfiFuture<AbiResult<Entry>>;
    /// One object's bytes.
    read(request: ReadReq) -> FfiFuture<AbiResult<ReadResp>>;
    /// Stores one object.
    write(request: WriteReq, body: BodyObj) -> FfiFuture<AbiResult<Entry>>;
    /// Removes objects; one result for each key, in order.
    delete(keys: RVec<RVec<u8>>) -> FfiFuture<AbiResult<RVec<AbiResult<()>>>>;
    /// The last call.
    close() -> FfiFuture<AbiResult<()>>;
    }
    last
    /// Operations of later days, by name.
    extension(operation: RString, args: Buf) -> FfiFuture<AbiResult<Buf>>;
}
