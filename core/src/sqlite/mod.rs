//! SQLite's own file formats: database header, WAL header and frames, checksums, lock page. Pure.
