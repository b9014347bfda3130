//! The status page: what is replicated, what lags, what is not protected and why, and what one database can be restored to.
//!
//! Made here, whole, for every request: no script, no asset from elsewhere, readable on a phone, and it asks for itself again
//! after some seconds. It shows what the metrics show and no secret; it changes nothing.

mod database;
mod html;
mod overview;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(super) use database::database;
pub(super) use overview::overview;

use html::escape;

/// Nothing is loaded from anywhere and nothing runs.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// A whole page. `refresh`: how often it asks for itself again, in seconds.
fn page(status: StatusCode, title: &str, refresh: Option<u32>, body: &str) -> Response {
    let title = escape(title);
    let again =
        refresh.map_or_else(String::new, |seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"));
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">{again}<title>{title}</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, text).into_response()
}
