//! Storage plugins: found by file name, checked, loaded, wrapped in the layers every store gets.
