//! Listings straight from the service: only it can roll up a thousand databases in one request.

use http::Method;
use litestream_sdk::listing::{Names, NamesPage, NamesQuery};
use litestream_sdk::{ErrorKind, ObjectKey, Result, async_trait};
use serde::Deserialize;

use crate::client::{Call, Client, Target};
use crate::object::{Description, FIELDS, read};

/// The most that the protocol gives at once.
pub(crate) const PAGE: u64 = 1000;

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Listing {
    items: Vec<Description>,
    prefixes: Vec<String>,
    next_page_token: Option<String>,
}

#[async_trait]
impl Names for Client {
    async fn names(&self, query: &NamesQuery) -> Result<NamesPage> {
        let what = format!("LIST {}", query.prefix);
        let mut call = Call::new(Method::GET, Target::Names, &what)
            .query("fields", format!("nextPageToken,prefixes,items({FIELDS})"))
            .query("maxResults", query.limit.to_string())
            .query("prefix", query.prefix.clone());
        if let Some(delimiter) = &query.delimiter {
            call = call.query("delimiter", delimiter.clone());
        }
        // The name itself comes too; the SDK drops it.
        if let Some(after) = &query.start_after {
            call = call.query("startOffset", after.clone());
        }
        if let Some(token) = &query.token {
            call = call.query("pageToken", token.clone());
        }
        let (_, body) = self.ask(call).await.map_err(|mut error| {
            // Buckets with a hierarchical namespace know no delimiter but `/`: the host then walks.
            let rolls_up = query.delimiter.as_ref().is_some_and(|delimiter| delimiter.len() > 1);
            if rolls_up && error.kind == ErrorKind::INVALID_INPUT {
                error.kind = ErrorKind::UNSUPPORTED;
            }
            error
        })?;
        let listing: Listing = read(&what, &body)?;
        let mut page = NamesPage::default();
        (page.prefixes, page.next) = (listing.prefixes, listing.next_page_token);
        for description in listing.items {
            if let Ok(key) = ObjectKey::parse(&description.name) {
                page.objects.push(description.info(key)?);
            }
        }
        Ok(page)
    }
}
