//! One database: WAL to LTX. Attach, judge, sync, hand-over, checkpoint, detach, by the rules of SAFETY.md.
