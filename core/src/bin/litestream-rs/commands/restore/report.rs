//! What `restore` prints: the summary of `-json`, and the plan of `-dry-run`.

use std::path::Path;

use litestream_core::restore::Choice;
use serde::Serialize;

use crate::output;

/// `restore -json`.
#[derive(Serialize)]
pub struct RestoreReport {
    pub db_path: String,
    pub replica: String,
    pub txid: String,
    pub duration_ms: u128,
    pub integrity_check: &'static str,
}

/// `restore -dry-run`.
#[derive(Debug, Serialize)]
pub struct PlanReport {
    source: String,
    target_path: String,
    replica: String,
    min_txid: String,
    max_txid: String,
    files: Vec<PlannedFile>,
}

#[derive(Debug, Serialize)]
struct PlannedFile {
    level: u8,
    name: String,
    min_txid: String,
    max_txid: String,
    size: u64,
    timestamp: String,
}

impl PlanReport {
    /// Of a plan for restoring `source` to `target`. Of the old layout, which has no transactions, only names show.
    pub fn new(choice: &Choice, source: &str, target: &Path, replica: &str) -> PlanReport {
        let (min_txid, max_txid, files) = match choice {
            Choice::Ltx(plan) => {
                let files = plan.files().iter().map(|file| PlannedFile {
                    level: file.level.number(),
                    name: file.file_name().to_string(),
                    min_txid: file.min_txid.to_string(),
                    max_txid: file.max_txid.to_string(),
                    size: file.size,
                    timestamp: output::utc_seconds(file.created_at),
                });
                (plan.min_txid().to_string(), plan.max_txid().to_string(), files.collect())
            }
            Choice::V3(plan) => {
                let files = plan.objects().map(|object| PlannedFile {
                    level: 0,
                    name: object.path.clone(),
                    min_txid: String::new(),
                    max_txid: String::new(),
                    size: object.size,
                    timestamp: output::utc_seconds(object.created_at),
                });
                (String::new(), String::new(), files.collect())
            }
        };
        PlanReport {
            source: source.to_owned(),
            target_path: target.to_string_lossy().into_owned(),
            replica: replica.to_owned(),
            min_txid,
            max_txid,
            files,
        }
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let rows: Vec<_> = self.files.iter().map(PlannedFile::cells).collect();
        let table = output::table(["level", "file", "min_txid", "max_txid", "size", "timestamp"], &rows);
        format!(
            "Restore plan:\n  source: {}\n  target: {}\n  replica: {}\n  txid range: {} - {}\n\nFiles to fetch:\n{table}",
            self.source, self.target_path, self.replica, self.min_txid, self.max_txid
        )
    }
}

impl PlannedFile {
    fn cells(&self) -> [String; 6] {
        [
            self.level.to_string(),
            self.name.clone(),
            self.min_txid.clone(),
            self.max_txid.clone(),
            self.size.to_string(),
            self.timestamp.clone(),
        ]
    }
}
