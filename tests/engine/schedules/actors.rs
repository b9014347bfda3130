//! The application side of a schedule: what two programs and an operator may do between two steps of the engine.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fastrand::Rng;

use super::ghosts::{self, Fate};
use crate::application::Application;
use crate::replica::scratch;

/// The contents of the one table.
pub type Rows = BTreeMap<i64, Vec<u8>>;

/// What one program has open.
#[derive(Default)]
pub struct Program {
    is_open: bool,
    is_reading: bool,
    /// The rows as its open write transaction sees them.
    pending: Option<Rows>,
}

/// A copy of the database that an operator made.
pub struct Backup {
    bytes: Vec<u8>,
    modified: SystemTime,
    rows: Rows,
}

/// What an application step did, for the log of the schedule and for the rows it expects.
pub struct Acted {
    pub words: String,
    pub committed: Option<Rows>,
    /// Frames of a commit that was never published.
    pub ghost: Option<Rows>,
}

/// The processes of the programs; each obeys orders for its next fsync.
pub struct Applications {
    processes: [Application; 2],
    orders: [PathBuf; 2],
    _directory: tempfile::TempDir,
}

impl Applications {
    pub fn start() -> Applications {
        let directory = tempfile::tempdir_in(scratch()).expect("temporary directory");
        let orders = ["0", "1"].map(|name| directory.path().join(name));
        let processes = [ghosts::application(&orders[0]), ghosts::application(&orders[1])];
        Applications { processes, orders, _directory: directory }
    }

    /// SIGKILL, if it is not dead yet, and a new one.
    fn replace(&mut self, who: usize) {
        let fresh = ghosts::application(&self.orders[who]);
        std::mem::replace(&mut self.processes[who], fresh).kill();
    }
}

/// Programs, operator and the rows that are committed.
pub struct Actors<'a> {
    pub applications: &'a mut Applications,
    pub programs: [Program; 2],
    pub backup: Option<Backup>,
}

impl Actors<'_> {
    /// Nobody has the database open.
    pub fn all_closed(&self) -> bool {
        self.programs.iter().all(|program| !program.is_open && !program.is_reading)
    }

    /// One step of one program.
    pub fn act(&mut self, rng: &mut Rng, path: &Path, rows: &Rows) -> Acted {
        let who = rng.usize(..self.programs.len());
        let roll = rng.f64();
        if roll < 0.02 {
            self.applications.replace(who);
            self.programs[who] = Program::default();
            return Acted { words: format!("{who} kill"), committed: None, ghost: None };
        }
        let is_idle = self.programs[who].is_open && self.programs[who].pending.is_none();
        if is_idle && rng.f64() < 0.04 {
            return self.ghost(rng, who, rows);
        }
        let mut act = Act { application: &mut self.applications.processes[who], log: Vec::new() };
        let program = &mut self.programs[who];
        let committed = if !program.is_open {
            act.open(rng, path);
            program.is_open = true;
            None
        } else if roll < 0.12 {
            act.application.close("w");
            act.log.push("close".to_owned());
            *program = Program { is_reading: program.is_reading, ..Program::default() };
            None
        } else if roll < 0.22 {
            act.toggle_reader(program, path);
            None
        } else if program.pending.is_some() {
            act.in_transaction(rng, roll, program)
        } else {
            act.outside(rng, roll, program, rows)
        };
        let words = format!("{who} {}", act.log.join("; "));
        if committed.is_none() && words.contains("wal_checkpoint(TRUNCATE)=0|0|0") && self.backup.is_none() {
            self.backup = Backup::take(path, rows);
        }
        Acted { words, committed, ghost: None }
    }

    /// A commit whose fsync is not survived, or fails.
    fn ghost(&mut self, rng: &mut Rng, who: usize, rows: &Rows) -> Acted {
        let fate = if rng.f64() < 0.6 { Fate::Killed } else { Fate::Failed };
        let mut act = Act { application: &mut self.applications.processes[who], log: Vec::new() };
        act.sql("w", "PRAGMA synchronous = FULL");
        let mut after = rows.clone();
        let done = ghosts::under_order(&self.applications.orders[who], fate, || act.change(rng, &mut after));
        let answer = act.log.last().expect("asked").clone();
        let (killed, failed) = (answer.contains("=err died"), answer.contains("=err disk I/O error"));
        if !killed {
            act.sql("w", "PRAGMA synchronous = OFF");
        }
        let words = format!("{who} {}{}", if killed || failed { "ghost; " } else { "" }, act.log.join("; "));
        if killed {
            self.applications.replace(who);
            self.programs[who] = Program::default();
        }
        let ghost = (killed || failed).then(|| after.clone());
        Acted { words, committed: done.then_some(after), ghost }
    }

    /// Puts a backup back, with its old times: into the file, or as a new file, or as one renamed over it. Side files go.
    pub fn restore(&self, rng: &mut Rng, path: &Path, engine_is_away: bool) -> Option<Acted> {
        let backup = self.backup.as_ref()?;
        let how = if engine_is_away { rng.usize(..3) } else { 2 };
        let target = if how == 2 { path.with_extension("new") } else { path.to_owned() };
        if how == 1 {
            fs::remove_file(path).expect("remove");
        }
        let mut file = File::options().write(true).create(true).truncate(false).open(&target).expect("open");
        file.write_all(&backup.bytes).expect("write");
        file.set_len(backup.bytes.len() as u64).expect("truncate");
        file.set_times(FileTimes::new().set_modified(backup.modified)).expect("times");
        drop(file);
        for side in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(side);
            let _ = fs::remove_file(name);
        }
        if how == 2 {
            fs::rename(&target, path).expect("rename");
        }
        let words = ["operator restores in place", "operator restores a new file", "operator renames over"][how];
        Some(Acted { words: words.to_owned(), committed: Some(backup.rows.clone()), ghost: None })
    }

    /// Closes everything.
    pub fn close_all(&mut self) {
        for (application, program) in self.applications.processes.iter_mut().zip(&mut self.programs) {
            if program.is_reading {
                application.close("r");
            }
            if program.is_open {
                application.close("w");
            }
            *program = Program::default();
        }
    }
}

impl Backup {
    /// Only of a database that has everything in its one file.
    fn take(path: &Path, rows: &Rows) -> Option<Backup> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let is_whole = fs::metadata(wal).is_ok_and(|metadata| metadata.len() == 0);
        let modified = fs::metadata(path).ok()?.modified().ok()?;
        // Read by this process, which has no locks to lose.
        is_whole.then(|| Backup { bytes: fs::read(path).expect("read"), modified, rows: rows.clone() })
    }
}

/// One program acting.
struct Act<'a> {
    application: &'a mut Application,
    log: Vec<String>,
}

impl Act<'_> {
    fn sql(&mut self, name: &str, sql: &str) -> bool {
        let answer = self.application.sql(name, sql);
        let shown: String = sql.chars().take(40).collect();
        self.log.push(match &answer {
            Ok(rows) => format!("{shown}={}", rows.join(",")),
            Err(error) => format!("{shown}=err {error}"),
        });
        answer.is_ok()
    }

    fn open(&mut self, rng: &mut Rng, path: &Path) {
        self.application.open("w", path);
        self.log.push("open".to_owned());
        self.sql("w", "PRAGMA synchronous = OFF");
        let autocheckpoint = [0, 0, 1, 3, 1000][rng.usize(..5)];
        self.sql("w", &format!("PRAGMA wal_autocheckpoint = {autocheckpoint}"));
        if rng.f64() < 0.3 {
            let limit = [0, 2000, 1112, 4152, 8272][rng.usize(..5)];
            self.sql("w", &format!("PRAGMA journal_size_limit = {limit}"));
        }
    }

    fn toggle_reader(&mut self, program: &mut Program, path: &Path) {
        if program.is_reading {
            self.application.close("r");
            self.log.push("reader leaves".to_owned());
        } else {
            self.application.open("r", path);
            self.sql("r", "BEGIN");
            self.sql("r", "SELECT count(*) FROM kv");
        }
        program.is_reading = !program.is_reading;
    }

    fn in_transaction(&mut self, rng: &mut Rng, roll: f64, program: &mut Program) -> Option<Rows> {
        let pending = program.pending.as_mut()?;
        if roll < 0.6 {
            let mut after = pending.clone();
            if self.change(rng, &mut after) {
                *pending = after;
            }
            None
        } else if roll < 0.9 {
            if self.sql("w", "COMMIT") { program.pending.take() } else { None }
        } else {
            self.sql("w", "ROLLBACK");
            program.pending = None;
            None
        }
    }

    fn outside(&mut self, rng: &mut Rng, roll: f64, program: &mut Program, rows: &Rows) -> Option<Rows> {
        if roll < 0.55 {
            let mut after = rows.clone();
            return self.change(rng, &mut after).then_some(after);
        }
        if roll < 0.68 {
            if self.sql("w", "BEGIN IMMEDIATE") {
                let cache = [1, 100][rng.usize(..2)];
                self.sql("w", &format!("PRAGMA cache_size = {cache}"));
                program.pending = Some(rows.clone());
            }
        } else if roll < 0.91 {
            let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][rng.usize(..4)];
            self.sql("w", &format!("PRAGMA wal_checkpoint({mode})"));
        } else if roll < 0.94 {
            self.sql("w", "VACUUM");
        } else if roll < 0.97 {
            self.sql("w", "PRAGMA journal_mode = DELETE");
            self.sql("w", "PRAGMA journal_mode = WAL");
        } else {
            self.sql("w", "PRAGMA incremental_vacuum");
        }
        None
    }

    /// One row more, less or other; large enough that some spill and some need overflow pages. False if it was refused;
    /// `rows` then are what they would have been.
    fn change(&mut self, rng: &mut Rng, rows: &mut Rows) -> bool {
        let key = rng.i64(0..16);
        if rng.f64() < 0.8 {
            let value = vec![rng.u8(..); [200, 300, 900, 5000][rng.usize(..4)]];
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            rows.insert(key, value);
            self.sql("w", &format!("REPLACE INTO kv VALUES ({key}, x'{hex}')"))
        } else {
            rows.remove(&key);
            self.sql("w", &format!("DELETE FROM kv WHERE k = {key}"))
        }
    }
}
