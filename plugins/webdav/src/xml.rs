//! The XML of the protocol: what is asked of a directory, what comes back, and what an error says.
//!
//! Read by events and local names alone: every server has its own prefixes for the one namespace, and its own order.

use litestream_sdk::{ErrorKind, Result, StorageError, Timestamp};
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Asks for what is needed, and nothing that is dear to compute.
pub(crate) const PROPFIND: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>";

/// One line of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The path of its address, decoded, without a slash at the end.
    pub path: Vec<u8>,
    pub is_dir: bool,
    pub size: u64,
    pub modified: Option<Timestamp>,
}

/// Reads the answer to a PROPFIND.
///
/// # Errors
/// TRANSIENT for a text that breaks off or is no XML: some proxy's page.
pub(crate) fn resources(body: &[u8]) -> Result<Vec<Resource>> {
    let broken = |why: &dyn std::fmt::Display| {
        StorageError::new(ErrorKind::TRANSIENT, format!("the answer is no WebDAV listing: {why}"))
    };
    let mut reader = Reader::from_str(std::str::from_utf8(body).map_err(|error| broken(&error))?);
    let (mut all, mut current, mut text, mut ended) = (Vec::new(), None::<Resource>, String::new(), false);
    loop {
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Start(start) => {
                text.clear();
                match (start.local_name().as_ref(), &mut current) {
                    ("response", _) => current = Some(Resource::default()),
                    ("collection", Some(resource)) => resource.is_dir = true,
                    _ => {}
                }
            }
            Event::Empty(empty) => {
                let is_collection = empty.local_name().as_ref() == "collection";
                current.iter_mut().for_each(|resource| resource.is_dir |= is_collection);
            }
            Event::Text(more) => text.push_str(&more.into_inner()),
            Event::CData(more) => text.push_str(&more.into_inner()),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| broken(&error))?;
                let name = reference.into_inner();
                match (character, resolve_predefined_entity(&name)) {
                    (Some(character), _) => text.push(character),
                    (None, Some(entity)) => text.push_str(entity),
                    (None, None) => return Err(broken(&format_args!("an unknown entity `{name}`"))),
                }
            }
            Event::End(end) => match end.local_name().as_ref() {
                "response" => all.extend(current.take()),
                "multistatus" => ended = true,
                element => current.iter_mut().for_each(|resource| resource.take(element, text.trim())),
            },
            Event::Eof if ended => return Ok(all),
            Event::Eof => return Err(broken(&"it breaks off")),
            _ => {}
        }
    }
}

impl Resource {
    fn take(&mut self, element: &str, text: &str) {
        match element {
            "href" => self.path = path_of(text),
            "getcontentlength" => self.size = text.parse().unwrap_or(self.size),
            "getlastmodified" => {
                let time = httpdate::parse_http_date(text).ok().map(Timestamp::from_system);
                self.modified = time.or(self.modified);
            }
            _ => {}
        }
    }

    /// Its name in its directory.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// The path of an address or of an absolute path, decoded.
fn path_of(href: &str) -> Vec<u8> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => href,
    };
    let mut path: Vec<u8> = percent_decode_str(path).collect();
    while path.last() == Some(&b'/') {
        path.pop();
    }
    path
}

/// What an error answer says, if it says something: the element that the widespread library (sabre/dav) has for it.
pub(crate) fn message(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(":message>")?;
    let (message, _) = rest.split_once("</")?;
    let message = quick_xml::escape::unescape(message).ok()?.trim().chars().take(300).collect::<String>();
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rclone and Apache answer: other prefixes, other order, absolute addresses, escapes.
    #[test]
    fn listings_of_different_servers_are_read() {
        let rclone = br#"<?xml version="1.0" encoding="UTF-8"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/p/</D:href>
            <D:propstat><D:prop><D:resourcetype><D:collection xmlns:D="DAV:"/></D:resourcetype></D:prop>
            <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response><D:href>/p/a%20b%25&amp;&#x26;.ltx</D:href>
            <D:propstat><D:prop><D:getcontentlength>415</D:getcontentlength><D:resourcetype></D:resourcetype>
            <D:getlastmodified>Sat, 22 Nov 2025 09:31:11 GMT</D:getlastmodified></D:prop></D:propstat></D:response>
            </D:multistatus>"#;
        let seen = resources(rclone).unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].path.as_slice(), seen[0].is_dir), (&b"/p"[..], true));
        assert_eq!((seen[1].name(), seen[1].is_dir, seen[1].size), (&b"a b%&&.ltx"[..], false, 415));
        assert_eq!(seen[1].modified, Timestamp::parse_rfc3339("2025-11-22T09:31:11Z"));

        let apache =
            br#"<multistatus xmlns="DAV:" xmlns:lp1="DAV:"><response><href>http://h:80/p/sub/</href><propstat><prop>
            <lp1:resourcetype><collection></collection></lp1:resourcetype></prop></propstat></response></multistatus>"#;
        let seen = resources(apache).unwrap();
        assert_eq!((seen[0].path.as_slice(), seen[0].name(), seen[0].is_dir), (&b"/p/sub"[..], &b"sub"[..], true));
    }

    #[test]
    fn what_is_no_listing_is_an_error_and_never_an_empty_directory() {
        for body in ["", "<html><body>Welcome</body></html>", "<D:multistatus xmlns:D='DAV:'><D:response>", "{}"] {
            let error = resources(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::TRANSIENT, "{body}");
        }
        assert_eq!(resources(b"<D:multistatus xmlns:D='DAV:'></D:multistatus>").unwrap(), []);
    }
}
