//! From LTX files back to a database: plan, merge, apply.
