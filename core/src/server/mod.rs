//! The control socket and the metrics endpoint: HTTP over what the fleet and the metrics offer.
//!
//! ```text
//! socket.path --+-> routes (one file per resource) --> Control --> Fleet
//! addr ---------+-> metrics                        --> metrics::global()
//!               +-> page (status, read-only)       --> Fleet
//! ```
//!
//! Nothing here replicates, and nothing that replicates waits for anybody here: a client that goes away or never reads
//! its answer changes nothing. Routes, texts and status codes are those of the reference.
//!
//! What is registered here is no part of the configuration; a file of its own carries it over a restart.

mod answer;
mod info;
mod lifecycle;
mod list;
mod listener;
mod metrics;
mod page;
mod register;
mod registrations;
mod request;
mod restore_command;
mod socket;
mod status;
mod sync;
mod sync_status;
mod txid;
mod unregister;
mod why;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::clock;
use crate::config::{Environment, SocketConfig};
use crate::fleet::{DatabaseStatus, Fleet};
use crate::metrics::FleetReading;
use crate::plugin::ByteBudget;

/// What the socket answers, for both ends of it.
pub mod answers {
    pub use super::info::Info;
    pub use super::lifecycle::Done;
    pub use super::list::{List, Listed};
    pub use super::register::RegisterAnswer;
    pub use super::status::{Database, Refused, Status, Totals};
    pub use super::sync::SyncAnswer;
    pub use super::why::{Job, Why, Work};
}

pub use listener::Server;
pub use metrics::{BindAddress, NoPort};
pub use register::Registrar;
pub use registrations::Registrations;
pub use restore_command::RestoreCommand;
pub use socket::SocketError;

/// What the routes of the control socket work with.
pub struct Control {
    fleet: Arc<Fleet>,
    registrar: Arc<Registrar>,
    registrations: Registrations,
    /// Paths in requests are expanded with it, as those of the configuration.
    environment: Environment,
    started: Instant,
    started_unix: Duration,
}

impl Control {
    /// A daemon that starts now.
    pub fn new(
        fleet: Arc<Fleet>,
        registrar: Registrar,
        registrations: Registrations,
        environment: Environment,
    ) -> Control {
        Control {
            fleet,
            registrar: Arc::new(registrar),
            registrations,
            environment,
            started: clock::monotonic(),
            started_unix: clock::unix_time(),
        }
    }

    /// Adds what was registered before and is not replicated. What cannot be added now is logged, and kept for the next
    /// start.
    pub async fn take_up_registrations(&self) {
        for (path, replica_url) in self.registrations.all() {
            let replicated = self.fleet.status(&path).is_some_and(|row| row.status != DatabaseStatus::Removing);
            if replicated {
                continue;
            }
            let shown = path.display().to_string();
            match self.registrar.add(&self.fleet, path, &replica_url).await {
                Ok(_) => {}
                Err(error) => tracing::error!(path = shown, %error, "registered database is not replicated"),
            }
        }
    }
}

/// Serves the control socket. Call it within a runtime.
///
/// # Errors
/// Something that is no socket stands there, or the system refuses.
pub fn serve_control(config: &SocketConfig, control: Arc<Control>) -> Result<Server, SocketError> {
    let (listener, file) = socket::bind(config)?;
    tracing::info!(system = "server", path = %config.path.display(), "control socket listening");
    Ok(Server::start(listener, control_routes(control), Some(file)))
}

/// What the metrics and the status page show.
pub struct Watched {
    /// Whose databases.
    pub fleet: Arc<Fleet>,
    /// The memory for data under way.
    pub budget: ByteBudget,
    /// Up to how many databases all have metrics of their own. `None`: always.
    pub max_metric_databases: Option<usize>,
    /// How its databases are restored.
    pub restore_command: RestoreCommand,
}

impl Watched {
    fn reading(&self) -> FleetReading {
        let (total, free) = (self.budget.total(), self.budget.available());
        FleetReading { budget_bytes: total, budget_used_bytes: total.saturating_sub(free), ..self.fleet.reading() }
    }
}

/// Serves the metrics of the process at `/metrics` and a status page at `/`. Nothing there changes anything. Call it within
/// a runtime.
///
/// # Errors
/// Those of binding the address.
pub async fn serve_metrics(address: &BindAddress, watched: Watched) -> std::io::Result<Server> {
    let listener = address.bind().await?;
    tracing::info!(url = address.url(), "serving metrics on");
    let routes = Router::new()
        .route("/", get(page::overview))
        .route("/database", get(page::database))
        .route("/metrics", get(metrics::metrics));
    Ok(Server::start(listener, with_fallbacks(routes.with_state(Arc::new(watched))), None))
}

fn control_routes(control: Arc<Control>) -> Router {
    let routes = Router::new()
        .route("/debug/sync-status", get(sync_status::sync_status))
        .route("/info", get(info::info))
        .route("/list", get(list::list))
        .route("/register", post(register::register))
        .route("/start", post(lifecycle::start))
        .route("/status", get(status::status))
        .route("/stop", post(lifecycle::stop))
        .route("/sync", post(sync::sync))
        .route("/txid", get(txid::txid))
        .route("/unregister", post(unregister::unregister))
        .route("/why", get(why::why));
    with_fallbacks(routes.with_state(control))
}

/// The words of Go's HTTP server.
fn with_fallbacks(routes: Router) -> Router {
    let plain = |status, text: &'static str| async move {
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    };
    routes
        .method_not_allowed_fallback(move || plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n"))
        .fallback(move || plain(StatusCode::NOT_FOUND, "404 page not found\n"))
}
