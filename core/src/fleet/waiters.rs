//! Requests that wait for a database: "sync it now, and tell me when it is done".

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::clock::{self, UnixMillis};
use crate::ltx::Txid;

use super::record::{DbId, Lane};

/// What a request gets: where the database and its replica are, or why it failed.
pub type Answer = Result<Synced, String>;

/// Positions after a sync that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The newest local LTX file.
    pub txid: Txid,
    /// What the replica holds.
    pub replica_txid: Txid,
    /// Something new was found.
    pub changed: bool,
}

struct Waiter {
    /// The replica must have everything, too.
    upload: bool,
    /// Ends of local runs to pass over: one that ran already when the request came.
    skip: u8,
    local_done: bool,
    changed: bool,
    since: UnixMillis,
    answer: oneshot::Sender<Answer>,
}

/// What is left of a database that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its newest local LTX file.
    pub txid: Txid,
    /// The replica has everything.
    pub uploaded: bool,
    /// What failed at the end.
    pub failure: Option<String>,
}

/// See the module.
#[derive(Default)]
pub struct Waiters {
    syncs: HashMap<DbId, Vec<Waiter>>,
    removals: HashMap<DbId, Vec<oneshot::Sender<Gone>>>,
}

/// What a waiter is told about a run that ended.
pub struct Ended {
    /// Whose.
    pub id: DbId,
    /// Which lane.
    pub lane: Lane,
    /// It found something new.
    pub news: bool,
    /// Positions now.
    pub txid: Txid,
    /// What the replica holds.
    pub replica_txid: Txid,
    /// That is everything.
    pub uploaded: bool,
    /// Why the run failed.
    pub error: Option<String>,
}

impl Waiters {
    /// Requests that wait for a sync of this database.
    pub fn waiting(&self, id: DbId) -> usize {
        self.syncs.get(&id).map_or(0, Vec::len)
    }

    /// Since when the first of them waits.
    pub fn waiting_since(&self, id: DbId) -> Option<UnixMillis> {
        self.syncs.get(&id)?.iter().map(|waiter| waiter.since).min()
    }

    /// Waits for the next local run that begins after now, and for the upload of what it finds.
    pub fn add(&mut self, id: DbId, upload: bool, running: bool) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let since = clock::unix_millis();
        let waiter = Waiter { upload, skip: u8::from(running), local_done: false, changed: false, since, answer };
        self.syncs.entry(id).or_default().push(waiter);
        receiver
    }

    /// Waits until a row that is being removed is gone.
    pub fn until_gone(&mut self, id: DbId) -> oneshot::Receiver<Gone> {
        let (answer, receiver) = oneshot::channel();
        self.removals.entry(id).or_default().push(answer);
        receiver
    }

    /// Answers those whose wait is over.
    pub fn ended(&mut self, ended: &Ended) {
        let Some(waiting) = self.syncs.remove(&ended.id) else { return };
        let left: Vec<Waiter> = waiting.into_iter().filter_map(|waiter| waiter.hear(ended)).collect();
        if !left.is_empty() {
            self.syncs.insert(ended.id, left);
        }
    }

    /// A row is gone: nobody waits for it any more.
    pub fn forgotten(&mut self, id: DbId, gone: &Gone) {
        self.refuse(id, "the database is no longer replicated");
        for waiter in self.removals.remove(&id).unwrap_or_default() {
            let _ = waiter.send(gone.clone());
        }
    }

    /// Nothing will be synced: those who wait for it hear why.
    pub fn refuse(&mut self, id: DbId, reason: &str) {
        for waiter in self.syncs.remove(&id).unwrap_or_default() {
            let _ = waiter.answer.send(Err(reason.to_owned()));
        }
    }
}

impl Waiter {
    /// Gives itself back if it must go on waiting. A caller that went away is no error.
    fn hear(mut self, ended: &Ended) -> Option<Waiter> {
        if ended.lane == Lane::Levels {
            return Some(self);
        }
        if let Some(error) = &ended.error
            && (ended.lane == Lane::Local || self.upload)
        {
            let _ = self.answer.send(Err(error.clone()));
            return None;
        }
        if ended.lane == Lane::Local {
            if self.skip > 0 {
                self.skip -= 1;
                return Some(self);
            }
            self.local_done = true;
            self.changed |= ended.news;
        }
        if self.local_done && (ended.uploaded || !self.upload) {
            let (txid, replica_txid) = (ended.txid, ended.replica_txid);
            let _ = self.answer.send(Ok(Synced { txid, replica_txid, changed: self.changed }));
            return None;
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(lane: Lane, txid: u64, replica: u64) -> Ended {
        let (txid, replica_txid) = (Txid(txid), Txid(replica));
        Ended {
            id: DbId::first_of(1),
            lane,
            txid,
            news: true,
            replica_txid,
            uploaded: replica_txid >= txid,
            error: None,
        }
    }

    #[test]
    fn a_request_for_the_replica_waits_for_the_upload() {
        let mut waiters = Waiters::default();
        let mut answer = waiters.add(DbId::first_of(1), true, false);
        waiters.ended(&ended(Lane::Upload, 1, 1));
        assert!(answer.try_recv().is_err(), "an upload of before");
        waiters.ended(&ended(Lane::Local, 2, 1));
        waiters.ended(&Ended { id: DbId::first_of(2), ..ended(Lane::Upload, 9, 9) });
        assert!(answer.try_recv().is_err());
        waiters.ended(&ended(Lane::Upload, 2, 2));
        assert_eq!(answer.try_recv().unwrap().unwrap().txid, Txid(2));
    }

    #[test]
    fn a_run_that_was_under_way_does_not_count() {
        let mut waiters = Waiters::default();
        let mut answer = waiters.add(DbId::first_of(1), false, true);
        waiters.ended(&ended(Lane::Local, 1, 1));
        assert!(answer.try_recv().is_err());
        waiters.ended(&Ended { news: false, ..ended(Lane::Local, 1, 1) });
        assert_eq!(answer.try_recv().unwrap().map(|synced| synced.changed), Ok(false));
    }

    #[test]
    fn equal_numbers_of_another_history_are_no_upload() {
        let mut waiters = Waiters::default();
        let mut answer = waiters.add(DbId::first_of(1), true, false);
        waiters.ended(&Ended { uploaded: false, ..ended(Lane::Local, 1, 1) });
        assert!(answer.try_recv().is_err());
        waiters.ended(&ended(Lane::Local, 2, 1));
        waiters.ended(&ended(Lane::Upload, 2, 2));
        assert_eq!(answer.try_recv().unwrap().unwrap().txid, Txid(2));
    }

    #[test]
    fn failures_and_removals_answer_too() {
        let mut waiters = Waiters::default();
        let mut failed = waiters.add(DbId::first_of(1), true, false);
        waiters.ended(&Ended { error: Some("down".into()), ..ended(Lane::Upload, 1, 1) });
        assert_eq!(failed.try_recv().unwrap(), Err("down".into()));
        let mut sync = waiters.add(DbId::first_of(1), true, false);
        let mut removal = waiters.until_gone(DbId::first_of(1));
        let gone = Gone { txid: Txid(3), uploaded: true, failure: None };
        waiters.forgotten(DbId::first_of(1), &gone);
        assert!(sync.try_recv().unwrap().is_err());
        assert_eq!(removal.try_recv(), Ok(gone));
    }
}
