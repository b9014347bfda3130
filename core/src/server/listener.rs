//! Accepts connections until told to stop.

use std::fmt::Debug;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::socket::SocketFile;

/// Requests under way get this long when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);

/// A listener that is being served.
pub struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _file: Option<SocketFile>,
}

impl Server {
    pub(super) fn start<L>(listener: L, routes: Router, file: Option<SocketFile>) -> Server
    where
        L: Listener,
        L::Addr: Debug,
    {
        let (stop, mut stopped) = watch::channel(false);
        let signal = async move {
            // An error means that the server was dropped.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(signal).await {
                tracing::error!(system = "server", %error, "server failed");
            }
        });
        Server { stop, task, _file: file }
    }

    /// Accepts nothing more, and lets requests under way end, for at most five seconds. The socket's file is gone then.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            tracing::debug!(system = "server", "requests were cut off");
            self.task.abort();
        }
    }
}
