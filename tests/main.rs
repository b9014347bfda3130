//! End-to-end tests: the real program, real plugin libraries.
