//! Listings, page by page, straight from the service: only it can roll up a thousand databases in one request.

use std::sync::Arc;

use futures::stream;
use http::Method;
use litestream_sdk::{
    Entry, ErrorKind, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReplicaPath, Result, StorageError,
    Time, Timestamp,
};

use crate::client::{Call, Client};
use crate::storage::{TIME, version};
use crate::xml::{self, Blob, Line, Listing};

/// The most that the protocol gives at once.
const PAGE: u64 = 5000;

struct Cursor {
    client: Arc<Client>,
    request: ListRequest,
    prefix: String,
    delimiter: Option<String>,
    marker: String,
    /// Entries the host still wants.
    left: u64,
    /// The last directory given out: one made here may come again on the next page.
    last_dir: Option<ReplicaPath>,
    done: bool,
}

/// Begins a listing; the first request is sent with the first page.
pub(crate) fn pages(client: Arc<Client>, request: ListRequest) -> Result<Pages> {
    let mut prefix = request.prefix.to_utf8()?.to_owned();
    if !prefix.is_empty() {
        prefix.push('/');
    }
    let delimiter = match &request.mode {
        ListMode::Recursive => None,
        ListMode::Shallow => Some("/".to_owned()),
        ListMode::RollUp(marker) => Some(format!("/{marker}/")),
    };
    let left = request.limit.unwrap_or(u64::MAX);
    let (marker, done) = (String::new(), left == 0);
    let cursor = Cursor { client, request, prefix, delimiter, marker, left, last_dir: None, done };
    Ok(Box::pin(stream::try_unfold(cursor, |mut cursor| async move {
        while !cursor.done {
            let page = cursor.next_page().await?;
            if !page.is_empty() {
                return Ok(Some((page, cursor)));
            }
        }
        Ok(None)
    })))
}

impl Cursor {
    async fn next_page(&mut self) -> Result<Page> {
        let what = format!("LIST {}", self.prefix);
        let (_, body) = self.client.ask(self.call(&what)).await.map_err(|error| self.explained(error))?;
        let listing: Listing = xml::read(&what, &body)?;
        let next = listing.next_marker.unwrap_or_default();
        if !next.is_empty() && next == self.marker {
            return Err(StorageError::transient(format!("{what}: the store gives the same page again and again")));
        }
        self.done = next.is_empty();
        self.marker = next;
        let mut page = self.arranged(listing.blobs.lines);
        page.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= page.len() as u64;
        self.done |= self.left == 0;
        Ok(page)
    }

    fn call(&self, what: &str) -> Call<'static> {
        // Names up to `start_after` are dropped here, so that the first of a limited listing may be far behind.
        let most = if self.request.start_after.is_some() { PAGE } else { self.left.min(PAGE) };
        let mut call = Call::container(Method::GET, what).query("comp", "list").query("include", "metadata");
        call = call.query("maxresults", most.to_string());
        if !self.prefix.is_empty() {
            call = call.query("prefix", self.prefix.clone());
        }
        if let Some(delimiter) = &self.delimiter {
            call = call.query("delimiter", delimiter.clone());
        }
        if !self.marker.is_empty() {
            call = call.query("marker", self.marker.clone());
        }
        call
    }

    /// Accounts with a hierarchical namespace know no delimiter but `/`: the host then walks.
    fn explained(&self, mut error: StorageError) -> StorageError {
        let rolls_up = matches!(self.request.mode, ListMode::RollUp(_));
        let refused = matches!(error.code.as_str(), "InvalidQueryParameterValue" | "UnsupportedQueryParameter");
        if rolls_up && refused {
            error.kind = ErrorKind::UNSUPPORTED;
        }
        error
    }

    /// The lines of one answer as entries: wanted ones, each directory once, objects in byte order.
    fn arranged(&mut self, lines: Vec<Line>) -> Page {
        let mut objects = Vec::new();
        let mut dirs = Vec::new();
        for line in lines {
            match line {
                Line::BlobPrefix(prefix) => {
                    dirs.extend(prefix.name.decoded().and_then(|name| self.directory(&name)));
                }
                Line::Blob(blob) => match describe(blob) {
                    // A name that is no key belongs to somebody else.
                    None => {}
                    Some(info) => match self.marked(&info.key) {
                        Some(dir) => dirs.push(dir),
                        None if self.is_wanted(info.key.as_bytes()) => objects.push(info),
                        None => {}
                    },
                },
            }
        }
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        dirs.sort();
        let mut page: Page = objects.into_iter().map(Entry::Object).collect();
        for dir in dirs {
            if self.last_dir.as_ref() != Some(&dir) && self.is_wanted_dir(&dir) {
                self.last_dir = Some(dir.clone());
                page.push(Entry::Dir(dir));
            }
        }
        page
    }

    /// The directory that a prefix stands for. It ends with the whole delimiter, except on the emulator Azurite, which
    /// cuts behind the delimiter's first character.
    fn directory(&self, prefix: &str) -> Option<ReplicaPath> {
        let dir = |text: &str| ReplicaPath::parse(text.strip_suffix('/').unwrap_or(text)).ok();
        match &self.request.mode {
            ListMode::RollUp(marker) if !prefix.ends_with(&format!("/{marker}/")) => dir(prefix)?.child(marker).ok(),
            _ => dir(prefix),
        }
    }

    /// The directory of a blob right below the prefix, in a listing that rolls up: the delimiter has a slash in front,
    /// so the service does not see it in `ltx/0/x`.
    fn marked(&self, key: &ObjectKey) -> Option<ReplicaPath> {
        let ListMode::RollUp(marker) = &self.request.mode else { return None };
        let below = key.below(&self.request.prefix)?;
        below.strip_prefix(marker.as_bytes()).filter(|rest| rest.first() == Some(&b'/'))?;
        self.request.prefix.child(marker).ok()
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        self.request.start_after.as_ref().is_none_or(|after| name > after.as_bytes())
    }

    /// A directory comes after a name unless the name is the directory, lies in it, or lies after it.
    fn is_wanted_dir(&self, dir: &ReplicaPath) -> bool {
        let Some(after) = &self.request.start_after else { return true };
        let (after, place) = (after.as_bytes(), [dir.as_bytes(), b"/"].concat());
        place.as_slice() > after && !after.starts_with(&place) && after != dir.as_bytes()
    }
}

/// `None` for what is no object of ours: a directory of the hierarchical namespace, a name that is no key.
fn describe(blob: Blob) -> Option<ObjectInfo> {
    let is_dir = blob.properties.resource_type == "directory" || blob.metadata("hdi_isfolder") == Some("true");
    let name = (!is_dir).then(|| blob.metadata(TIME).and_then(Timestamp::parse_rfc3339));
    let written = name?.map(Time::Exact);
    let created = httpdate::parse_http_date(&blob.properties.creation_time).ok();
    let time = written.or(created.map(|time| Time::Server(Timestamp::from_system(time)))).unwrap_or(Time::Unknown);
    let (size, etag) = (blob.properties.content_length, version(&blob.properties.etag));
    let key = ObjectKey::parse(blob.name.decoded()?).ok()?;
    Some(ObjectInfo::new(key, size, time).with_version(etag))
}
