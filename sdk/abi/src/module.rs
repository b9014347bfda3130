//! The root of a plugin library, and the record that a host reads before it loads anything.

use crate::host::HostApi;
use crate::objects::StorageObj;
use crate::values::{AbiResult, LocationAbi};
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RString, RVec};
use abi_stable::{StableAbi, declare_root_module_statics, package_version_strings};
use async_ffi::FfiFuture;

/// The number of this ABI.
pub const ABI: u32 = 1;

/// How the plugin record begins in the bytes of a library file. One JSON object and a NUL follow. Reading it runs nothing
/// of the library, and works the same in ELF, Mach-O and PE files.
pub const RECORD_MAGIC: &str = "LITESTREAM-RS PLUGIN RECORD 1\n";

/// The symbol that carries the record. Exported, because only an exported symbol survives `strip` and the linker's
/// section collection.
pub const RECORD_SYMBOL: &str = "LITESTREAM_PLUGIN_RECORD";

/// The functions of a plugin library. None of them unwinds; all may be called from any thread.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModV1_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginModV1 {
    /// The plugin's description, as JSON.
    pub describe: extern "C" fn() -> RString,
    /// Takes one configuration and answers with a pool and a location, or with all problems. JSON to JSON. Pure.
    pub configure: extern "C" fn(RString) -> RString,
    /// The place of one database. Pure.
    pub resolve: extern "C" fn(&LocationAbi, RSlice<'_, u8>) -> AbiResult<RVec<u8>>,
    /// Opens a store with a configuration that `configure` accepted. JSON of the same shape.
    #[sabi(last_prefix_field)]
    pub open: extern "C" fn(HostApi, RString) -> FfiFuture<AbiResult<StorageObj>>,
}

impl RootModule for PluginModV1_Ref {
    declare_root_module_statics! {PluginModV1_Ref}
    const BASE_NAME: &'static str = "litestream_plugin";
    const NAME: &'static str = "litestream_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
