//! All databases of this process, one record each, and the scheduler of their work.

mod back_off;
mod due;
mod hot_set;
mod levels;
mod record;
mod scheduler;
mod table;
mod compaction;
mod entry;
mod jobs;
mod local_file;
mod merge;
mod retention;
mod snapshot;
mod upload;
mod local_work;
mod owners;
mod saved_state;
mod report;
mod shared;
mod tasks;
mod waiters;
mod workers;
