//! The `litestream-rs` program.
fn main() {}
