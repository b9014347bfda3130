//! [`export_plugin!`](crate::export_plugin!): the one macro an author writes, and what it needs.

use crate::storage::Plugin;
use litestream_sdk_abi::RECORD_MAGIC;

/// A plugin with its name and record. Made by [`export_plugin!`](crate::export_plugin!).
pub trait Exported: Send + Sync + 'static {
    /// The author's type.
    type Plugin: Plugin;
    /// The plugin's name: the first claimant of its schemes, and part of its file's, threads' and metrics' names.
    const NAME: &'static str;
    /// One JSON object: what a host reads from the file before it loads anything.
    const RECORD: &'static str;
}

/// The version of this SDK, as it stands in plugin records.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

#[doc(hidden)]
#[macro_export]
macro_rules! __sdk_version {
    () => {
        "1.0.0"
    };
}

/// Magic, record and a NUL as the bytes of a constant array.
#[doc(hidden)]
pub const fn record<const N: usize>(json: &str) -> [u8; N] {
    let (magic, json) = (RECORD_MAGIC.as_bytes(), json.as_bytes());
    let (mut out, mut at) = ([0; N], 0);
    while at < magic.len() + json.len() {
        out[at] = if at < magic.len() { magic[at] } else { json[at - magic.len()] };
        at += 1;
    }
    out
}

/// Makes a library of a [`Plugin`]: exports the plugin record and the functions a host calls.
///
/// ```ignore
/// export_plugin!(KvPlugin, name: "kv", schemes: ["kv"]);
/// export_plugin!(S3Plugin, name: "s3", schemes: ["s3"], layouts: ["ltx", "hex"]);
/// ```
///
/// `schemes` are the URL schemes and replica types this plugin serves; two plugins that claim one are an error.
/// `layouts` are the replica layouts a user may choose from, `ltx` alone if left out. The version in the record is the
/// package's.
///
/// It also makes the type `PluginExport`, which names all this for programs that link the crate directly; such a
/// program turns on this crate's feature `linked`, and no symbol is exported, so that two plugins do not meet.
///
/// A crate with `panic = "abort"` does not compile: a panic must stay an error of one call.
#[macro_export]
macro_rules! export_plugin {
    (
        $plugin:ty,
        name: $name:literal,
        schemes: [$first_scheme:literal $(, $scheme:literal)* $(,)?]
        $(, layouts: [$first_layout:literal $(, $layout:literal)* $(,)?])?
        $(,)?
    ) => {
        #[cfg(panic = "abort")]
        compile_error!("a litestream-rs plugin must be built with panic = \"unwind\"");

        /// This crate's plugin with its record.
        #[derive(Clone, Copy, Debug)]
        pub struct PluginExport;

        impl $crate::export::Exported for PluginExport {
            type Plugin = $plugin;
            const NAME: &'static str = $name;
            const RECORD: &'static str = concat!(
                "{\"abi\":1,\"name\":\"", $name,
                "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
                "\",\"sdk\":\"", $crate::__sdk_version!(),
                "\",\"schemes\":[\"", $first_scheme, "\"" $(, ",\"", $scheme, "\"")*, "]"
                $(, ",\"layouts\":[\"", $first_layout, "\"" $(, ",\"", $layout, "\"")*, "]")?
                , "}"
            );
        }

        $crate::__export_symbols!();
    };
}

#[cfg(feature = "linked")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_symbols {
    () => {};
}

#[cfg(not(feature = "linked"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_symbols {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::__private::abi_stable::library::{
                __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
            };
            use $crate::__private::{PluginModV1_Ref, RECORD_MAGIC};
            use $crate::export::Exported;

            const RECORD_LEN: usize = RECORD_MAGIC.len() + <PluginExport as Exported>::RECORD.len() + 1;

            // Data only: a host finds it by searching the file's bytes, before anything of this library runs.
            // Exported, because nothing else survives `strip` and the linker's section collection.
            // SAFETY: one plugin for each library, so the name is defined once.
            #[unsafe(no_mangle)]
            pub static LITESTREAM_PLUGIN_RECORD: [u8; RECORD_LEN] =
                $crate::export::record::<RECORD_LEN>(<PluginExport as Exported>::RECORD);

            fn module() -> PluginModV1_Ref {
                $crate::bridge::plugin::module::<PluginExport, true>()
            }

            extern "C" fn constructor() -> RootModuleResult {
                __call_root_module_loader(module)
            }

            // What `abi_stable::export_root_module` would write; it needs abi_stable among the author's dependencies.
            // SAFETY: the name is abi_stable's for this version (a test of the SDK compares), and defined once.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: LibHeader =
                // SAFETY: `constructor` gives a `PluginModV1_Ref`.
                unsafe { LibHeader::from_constructor::<PluginModV1_Ref>(constructor, CheckTypeLayout::Yes) };
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use litestream_sdk_abi::abi_stable::library::ROOT_MODULE_LOADER_NAME;

    #[test]
    fn the_header_has_the_name_that_loaders_look_for() {
        let spelled = "_1as_0lib_1header_0root_bmodule_bloader"; // as in `__export_symbols!`
        assert_eq!(ROOT_MODULE_LOADER_NAME, spelled);
        assert!(include_str!("export.rs").contains(&format!("export_name = \"{spelled}\"")));
    }

    #[test]
    fn the_record_is_magic_json_and_a_nul() {
        const JSON: &str = r#"{"abi":1}"#;
        const LEN: usize = RECORD_MAGIC.len() + JSON.len() + 1;
        assert_eq!(&record::<LEN>(JSON), b"LITESTREAM-RS PLUGIN RECORD 1\n{\"abi\":1}\0");
    }

    mod exported {
        #![allow(missing_docs)]
        crate::export_plugin!(crate::memory::MemoryPlugin, name: "two", schemes: ["two", "deux"], layouts: ["ltx", "hex"]);
    }

    #[test]
    fn the_macro_writes_a_record_that_describes_the_plugin() {
        let record = <exported::PluginExport as Exported>::RECORD;
        let expected = format!(
            r#"{{"abi":1,"name":"two","version":"{SDK_VERSION}","sdk":"{SDK_VERSION}","schemes":["two","deux"],"layouts":["ltx","hex"]}}"#
        );
        assert_eq!(record, expected);
        let description = crate::configure::describe::<crate::memory::MemoryPlugin>(record).unwrap();
        assert_eq!(description.schemes, ["two", "deux"]);
    }
}
