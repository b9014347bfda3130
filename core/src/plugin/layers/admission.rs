//! Who may call the store now: one limit for each pool, shared fairly between writes, reads and deletes.
//!
//! The limit is the store's own, or a lower configured one. When the store asks to slow down it is halved for every
//! database of the pool, and grows back by one for each ten answers. A call holds its permit only while the store works
//! on it: an open body that nobody pulls holds none, so that a restore can keep hundreds of files open for its merge.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// Successes that raise a lowered limit by one.
const SUCCESSES_PER_STEP: u32 = 10;
/// The longest wait a store can ask for.
pub(in crate::plugin) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// What a call does. Each class has a part of the limit that the others cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plugin) enum Class {
    Write,
    /// Also lists and stats.
    Read,
    /// Retention, mostly: never urgent.
    Delete,
}

const CLASSES: [Class; 3] = [Class::Write, Class::Read, Class::Delete];

/// Gives out permits.
pub(in crate::plugin) struct Admission {
    state: Mutex<State>,
    /// New calls wait until then.
    held_until: watch::Sender<Option<Instant>>,
}

struct State {
    /// Never exceeded: more calls at once than the store takes.
    ceiling: u32,
    /// The present limit, at most the ceiling.
    limit: u32,
    in_flight: [u32; 3],
    waiting: [VecDeque<oneshot::Sender<Permit>>; 3],
    /// Which grant each class got last; the class that waited longest goes first among equals.
    last_grant: [u64; 3],
    grants: u64,
    successes: u32,
    /// Counts halvings, so that the calls that met one storm halve the limit once.
    storms: u64,
}

/// The right to one call. Dropping it lets the next one in.
pub(in crate::plugin) struct Permit {
    admission: Arc<Admission>,
    class: Class,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.lock().in_flight[self.class as usize] -= 1;
        self.admission.let_in();
    }
}

impl Admission {
    pub fn new(ceiling: u32) -> Arc<Admission> {
        let ceiling = ceiling.max(1);
        let state = State {
            ceiling,
            limit: ceiling,
            in_flight: [0; 3],
            waiting: Default::default(),
            last_grant: [0; 3],
            grants: 0,
            successes: 0,
            storms: 0,
        };
        Arc::new(Admission { state: Mutex::new(state), held_until: watch::Sender::new(None) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit. Within a class the first to come is the first to go.
    pub async fn admit(self: &Arc<Self>, class: Class) -> Permit {
        let (sender, mut granted) = oneshot::channel();
        self.lock().waiting[class as usize].push_back(sender);
        self.let_in();
        let mut held_until = self.held_until.subscribe();
        loop {
            let hold = *held_until.borrow_and_update();
            let hold_ends = async {
                match hold.filter(|until| *until > Instant::now()) {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                permit = &mut granted => {
                    return permit.expect("a waiting sender is only ever used to send");
                }
                () = hold_ends => self.let_in(),
                _ = held_until.changed() => self.let_in(),
            }
        }
    }

    /// Hands permits to those who wait, as far as the limit goes.
    fn let_in(self: &Arc<Self>) {
        if self.held_until.borrow().is_some_and(|until| until > Instant::now()) {
            return;
        }
        // A receiver may go away at any moment, and its permit would come back through the lock: send outside of it.
        let mut granted = Vec::new();
        {
            let mut state = self.lock();
            while let Some(class) = state.next_class() {
                if let Some(sender) = state.waiting[class as usize].pop_front()
                    && !sender.is_closed()
                {
                    state.grant(class);
                    granted.push((sender, Permit { admission: self.clone(), class }));
                }
            }
        }
        for (sender, permit) in granted {
            drop(sender.send(permit));
        }
    }

    /// A mark to give back to [`Admission::rate_limited`].
    pub fn storms(&self) -> u64 {
        self.lock().storms
    }

    /// The store asked a call that began at `storms` to slow down.
    pub fn rate_limited(&self, storms: u64, retry_after: Option<Duration>) {
        {
            let mut state = self.lock();
            state.successes = 0;
            if storms == state.storms {
                state.storms += 1;
                state.limit = (state.limit / 2).max(1);
                tracing::debug!(limit = state.limit, ceiling = state.ceiling, "store asks to slow down");
            }
        }
        if let Some(wait) = retry_after {
            let until = Instant::now() + wait.min(MAX_RETRY_AFTER);
            self.held_until.send_if_modified(|held| {
                let later = held.is_none_or(|held| held < until);
                if later {
                    *held = Some(until);
                }
                later
            });
        }
    }

    /// The store answered well.
    pub fn succeeded(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.limit >= state.ceiling {
                return;
            }
            state.successes += 1;
            if state.successes < SUCCESSES_PER_STEP {
                return;
            }
            state.successes = 0;
            state.limit += 1;
        }
        self.let_in();
    }

    #[cfg(test)]
    pub fn limit(&self) -> u32 {
        self.lock().limit
    }
}

impl State {
    fn grant(&mut self, class: Class) {
        self.grants += 1;
        self.in_flight[class as usize] += 1;
        self.last_grant[class as usize] = self.grants;
    }

    /// The most calls of a class at once, so that an eighth stays free for each of the others, and always one place
    /// that no write can take: the body of a write may itself be read from this store.
    fn cap(&self, class: Class) -> u32 {
        match (class, self.limit) {
            (Class::Write, 2..4) => self.limit - 1,
            (_, ..4) => self.limit,
            (Class::Delete, _) => self.limit / 4,
            (Class::Write | Class::Read, _) => self.limit - 2 * (self.limit / 8).max(1),
        }
    }

    fn has_room(&self, class: Class) -> bool {
        let (all, own) = (self.in_flight.iter().sum::<u32>(), self.in_flight[class as usize]);
        // A limit lowered to one must not let a write wait for ever for the read that feeds it.
        let first_read = class == Class::Read && own == 0 && all < self.ceiling;
        first_read || (all < self.limit && own < self.cap(class))
    }

    /// The class whose turn it is: somebody waits, there is room, and it has the fewest calls in flight.
    fn next_class(&self) -> Option<Class> {
        CLASSES
            .into_iter()
            .filter(|class| !self.waiting[*class as usize].is_empty() && self.has_room(*class))
            .min_by_key(|class| (self.in_flight[*class as usize], self.last_grant[*class as usize]))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        future.now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit_and_in_order() {
        let admission = Admission::new(2);
        let first = admission.admit(Class::Read).await;
        let _second = admission.admit(Class::Read).await;
        let mut third = Box::pin(admission.admit(Class::Read));
        let mut fourth = Box::pin(admission.admit(Class::Read));
        assert!(now(&mut third).is_none() && now(&mut fourth).is_none());
        drop(first);
        assert!(now(&mut fourth).is_none(), "the third came first");
        assert!(now(&mut third).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_class_cannot_take_every_place() {
        let admission = Admission::new(8);
        let mut writes = Vec::new();
        while let Some(permit) = now(admission.admit(Class::Write)) {
            writes.push(permit);
        }
        assert_eq!(writes.len(), 6);
        let _read = now(admission.admit(Class::Read)).expect("a place for reads");
        let _delete = now(admission.admit(Class::Delete)).expect("a place for deletes");
        assert!(now(admission.admit(Class::Read)).is_none(), "the pool is full");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_fed_by_a_read_of_the_same_store_always_gets_it() {
        for (ceiling, storms) in [(2, 0), (3, 0), (4, 9), (64, 9)] {
            let admission = Admission::new(ceiling);
            (0..storms).for_each(|_| admission.rate_limited(admission.storms(), None));
            let mut writes = Vec::new();
            while let Some(permit) = now(admission.admit(Class::Write)) {
                writes.push(permit);
            }
            assert!(now(admission.admit(Class::Read)).is_some(), "ceiling {ceiling}, {} writes", writes.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn classes_take_turns_when_there_is_one_place() {
        let admission = Admission::new(1);
        let mut held = Some(admission.admit(Class::Write).await);
        let mut write = Box::pin(admission.admit(Class::Write));
        let mut read = Box::pin(admission.admit(Class::Read));
        assert!(now(&mut write).is_none() && now(&mut read).is_none());
        held.take();
        assert!(now(&mut write).is_none(), "the last one was a write");
        assert!(now(&mut read).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_keeps_no_place() {
        let admission = Admission::new(1);
        let held = admission.admit(Class::Write).await;
        let mut waiting = Box::pin(admission.admit(Class::Write));
        assert!(now(&mut waiting).is_none());
        drop(held);
        // Its permit is already on the way.
        drop(waiting);
        assert!(now(admission.admit(Class::Read)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_storm_halves_the_limit_once_and_successes_raise_it_again() {
        let admission = Admission::new(8);
        let before = admission.storms();
        for _ in 0..5 {
            admission.rate_limited(before, None);
        }
        assert_eq!(admission.limit(), 4);
        for _ in 0..5 {
            admission.rate_limited(admission.storms(), None);
        }
        assert_eq!(admission.limit(), 1, "never below one");
        for _ in 0..SUCCESSES_PER_STEP * 100 {
            admission.succeeded();
        }
        assert_eq!(admission.limit(), 8, "never above the ceiling");
    }

    #[tokio::test(start_paused = true)]
    async fn new_calls_wait_as_long_as_the_store_asked_for() {
        let admission = Admission::new(8);
        let start = Instant::now();
        admission.rate_limited(0, Some(Duration::from_secs(7)));
        drop(admission.admit(Class::Read).await);
        assert_eq!(start.elapsed().as_secs(), 7);

        // Also those that were waiting when the store spoke, and whoever waits is woken when the wait gets longer.
        let admission = Admission::new(1);
        let held = admission.admit(Class::Read).await;
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { drop(admission.admit(Class::Read).await) }
        });
        tokio::task::yield_now().await;
        let start = Instant::now();
        admission.rate_limited(0, Some(Duration::from_secs(3600)));
        drop(held);
        waiting.await.expect("no panic");
        assert_eq!(start.elapsed(), MAX_RETRY_AFTER, "an hour is cut to five minutes");
    }
}
