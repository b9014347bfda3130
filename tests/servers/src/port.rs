//! Ports for servers to listen on.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the range from which the kernel takes ports for outgoing connections: nobody gets one of these by accident
/// between our look and the server's start.
const RANGE: Range<u16> = 20_000..30_000;

/// A port of the loopback address that nobody listened on a moment ago. Two calls in one process give different ports
/// until the range is used up; processes begin at random places of it.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 1));
    for _ in RANGE {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) % RANGE.len() as u64;
        let port = RANGE.start + u16::try_from(place).expect("smaller than the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {RANGE:?} on 127.0.0.1 is free");
}
