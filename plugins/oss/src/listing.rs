//! Listings, page by page. The service's documentation speaks of a delimiter as one character, so that nothing rolls up
//! here but directories.

use http::Method;
use litestream_sdk::listing::{Names, NamesPage, NamesQuery};
use litestream_sdk::{ObjectInfo, ObjectKey, Result, StorageError, Time, Timestamp, async_trait};
use litestream_sdk_http::xml;

use crate::client::{Client, bucket};
use crate::storage::version;
use crate::xml::{Content, Listing, decoded};

/// The most that the protocol gives at once.
pub(crate) const PAGE: u64 = 1000;

#[async_trait]
impl Names for Client {
    async fn names(&self, query: &NamesQuery) -> Result<NamesPage> {
        let what = format!("LIST {}", query.prefix);
        let call = bucket(Method::GET, &what).query("list-type", "2").query("encoding-type", "url");
        let mut call = call.query("max-keys", query.limit.to_string());
        if !query.prefix.is_empty() {
            call = call.query("prefix", query.prefix.clone());
        }
        if let Some(delimiter) = &query.delimiter {
            call = call.query("delimiter", delimiter.clone());
        }
        match (&query.token, &query.start_after) {
            (Some(token), _) => call = call.query("continuation-token", token.clone()),
            (None, Some(after)) => call = call.query("start-after", after.clone()),
            (None, None) => {}
        }
        let (_, body) = self.ask(call).await?;
        let listing: Listing = xml::read(&what, &body)?;
        let encoding = listing.encoding_type.as_deref();
        let mut page = NamesPage::default();
        if listing.is_truncated {
            page.next = listing.next_continuation_token;
            if page.next.is_none() {
                let message = format!("{what}: the store has more names and gives no way to them");
                return Err(StorageError::transient(message));
            }
        }
        page.objects = listing.contents.iter().filter_map(|content| describe(content, encoding)).collect();
        page.prefixes = listing.common_prefixes.iter().filter_map(|line| decoded(&line.prefix, encoding)).collect();
        Ok(page)
    }
}

/// `None` for a name that is no key. Listings hold no metadata: the written time is asked for where it is needed.
fn describe(content: &Content, encoding: Option<&str>) -> Option<ObjectInfo> {
    let key = ObjectKey::parse(decoded(&content.key, encoding)?).ok()?;
    let time = Timestamp::parse_rfc3339(&content.last_modified).map_or(Time::Unknown, Time::Server);
    Some(ObjectInfo::new(key, content.size, time).with_version(version(&content.etag)))
}
