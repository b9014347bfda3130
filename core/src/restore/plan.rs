//! Chooses the files a restore applies, from listings alone.
//!
//! A plan is a chain: it starts with the newest snapshot that does not go too far, and each next file continues the one
//! before and reaches as far as any can. Overlap is legal, so compaction may run meanwhile; a hole is not.

use std::fmt;

use crate::clock::UnixMillis;
use crate::ltx::{Level, LtxInfo, Txid};

/// Which state is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The newest.
    Latest,
    /// Exactly the state after this transaction.
    Txid(Txid),
    /// The newest of files written strictly before this time.
    Timestamp(UnixMillis),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Latest => f.write_str("the latest state"),
            Target::Txid(txid) => write!(f, "transaction {txid}"),
            Target::Timestamp(millis) => match jiff::Timestamp::from_millisecond(*millis) {
                Ok(time) => write!(f, "time {time}"),
                Err(_) => write!(f, "time {millis} ms"),
            },
        }
    }
}

/// Files to apply, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    files: Vec<LtxInfo>,
}

impl Plan {
    /// Oldest first.
    pub fn files(&self) -> &[LtxInfo] {
        &self.files
    }

    /// First transaction of the first file.
    pub fn min_txid(&self) -> Txid {
        self.files.first().map_or(Txid::NONE, |file| file.min_txid)
    }

    /// The transaction whose state the plan gives.
    pub fn max_txid(&self) -> Txid {
        self.files.last().map_or(Txid::NONE, |file| file.max_txid)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Why no plan gives what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No time lies within a replica that holds no file at all.
    #[error("no backups found")]
    Empty,
    /// Nothing leads to the target.
    #[error("no matching backup files available: {target} cannot be restored, {reason}")]
    NotAvailable {
        /// What was asked for.
        target: Target,
        /// What the replica has instead.
        reason: String,
    },
    /// Files are missing between others.
    #[error(
        "cannot calc restore plan: non-contiguous ltx files: have up to {reached} but next file starts at {next}. \
         Restore to an earlier state with -txid {reached}, or take a new snapshot"
    )]
    Gap {
        /// The last transaction before the hole.
        reached: Txid,
        /// The first behind it.
        next: Txid,
    },
    /// The time lies before everything.
    #[error("timestamp does not exist: the first backup was made later, at {first}")]
    BeforeFirst {
        /// Time of the oldest file, RFC 3339.
        first: String,
    },
}

/// Finds the chain for `target` among `files`, which are the listings of all levels, in any order.
///
/// For [`Target::Timestamp`] each `created_at` must be exact. A time at or after the newest file gives the newest state.
pub fn plan(files: &[LtxInfo], target: Target) -> Result<Plan, PlanError> {
    let Some(first) = files.iter().map(|file| file.created_at).min() else {
        let reason = "the replica is empty".to_owned();
        let by_time = matches!(target, Target::Timestamp(_));
        return Err(if by_time { PlanError::Empty } else { PlanError::NotAvailable { target, reason } });
    };
    if let Target::Timestamp(time) = target
        && time < first
    {
        let first = jiff::Timestamp::from_millisecond(first).map_or_else(|_| first.to_string(), |at| at.to_string());
        return Err(PlanError::BeforeFirst { first });
    }
    let usable: Vec<&LtxInfo> = files.iter().filter(|file| is_usable(file, target)).collect();
    let chain = longest_chain(&usable);
    let reached = chain.last().map_or(Txid::NONE, |file| file.max_txid);
    let beyond = usable.iter().map(|file| file.min_txid).filter(|&min| min > reached.next()).min();
    match (target, beyond) {
        (Target::Latest, Some(next)) if !chain.is_empty() => return Err(PlanError::Gap { reached, next }),
        (Target::Txid(wanted), _) if wanted != reached => {
            return Err(PlanError::NotAvailable { target, reason: why_not(files, wanted, reached) });
        }
        _ if chain.is_empty() => {
            let reason = match beyond {
                Some(next) => format!("the oldest usable file starts at transaction {next}"),
                None => "no file was written before it".to_owned(),
            };
            return Err(PlanError::NotAvailable { target, reason });
        }
        _ => {}
    }
    Ok(Plan { files: chain.into_iter().cloned().collect() })
}

fn is_usable(file: &LtxInfo, target: Target) -> bool {
    match target {
        Target::Latest => true,
        Target::Txid(txid) => file.max_txid <= txid,
        Target::Timestamp(time) => file.created_at < time,
    }
}

/// The newest snapshot, then always the file that continues and reaches furthest. That greedy choice reaches as far as
/// any chain can: whatever continues a shorter one continues a longer one too.
fn longest_chain<'a>(usable: &[&'a LtxInfo]) -> Vec<&'a LtxInfo> {
    let mut ascending = usable.to_vec();
    ascending.sort_by_key(|file| (file.min_txid, file.max_txid));
    let snapshot = ascending.iter().rfind(|file| file.level == Level::SNAPSHOT && file.min_txid == Txid::FIRST);
    let mut chain: Vec<&LtxInfo> = snapshot.into_iter().copied().collect();
    let mut reached = snapshot.map_or(Txid::NONE, |file| file.max_txid);
    let mut waiting = ascending.iter().filter(|file| file.level != Level::SNAPSHOT).copied().peekable();
    let mut furthest: Option<&LtxInfo> = None;
    loop {
        while let Some(file) = waiting.next_if(|file| file.min_txid <= reached.next()) {
            furthest = Some(furthest.map_or(file, |best| preferred(best, file)));
        }
        match furthest.take_if(|file| file.max_txid > reached) {
            Some(file) => {
                chain.push(file);
                reached = file.max_txid;
            }
            None => return chain,
        }
    }
}

/// The one that reaches further; among equals the one that covers more, then the more compacted, then the older.
fn preferred<'a>(a: &'a LtxInfo, b: &'a LtxInfo) -> &'a LtxInfo {
    use std::cmp::Reverse;
    let rank = |file: &LtxInfo| (file.max_txid, Reverse(file.min_txid), file.level, Reverse(file.created_at));
    if rank(b) > rank(a) { b } else { a }
}

fn why_not(files: &[LtxInfo], wanted: Txid, reached: Txid) -> String {
    let newest = files.iter().map(|file| file.max_txid).max().unwrap_or(Txid::NONE);
    if wanted > newest {
        return format!("the replica reaches transaction {newest}");
    }
    let within =
        files.iter().filter(|file| file.min_txid <= wanted && wanted < file.max_txid).min_by_key(|file| file.max_txid);
    match within {
        Some(file) if reached.is_some() => format!(
            "it lies inside the compacted file {}; restorable are {reached} before and {} after it",
            file.file_name(),
            file.max_txid
        ),
        Some(file) => format!("it lies inside the compacted file {}", file.file_name()),
        None => format!("files are missing behind transaction {reached}"),
    }
}

#[cfg(test)]
mod tests;
