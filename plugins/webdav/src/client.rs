//! One request to the server: address, login, answer. No request is sent twice here.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use litestream_sdk::{ErrorKind, Result, Secret, StorageError};
use litestream_sdk_http::Pool;
use litestream_sdk_http::call::IN_PATH;
use litestream_sdk_http::exchange::{self, Answer};
use percent_encoding::utf8_percent_encode;
use std::time::Duration;

use crate::config::WebdavOptions;
use crate::error;
use crate::xml::{self, Resource};

/// A server that takes no connection for so long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection pool to one server.
pub(crate) struct Client {
    http: Pool,
    /// The configured address, without a slash at the end.
    root: String,
    login: Option<(String, Secret)>,
}

/// One request, without what the client adds.
pub(crate) struct Call<'a> {
    /// Shown in errors.
    what: String,
    method: &'static str,
    path: &'a str,
    headers: HeaderMap,
    body: reqwest::Body,
}

impl<'a> Call<'a> {
    /// About what is at a path below the root; a slash at its end says that it is a directory.
    pub fn new(method: &'static str, path: &'a str) -> Self {
        let what = format!("{method} {}", if path.is_empty() { "/" } else { path });
        Call { what, method, path, headers: HeaderMap::new(), body: reqwest::Body::default() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(HeaderName::from_static(name), value.into());
        self
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    pub fn new(options: &WebdavOptions) -> Result<Client> {
        let http = Pool::new(|builder| builder.connect_timeout(CONNECT_TIMEOUT))?;
        let login = match (&options.webdav_username, &options.webdav_password) {
            (None, None) => None,
            (user, password) => {
                Some((user.clone().unwrap_or_default(), password.clone().unwrap_or_else(|| Secret::new(""))))
            }
        };
        Ok(Client { http, root: options.webdav_url.trim_end_matches('/').to_owned(), login })
    }

    /// The whole address of a path.
    pub fn address(&self, path: &str) -> String {
        format!("{}/{}", self.root, utf8_percent_encode(path, IN_PATH))
    }

    /// Sends, and gives back the answer if its status is a success or one of `expected`; anything else is an error with
    /// the server's words.
    pub async fn send(&self, call: Call<'_>, expected: &[u16]) -> Result<Answer> {
        let method = Method::from_bytes(call.method.as_bytes()).expect("the methods are written in this crate");
        let mut request = self.http.request(method, &self.address(call.path)).headers(call.headers).body(call.body);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password.expose()));
        }
        let request = request.build().map_err(|error| exchange::no_answer(&call.what, error))?;
        let answer = exchange::execute(&self.http, &call.what, request).await?;
        let status = answer.status().as_u16();
        if answer.status().is_success() || expected.contains(&status) {
            return Ok(answer);
        }
        let headers = answer.headers().clone();
        // Without its text the status still says what to do.
        let body = exchange::whole(&call.what, answer).await.map(|(_, body)| body).unwrap_or_default();
        Err(error::from_answer(&call.what, status, &headers, &body))
    }

    /// Sends, and reads the whole answer; gives its status.
    pub async fn ask(&self, call: Call<'_>, expected: &[u16]) -> Result<(u16, Bytes)> {
        let what = call.what.clone();
        let response = self.send(call, expected).await?;
        let status = response.status().as_u16();
        Ok((status, exchange::whole(&what, response).await?.1))
    }

    /// What is at a path (`depth` 0), or there and in the directory (1); `None` if nothing.
    pub async fn look(&self, path: &str, depth: u16) -> Result<Option<Vec<Resource>>> {
        let call = Call::new("PROPFIND", path).header("depth", depth);
        let call = call.header("content-type", HeaderValue::from_static("application/xml")).body(xml::PROPFIND);
        let what = call.what.clone();
        let (status, body) = self.ask(call, &[404]).await?;
        if status == 404 {
            return Ok(None);
        }
        xml::resources(&body).map(Some).map_err(|error| error.context(what))
    }

    /// Removes what is at a path; what is absent is fine.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.ask(Call::new("DELETE", path), &[404, 410]).await.map(drop)
    }

    /// An error unless the configured address itself is there: a wrong one must not look like an empty replica.
    pub async fn check_root(&self) -> Result<()> {
        match self.look("", 0).await? {
            Some(_) => Ok(()),
            None => {
                let message = format!("{}: no such directory on the server; check `webdav-url`", self.root);
                Err(StorageError::new(ErrorKind::NO_STORE, message).with_http_status(404))
            }
        }
    }
}
