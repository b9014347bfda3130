//! The engine as a program that stops between its steps: what the schedule tester drives. Exists only with `failpoints`.
//!
//! `wal-follower DATABASE STATE`, one command per line on standard input, one answer per line on standard output, `ok ...` or
//! `err ...`. It may be killed at any moment and started again with the same arguments. Local state is kept in `STATE-meta`.
//! After `ok` to `attach`, `sync`, `copy` and `detach`, `STATE` holds one line of text and then the database as a restore of
//! the L0 files gives it.
//!
//! | command | meaning |
//! |---|---|
//! | `open`, `attach`, `sync`, `copy`, `hold`, `lock`, `unread`, `passive`, `read`, `release`, `unlock`, `detach` | one step, see `litestream_core::db` |
//! | `pass sync`, `pass detach` | the whole of `Db::sync` or `Db::detach`; answers `at STEP` at each step in it and waits for a line |
//!
//! Environment: `FOLLOWER_OFF` names rules to leave out, `FOLLOWER_SETTINGS` is `min-pages,truncate,max-bytes,checksum-limit,small`
//! (`-` for none), `FOLLOWER_RACY_MS` the age a time stamp must have.

#[path = "replica.rs"]
#[allow(dead_code, reason = "the follower needs less of it than the tests")]
mod replica;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use litestream_core::db::rules::{self, Rule};
use litestream_core::db::{Db, DbErrorKind, DbFiles, DbSettings};

struct Follower {
    files: DbFiles,
    settings: Arc<DbSettings>,
    db: Db,
    state: PathBuf,
    replica: replica::Replica,
}

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(path), Some(state)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: wal-follower DATABASE STATE");
        std::process::exit(2);
    };
    let mut meta = state.clone().into_os_string();
    meta.push("-meta");
    switch_off_rules(&variable("FOLLOWER_OFF"));
    rules::set_racy_window(Duration::from_millis(variable("FOLLOWER_RACY_MS").parse().unwrap_or(0)));
    rules::on_step(|step| {
        say(&format!("at {step:?}"));
        next_line();
    });
    let files = DbFiles { path, meta: meta.into() };
    let settings = Arc::new(settings(&variable("FOLLOWER_SETTINGS")));
    let db = Db::open(files.clone(), settings.clone()).expect("open local state");
    let mut follower = Follower { files, settings, db, state, replica: replica::Replica::default() };
    loop {
        let line = next_line();
        match follower.serve(&line) {
            Ok(text) => say(&format!("ok {text}")),
            Err(error) => say(&format!("err {}", error.replace('\n', " "))),
        }
    }
}

impl Follower {
    fn serve(&mut self, line: &str) -> Result<String, String> {
        let failed = |error: litestream_core::db::DbError| format!("{:?} {error}", error.kind());
        let (verb, what) = line.split_once(' ').unwrap_or((line, ""));
        if verb != "pass" {
            rules::on_step(|_| {});
            let answer = self.db.step(verb).map_err(failed)?;
            if matches!(verb, "attach" | "sync" | "copy" | "detach") {
                self.write_image();
            }
            return Ok(answer);
        }
        let report = match what {
            "sync" => self.db.sync(),
            "detach" => self.db.detach(),
            _ => return Err(format!("{:?} unknown pass", DbErrorKind::Io)),
        };
        let report = report.map_err(failed)?;
        if what == "detach" {
            // As in the program: a cold database is dropped, and opened again when something happens.
            self.db = Db::open(self.files.clone(), self.settings.clone()).map_err(failed)?;
        }
        let contents: Vec<_> = report.files.iter().map(|file| file.content).collect();
        Ok(format!("{} more={} unsettled={} {contents:?}", report.txid, report.more, report.unsettled))
    }

    fn write_image(&mut self) {
        self.replica.catch_up(&self.files.meta);
        let temporary = self.state.with_extension("tmp");
        let mut bytes = format!("{}\n", self.replica.txid()).into_bytes();
        bytes.extend_from_slice(self.replica.image());
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, &self.state)).expect("write image");
    }
}

fn settings(text: &str) -> DbSettings {
    let mut settings = DbSettings { checkpoint_interval: None, ..DbSettings::default() };
    let fields: Vec<Option<u64>> = text.split(',').map(|field| field.parse().ok()).collect();
    if let [min_pages, truncate, max_bytes, checksum_limit, small] = fields[..] {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        settings.min_checkpoint_page_count = min_pages.map_or(1000, narrow);
        settings.truncate_page_n = truncate.map(narrow);
        settings.max_sync_wal_bytes = max_bytes;
        settings.page_checksum_limit_bytes = checksum_limit.unwrap_or(u64::MAX);
        settings.small_database_bytes = small.unwrap_or(0);
    }
    settings
}

fn switch_off_rules(names: &str) {
    for name in names.split(',').filter(|name| !name.is_empty()) {
        rules::switch_off(match name {
            "lock" => Rule::Lock,
            "hold" => Rule::Hold,
            "gap" => Rule::Gap,
            "folded" => Rule::Folded,
            "tail" => Rule::Tail,
            "jump" => Rule::Jump,
            "zero" => Rule::Zero,
            "reread" => Rule::Reread,
            _ => panic!("no rule is called {name}"),
        });
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).expect("answer");
}

fn next_line() -> String {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(length) if length > 0 => line.trim_end().to_owned(),
        _ => std::process::exit(0),
    }
}
