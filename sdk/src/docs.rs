//! Why things are as they are, and the rules that signatures cannot say.

#[doc = include_str!("docs/design.md")]
pub mod design {}

#[doc = include_str!("docs/errors.md")]
pub mod errors {}

#[doc = include_str!("docs/calls.md")]
pub mod calls {}

#[doc = include_str!("docs/memory.md")]
pub mod memory {}

#[doc = include_str!("docs/configuration.md")]
pub mod configuration {}

#[doc = include_str!("docs/versions.md")]
pub mod versions {}
