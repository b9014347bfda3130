//! What `restore -dir` prints: the table of `-dry-run`, and what became of each database.

use std::path::{Path, PathBuf};
use std::time::Instant;

use litestream_core::clock;
use litestream_core::restore::{Choice, DirectoryReport, Member, Outcome, RestoreError};
use serde::Serialize;

use crate::exit_code::Exit;
use crate::output;

/// `restore -dir -dry-run`.
#[derive(Serialize)]
pub struct PlanTable {
    source: String,
    output_path: String,
    databases: Vec<PlannedDatabase>,
    failed: Vec<FailedDatabase>,
}

#[derive(Serialize)]
struct PlannedDatabase {
    database: String,
    restore_point: String,
    txid: String,
    bytes: u64,
    files: usize,
}

/// One database that cannot be had.
#[derive(Serialize)]
pub struct FailedDatabase {
    database: String,
    error: String,
}

/// `restore -dir`, after the run.
#[derive(Serialize)]
pub struct RunReport {
    source: String,
    output_path: String,
    replica: String,
    databases: usize,
    restored: usize,
    already_there: usize,
    not_yet_there: usize,
    left: usize,
    bytes: u64,
    duration_ms: u128,
    results: Vec<DatabaseResult>,
    failed: Vec<FailedDatabase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<String>,
}

#[derive(Serialize)]
struct DatabaseResult {
    database: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl PlanTable {
    /// Of the plan of each member, in their order.
    pub fn new(source: &str, output: &Path, members: &[Member], plans: &[Result<Choice, RestoreError>]) -> PlanTable {
        let (mut databases, mut failed) = (Vec::new(), Vec::new());
        for (member, plan) in members.iter().zip(plans) {
            let database = text(&member.database);
            match plan {
                Ok(choice) => databases.push(PlannedDatabase {
                    database,
                    restore_point: output::utc_seconds(choice.newest()),
                    txid: choice.txid().to_string(),
                    bytes: choice.bytes(),
                    files: choice.files(),
                }),
                Err(error) => failed.push(FailedDatabase { database, error: error.to_string() }),
            }
        }
        PlanTable { source: source.to_owned(), output_path: text(output), databases, failed }
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let rows: Vec<_> = self.databases.iter().map(PlannedDatabase::cells).collect();
        let table = output::table(["database", "restore point", "bytes", "files"], &rows);
        let (bytes, files) = self.databases.iter().fold((0, 0), |(b, f), one| (b + one.bytes, f + one.files));
        let (count, size) = (self.databases.len(), output::human_size(bytes));
        format!(
            "Restore plan:\n  source: {}\n  target: {}\n  total: {count} databases, {size} in {files} files\n\n{table}",
            self.source, self.output_path
        )
    }

    /// What is not in the table, and how the command ends.
    ///
    /// # Errors
    /// Some databases cannot be restored.
    pub fn report(&self) -> anyhow::Result<Exit> {
        fail_with(&self.failed, self.databases.len() + self.failed.len())
    }
}

impl PlannedDatabase {
    fn cells(&self) -> [String; 4] {
        [self.database.clone(), self.restore_point.clone(), self.bytes.to_string(), self.files.to_string()]
    }
}

impl RunReport {
    /// Of what became of each database.
    pub fn new(
        source: String,
        output: PathBuf,
        replica: &str,
        names: &[PathBuf],
        report: DirectoryReport,
        started: Instant,
    ) -> RunReport {
        let mut run = RunReport {
            source,
            output_path: text(&output),
            replica: replica.to_owned(),
            databases: names.len(),
            restored: 0,
            already_there: 0,
            not_yet_there: 0,
            left: 0,
            bytes: 0,
            duration_ms: clock::monotonic().saturating_duration_since(started).as_millis(),
            results: Vec::with_capacity(names.len()),
            failed: Vec::new(),
            halted: report.halted.map(|error| error.to_string()),
        };
        for (name, outcome) in names.iter().zip(report.outcomes) {
            run.add(text(name), &outcome);
        }
        run
    }

    fn add(&mut self, database: String, outcome: &Outcome) {
        let (mut txid, mut bytes) = (None, None);
        let status = match outcome {
            Outcome::Restored { txid: to, bytes: of } => {
                (txid, bytes) = (to.is_some().then(|| to.to_string()), Some(*of));
                self.bytes += of;
                self.restored += 1;
                "restored"
            }
            Outcome::AlreadyThere => {
                self.already_there += 1;
                "already_there"
            }
            Outcome::NotYetThere => {
                self.not_yet_there += 1;
                "not_yet_there"
            }
            Outcome::Left => {
                self.left += 1;
                "left"
            }
            Outcome::Failed(error) => {
                self.failed.push(FailedDatabase { database: database.clone(), error: error.to_string() });
                "failed"
            }
        };
        self.results.push(DatabaseResult { database, status, txid, bytes });
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let mut parts = vec![format!("{} restored", self.restored)];
        for (count, what) in [
            (self.already_there, "were there already"),
            (self.not_yet_there, "did not exist at that time"),
            (self.failed.len(), "failed"),
            (self.left, "left"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let (size, seconds) = (output::human_size(self.bytes), self.duration_ms as f64 / 1000.0);
        format!("{} databases: {}; {size} in {seconds:.1}s\n", self.databases, parts.join(", "))
    }

    /// Every failure on stderr, and how the command ends.
    ///
    /// # Errors
    /// Some databases are not there.
    pub fn end(self) -> anyhow::Result<Exit> {
        let ended = fail_with(&self.failed, self.databases);
        match (self.halted, self.left) {
            (Some(halted), _) => Err(anyhow::Error::msg(halted)),
            (None, 0) => ended,
            (None, left) => anyhow::bail!(
                "interrupted: {left} of {} databases are left; run the same command again to go on",
                self.databases
            ),
        }
    }
}

fn fail_with(failed: &[FailedDatabase], databases: usize) -> anyhow::Result<Exit> {
    for FailedDatabase { database, error } in failed {
        eprintln!("Error: {database}: {error}");
    }
    match failed.len() {
        0 => Ok(Exit::Success),
        count => anyhow::bail!("{count} of {databases} databases cannot be restored; the others are"),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
