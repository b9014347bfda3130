//! What a directory on the server holds, for listings.
//!
//! Only regular files (also behind a symbolic link) are objects. Directories behind a symbolic link are not entered: a
//! link upwards would make a walk endless.

use std::sync::Arc;

use litestream_sdk::listing::{Child, Directories};
use litestream_sdk::{ObjectInfo, ObjectKey, ReplicaPath, Result, Time, async_trait};

use crate::pool::Pool;
use crate::session::Found;
use crate::upload::is_temporary;

/// What the client library puts in the place of bytes that are not UTF-8: such a file could not be opened again.
const NOT_UTF8: char = char::REPLACEMENT_CHARACTER;

/// The directories of a server.
pub(crate) struct Walk(pub Arc<Pool>);

#[async_trait]
impl Directories for Walk {
    async fn read_dir(&self, dir: &ReplicaPath) -> Result<Vec<Child>> {
        let lease = self.0.lease().await?;
        let mut children = Vec::new();
        for entry in lease.read_dir(dir.to_utf8()?).await?.unwrap_or_default() {
            let name = entry.filename;
            if name == "." || name == ".." || is_temporary(&name) || name.contains(NOT_UTF8) {
                continue;
            }
            let mut found = Found::from(&entry.attrs);
            if found.is_dir {
                children.push(Child::Dir(name.into()));
                continue;
            }
            if entry.attrs.file_type().is_symlink() {
                let Ok(path) = dir.child(&name) else { continue };
                let Some(behind) = lease.find(path.to_utf8()?).await? else { continue };
                found = behind;
            }
            if found.is_file {
                children.push(Child::Object { name: name.into(), size: found.size, time: time(&found) });
            }
        }
        Ok(children)
    }
}

fn time(found: &Found) -> Time {
    found.modified.map_or(Time::Unknown, Time::Exact)
}

/// What the server knows of an object.
pub(crate) fn describe(key: ObjectKey, found: &Found) -> ObjectInfo {
    ObjectInfo::new(key, found.size, time(found))
}
