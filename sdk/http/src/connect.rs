//! No more connections than calls.
//!
//! A call that waits for its connection to be made takes one that came back sooner, and the HTTP client finishes the other in
//! the background. If the next call, which the host has held back until then, made a connection of its own, there would be
//! more than calls. So it waits for the one that nobody else waits for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use reqwest::ClientBuilder;
use tokio::sync::watch;
use tokio::task;
use tower::BoxError;
use tower::util::MapFutureLayer;

/// A connection in the background may be to a host that does not answer any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// Turns of the runtime after which a connection that was made is in the pool.
const TURNS: usize = 4;

/// Connections that are made for the pool alone.
type Background = Arc<watch::Sender<usize>>;

/// Makes the connections of a pool wait as the module says.
pub(crate) fn sparing(builder: ClientBuilder) -> ClientBuilder {
    let background = Background::default();
    builder.connector_layer(MapFutureLayer::new(move |connecting| connect(connecting, background.clone())))
}

async fn connect<T>(
    connecting: impl Future<Output = Result<T, BoxError>>,
    background: Background,
) -> Result<T, BoxError> {
    // The client finishes a connection in a task of its own: that is how it is known.
    let call = task::try_id();
    let is_alone = || task::try_id() != call;
    let mut others = background.subscribe();
    let mut none = pin!(async {
        turn().await;
        tokio::time::timeout(PATIENCE, others.wait_for(|others| *others == 0)).await.is_ok()
    });
    let not_needed = poll_fn(|cx| if is_alone() { Poll::Ready(true) } else { none.as_mut().poll(cx).map(|_| false) });
    if not_needed.await {
        return Err("the call has a connection already".into());
    }
    let mut counted = None;
    let mut connecting = pin!(connecting);
    let made = poll_fn(|cx| {
        if counted.is_none() && is_alone() {
            counted = Some(Counted::new(background.clone()));
        }
        connecting.as_mut().poll(cx)
    });
    let made = made.await;
    if let Some(counted) = counted {
        task::spawn(async move {
            for _ in 0..TURNS {
                turn().await;
            }
            drop(counted);
        });
    }
    made
}

/// Lets every task that is ready now have its turn. What a task of the same worker has woken is ready.
pub(crate) async fn turn() {
    // It ends, or the runtime does.
    let _ = task::spawn(std::future::ready(())).await;
}

struct Counted(Background);

impl Counted {
    fn new(background: Background) -> Self {
        background.send_modify(|count| *count += 1);
        Self(background)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, ready};

    use super::*;

    type Made = Result<Option<Infallible>, BoxError>;

    /// A connection whose making was begun by a call that has left it to the runtime.
    async fn left_alone(
        connecting: impl Future<Output = Made> + Send + 'static,
        background: &Background,
    ) -> task::JoinHandle<Made> {
        let mut making = Box::pin(connect(connecting, background.clone()));
        for _ in 0..8 {
            assert!(futures::poll!(&mut making).is_pending());
            turn().await;
        }
        task::spawn(making)
    }

    #[tokio::test]
    async fn a_call_waits_for_the_connection_that_nobody_else_waits_for() {
        let (background, (made, to_be_made)) = (Background::default(), tokio::sync::oneshot::channel::<()>());
        let to_be_made = async {
            to_be_made.await?;
            Ok(None)
        };
        let alone = left_alone(to_be_made, &background).await;
        let mut next = pin!(connect(ready(Made::Ok(None)), background.clone()));
        for _ in 0..8 {
            assert!(futures::poll!(&mut next).is_pending());
            turn().await;
        }
        made.send(()).unwrap();
        alone.await.unwrap().unwrap();
        next.await.unwrap();
        assert_eq!(*background.borrow(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_wait_for_ever() {
        let background = Background::default();
        let _alone = left_alone(pending(), &background).await;
        connect(ready(Made::Ok(None)), background).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_begun_when_its_call_went_on_is_given_up() {
        let background = Background::default();
        let first = left_alone(pending(), &background).await;
        let waiting = left_alone(pending(), &background).await;
        assert!(waiting.await.unwrap().is_err());
        assert_eq!(*background.borrow(), 1);
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(*background.borrow(), 0);
    }
}
