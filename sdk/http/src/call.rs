//! One request, before a plugin gives it an address and a signature.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use litestream_sdk::{Result, StorageError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 lets stand as it is everywhere. Signatures are computed over exactly this form.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same, for a path: its slashes stay.
pub const IN_PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// One request about `T`: a key, or whatever else a protocol has. `B` is its body: contiguous where it must be signed.
#[derive(Clone, Debug)]
pub struct Call<T, B = Bytes> {
    /// Begins each error about it: `GET a/b.db/ltx/0/...`.
    pub what: String,
    /// The method.
    pub method: Method,
    /// What it is about.
    pub target: T,
    /// Names and values, not encoded yet.
    pub query: Vec<(&'static str, String)>,
    /// Without those that the plugin's client adds to every request.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: B,
}

impl<T, B: Default> Call<T, B> {
    /// A request without a query, headers or a body.
    pub fn new(method: Method, target: T, what: impl Into<String>) -> Self {
        let (query, headers) = (Vec::new(), HeaderMap::new());
        Call { what: what.into(), method, target, query, headers, body: B::default() }
    }
}

impl<T, B> Call<T, B> {
    /// Adds a part of the query.
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sets a header; `name` is in lower case.
    ///
    /// # Errors
    /// INVALID_INPUT for a value that no header can carry, such as a line break.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| StorageError::invalid_input(format!("{}: {name} cannot carry {value:?}", self.what)))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Sets several headers.
    pub fn headers(mut self, more: &HeaderMap) -> Self {
        self.headers.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<B>) -> Self {
        self.body = body.into();
        self
    }

    /// Puts the encoded query behind an address that has none. A name without a value stands alone, without `=`.
    pub fn put_query(&self, address: &mut String) {
        for (at, (name, value)) in self.query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(name);
            if !value.is_empty() {
                address.push('=');
                address.extend(utf8_percent_encode(value, UNRESERVED));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_as_it_is_signed() {
        let call: Call<()> = Call::new(Method::GET, (), "LIST").query("delete", "").query("prefix", "a/b c+d~.db");
        let mut address = "http://store/b".to_owned();
        call.put_query(&mut address);
        assert_eq!(address, "http://store/b?delete&prefix=a%2Fb%20c%2Bd~.db");
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named() {
        let call: Call<()> = Call::new(Method::GET, (), "GET k");
        let error = call.header("if-match", "a\nb").unwrap_err();
        assert_eq!(error.message, r#"GET k: if-match cannot carry "a\nb""#);
    }
}
