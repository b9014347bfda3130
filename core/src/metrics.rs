//! The metrics of the process, under the reference's names; one registry, written to from everywhere.
