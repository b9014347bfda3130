//! `heartbeat-url`: asked for at an interval while everything is replicated, so that somebody else notices when that ends.
//!
//! Silence is the alarm. So a ping is sent only while every open database is on its replica, and never for an empty fleet.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use litestream_core::config::HeartbeatConfig;
use litestream_core::fleet::Fleet;

/// How often the fleet is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// A server that takes longer counts as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pings as long as it is polled; waits for ever without a URL.
pub async fn send(config: Option<&HeartbeatConfig>, fleet: &Fleet) -> Infallible {
    let Some(config) = config else { return std::future::pending().await };
    let client = reqwest::Client::builder().timeout(PATIENCE).user_agent(crate::args::PROGRAM).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error = %error.without_url(), "heartbeat cannot be sent");
            return std::future::pending().await;
        }
    };
    let interval = config.interval;
    beat(interval, || fleet.is_healthy(interval) == Some(true), || ping(&client, &config.url)).await
}

/// `ping` at most once in an `interval`, counted from one attempt to the next, and only while `is_well`.
async fn beat<F: Future<Output = Result<(), String>>>(
    interval: Duration,
    is_well: impl Fn() -> bool,
    ping: impl Fn() -> F,
) -> Infallible {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    look.reset();
    let mut last_try = None;
    loop {
        let now = look.tick().await;
        let is_due = last_try.is_none_or(|last| now.duration_since(last) >= interval);
        if is_due && is_well() {
            last_try = Some(now);
            if let Err(error) = ping().await {
                tracing::error!(error, "heartbeat ping failed");
            }
        }
    }
}

/// The URL is often a secret: no error shows it.
async fn ping(client: &reqwest::Client, url: &str) -> Result<(), String> {
    let answer = client.get(url).send().await.map_err(|error| crate::failure::chain(&error.without_url().into()))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("unexpected status {}", status.as_u16())) }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_heart_beats_at_its_interval_and_only_while_all_is_well() {
        let (started, beats, well) = (tokio::time::Instant::now(), RefCell::new(Vec::new()), Cell::new(true));
        let is_well = || well.get();
        let ping = || async {
            beats.borrow_mut().push(started.elapsed().as_secs());
            // A failure counts as an attempt.
            Err("refused".to_owned())
        };
        let beating = beat(Duration::from_secs(60), is_well, ping);
        tokio::select! {
            never = beating => match never {},
            () = async {
                tokio::time::sleep(Duration::from_secs(140)).await;
                well.set(false);
                tokio::time::sleep(Duration::from_secs(200)).await;
                well.set(true);
                tokio::time::sleep(Duration::from_secs(20)).await;
            } => {}
        }
        assert_eq!(*beats.borrow(), [15, 75, 135, 345]);
    }

    #[tokio::test]
    async fn only_a_good_status_is_success_and_no_error_shows_the_url() {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for (status, good) in [("200 OK", true), ("204 No Content", true), ("500 Oops", false), ("404 None", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/secret", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1000];
                let read = stream.read(&mut request).unwrap();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
                String::from_utf8_lossy(&request[..read]).into_owned()
            });
            let pinged = ping(&client, &url).await;
            assert!(server.join().unwrap().starts_with("GET /secret HTTP/1.1\r\n"));
            assert_eq!(pinged.is_ok(), good, "{status}: {pinged:?}");
            let refused = ping(&client, &url).await.unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
