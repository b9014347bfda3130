//! The control socket and the metrics endpoint of the daemon. Without one of them databases are replicated all the same.

use std::sync::Arc;

use litestream_core::config::{Config, Environment, SocketConfig};
use litestream_core::fleet::Fleet;
use litestream_core::plugin::{Registry, Stores};
use litestream_core::server::{self, BindAddress, Control, Registrar, Registrations, RestoreCommand, Server, Watched};

/// Those that are wanted, and those that run.
pub struct Servers {
    socket: Option<SocketConfig>,
    metrics: Option<BindAddress>,
    max_metric_databases: Option<usize>,
    restore_command: RestoreCommand,
    running: Vec<Server>,
    control: Option<Arc<Control>>,
}

impl Servers {
    /// Reads which are wanted.
    ///
    /// # Errors
    /// An address without a port.
    pub fn plan(config: &Config, restore_command: RestoreCommand) -> anyhow::Result<Servers> {
        let metrics = config.addr.as_deref().filter(|addr| !addr.is_empty()).map(BindAddress::parse).transpose()?;
        let socket = config.socket.enabled.then(|| config.socket.clone());
        let max_metric_databases = config.max_metric_databases;
        Ok(Servers { socket, metrics, max_metric_databases, restore_command, running: Vec::new(), control: None })
    }

    /// Makes what answers on the socket, and takes up what was registered there: also for a single run, which has no socket.
    /// What cannot be done is logged.
    pub async fn prepare_control(
        &mut self,
        fleet: &Arc<Fleet>,
        registry: &Arc<Registry>,
        stores: &Arc<Stores>,
        environment: &Environment,
    ) {
        let Some(socket) = &self.socket else { return };
        let registrar = match Registrar::new(Arc::clone(registry), Arc::clone(stores), environment.clone()) {
            Ok(registrar) => registrar,
            Err(error) => return tracing::warn!(%error, "failed to start control server"),
        };
        let registrations = Registrations::load(&environment.state_directory(), &socket.path);
        self.restore_command.registrations = Some(registrations.clone());
        self.control = Some(Arc::new(Control::new(Arc::clone(fleet), registrar, registrations, environment.clone())));
        self.take_up_registrations().await;
    }

    /// Starts them. What cannot be started is logged.
    pub async fn start(mut self, fleet: &Arc<Fleet>, stores: &Arc<Stores>) -> Servers {
        if let (Some(socket), Some(control)) = (&self.socket, &self.control) {
            match server::serve_control(socket, Arc::clone(control)) {
                Ok(server) => self.running.push(server),
                Err(error) => tracing::warn!(%error, "failed to start control server"),
            }
        }
        if let Some(address) = &self.metrics {
            let (fleet, budget) = (Arc::clone(fleet), stores.budget().clone());
            let (max_metric_databases, restore_command) = (self.max_metric_databases, self.restore_command.clone());
            let watched = Watched { fleet, budget, max_metric_databases, restore_command };
            match server::serve_metrics(address, watched).await {
                Ok(server) => self.running.push(server),
                Err(error) => tracing::error!(url = address.url(), %error, "cannot start metrics server"),
            }
        }
        self
    }

    /// Adds what was registered and is not replicated: the configuration may have had it until now.
    pub async fn take_up_registrations(&self) {
        if let Some(control) = &self.control {
            control.take_up_registrations().await;
        }
    }

    /// Ends them, all at once.
    pub async fn close(self) {
        let ending: Vec<_> = self.running.into_iter().map(|server| tokio::spawn(server.close())).collect();
        for end in ending {
            // One that panicked has ended, too.
            let _ = end.await;
        }
    }
}
