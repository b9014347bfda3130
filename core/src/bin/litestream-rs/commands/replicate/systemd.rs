//! What a service of type `notify` tells systemd: that it is ready, that it ends, and, with a watchdog, that it is alive.
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is told to anybody.

use std::convert::Infallible;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use litestream_core::config::Environment;
use litestream_core::fleet::Fleet;

/// The service manager, if there is one that listens.
pub struct Systemd {
    address: Option<SocketAddr>,
    /// How often it wants to hear of us.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads what the service manager set for this process.
    pub fn of(environment: &Environment) -> Systemd {
        let address = environment.get("NOTIFY_SOCKET").and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        // Set for another process if a shell started us.
        let is_ours = environment.get("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = environment.get("WATCHDOG_USEC").filter(|_| is_ours).and_then(|text| text.parse().ok());
        Systemd { address, watchdog: micros.filter(|micros| *micros > 0).map(Duration::from_micros) }
    }

    /// Replication has begun.
    pub fn ready(&self, databases: usize) {
        self.tell(&format!("READY=1\nSTATUS=Replicating {databases} databases"));
    }

    /// The last sync has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Last sync");
    }

    /// Tells that the fleet answers, twice in each interval, as long as it does and this is polled.
    pub async fn watch(&self, fleet: &Arc<Fleet>) -> Infallible {
        let Some(interval) = self.watchdog else { return std::future::pending().await };
        loop {
            let asked = Arc::clone(fleet);
            // Blocks if the scheduler hangs; then nothing is told, and the service manager restarts us.
            if let Ok(progress) = tokio::task::spawn_blocking(move || asked.progress()).await {
                let (databases, failing) = (progress.databases, progress.failing);
                self.tell(&format!("WATCHDOG=1\nSTATUS=Replicating {databases} databases, {failing} failing"));
            }
            tokio::time::sleep(interval / 2).await;
        }
    }

    fn tell(&self, message: &str) {
        let Some(address) = &self.address else { return };
        let sent: io::Result<usize> =
            UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(message.as_bytes(), address));
        if let Err(error) = sent {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_the_socket_of_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let environment = Environment::empty("/").with("NOTIFY_SOCKET", path.to_str().unwrap());
        Systemd::of(&environment).ready(3);
        let mut message = [0; 100];
        let read = listener.recv(&mut message).unwrap();
        assert_eq!(&message[..read], b"READY=1\nSTATUS=Replicating 3 databases");
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let environment = |pid: u32| {
            let set = Environment::empty("/").with("WATCHDOG_USEC", "2000000");
            Systemd::of(&set.with("WATCHDOG_PID", pid.to_string())).watchdog
        };
        assert_eq!(environment(std::process::id()), Some(Duration::from_secs(2)));
        assert_eq!(environment(1), None);
        assert_eq!(Systemd::of(&Environment::empty("/")).watchdog, None);
    }
}
