//! All databases of this process, one record each, and the scheduler of their work.
