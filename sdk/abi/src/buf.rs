//! A run of bytes that crosses without a copy.

use abi_stable::StableAbi;
use std::fmt;

/// Owned bytes and the function of their producer that frees them. May be dropped on any thread, by either side.
#[repr(C)]
#[derive(StableAbi)]
pub struct Buf {
    ptr: *const u8,
    len: usize,
    owner: *mut (),
    free: unsafe extern "C" fn(*mut ()),
}

// SAFETY: the owner is `Send + Sync` (bound of `from_owner`, the only constructor), and nobody writes the bytes again.
unsafe impl Send for Buf {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buf {}

impl Buf {
    /// Lends the bytes of `owner` until this value is dropped, which drops the owner.
    pub fn from_owner<T: AsRef<[u8]> + Send + Sync + 'static>(owner: T) -> Self {
        unsafe extern "C" fn free<T>(owner: *mut ()) {
            // SAFETY: `owner` came from `Box::into_raw` of a `Box<T>` below, and `Buf::drop` calls this once.
            let owner = unsafe { Box::from_raw(owner.cast::<T>()) };
            // A panic must not cross; leaking its text is the lesser evil.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(owner)));
        }
        // Boxed first, asked second: the bytes may lie inside the owner. The slice stays valid as long as the owner is
        // borrowed shared, and from here on nothing touches the owner but `free`.
        let owner = Box::into_raw(Box::new(owner));
        // SAFETY: just made by `Box::into_raw`, so valid and unaliased.
        let bytes: &[u8] = unsafe { (*owner).as_ref() };
        Self { ptr: bytes.as_ptr(), len: bytes.len(), owner: owner.cast(), free: free::<T> }
    }

    /// No bytes.
    pub fn empty() -> Self {
        Self::from_owner([0_u8; 0])
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[]; // a foreign producer may give any pointer here
        }
        // SAFETY: the producer promises `len` readable bytes at `ptr` for as long as the owner lives.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // SAFETY: owner and function belong together, and this runs once.
        unsafe { (self.free)(self.owner) }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lends_without_copy_and_frees_once() {
        let owner: Arc<[u8]> = Arc::from(&b"chunk"[..]);
        let buf = Buf::from_owner(owner.clone());
        assert_eq!(buf.as_ref().as_ptr(), owner.as_ptr());
        assert_eq!((buf.as_ref(), Arc::strong_count(&owner)), (&b"chunk"[..], 2));
        std::thread::spawn(move || drop(buf)).join().unwrap();
        assert_eq!(Arc::strong_count(&owner), 1);
        assert_eq!(Buf::empty().as_ref(), b"");
    }

    #[test]
    fn lends_bytes_that_lie_inside_the_owner() {
        let buf = Buf::from_owner(*b"inline");
        assert_eq!(buf.as_ref(), b"inline");
    }
}
