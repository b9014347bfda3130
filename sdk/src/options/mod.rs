//! Options: declared once with [`options!`](crate::options!); the struct, the parser, the description and the
//! documentation follow from the declaration.
//!
//! Parsing is per key, so a user sees **all** problems at once. A plugin never reads the environment: the host looks up
//! the declared names and passes the values, so that every value has a known origin.
//!
//! | file | what |
//! |---|---|
//! | `declare.rs` | the macro |
//! | `spec.rs`, `parse.rs` | one declared key, and reading it |
//! | `kinds.rs`, `size.rs`, `duration.rs`, `secret.rs` | the types a key can have |
//! | `values.rs` | raw values with their origins, and the layers |
//! | `url.rs` | the text form of a replica URL |

mod declare;
pub mod duration;
mod kinds;
mod parse;
mod secret;
mod size;
mod spec;
mod url;
mod values;

#[cfg(test)]
mod tests;

pub use crate::describe::{Given, Problem};
pub use kinds::OptionType;
pub use secret::Secret;
pub use size::Size;
pub use spec::{Findings, OptionSpec, Options, UrlPart};
pub use url::Url;
pub use values::Values;

#[doc(hidden)]
pub use parse::{refuse_unknown, take};
#[doc(hidden)]
pub use spec::key_of;
