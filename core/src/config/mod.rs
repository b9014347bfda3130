//! One schema, layered: defaults, file, environment, flags.
