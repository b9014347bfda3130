//! How requests are read: a JSON body, a path as users write it, a time limit in seconds.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::config::Environment;

use super::answer::Refusal;

/// The time limit of a request that gives none.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a body, whatever its content type says; clients of the reference send none.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request("invalid request body").with_details(error))
}

/// Expands the path of a request. An absent one counts as empty.
pub(super) fn path(text: Option<&str>, environment: &Environment) -> Result<PathBuf, Refusal> {
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::bad_request("path required"))?;
    environment.expand_path(text).map_err(|error| Refusal::bad_request(format!("invalid path: {error}")))
}

/// The first value of a name in a query string.
pub(super) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Seconds as a time limit; zero and less mean [`TIMEOUT`].
pub(super) fn timeout(seconds: Option<i64>) -> Duration {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    seconds.map_or(TIMEOUT, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_query_may_hold_anything() {
        assert_eq!(query_value(Some("x=1&path=%2Fa%20b%26c.db"), "path").as_deref(), Some("/a b&c.db"));
        assert_eq!(query_value(Some("paths=/a"), "path"), None);
        assert_eq!(query_value(None, "path"), None);
    }

    #[test]
    fn a_time_limit_is_never_zero() {
        assert_eq!([Some(5), Some(0), Some(-1), None].map(timeout).map(|limit| limit.as_secs()), [5, 30, 30, 30]);
    }

    #[test]
    fn an_absent_path_is_asked_for() {
        let environment = Environment::empty("/w");
        assert_eq!(path(Some("a.db"), &environment).unwrap(), std::path::Path::new("/w/a.db"));
        assert!(path(Some(""), &environment).is_err() && path(None, &environment).is_err());
        assert!(path(Some("~/a.db"), &environment).is_err(), "without a home");
    }
}
