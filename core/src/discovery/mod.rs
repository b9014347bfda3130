//! Which files of a directory are databases, and where each one's replica lives.
