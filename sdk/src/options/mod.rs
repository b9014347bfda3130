//! Options: declared once with [`options!`](crate::options!); the struct, the parser, the description and the
//! documentation follow from the declaration.
//!
//! Parsing is per key, so a user sees **all** problems at once. A plugin never reads the environment: the host looks up
//! the declared names and passes the values, so that every value has a known origin.
//!
//! | file | what |
//! |---|---|
//! | `spec.rs` | one declared key, and the trait that `options!` implements |
//! | `kinds.rs`, `size.rs`, `duration.rs`, `secret.rs` | the types a key can have |
//! | `values.rs` | raw values with their origins, and the layers |
//! | `url.rs` | the text form of a replica URL |
//! | `declare.rs` | the macro |

mod url;
mod values;

mod secret;
mod size;
mod spec;

pub use crate::describe::{Given, Problem};
pub use secret::Secret;
pub use size::Size;
pub use spec::{Findings, OptionSpec, Options, UrlPart};
pub use url::Url;
pub use values::Values;
