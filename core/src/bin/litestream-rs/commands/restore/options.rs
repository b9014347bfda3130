//! The flags of `restore`, checked in the reference's order.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use litestream_core::config::GoDuration;
use litestream_core::ltx::Txid;
use litestream_core::restore::{IntegrityCheck, Target};

use super::{
    DRY_RUN, FOLLOW, FOLLOW_INTERVAL, FORCE, IF_DB_NOT_EXISTS, IF_REPLICA_EXISTS, INTEGRITY_CHECK, JSON, OUTPUT,
    PARALLELISM, TIMESTAMP, TXID,
};
use crate::args::Args;
use crate::commands;
use crate::failure::UsageError;

/// The reference's words, with its no-break space.
const INVALID_TIMESTAMP: &str = "invalid -timestamp, must specify in ISO 8601\u{a0}format (e.g. 2000-01-01T00:00:00Z)";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path or URL.
    pub argument: OsString,
    pub output: Option<PathBuf>,
    /// What to restore; of two contradicting flags, the time.
    pub target: Target,
    pub integrity: IntegrityCheck,
    pub parallelism: usize,
    pub skip_existing: bool,
    pub forgive_nothing: bool,
    pub dry_run: bool,
    pub force: bool,
    pub json: bool,
    pub follow: bool,
    pub follow_interval: Duration,
    txid_given: bool,
    timestamp_given: bool,
}

impl Options {
    /// Reads what can be judged without configuration.
    ///
    /// # Errors
    /// A missing argument, or a flag that makes no sense.
    pub fn read(args: &Args) -> anyhow::Result<Options> {
        let example = "restore -o /path/to/db s3://bucket/prefix";
        let argument = commands::one_positional(args, "database path or replica URL required", example)?;
        let integrity = args.text(&INTEGRITY_CHECK).unwrap_or_default().parse()?;
        let timestamp = args.text(&TIMESTAMP).filter(|text| !text.is_empty()).map(parse_timestamp).transpose()?;
        let txid: Option<Txid> =
            args.text(&TXID).and_then(|text| text.parse().ok()).filter(|txid: &Txid| txid.is_some());
        let interval: Option<GoDuration> = args.text(&FOLLOW_INTERVAL).and_then(|text| text.parse().ok());
        let parallelism: usize = args.text(&PARALLELISM).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Options {
            argument,
            output: args.path(&OUTPUT),
            target: match (timestamp, txid) {
                (Some(time), _) => Target::Timestamp(time.as_millisecond()),
                (None, Some(txid)) => Target::Txid(txid),
                (None, None) => Target::Latest,
            },
            integrity,
            // The reference takes any number; nothing at once means one after the other.
            parallelism: parallelism.max(1),
            skip_existing: args.switch(&IF_DB_NOT_EXISTS),
            forgive_nothing: args.switch(&IF_REPLICA_EXISTS),
            dry_run: args.switch(&DRY_RUN),
            force: args.switch(&FORCE),
            json: args.switch(&JSON),
            follow: args.switch(&FOLLOW),
            follow_interval: interval.and_then(GoDuration::positive).unwrap_or(Duration::from_secs(1)),
            txid_given: txid.is_some(),
            timestamp_given: timestamp.is_some(),
        })
    }

    /// What cannot be done to a whole directory.
    ///
    /// # Errors
    /// A flag that contradicts `-dir`.
    pub fn check_directory(&self) -> anyhow::Result<()> {
        match self {
            Options { follow: true, .. } => Err(UsageError::new("cannot use follow mode with -dir")),
            Options { txid_given: true, .. } => Err(UsageError::new(
                "cannot use -txid with -dir: each database counts its own transactions; use -timestamp",
            )),
            _ => Ok(()),
        }
    }

    /// What cannot be followed.
    ///
    /// # Errors
    /// A flag that contradicts `-f`.
    pub fn check_follow(&self) -> anyhow::Result<()> {
        let contradiction = match self {
            Options { follow: false, .. } => return Ok(()),
            Options { dry_run: true, .. } => "cannot use -dry-run with -f",
            Options { txid_given: true, .. } => "cannot use follow mode with -txid",
            Options { timestamp_given: true, .. } => "cannot use follow mode with -timestamp",
            _ => return Ok(()),
        };
        Err(UsageError::new(contradiction))
    }

    /// Two targets are one too many.
    ///
    /// # Errors
    /// `-txid` and `-timestamp` together.
    pub fn check_target(&self) -> anyhow::Result<()> {
        if self.txid_given && self.timestamp_given {
            return Err(UsageError::new("cannot specify index & timestamp to restore"));
        }
        Ok(())
    }
}

/// RFC 3339 and nothing else, as Go reads it.
fn parse_timestamp(text: &str) -> anyhow::Result<Timestamp> {
    let has_zone_offset = text.ends_with('Z') || text.get(19..).is_some_and(|tail| tail.contains(['+', '-']));
    let parsed = text.parse::<Timestamp>().ok().filter(|_| has_zone_offset && text.as_bytes().get(10) == Some(&b'T'));
    parsed.ok_or_else(|| UsageError::new(INVALID_TIMESTAMP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        for (text, millis) in [
            ("2000-01-01T00:00:00Z", 946_684_800_000),
            ("2000-01-01T00:00:00.001Z", 946_684_800_001),
            ("2000-01-01T02:00:00+02:00", 946_684_800_000),
        ] {
            assert_eq!(parse_timestamp(text).unwrap().as_millisecond(), millis, "{text}");
        }
        for text in ["", "yesterday", "2000-01-01", "2000-01-01 00:00:00Z", "2000-01-01T00:00:00", "946684800"] {
            assert_eq!(parse_timestamp(text).unwrap_err().to_string(), INVALID_TIMESTAMP, "{text}");
        }
    }
}
