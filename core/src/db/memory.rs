//! Where SQLite's memory comes from: the allocator of the rest of the program.
//!
//! An open database is some hundred small pieces, allocated on whichever worker opens it and freed on another. The C library
//! scatters and keeps them. SQLite also walks a list of all open files at each open (`inodeList` in its `os_unix.c`), which
//! takes several times as long when every entry lies somewhere else.

#![allow(unsafe_code, reason = "SQLite takes its allocator as C functions")]

use std::ffi::{c_int, c_void};
use std::sync::Once;

use libmimalloc_sys::{mi_free, mi_good_size, mi_malloc, mi_realloc, mi_usable_size};
use rusqlite::ffi;

/// Tells SQLite where to take memory from, to keep no count of it (a lock at each piece), and to leave out the bulk page
/// cache: 20 pages for each connection, the largest part of what one costs.
///
/// Works only before the process first uses SQLite, so the program calls it at start; every connection calls it too.
pub fn configure_sqlite() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let methods = ffi::sqlite3_mem_methods {
            xMalloc: Some(allocate),
            xFree: Some(free),
            xRealloc: Some(reallocate),
            xSize: Some(size),
            xRoundup: Some(round_up),
            xInit: Some(begin),
            xShutdown: Some(end),
            pAppData: std::ptr::null_mut(),
        };
        // SAFETY: each option is called with the arguments it is documented with: MALLOC copies the methods, MEMSTATUS takes an
        // int, PAGECACHE a pointer and two ints, where a null buffer of no pages means "no bulk allocation". Called too late,
        // SQLite answers SQLITE_MISUSE and changes nothing.
        let codes = unsafe {
            [
                ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods),
                ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0i32),
                ffi::sqlite3_config(ffi::SQLITE_CONFIG_PAGECACHE, std::ptr::null_mut::<c_void>(), 0i32, 0i32),
            ]
        };
        if codes != [ffi::SQLITE_OK; 3] {
            tracing::debug!(?codes, "sqlite was in use before it was configured; it takes a little more memory");
        }
    });
}

/// SQLite never asks for 2 GiB or more, nor for a negative number; should it, it hears that there is no memory.
fn bytes(number: c_int) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(bytes: usize) -> c_int {
    c_int::try_from(bytes).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn allocate(size: c_int) -> *mut c_void {
    // SAFETY: may be called with any size; null means that there is no memory, to SQLite as well. What it gives is aligned to
    // 16 bytes, and SQLite needs 8.
    unsafe { mi_malloc(bytes(size)) }
}

unsafe extern "C" fn free(piece: *mut c_void) {
    // SAFETY: SQLite hands over what `allocate` or `reallocate` gave, once, or null.
    unsafe { mi_free(piece) }
}

unsafe extern "C" fn reallocate(piece: *mut c_void, size: c_int) -> *mut c_void {
    // SAFETY: as above; where there is no memory, the old piece stays as it is, as SQLite expects.
    unsafe { mi_realloc(piece, bytes(size)) }
}

unsafe extern "C" fn size(piece: *mut c_void) -> c_int {
    // SAFETY: a piece that is in use, or null.
    number(unsafe { mi_usable_size(piece) })
}

unsafe extern "C" fn round_up(size: c_int) -> c_int {
    // SAFETY: computes only.
    number(unsafe { mi_good_size(bytes(size)) })
}

unsafe extern "C" fn begin(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn end(_: *mut c_void) {}
