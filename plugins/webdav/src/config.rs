//! The keys of a WebDAV replica, and the server and directory that they name.

use litestream_sdk::options::{Findings, Url, Values};
use litestream_sdk::{Location, ReplicaPath, Result, Secret, options};

options! {
    /// The keys of a WebDAV replica.
    pub struct WebdavOptions {
        /// Address of the server, with the directory that it gives to WebDAV.
        webdav_url: String = "", [local, not_with_url];
        /// Name to log in with.
        webdav_username: Option<String>, [local, url = User, env = "LITESTREAM_WEBDAV_USERNAME"];
        /// Password to log in with.
        webdav_password: Option<Secret>, [local, url = Password, env = "LITESTREAM_WEBDAV_PASSWORD"];
        /// Directory of the replica, below the address.
        path: String = "", [url = Path, location, not_with_url];
    }
}

/// `webdav://` is HTTP and `webdavs://` HTTPS; the whole path is the directory.
pub(crate) fn from_url(url: &Url, set: &mut Values) -> Result<()> {
    let scheme = if url.scheme == "webdavs" { "https" } else { "http" };
    let server = url.authority();
    set.offer("webdav-url", if server.is_empty() { server } else { format!("{scheme}://{server}") }, "url");
    set.fill_from_url::<WebdavOptions>(url)
}

/// Refuses an address that is none, or that holds what must not be shown.
pub(crate) fn check(options: &WebdavOptions, findings: &mut Findings) {
    if options.webdav_url.is_empty() {
        findings.problem("webdav-url", "webdav-url required for webdav replica");
        return;
    }
    match reqwest::Url::parse(&options.webdav_url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            findings.problem("webdav-url", "expected an address that begins with http:// or https://");
        }
        // The address is printed.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            findings
                .problem("webdav-url", "put the name into `webdav-username` and the password into `webdav-password`");
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            findings.problem("webdav-url", "expected an address without `?` and `#`");
        }
        Ok(_) => {}
        Err(_) => findings.problem("webdav-url", "expected an address such as https://dav.example.com/files"),
    }
}

/// A leading slash means nothing: everything lies below the address.
pub(crate) fn locate(options: &WebdavOptions) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(&options.path)?.with_absolute(false)))
}
