//! `restore -dir`: brings a whole directory back.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use litestream_core::clock;
use litestream_core::config::LoggingConfig;
use litestream_core::discovery::Pattern;
use litestream_core::restore::{self, DirectoryOptions, Member, OutputRules};

use super::directory_bar::DirectoryBar;
use super::directory_report::{PlanTable, RunReport};
use super::options::Options;
use super::{EXCLUDE, INCLUDE, PARALLELISM};
use crate::args::{Args, Flag};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::replica::{self, Databases, OpenDirectory};
use crate::signals::Signals;
use crate::{logging, output, runtime};

/// Databases at the same time, unless `-parallelism` says otherwise: enough that a distant storage is kept busy.
const AT_ONCE: usize = 32;

/// What `-include` and `-exclude` leave.
struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = Options::read(args)?;
    options.check_directory()?;
    let filter = Filter::of(args)?;
    let at_once = if args.is_given(&PARALLELISM) { options.parallelism } else { AT_ONCE };
    let chosen = replica::choose_directory(args, &options.argument)?;
    let configured = &chosen.config().logging;
    logging::start(&LoggingConfig { stderr: true, ..configured.clone() });
    let Some(path) = options.output.clone().or_else(|| chosen.database.clone()) else {
        let argument = options.argument.to_string_lossy();
        return Err(UsageError::with_try(
            "-o is required when restoring from a replica URL",
            format!("restore -dir -o /path/to/directory {argument}"),
        ));
    };
    let name = chosen.name.clone();
    runtime::block_on(async move {
        let directory = chosen.open_directory(args).await?;
        let databases = directory.databases().await?;
        if databases.members.is_empty() && options.forgive_nothing {
            tracing::info!("no matching backups found");
            return Ok(Exit::Success);
        }
        let Databases { members, .. } = databases.require(&name)?;
        let members = filter.apply(members)?;
        if options.dry_run {
            plan(&members, &options, &name, &path, at_once).await
        } else {
            restore_all(&directory, members, &options, name, path, at_once).await
        }
    })
}

async fn plan(members: &[Member], options: &Options, name: &str, path: &Path, at_once: usize) -> anyhow::Result<Exit> {
    let plans = restore::plan_directory(members, options.target, at_once).await;
    let table = PlanTable::new(name, path, members, &plans);
    if options.json {
        output::print_json(&table)?;
    } else {
        output::print(&table.to_text())?;
    }
    table.report()
}

async fn restore_all(
    directory: &OpenDirectory,
    members: Vec<Member>,
    options: &Options,
    name: String,
    path: PathBuf,
    at_once: usize,
) -> anyhow::Result<Exit> {
    let started = clock::monotonic();
    let mut signals = Signals::install()?;
    let names: Vec<PathBuf> = members.iter().map(|member| member.database.clone()).collect();
    let how = DirectoryOptions {
        output: path.clone(),
        source: name.clone(),
        target: options.target,
        rules: OutputRules { force: options.force, skip_existing: options.skip_existing },
        integrity: options.integrity,
        parallelism: at_once,
    };
    let bar = Arc::new(DirectoryBar::new(members.len()));
    let stop = async {
        signals.next().await;
    };
    let ended = restore::restore_directory(members, how, &directory.budget, bar.clone(), stop).await;
    bar.finish();
    let report = RunReport::new(name, path, directory.kind(), &names, ended?, started);
    if options.json {
        output::print_json(&report)?;
    } else {
        output::print(&report.to_text())?;
    }
    report.end()
}

impl Filter {
    fn of(args: &Args) -> anyhow::Result<Filter> {
        let patterns = |flag: &Flag| -> anyhow::Result<Vec<Pattern>> {
            let parse = |text| {
                let refused = |error| UsageError::new(format!("invalid -{} {text}: {error}", flag.name));
                Pattern::parse(text).map_err(refused)
            };
            args.texts(flag).map(parse).collect()
        };
        Ok(Filter { include: patterns(&INCLUDE)?, exclude: patterns(&EXCLUDE)? })
    }

    /// # Errors
    /// Nothing is left.
    fn apply(&self, members: Vec<Member>) -> anyhow::Result<Vec<Member>> {
        let all = members.len();
        let left: Vec<Member> = members.into_iter().filter(|member| self.takes(&member.database)).collect();
        if left.is_empty() {
            return Err(UsageError::new(format!("-include and -exclude leave none of {all} databases")));
        }
        Ok(left)
    }

    fn takes(&self, database: &Path) -> bool {
        let (directory, name) = (database.parent().unwrap_or(Path::new("")), database.file_name());
        let matches = |pattern: &Pattern| pattern.matches(directory, name.unwrap_or(OsStr::new("")));
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }
}
