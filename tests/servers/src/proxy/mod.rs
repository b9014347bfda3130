//! A proxy on the loopback address that breaks connections on purpose, and counts requests and connections.
//!
//! For HTTP it understands requests, so that faults meet chosen ones; for anything else ([`Proxy::tcp`]) a connection
//! counts as one request without a name. TLS passes only as the latter.

mod conformance;
mod head;
mod http;
mod listener;
mod pipe;
mod plan;
mod tcp;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use listener::Listener;
use plan::Plan;
pub use plan::{Fault, Request, Rule};

/// A running proxy; dropping it closes every connection.
pub struct Proxy {
    plan: Arc<Plan>,
    listener: Listener,
    understands_http: bool,
}

impl Proxy {
    /// To an HTTP server at `upstream` (`HOST:PORT`).
    pub fn http(upstream: impl Into<String>) -> Proxy {
        let (plan, upstream) = (Arc::new(Plan::default()), upstream.into());
        let shared = plan.clone();
        let listener = Listener::start(move |client| http::serve(client, &upstream, &shared));
        Proxy { plan, listener, understands_http: true }
    }

    /// To a server of any protocol.
    pub fn tcp(upstream: impl Into<String>) -> Proxy {
        let (plan, upstream) = (Arc::new(Plan::default()), upstream.into());
        let shared = plan.clone();
        let listener = Listener::start(move |client| tcp::serve(client, &upstream, &shared));
        Proxy { plan, listener, understands_http: false }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Plants a fault. Of several that fit a request, the one planted first happens.
    pub fn plant(&self, rule: Rule) {
        self.plan.plant(rule);
    }

    /// Whether a fault still waits for a request, or for another one.
    pub fn is_waiting(&self) -> bool {
        self.plan.is_waiting()
    }

    /// Closes every connection. New ones are taken, and meet what is planted.
    pub fn disconnect(&self) {
        self.listener.disconnect();
    }

    /// Closes every connection, and refuses new ones until [`Proxy::heal`].
    pub fn refuse(&self) {
        self.listener.refuse(true);
    }

    /// Removes every fault, and takes connections again.
    pub fn heal(&self) {
        self.plan.clear_faults();
        self.listener.refuse(false);
    }

    /// The most connections that clients had open at once so far.
    pub fn most_open(&self) -> usize {
        self.listener.most_open()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.plan.requests()
    }

    /// Begins to count anew.
    pub fn forget_requests(&self) {
        self.plan.forget_requests();
    }
}
