//! One schedule: a seed decides who acts next and how; every claim of the engine is compared with what was committed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fastrand::Rng;
use rusqlite::Connection;

use super::actors::{Actors, Applications, Program, Rows};
use super::engine::{Engine, Start, meta_of};
use super::ghosts;
use crate::replica::{Replica, scratch};

const STEPS: u32 = 60;
const CHECKPOINT: [&str; 6] = ["lock", "copy", "unread", "passive", "read", "unlock"];
const HAND_OVER: [&str; 7] = ["hold", "copy", "unread", "passive", "read", "copy", "release"];

/// What is the same for all schedules of a run.
pub struct Setup {
    pub rules_off: String,
    pub racy_ms: u64,
}

/// What came of a schedule.
pub struct Outcome {
    pub failure: Option<String>,
    pub counts: BTreeMap<String, u64>,
}

/// How the engine is driven in this schedule.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// The order of its steps is the schedule's.
    Steps,
    /// Whole passes, as the program makes them, stopped at every step.
    Passes,
}

pub struct Schedule<'a> {
    rng: Rng,
    directory: tempfile::TempDir,
    start: Start,
    style: Style,
    engine: Engine,
    actors: Actors<'a>,
    /// Every committed state, oldest first.
    history: Vec<Rows>,
    replica: Replica,
    /// A commit that was never published; it may come true.
    ghost: Option<Rows>,
    /// The replica stands at this state or a later equal one.
    reached: usize,
    /// A pass under way stands at a step; it began at this state.
    in_pass: Option<usize>,
    attached: bool,
    todo: Vec<&'static str>,
    /// How likely the engine stays away while it is detached.
    absent: f64,
    log: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl<'a> Schedule<'a> {
    pub fn new(seed: u64, setup: &Setup, applications: &'a mut Applications) -> Schedule<'a> {
        let mut rng = Rng::with_seed(seed);
        let directory = tempfile::tempdir_in(scratch()).expect("temporary directory");
        let path = directory.path().join("a.db");
        let rows = create(&path, &mut rng);
        let start = Start {
            state: directory.path().join("image"),
            database: path,
            rules_off: setup.rules_off.clone(),
            racy_ms: setup.racy_ms,
            settings: settings(&mut rng),
        };
        let style = if rng.f64() < 0.35 { Style::Steps } else { Style::Passes };
        let engine = Engine::start(&start);
        let programs = [Program::default(), Program::default()];
        let log = vec![format!("{} {}", start.settings, if style == Style::Steps { "steps" } else { "passes" })];
        Schedule {
            absent: [0.0, 0.6, 0.85][rng.usize(..3)],
            rng,
            directory,
            start,
            style,
            engine,
            actors: Actors { applications, programs, backup: None },
            history: vec![rows],
            ghost: None,
            replica: Replica::default(),
            reached: 0,
            in_pass: None,
            attached: false,
            todo: Vec::new(),
            log,
            counts: BTreeMap::new(),
        }
    }

    /// Acts until something is wrong or the schedule is over.
    pub fn run(mut self) -> Outcome {
        let outcome = self.steps();
        self.engine.kill();
        self.actors.close_all();
        let failure = outcome.err().map(|why| {
            let last = self.log.len().saturating_sub(60);
            format!("{why}\n    {}\n  in {}", self.log[last..].join("\n    "), self.directory.path().display())
        });
        Outcome { failure, counts: self.counts }
    }

    fn steps(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            if self.rng.f64() < 0.5 {
                self.follow()?;
            } else {
                self.act();
            }
        }
        self.finish()
    }

    /// A last sync must reach everything, and the image must then be the very file that the application's checkpoint makes.
    fn finish(&mut self) -> Result<(), String> {
        while self.in_pass.is_some() {
            self.go_on()?;
        }
        self.restart();
        self.style = Style::Passes;
        self.actors.close_all();
        self.look_for_ghost();
        for _ in 0..200 {
            self.begin("pass sync")?;
            while self.in_pass.is_some() {
                self.go_on()?;
            }
            // A commit need not change a row: the bytes are equal only after the last of them.
            if !self.log.last().is_some_and(|answer| answer.contains("more=true")) {
                self.engine.kill();
                return self.compare_bytes();
            }
        }
        Err("the last sync never ended".to_owned())
    }

    fn compare_bytes(&self) -> Result<(), String> {
        let path = &self.start.database;
        let connection = Connection::open(path).map_err(|error| error.to_string())?;
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        drop(connection);
        let file = std::fs::read(path).map_err(|error| error.to_string())?;
        let image = self.replica.image();
        if busy == 0 && file != image {
            let page = file.iter().zip(image).position(|(a, b)| a != b);
            return Err(format!("file of {} bytes, image of {}, differ at {page:?}", file.len(), image.len()));
        }
        Ok(())
    }

    fn rows(&self) -> &Rows {
        self.history.last().expect("never empty")
    }

    /// One step of an application or of the operator.
    fn act(&mut self) {
        self.look_for_ghost();
        let path = self.start.database.clone();
        let away = !self.attached && self.in_pass.is_none() && self.todo.is_empty();
        let may_restore = self.actors.all_closed() && (away || self.style == Style::Passes);
        let acted = if may_restore && self.rng.f64() < 0.25 {
            self.actors.restore(&mut self.rng, &path, away)
        } else {
            let rows = self.rows().clone();
            Some(self.actors.act(&mut self.rng, &path, &rows))
        };
        if let Some(acted) = acted {
            self.count(&format!("A {}", acted.words.split(['=', ' ', ';']).nth(1).unwrap_or("")));
            self.log.push(acted.words);
            // Frames of a new commit overwrite what lies behind the last one; a commit that changes nothing has none.
            let overwritten = acted.committed.as_ref().is_some_and(|rows| rows != self.rows());
            if overwritten || acted.ghost.is_some() {
                self.ghost = acted.ghost;
            }
            self.history.extend(acted.committed);
        }
    }

    /// A ghost has come true when SQLite shows it.
    fn look_for_ghost(&mut self) {
        if let Some(ghost) = &self.ghost
            && ghosts::rows_now(&self.start.database).is_some_and(|rows| rows == *ghost)
        {
            self.history.extend(self.ghost.take());
            self.log.push("the ghost came true".to_owned());
            self.count("ghost came true");
        }
    }

    /// One step of the engine.
    fn follow(&mut self) -> Result<(), String> {
        let roll = self.rng.f64();
        if roll < 0.03 {
            self.restart();
            return Ok(());
        }
        if self.in_pass.is_some() {
            return self.go_on();
        }
        if !self.attached && self.todo.is_empty() && roll < self.absent {
            return Ok(());
        }
        match self.style {
            Style::Steps => self.follow_by_step(roll),
            Style::Passes => {
                let pass = if self.attached && roll > 0.8 { "pass detach" } else { "pass sync" };
                self.begin(pass)?;
                // Half of the passes run through without anybody acting in between.
                while self.in_pass.is_some() && roll < 0.4 {
                    self.go_on()?;
                }
                Ok(())
            }
        }
    }

    fn restart(&mut self) {
        self.engine.kill();
        self.engine = Engine::start(&self.start);
        (self.attached, self.in_pass) = (false, None);
        self.todo.clear();
        self.log.push("F kill".to_owned());
        self.count("F kill");
    }

    fn begin(&mut self, pass: &'static str) -> Result<(), String> {
        self.in_pass = Some(self.history.len() - 1);
        self.todo = vec![pass];
        let answer = self.engine.ask(pass);
        self.came_to(&answer)
    }

    fn go_on(&mut self) -> Result<(), String> {
        let answer = self.engine.ask("go");
        self.came_to(&answer)
    }

    /// The engine stands at a step of a pass, or has finished it.
    fn came_to(&mut self, answer: &str) -> Result<(), String> {
        let pass = self.todo[0];
        self.log.push(format!("F {pass}: {answer}"));
        let words = answer.split(['[', '(']).next().unwrap_or("").split(' ').filter(|word| word.len() < 16);
        self.count(&format!("F {pass} {}", words.collect::<Vec<_>>().join(" ")));
        if answer.starts_with("at ") {
            return self.check(None, answer);
        }
        let began = self.in_pass.take();
        self.todo.clear();
        self.attached = answer.starts_with("ok") && pass != "pass detach";
        if let Some(why) = answer.strip_prefix("err ") {
            let is_in_the_way = ["Busy", "ExclusiveLock", "NotWal"].iter().any(|kind| why.starts_with(kind));
            return if is_in_the_way { Ok(()) } else { Err(format!("{pass}: {why}")) };
        }
        for (word, content) in [("Full", "Full"), ("Difference", "Difference"), ("Commits", "Commits")] {
            if answer.contains(word) {
                self.count(&format!("wrote {content}"));
            }
        }
        let complete = !answer.contains("more=true");
        self.check(began.filter(|_| complete), answer)
    }

    fn follow_by_step(&mut self, roll: f64) -> Result<(), String> {
        let step = if !self.todo.is_empty() {
            self.todo.remove(0)
        } else if !self.attached {
            if self.rng.bool() { "open" } else { "attach" }
        } else if roll < 0.45 {
            "sync"
        } else if roll < 0.75 {
            self.todo = if self.rng.bool() { CHECKPOINT.to_vec() } else { HAND_OVER.to_vec() };
            self.todo.remove(0)
        } else {
            "detach"
        };
        let answer = self.engine.ask(step);
        self.log.push(format!("F {step}: {answer}"));
        self.count(&format!("F {step} {}", answer.split(['[', '(']).next().unwrap_or("")));
        let ok = answer.starts_with("ok");
        match step {
            "open" => self.todo = if ok { vec!["attach"] } else { Vec::new() },
            "attach" => self.attached = ok,
            "detach" if ok => self.attached = false,
            "lock" | "hold" if !ok => self.todo.clear(),
            _ if !ok => return Err(format!("{step}: {answer}")),
            _ => {}
        }
        let claims = ok && matches!(step, "attach" | "sync" | "copy" | "detach");
        self.check(claims.then(|| self.history.len() - 1), step)
    }

    /// Applies what was written since. Each file must lead to a committed state, and the last to one not older than `goal`.
    fn check(&mut self, goal: Option<usize>, what: &str) -> Result<(), String> {
        let meta = meta_of(&self.start.state);
        while self.replica.apply_next(&meta) {
            let rows =
                self.replica.look(read).map_err(|error| format!("{what}: file {}: {error}", self.replica.txid()))?;
            if self.ghost.as_ref() == Some(&rows) {
                self.look_for_ghost();
            }
            let from = self.reached;
            let state = (from..self.history.len()).find(|&state| self.history[state] == rows);
            self.reached = state.ok_or_else(|| {
                let differ = |state: &Rows| rows.iter().filter(|(key, value)| state.get(key) != Some(value)).count();
                let last = self.rows();
                let missing = last.keys().filter(|key| !rows.contains_key(key)).count();
                let txid = self.replica.txid();
                format!(
                    "{what}: file {txid} is no committed state: {} rows differ, {missing} are missing",
                    differ(last)
                )
            })?;
            self.count("files checked");
        }
        let Some(goal) = goal else { return Ok(()) };
        let from = self.reached.max(goal);
        let now = &self.history[self.reached];
        let state = (from..self.history.len()).find(|&state| self.history[state] == *now);
        self.reached = state.ok_or_else(|| format!("{what}: claims state {goal}, but holds state {}", self.reached))?;
        self.count("claims checked");
        Ok(())
    }

    fn count(&mut self, name: &str) {
        *self.counts.entry(name.trim().to_owned()).or_default() += 1;
    }
}

pub fn read(connection: &Connection) -> rusqlite::Result<Rows> {
    let mut statement = connection.prepare("SELECT k, v FROM kv")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// A database with eight rows, all in its one file.
fn create(path: &PathBuf, rng: &mut Rng) -> Rows {
    let connection = Connection::open(path).expect("create");
    let page_size = [512, 1024, 4096][rng.usize(..3)];
    let vacuum = ["NONE", "NONE", "FULL", "INCREMENTAL"][rng.usize(..4)];
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = wal;
             CREATE TABLE kv (k INTEGER PRIMARY KEY, v BLOB)"
        ))
        .expect("create");
    let rows: Rows = (0..8).map(|key| (key, vec![key as u8; 300])).collect();
    for (key, value) in &rows {
        connection.execute("INSERT INTO kv VALUES (?, ?)", rusqlite::params![key, value]).expect("insert");
    }
    rows
}

/// Limits so small that every branch is taken.
fn settings(rng: &mut Rng) -> String {
    let min_pages = ["1", "3", "1000"][rng.usize(..3)];
    let truncate = ["-", "1", "6"][rng.usize(..3)];
    let max_bytes = ["-", "-", "1", "1500", "6000"][rng.usize(..5)];
    let checksum_limit = ["-", "-", "0"][rng.usize(..3)];
    let small = ["-", "1000000"][rng.usize(..2)];
    format!("{min_pages},{truncate},{max_bytes},{checksum_limit},{small}")
}
