//! Listings of object stores, which know no directories: a prefix and a delimiter go in, names and truncated names come
//! out, page by page. Here that becomes what [`Storage::list`](crate::Storage::list) promises. The request itself and the
//! form of its answer are the plugin's.

use crate::error::{Result, StorageError};
use crate::types::{Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReplicaPath};
use async_trait::async_trait;
use futures::stream;
use std::sync::Arc;

/// What one request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamesQuery {
    /// Only names that begin with it: empty, or with a slash at its end.
    pub prefix: String,
    /// Names are truncated behind the first one of these after the prefix.
    pub delimiter: Option<String>,
    /// Only names after this one. A store that has no such parameter may ignore it.
    pub start_after: Option<String>,
    /// What the page before gave as `next`.
    pub token: Option<String>,
    /// The most lines that are of use.
    pub limit: u64,
}

/// What the store answered.
#[derive(Clone, Debug, Default)]
pub struct NamesPage {
    /// Whole names. Leave out what is no [`ObjectKey`]: it belongs to somebody else.
    pub objects: Vec<ObjectInfo>,
    /// Truncated names, up to and with the delimiter.
    pub prefixes: Vec<String>,
    /// Leads to the next page; `None` or empty if this is the last.
    pub next: Option<String>,
}

/// A store that can be asked for names.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// One request.
    ///
    /// # Errors
    /// Those of [`Storage::list`](crate::Storage::list).
    async fn names(&self, query: &NamesQuery) -> Result<NamesPage>;
}

/// Serves any listing with requests for at most `page` names. The first one is sent when the first page is asked for.
///
/// # Errors
/// INVALID_INPUT for a prefix that is not UTF-8.
pub fn by_delimiter(names: Arc<dyn Names>, request: ListRequest, page: u64) -> Result<Pages> {
    let mut prefix = request.prefix.to_utf8()?.to_owned();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let delimiter = match &request.mode {
        ListMode::Recursive => None,
        ListMode::Shallow => Some("/".to_owned()),
        ListMode::RollUp(marker) => Some(format!("/{marker}/")),
    };
    let start_after = request.start_after.as_ref().map(|key| key.to_utf8().map(str::to_owned)).transpose()?;
    let left = request.limit.unwrap_or(u64::MAX);
    let query = NamesQuery { prefix, delimiter, start_after, token: None, limit: page };
    let cursor = Cursor { names, request, query, page, left, last_dir: None, done: left == 0 };
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

struct Cursor {
    names: Arc<dyn Names>,
    request: ListRequest,
    query: NamesQuery,
    page: u64,
    /// Entries the host still wants.
    left: u64,
    /// The last directory given out: the next page may name it again.
    last_dir: Option<ReplicaPath>,
    done: bool,
}

impl Cursor {
    async fn next_page(&mut self) -> Result<Page> {
        // Where names up to `start_after` come nevertheless, the first of a limited listing may be far behind.
        let exact = self.request.start_after.is_none();
        self.query.limit = if exact { self.left.min(self.page) } else { self.page };
        let answer = self.names.names(&self.query).await?;
        let next = answer.next.filter(|next| !next.is_empty());
        if next.is_some() && next == self.query.token {
            let place = &self.request.prefix;
            return Err(StorageError::transient(format!("listing {place}: the store gives one page again and again")));
        }
        let mut page = self.arranged(answer.objects, answer.prefixes);
        page.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= page.len() as u64;
        self.done = next.is_none() || self.left == 0;
        self.query.token = next;
        Ok(page)
    }

    /// One answer as entries: wanted ones, each directory once, objects in byte order.
    fn arranged(&mut self, objects: Vec<ObjectInfo>, prefixes: Vec<String>) -> Page {
        let mut dirs: Vec<ReplicaPath> = prefixes.iter().filter_map(|prefix| self.directory(prefix)).collect();
        let mut whole = Vec::new();
        for info in objects {
            match self.marked(&info.key) {
                Some(dir) => dirs.push(dir),
                None if self.is_wanted(&info.key) => whole.push(info),
                None => {}
            }
        }
        whole.sort_by(|one, other| one.key.cmp(&other.key));
        dirs.sort();
        let mut page: Page = whole.into_iter().map(Entry::Object).collect();
        for dir in dirs {
            if self.last_dir.as_ref() != Some(&dir) && self.is_wanted_dir(&dir) {
                self.last_dir = Some(dir.clone());
                page.push(Entry::Dir(dir));
            }
        }
        page
    }

    /// The directory that a truncated name stands for. Some stores cut behind the delimiter's first character.
    fn directory(&self, prefix: &str) -> Option<ReplicaPath> {
        let dir = |text: &str| ReplicaPath::parse(text.strip_suffix('/').unwrap_or(text)).ok();
        let dir = match &self.request.mode {
            ListMode::RollUp(marker) if !prefix.ends_with(&format!("/{marker}/")) => dir(prefix)?.child(marker).ok(),
            _ => dir(prefix),
        };
        dir.filter(|dir| self.request.prefix.contains(dir) && *dir != self.request.prefix)
    }

    /// The directory of an object right below the prefix, in a listing that rolls up: the delimiter has a slash in
    /// front, so the store does not see it in `ltx/0/x`.
    fn marked(&self, key: &ObjectKey) -> Option<ReplicaPath> {
        let ListMode::RollUp(marker) = &self.request.mode else { return None };
        let below = key.below(&self.request.prefix)?;
        below.strip_prefix(marker.as_bytes()).filter(|rest| rest.first() == Some(&b'/'))?;
        self.request.prefix.child(marker).ok()
    }

    fn is_wanted(&self, key: &ObjectKey) -> bool {
        let after = self.request.start_after.as_ref().is_none_or(|after| key.as_bytes() > after.as_bytes());
        after && key.below(&self.request.prefix).is_some()
    }

    fn is_wanted_dir(&self, dir: &ReplicaPath) -> bool {
        let place = [dir.as_bytes(), b"/"].concat();
        self.request.start_after.as_ref().is_none_or(|after| super::comes_after(dir, &place, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Time;
    use futures::TryStreamExt;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    /// Names in order, a few at a time.
    #[derive(Default)]
    struct Bucket {
        names: BTreeSet<String>,
        /// As an emulator does it: without `start_after`, and truncated names one character long behind the cut.
        careless: bool,
        queries: Mutex<Vec<NamesQuery>>,
    }

    #[async_trait]
    impl Names for Bucket {
        async fn names(&self, query: &NamesQuery) -> Result<NamesPage> {
            self.queries.lock().unwrap().push(query.clone());
            let mut page = NamesPage::default();
            let after = query.start_after.as_ref().filter(|_| !self.careless);
            let mut lines = BTreeSet::new();
            for name in self.names.iter().filter(|name| name.starts_with(&query.prefix)) {
                let cut = query.delimiter.as_ref().and_then(|delimiter| {
                    let at = name[query.prefix.len()..].find(delimiter.as_str())? + query.prefix.len();
                    Some(at + if self.careless { 1 } else { delimiter.len() })
                });
                let line = name[..cut.unwrap_or(name.len())].to_owned();
                if after.is_none_or(|after| line > *after) && query.token.as_ref().is_none_or(|token| line > *token) {
                    lines.insert((line, cut.is_some()));
                }
            }
            for (line, is_prefix) in lines.iter().take(query.limit.min(2) as usize) {
                page.next = Some(line.clone()).filter(|_| lines.len() > 2);
                match ObjectKey::parse(line) {
                    _ if *is_prefix => page.prefixes.push(line.clone()),
                    Ok(key) => page.objects.push(ObjectInfo::new(key, 1, Time::Unknown)),
                    Err(_) => {}
                }
            }
            Ok(page)
        }
    }

    async fn list(careless: bool, request: ListRequest) -> (Vec<String>, Vec<NamesQuery>) {
        let names =
            ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/ltx/0/1", "t/ltx/0/2", "t/ltx/9/1", "t/note", "t//x", "tt/x"];
        let names = names.map(str::to_owned).into();
        let bucket = Arc::new(Bucket { names, careless, ..Bucket::default() });
        let pages: Vec<Page> = by_delimiter(bucket.clone(), request.clone(), 2).unwrap().try_collect().await.unwrap();
        let show = |entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(dir) => format!("{dir}/"),
        };
        let queries = bucket.queries.lock().unwrap().clone();
        let mut shown: Vec<String> = pages.into_iter().flatten().map(show).collect();
        if request.mode != ListMode::Recursive {
            shown.sort(); // between objects and directories no order is promised
        }
        (shown, queries)
    }

    fn below(prefix: &str) -> ListRequest {
        ListRequest::below(ReplicaPath::parse(prefix).unwrap())
    }

    #[tokio::test]
    async fn each_mode_gives_its_entries_once_over_all_pages() {
        for careless in [false, true] {
            let all = list(careless, below("t")).await.0;
            let objects = ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/ltx/0/1", "t/ltx/0/2", "t/ltx/9/1", "t/note"];
            assert_eq!(all, objects, "careless: {careless}");
            let shallow = list(careless, below("t").with_mode(ListMode::Shallow)).await.0;
            assert_eq!(shallow, ["t/a.db/", "t/ltx/", "t/note"], "careless: {careless}");
            let rolled = list(careless, below("t").with_mode(ListMode::RollUp("ltx".into()))).await.0;
            assert_eq!(rolled, ["t/a.db/ltx/", "t/ltx/", "t/note"], "careless: {careless}");
        }
    }

    #[tokio::test]
    async fn start_after_and_limit_hold_also_where_the_store_knows_neither() {
        let after = ObjectKey::parse("t/a.db/ltx/1/1").unwrap();
        for careless in [false, true] {
            let request = below("t").with_start_after(after.clone()).with_limit(1);
            assert_eq!(list(careless, request.clone()).await.0, ["t/ltx/0/1"], "careless: {careless}");
            let rolled = request.with_mode(ListMode::RollUp("ltx".into()));
            assert_eq!(list(careless, rolled).await.0, ["t/ltx/"], "careless: {careless}");
        }
        let (one, queries) = list(false, below("t/ltx").with_limit(1)).await;
        assert_eq!((one.len(), queries.len(), queries[0].limit), (1, 1, 1), "the store is asked for no more");
        assert!(list(false, below("t").with_limit(0)).await.1.is_empty());
    }

    struct Stuck;

    #[async_trait]
    impl Names for Stuck {
        async fn names(&self, _: &NamesQuery) -> Result<NamesPage> {
            Ok(NamesPage { next: Some("again".into()), ..NamesPage::default() })
        }
    }

    #[tokio::test]
    async fn a_store_that_turns_in_a_circle_is_an_error() {
        let pages = by_delimiter(Arc::new(Stuck), below("t"), 2).unwrap();
        assert!(pages.try_collect::<Vec<Page>>().await.unwrap_err().message.contains("again and again"));
    }
}
