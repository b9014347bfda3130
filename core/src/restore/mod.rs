//! Puts a database back: chooses files, streams and merges them, verifies, and only then shows the result.
//!
//! ```text
//! Source (listings) -> plan -> Source (bytes) -> apply (newest file first) -> <output>.tmp -> verified -> <output>
//! ```

mod plan;
mod source;

pub use plan::{Plan, PlanError, Target, plan};
pub use source::Source;
