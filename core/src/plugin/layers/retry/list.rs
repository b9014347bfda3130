//! A listing that broke begins again from the start, and leaves out what was given already.
//!
//! It cannot go on from the last name: only the objects of one directory are in order. What was given is remembered by
//! 16 bytes of hash for each entry.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use futures::{StreamExt, stream};
use litestream_sdk::{Entry, ListRequest, Page, Pages, Result};

use super::{Attempts, Retry, Urgency};

impl Retry {
    pub async fn list(&self, request: ListRequest, urgency: Urgency) -> Result<Pages> {
        let pages = self.tokens.run(urgency, || self.inner.list(request.clone())).await?;
        let listing = Listing {
            retry: self.clone(),
            request,
            pages: Some(pages),
            given: HashSet::new(),
            hashers: (RandomState::new(), RandomState::new()),
            attempts: Attempts::resuming(urgency),
        };
        // An error is the end of a listing.
        let pages = stream::unfold(Some(listing), |listing| async move {
            let mut listing = listing?;
            match listing.next().await {
                Ok(page) => page.map(|page| (Ok(page), Some(listing))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(pages.boxed())
    }
}

struct Listing {
    retry: Retry,
    request: ListRequest,
    /// `None` after an error.
    pages: Option<Pages>,
    given: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
    attempts: Attempts,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<Page>> {
        loop {
            let step = match &mut self.pages {
                Some(pages) => pages.next().await.transpose(),
                None => match self.retry.inner.list(self.request.clone()).await {
                    Ok(pages) => {
                        self.retry.tokens.give();
                        self.pages = Some(pages);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match step {
                Ok(None) => return Ok(None),
                Ok(Some(page)) => {
                    let page = self.only_new(page);
                    if !page.is_empty() {
                        self.attempts.progressed();
                        return Ok(Some(page));
                    }
                }
                Err(error) => {
                    self.pages = None;
                    self.retry.tokens.pause(&mut self.attempts, error).await?;
                }
            }
        }
    }

    fn only_new(&mut self, mut page: Page) -> Page {
        page.retain(|entry| {
            // A directory and an object may share a name.
            let name = match entry {
                Entry::Object(info) => (false, info.key.as_bytes()),
                Entry::Dir(path) => (true, path.as_bytes()),
            };
            self.given.insert((self.hashers.0.hash_one(name), self.hashers.1.hash_one(name)))
        });
        page
    }
}
