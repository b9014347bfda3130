//! Which faults wait for which requests, and which requests came.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// HTTP only: the proxy answers by itself, after it has read the whole request; the server never sees it.
    Answer {
        /// Status of the answer.
        status: u16,
        /// Its headers, beside the length.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: String,
    },
    /// The connection breaks after so many bytes of the request's body.
    CutRequest(u64),
    /// The connection breaks after so many bytes of the answer's body.
    CutAnswer(u64),
    /// The server does its work, and the connection breaks in front of its answer.
    LoseAnswer,
    /// Both bodies pass in pieces of so many bytes, with a pause after each.
    Trickle {
        /// Size of a piece.
        bytes: usize,
        /// Time between two of them.
        pause: Duration,
    },
}

impl Fault {
    /// An answer of the proxy with a `Retry-After`, as a store gives that wants to be left alone.
    pub fn slow_down(status: u16, retry_after: Duration) -> Fault {
        let headers = vec![("Retry-After", retry_after.as_secs().to_string())];
        Fault::Answer { status, headers, body: String::new() }
    }
}

/// A fault and the requests it waits for.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    method: Option<String>,
    target: String,
    skip: u32,
    times: u32,
}

impl Rule {
    /// The next request of any kind, once.
    pub fn new(fault: Fault) -> Rule {
        Rule { fault, method: None, target: String::new(), skip: 0, times: 1 }
    }

    /// Only of this method.
    pub fn method(mut self, method: &str) -> Rule {
        self.method = Some(method.to_owned());
        self
    }

    /// Only where path and query contain this text.
    pub fn target(mut self, contains: &str) -> Rule {
        self.target = contains.to_owned();
        self
    }

    /// Lets so many fitting requests pass first.
    pub fn after(mut self, requests: u32) -> Rule {
        self.skip = requests;
        self
    }

    /// So many times.
    pub fn times(mut self, times: u32) -> Rule {
        self.times = times;
        self
    }

    /// Until [`super::Proxy::heal`].
    pub fn forever(self) -> Rule {
        self.times(u32::MAX)
    }

    fn fits(&self, method: &str, target: &str) -> bool {
        self.times > 0
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && target.contains(self.target.as_str())
    }
}

/// A request that came through; of [`super::Proxy::tcp`] a connection, with empty texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
}

#[derive(Default)]
pub(super) struct Plan(Mutex<State>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<Request>,
}

impl Plan {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn plant(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    pub fn is_waiting(&self) -> bool {
        self.state().rules.iter().any(|rule| rule.times > 0)
    }

    pub fn clear_faults(&self) {
        self.state().rules.clear();
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// Notes a request and takes the fault that waits for it.
    pub fn meet(&self, method: &str, target: &str) -> Option<Fault> {
        let mut state = self.state();
        state.requests.push(Request { method: method.to_owned(), target: target.to_owned() });
        let rule = state.rules.iter_mut().find(|rule| rule.fits(method, target))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        if rule.times != u32::MAX {
            rule.times -= 1;
        }
        Some(rule.fault.clone())
    }
}
