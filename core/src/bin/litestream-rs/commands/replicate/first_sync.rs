//! How far the first sync is, for a person who watches: a bar on a terminal if it takes long, and nothing else.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use indicatif::ProgressBar;
use litestream_core::fleet::Fleet;

use crate::terminal;

/// A first sync shorter than this is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the bar moves. Each look counts all rows of the table.
const STEP: Duration = Duration::from_millis(500);

/// The bar. Goes away when dropped.
pub struct FirstSync {
    bar: ProgressBar,
}

impl FirstSync {
    /// Shows the first sync until it is complete, then nothing for ever. To be dropped when something else happens.
    pub async fn show(fleet: &Fleet) -> Infallible {
        if terminal::shows_bars() {
            tokio::time::sleep(PATIENCE).await;
            let mut shown: Option<FirstSync> = None;
            loop {
                let progress = fleet.progress();
                if progress.is_complete() {
                    break;
                }
                let bar = &shown.get_or_insert_with(FirstSync::new).bar;
                bar.set_length(progress.databases as u64);
                bar.set_position(progress.uploaded as u64);
                bar.set_message(if progress.failing > 0 {
                    format!("{} failing", progress.failing)
                } else {
                    String::new()
                });
                tokio::time::sleep(STEP).await;
            }
        }
        pending().await
    }

    fn new() -> FirstSync {
        let bar = terminal::bar("{prefix} {wide_bar} {pos}/{len} databases {msg}").with_prefix("first sync");
        FirstSync { bar }
    }
}

impl Drop for FirstSync {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
