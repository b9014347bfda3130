//! Hard cases that need the whole program: `hNN` in a name is the number that SAFETY.md lists it under. Other cases stand
//! beside what they are about (`tests/engine`, `wal.rs`, `watch.rs`, ...).

mod disks;
mod ending;
mod levels;
mod load;
mod replicas;
mod restores;
mod table;
mod uploads;
mod watches;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::harness::*;

/// One database with one file replica, at intervals of milliseconds.
struct Scene {
    program: Program,
    sandbox: Sandbox,
    database: PathBuf,
    replica: FileReplica,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (database, replica) = (sandbox.database("app.db"), FileReplica::at(sandbox.path("replica")));
        Self { program: Program::subject(), sandbox, database, replica }
    }

    /// A configuration with more global keys, more of the database and more of its replica.
    fn config(&self, global: &str, database: &str, replica: &str) -> PathBuf {
        self.sandbox.config(&format!(
            "{global}\ndbs:\n  - path: ROOT/app.db\n    monitor-interval: 20ms\n{database}
    replica:\n      path: ROOT/replica\n      sync-interval: 20ms\n{replica}\n"
        ))
    }

    fn once(&self) {
        let finished = self.program.once(&self.sandbox, &self.config("", "", ""));
        assert_eq!(finished.code(), 0, "{finished}");
    }

    fn daemon(&self, config: &Path) -> Daemon {
        Daemon::replicate(&self.program, &self.sandbox, config)
    }

    fn add_rows(&self, rows: u32) {
        self.sandbox.add_rows("app.db", rows);
    }

    fn restored(&self) -> PathBuf {
        self.program.restore(&self.sandbox, &self.sandbox.url("replica"), &["-integrity-check", "full"])
    }

    fn assert_restores(&self) {
        assert_same(&self.database, &self.restored());
    }

    /// Waits until a restore beside the daemon has as many items as the database.
    fn wait_restorable(&self) {
        let rows = Content::of(&self.database).rows("item");
        let url = self.sandbox.url("replica");
        self.program.restore_until(&self.sandbox, &url, "every row", |output| Content::of(output).rows("item") == rows);
    }

    /// The local LTX files of level 0.
    fn local(&self) -> PathBuf {
        self.sandbox.path(".app.db-litestream/ltx/0")
    }
}

/// Moves the times of all files below a directory by so many seconds from now: to a program, its clock was set.
fn set_times(directory: &Path, seconds: i64) {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::UNIX_EPOCH + litestream_core::clock::unix_time();
    let time = if seconds < 0 { now - distance } else { now + distance };
    for relative in files_below(directory).into_keys() {
        File::open(directory.join(relative)).unwrap().set_modified(time).unwrap();
    }
}

/// A file system of its own at a directory, for as long as the value lives.
struct Mount(PathBuf);

impl Mount {
    /// `None`, said aloud, where mounting is not allowed.
    fn new(directory: PathBuf, options: &str) -> Option<Mount> {
        std::fs::create_dir_all(&directory).unwrap();
        if !mount(&["-t", "tmpfs", "-o", options, "none"], &directory) {
            eprintln!("SKIPPED: no permission to mount a small file system");
            return None;
        }
        Some(Mount(directory))
    }

    fn change(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "remount {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a daemon that is being killed may still be in it.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], directory: &Path) -> bool {
    let mut command = std::process::Command::new("mount");
    command.args(arguments).arg(directory).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
