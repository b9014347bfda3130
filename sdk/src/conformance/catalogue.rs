//! The list of checks: which promise, when it can be judged, and what a user loses where it is broken.

use super::kit::Kit;
use super::settings::Settings;
use super::subject::{Need, Subject};
use super::{concurrency, copy, create, delete, hostile, list, names, network, options, read, write};
use crate::error::Result;
use crate::types::Capability;
use futures::future::BoxFuture;

/// When a check can say something.
pub(super) enum Gate {
    Always,
    /// A capability bit.
    Claims(u64),
    /// The store keeps times.
    KeepsTime,
    /// `Settings::full`.
    Full,
    /// Something beside the store.
    Needs(Need),
}

impl Gate {
    /// Why the check cannot say anything here.
    pub fn closed(&self, subject: &Subject, settings: &Settings) -> Option<String> {
        let capability = subject.storage.capability();
        match self {
            Self::Claims(bit) if !capability.has(*bit) => Some(format!("not claimed: {}", Capability::name_of(*bit))),
            Self::KeepsTime if capability.time_step.is_zero() => Some("not claimed: the store keeps no time".into()),
            Self::Full if !settings.full => Some("only in a full check".into()),
            Self::Needs(need) => subject.lacks(*need).map(Into::into),
            _ => None,
        }
    }
}

/// What a check found when nothing was wrong.
pub(super) enum Verdict {
    Kept,
    /// One half could not be judged; why.
    HalfSkipped(String),
}

type Run = for<'a> fn(&'a Kit) -> BoxFuture<'a, Result<Verdict>>;

pub(super) struct Check {
    pub id: &'static str,
    /// What a store promises.
    pub promise: &'static str,
    /// What happens to a user where it is broken.
    pub meaning: &'static str,
    pub gate: Gate,
    pub run: Run,
}

macro_rules! checks {
    ($($id:literal $gate:expr, $run:path, $promise:literal, $meaning:literal;)+) => {
        &[$(Check { id: $id, promise: $promise, meaning: $meaning, gate: $gate, run: |kit| Box::pin($run(kit)) },)+]
    };
}

pub(super) const CHECKS: &[Check] = checks! {
    "W1" Gate::Always, write::round_trip, "what was written is read back, from 0 bytes up",
        "backups are damaged the moment they are made";
    "W2" Gate::Always, write::unknown_size, "a body of unknown size is streamed",
        "snapshots and compactions fail or are cut: their size is not known before";
    "W3" Gate::Always, write::wrong_length, "a body shorter or longer than announced leaves nothing",
        "half a file passes for a whole one after an error, and a restore fails on it";
    "W4" Gate::Always, write::failing_body, "an error in the body leaves nothing",
        "half a file passes for a whole one after an error, and a restore fails on it";
    "W5" Gate::Always, write::cancelled, "a cancelled write leaves nothing and changes nothing",
        "a restart in the middle of an upload leaves half a file under a final name";
    "W6" Gate::Always, write::replace, "a replace is atomic for readers",
        "a restore that runs beside a compaction reads files that are empty or mixed";
    "W7" Gate::Claims(Capability::IF_ABSENT), create::one_wins, "of many creators at once one wins",
        "two programs on one replica overwrite each other's files unnoticed";
    "W8" Gate::KeepsTime, write::time, "the given time is kept",
        "restores to a point in time end at another one";
    "W9" Gate::Always, write::buffer, "no more of a body is held than was granted",
        "uploads stand still when memory is scarce";
    "W10" Gate::Claims(Capability::IF_ABSENT), create::large_body, "if-absent holds for large bodies, and leaves no parts",
        "two programs on one replica overwrite each other's snapshots unnoticed, or parts pile up and are paid for";
    "W11" Gate::Claims(Capability::COPY), copy::whole, "a copy on the store's side is the same object, with its time",
        "files that move up to the next level unchanged are damaged, or have another time";
    "R1" Gate::Always, read::ranges, "ranges are exact, and an error past the end",
        "a restore reads wrong pages";
    "R2" Gate::Always, read::missing, "a missing object is NOT_FOUND, a missing prefix is empty",
        "new replicas cannot be begun, or a missing file is tried again for ever";
    "R3" Gate::Claims(Capability::READ_VERSION), read::version, "a changed object is noticed",
        "a transfer that was broken is picked up in another file";
    "R4" Gate::Needs(Need::Network), network::cut, "a cut connection is an error that is tried again, never a short object",
        "a bad line makes restores fail, or files that are cut short";
    "R5" Gate::Always, read::overtaken, "a read that is overtaken by a replace is not mixed",
        "a restore that runs beside a compaction reads files that are mixed of two";
    "L1" Gate::Always, list::order, "a listing is complete, each directory in byte order",
        "a restore does not see every file, and ends too early";
    "L2" Gate::Always, list::start_after, "start-after is strict and needs no such key",
        "following a replica misses files or reads them twice";
    "L3" Gate::Always, list::prefix, "a prefix ends at a segment",
        "retention of one database deletes files of its neighbour";
    "L4" Gate::Always, list::directories, "a shallow list gives each directory once",
        "databases below a prefix are not found";
    "L5" Gate::Always, list::pages, "more than one page",
        "of a long replica the newest files are not restored";
    "L6" Gate::Needs(Need::ForeignClient), hostile::foreign_names, "names of other programs are left out of a listing",
        "one odd file of another program stops the replica";
    "L7" Gate::Needs(Need::WrongBucket), hostile::wrong_bucket, "a wrong bucket is NO_STORE, never an empty one",
        "a typing error in the bucket's name looks like a replica without backups";
    "D1" Gate::Always, delete::results, "each key has its result; missing is success; repeating is harmless",
        "old files stay and are paid for, or retention never ends";
    "D2" Gate::Needs(Need::Locks), delete::one_fails, "one key that cannot be deleted spares the others",
        "one locked file stops retention";
    "N1" Gate::Always, names::odd_names, "odd names come back as they were",
        "databases with odd names are not restored, or share a place";
    "N2" Gate::Needs(Need::Resolve), names::injective, "no two databases share a place",
        "two databases overwrite each other's backups";
    "C1" Gate::Always, concurrency::no_mixing, "32 calls at once do not mix",
        "files of one database arrive in the backup of another";
    "C2" Gate::Always, concurrency::any_order, "calls at once do not wait for each other",
        "one slow database holds up all others";
    "E1" Gate::Needs(Need::WrongSecret), hostile::wrong_secret, "a wrong secret is said at once, as what it is",
        "wrong credentials look like a bad network, and are tried again and again";
    "E2" Gate::Needs(Need::Network), network::slow_down, "a request to slow down is RATE_LIMITED, with its waiting time",
        "a store that asks for mercy is asked more, and locks the account out";
    "O1" Gate::Needs(Need::Configure), options::problems, "all problems come at once, and secrets in no text",
        "secrets end up in logs, and mistakes are found one at a time";
    "P1" Gate::Full, read::large, "a large object passes through little memory",
        "one large database takes the whole machine's memory";
    "P2" Gate::Always, hostile::panic, "a panic ends one call, and the next one works",
        "one bug of the plugin stops the replication of everything";
};
