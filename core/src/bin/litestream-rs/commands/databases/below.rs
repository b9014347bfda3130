//! `databases URL`: what lies below a replica prefix, whoever put it there.

use std::ffi::OsStr;

use litestream_core::clock;
use litestream_core::config::LoggingConfig;
use litestream_core::restore::{self, Choice, Target};
use serde::Serialize;

use crate::args::Args;
use crate::commands::JSON;
use crate::exit_code::Exit;
use crate::replica;
use crate::{logging, output, runtime};

/// Listings under way at once.
const AT_ONCE: usize = 32;

#[derive(Serialize)]
struct Row {
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The newest state that can be restored.
#[derive(Serialize)]
struct Point {
    restore_point: String,
    age_seconds: i64,
    txid: String,
    /// Bytes that a restore reads.
    bytes: u64,
    files: usize,
}

pub fn run(args: &Args, argument: &OsStr) -> anyhow::Result<Exit> {
    let chosen = replica::choose_directory(args, argument)?;
    logging::start(&LoggingConfig { stderr: true, ..chosen.config().logging.clone() });
    let name = chosen.name.clone();
    let rows: Vec<Row> = runtime::block_on(async {
        let databases = chosen.open_directory(args).await?.databases().await?.require(&name)?;
        let plans = restore::plan_directory(&databases.members, Target::Latest, AT_ONCE).await;
        let names = databases.members.iter().map(|member| member.database.to_string_lossy().into_owned());
        Ok(names.zip(plans).map(|(database, plan)| row(database, plan)).collect())
    })?;
    if args.switch(&JSON) {
        output::print_json(&rows)?;
    } else {
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        output::print(&output::table(["database", "restore point", "age", "size"], &cells))?;
    }
    let failed: Vec<&Row> = rows.iter().filter(|row| row.error.is_some()).collect();
    for Row { database, error, .. } in &failed {
        eprintln!("Error: {database}: {}", error.as_deref().unwrap_or_default());
    }
    anyhow::ensure!(failed.is_empty(), "{} of {} databases cannot be restored", failed.len(), rows.len());
    Ok(Exit::Success)
}

fn row(database: String, plan: Result<Choice, restore::RestoreError>) -> Row {
    match plan {
        Err(error) => Row { database, point: None, error: Some(error.to_string()) },
        Ok(choice) => {
            let now = i64::try_from(clock::unix_time().as_millis()).unwrap_or(i64::MAX);
            let point = Point {
                restore_point: output::utc_seconds(choice.newest()),
                age_seconds: now.saturating_sub(choice.newest()).max(0) / 1000,
                txid: choice.txid().to_string(),
                bytes: choice.bytes(),
                files: choice.files(),
            };
            Row { database, point: Some(point), error: None }
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 4] {
        let Some(point) = &self.point else {
            return [self.database.clone(), "-".to_owned(), "-".to_owned(), "-".to_owned()];
        };
        let age = output::human_age(point.age_seconds);
        [self.database.clone(), point.restore_point.clone(), age, output::human_size(point.bytes)]
    }
}
