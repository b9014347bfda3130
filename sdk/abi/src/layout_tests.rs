//! ABI v1 must not move by accident: a change of any size, alignment, field, order or signature fails here.
//!
//! When this fails, undo the change. There is no right way to update a hash below: see the growth rules.

use crate::module::PluginModV1_Prefix;
use crate::objects::{BodyVt_Prefix, PagesVt_Prefix, StorageVt_Prefix};
use crate::*;
use abi_stable::StableAbi;
use abi_stable::abi_stability::PrefixStableAbi;
use abi_stable::std_types::{ROption, RResult, RSlice, RString, RVec};
use abi_stable::type_layout::TypeLayout;
use async_ffi::FfiFuture;
use std::fmt::Write;

/// A type's name with those of its generic parameters: `RVec<Entry>`.
fn name(layout: &'static TypeLayout) -> String {
    let parameters: Vec<String> = layout.generics().type_params().iter().map(|layout| name(layout())).collect();
    let open = if parameters.is_empty() { String::new() } else { format!("<{}>", parameters.join(", ")) };
    format!("{}{open}", layout.name())
}

/// One line for the type, one for each field in order with its offset, one for each signature.
fn text(layout: &'static TypeLayout) -> String {
    let mut out = format!("{} size {} align {}\n", name(layout), layout.size(), layout.alignment());
    let mut end: usize = 0;
    for field in layout.get_fields().into_iter().flat_map(|fields| fields.to_vec()) {
        let of = field.layout();
        let offset = end.next_multiple_of(of.alignment());
        end = offset + of.size();
        writeln!(out, "  {offset:>3} {}: {} ({})", field.name(), name(of), of.size()).unwrap();
        for function in field.function_range().iter() {
            let signature = function.to_string();
            writeln!(out, "      {}", signature.lines().next().unwrap_or_default()).unwrap();
        }
    }
    assert_eq!(end.next_multiple_of(layout.alignment()), layout.size(), "not laid out in order: {out}");
    out
}

/// FNV-1a: enough to notice a change, and needs no crate.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(target_pointer_width = "64")]
#[test]
fn v1_has_not_moved() {
    let types: [(&'static TypeLayout, u64); 16] = [
        (Pair::LAYOUT, 0x979a_0b2c_a1e5_23f8),
        (AbiError::LAYOUT, 0x7aee_916b_7e4b_16d8),
        (Entry::LAYOUT, 0xb6ce_fff2_6671_af5f),
        (Page::LAYOUT, 0x3783_c6f1_1b1f_7bac),
        (LocationAbi::LAYOUT, 0x4758_03cb_c412_f9a0),
        (ListReq::LAYOUT, 0x2fed_2f50_c448_bb06),
        (ReadReq::LAYOUT, 0xd2f3_9346_5e8c_d1c3),
        (ReadResp::LAYOUT, 0xe390_79c3_2a89_15d9),
        (WriteReq::LAYOUT, 0x23ff_669e_1301_dcad),
        (CapabilityAbi::LAYOUT, 0x48a2_2cd3_9a46_3f90),
        (Buf::LAYOUT, 0x13ed_b5e0_4ea1_2f4f),
        (HostApi::LAYOUT, 0x1fe5_7af9_79fd_6491),
        (<BodyVt_Prefix as PrefixStableAbi>::LAYOUT, 0xaf75_c4f7_6ecf_7231),
        (<PagesVt_Prefix as PrefixStableAbi>::LAYOUT, 0x8733_87a4_4e6c_7a57),
        (<StorageVt_Prefix as PrefixStableAbi>::LAYOUT, 0x09ee_0b4b_1767_3bf3),
        (<PluginModV1_Prefix as PrefixStableAbi>::LAYOUT, 0x1788_9c99_afba_3c7b),
    ];
    let moved: Vec<String> = types
        .into_iter()
        .map(|(layout, pinned)| (text(layout), pinned))
        .filter(|(text, pinned)| hash(text) != *pinned)
        .map(|(text, _)| format!("{:#018x}\n{text}", hash(&text)))
        .collect();
    assert!(moved.is_empty(), "these types of ABI v1 have moved:\n{}", moved.join("\n"));
}

/// The layout text above leaves out generic parameters; the compiler does not. Each signature is spelled a second time.
#[allow(clippy::type_complexity)]
fn signatures(body: BodyVt_Ref, pages: PagesVt_Ref, store: StorageVt_Ref, module: PluginModV1_Ref) {
    type Future<T> = FfiFuture<RResult<T, AbiError>>;
    let _: unsafe extern "C" fn(*const ()) -> Future<ROption<Buf>> = body.next();
    let _: unsafe extern "C" fn(*const ()) -> Future<ROption<Page>> = pages.next();
    let _: unsafe extern "C" fn(*const (), ListReq) -> Future<PagesObj> = store.list();
    let _: unsafe extern "C" fn(*const (), RVec<u8>) -> Future<Entry> = store.stat();
    let _: unsafe extern "C" fn(*const (), ReadReq) -> Future<ReadResp> = store.read();
    let _: unsafe extern "C" fn(*const (), WriteReq, BodyObj) -> Future<Entry> = store.write();
    let _: unsafe extern "C" fn(*const (), RVec<RVec<u8>>) -> Future<RVec<RResult<(), AbiError>>> = store.delete();
    let _: unsafe extern "C" fn(*const ()) -> Future<()> = store.close();
    let _: unsafe extern "C" fn(*const (), RString, Buf) -> Future<Buf> = store.extension();
    let _: for<'a> extern "C" fn(&'a LocationAbi, RSlice<'a, u8>) -> RResult<RVec<u8>, AbiError> = module.resolve();
    let _: extern "C" fn(HostApi, RString) -> Future<StorageObj> = module.open();
    let Page { entries: _, extras: _ }: Page = Page { entries: RVec::<Entry>::new(), extras: RVec::<Pair>::new() };
}

#[test]
fn signatures_are_as_spelled() {
    let _ = signatures; // it compiles: that is the test
}
