//! Listings, page by page, straight from the store: only it can roll up a thousand databases in one request.

use http::Method;
use litestream_sdk::listing::{Names, NamesPage, NamesQuery};
use litestream_sdk::{ObjectInfo, ObjectKey, Result, StorageError, Time, Timestamp, async_trait};
use litestream_sdk_http::xml;
use percent_encoding::percent_decode_str;

use crate::client::{Call, Client, bucket};
use crate::xml::Listing;

/// The most that the protocol gives at once.
pub(crate) const PAGE: u64 = 1000;

#[async_trait]
impl Names for Client {
    async fn names(&self, query: &NamesQuery) -> Result<NamesPage> {
        let what = format!("LIST {}", query.prefix);
        let (_, body) = self.ask(call(&what, query)).await?;
        let listing: Listing = xml::read(&what, &body)?;
        if listing.is_truncated && listing.next_continuation_token.is_none() {
            return Err(StorageError::permanent(format!("{what}: the store has more names and gives no way to them")));
        }
        // In XML some names cannot be written as they are, so they are asked for in the form of an address.
        let encoded = listing.encoding_type.as_deref() == Some("url");
        // The name as it was asked for: SeaweedFS drops a leading slash.
        let lost_slash = |name: &str| query.prefix.starts_with('/') && !name.starts_with('/');
        let name = |text: &str| {
            let name = decoded(text, encoded)?;
            Some(if lost_slash(&name) { format!("/{name}") } else { name })
        };
        let objects = listing.contents.iter().filter_map(|content| {
            let key = ObjectKey::parse(name(&content.key)?).ok()?;
            let time = Timestamp::parse_rfc3339(&content.last_modified).map_or(Time::Unknown, Time::Server);
            Some(ObjectInfo::new(key, content.size, time))
        });
        let prefixes = listing.common_prefixes.iter().filter_map(|common| name(&common.prefix));
        let (objects, prefixes): (Vec<_>, Vec<_>) = (objects.collect(), prefixes.collect());
        if let Some(delimiter) = &query.delimiter
            && prefixes.iter().any(|prefix| !prefix.ends_with(delimiter.as_str()))
        {
            // It knows no delimiter but a slash: the host then walks.
            return Err(StorageError::unsupported(format_args!("{what}: the delimiter {delimiter}")));
        }
        let next = listing.next_continuation_token.filter(|_| listing.is_truncated);
        Ok(NamesPage { objects, prefixes, next })
    }
}

fn call(what: &str, query: &NamesQuery) -> Call<'static> {
    let mut call = bucket(Method::GET, what).query("list-type", "2").query("encoding-type", "url");
    call = call.query("max-keys", query.limit.to_string()).query("prefix", query.prefix.clone());
    if let Some(delimiter) = &query.delimiter {
        call = call.query("delimiter", delimiter.clone());
    }
    match (&query.token, &query.start_after) {
        (Some(token), _) => call.query("continuation-token", token.clone()),
        (None, Some(after)) => call.query("start-after", after.clone()),
        (None, None) => call,
    }
}

fn decoded(name: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(name.to_owned());
    }
    let spaced = name.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}
