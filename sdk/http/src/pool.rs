//! The connections to a store: as many as there are requests at once, and no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use litestream_sdk::{Result, StorageError};
use reqwest::{Client, ClientBuilder, RequestBuilder};

/// HTTP clients, each of which carries one request at a time and so needs one connection.
///
/// One client for all requests opens more now and then: a request that finds no connection free begins one, and may then
/// be served by one that another request has given back. What it began is opened all the same.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    /// For what is not sent to the store, such as a request for credentials.
    aside: Client,
    /// The one used last is used next: connections that are not needed any more time out.
    idle: Mutex<Vec<Client>>,
    make: Box<dyn Fn() -> Result<Client> + Send + Sync>,
}

/// A client until nobody needs its connection any more.
pub(crate) struct Lease {
    pub client: Client,
    pool: Pool,
}

impl Pool {
    /// Clients that do exactly what they are told: a redirect would carry the login or signature to another host, and a
    /// second try is the host's to decide. `adapt` says what else the plugin wants of them.
    ///
    /// # Errors
    /// PERMANENT if there is no TLS to be had.
    pub fn new(adapt: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static) -> Result<Pool> {
        let make = move || {
            let builder = Client::builder()
                .user_agent(concat!("litestream-rs/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never());
            let failed = |error: reqwest::Error| {
                StorageError::permanent("the HTTP client could not be made").with_source(&error)
            };
            adapt(builder).build().map_err(failed)
        };
        Ok(Pool(Arc::new(Shared { aside: make()?, idle: Mutex::default(), make: Box::new(make) })))
    }

    /// For requests that are not to the store.
    pub fn aside(&self) -> Client {
        self.0.aside.clone()
    }

    /// A request for [`execute`](crate::exchange::execute).
    pub fn request(&self, method: Method, address: &str) -> RequestBuilder {
        self.0.aside.request(method, address)
    }

    pub(crate) fn lease(&self) -> Result<Lease> {
        let idle = self.idle().pop();
        let client = idle.map_or_else(|| (self.0.make)(), Ok)?;
        Ok(Lease { client, pool: self.clone() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Client>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.idle().push(self.client.clone());
    }
}
