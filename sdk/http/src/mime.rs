//! Batches that are a MIME message of requests, answered by one of answers (RFC 2046, `application/http`).

use http::{HeaderMap, HeaderName, HeaderValue};
use litestream_sdk::{ErrorKind, ObjectKey, Result, StorageError};

const BOUNDARY: &str = "litestream-rs-batch";

/// The value of `Content-Type` for [`message`].
pub fn content_type() -> String {
    format!("multipart/mixed; boundary={BOUNDARY}")
}

/// The requests, each with its number in the form that the service wants, as one body.
pub fn message(requests: impl IntoIterator<Item = (String, String)>) -> String {
    let mut body = String::new();
    for (id, request) in requests {
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {id}\r\n\r\n{request}"
        ));
    }
    body + &format!("--{BOUNDARY}--\r\n")
}

/// What became of each key: its answer's status, by `refused` if that is no success. A key that is not there is deleted,
/// and one without an answer is not.
///
/// # Errors
/// TRANSIENT if the answer as a whole is something else.
pub fn deletions(
    what: &str,
    headers: &HeaderMap,
    answer: &[u8],
    keys: &[ObjectKey],
    refused: impl Fn(&ObjectKey, u16, &HeaderMap, &[u8]) -> StorageError,
) -> Result<Vec<Result<()>>> {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| value.split_once("boundary=")).map(|(_, boundary)| boundary);
    let Some(boundary) = boundary.map(|boundary| boundary.trim_matches('"')) else {
        return Err(StorageError::transient(format!(
            "{what}: the store's answer is not the MIME message that was due"
        )));
    };
    let unanswered = |key: &ObjectKey| Err(StorageError::transient(format!("DELETE {key}: the store did not say")));
    let mut results: Vec<Result<()>> = keys.iter().map(unanswered).collect();
    let text = String::from_utf8_lossy(answer);
    let delimiter = format!("--{boundary}");
    for (place, inner) in text.split(&delimiter).filter_map(Inner::parse).enumerate() {
        // An answer without a number: the service keeps the order, or has refused the batch as a whole.
        let number = inner.number.unwrap_or(place);
        let (Some(result), Some(key)) = (results.get_mut(number), keys.get(number)) else { continue };
        *result = if (200..300).contains(&inner.status) {
            Ok(())
        } else {
            let error = refused(key, inner.status, &inner.headers, inner.body.trim().as_bytes());
            if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) }
        };
    }
    Ok(results)
}

/// One answer of the message.
struct Inner<'a> {
    /// Of the request that it answers.
    number: Option<usize>,
    status: u16,
    headers: HeaderMap,
    body: &'a str,
}

impl Inner<'_> {
    /// `None` for what is around the parts.
    fn parse(part: &str) -> Option<Inner<'_>> {
        let (outer, inner) = part.split_at(part.find("HTTP/1.1 ")?);
        let (head, body) = inner.split_once("\r\n\r\n").or_else(|| inner.split_once("\n\n")).unwrap_or((inner, ""));
        let (first, rest) = head.split_once('\n').unwrap_or((head, ""));
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        // `<0>` may come back as `<response-0>`.
        let id = headers_of(outer).get("content-id").and_then(|id| id.to_str().ok().map(str::to_owned));
        let number = id.and_then(|id| id.trim_matches(['<', '>']).rsplit('-').next()?.parse().ok());
        Some(Inner { number, status, headers: headers_of(rest), body })
    }
}

fn headers_of(lines: &str) -> HeaderMap {
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    let header = |(name, value): (&str, &str)| {
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    pairs.filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(answer: &str, keys: usize) -> Vec<Result<()>> {
        let keys: Vec<_> = (0..keys).map(|number| ObjectKey::parse(format!("k{number}")).unwrap()).collect();
        let headers = headers_of("Content-Type: multipart/mixed; boundary=\"b_1\"");
        deletions("DELETE", &headers, answer.as_bytes(), &keys, |key, status, headers, body| {
            let kind = if status == 404 { ErrorKind::NOT_FOUND } else { ErrorKind::PERMANENT };
            let id = headers.get("x-id").map_or("", |id| id.to_str().unwrap());
            StorageError::new(kind, format!("{key} {}", String::from_utf8_lossy(body))).with_request_id(id)
        })
        .unwrap()
    }

    #[test]
    fn each_key_has_its_own_answer() {
        let part = |id: &str, status: &str, rest: &str| {
            format!("--b_1\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\nHTTP/1.1 {status}\r\n{rest}")
        };
        // Out of order, and one missing.
        let answer = [
            part("<response-1>", "204 No Content", "\r\n"),
            part("0", "404 Not Found", "x-id: r0\r\n\r\nwhy\r\n"),
            part("2", "409 Conflict", "x-id: r2\r\n\r\nkept\r\n"),
            "--b_1--\r\n".to_owned(),
        ];
        let results = results(&answer.concat(), 4);
        assert_eq!((&results[0], &results[1]), (&Ok(()), &Ok(())), "absent is deleted");
        let kept = results[2].as_ref().unwrap_err();
        assert_eq!((kept.message.as_str(), kept.request_id.as_str()), ("k2 kept", "r2"));
        assert_eq!(results[3].as_ref().unwrap_err().kind, ErrorKind::TRANSIENT, "no answer is no success");
    }

    #[test]
    fn answers_without_numbers_are_in_order_and_bare_line_ends_are_read() {
        let results =
            results("--b_1\n\nHTTP/1.1 204 No Content\n\n--b_1\n\nHTTP/1.1 500 No\nx-id: r\n\nwhy\n--b_1--", 2);
        assert!(results[0].is_ok());
        assert_eq!(results[1].as_ref().unwrap_err().message, "k1 why");
    }

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        let none = |_: &ObjectKey, _, _: &HeaderMap, _: &[u8]| StorageError::transient("");
        assert!(deletions("DELETE", &HeaderMap::new(), b"", &[], none).is_err());
        assert!(results("{}", 2).iter().all(Result::is_err));
    }

    #[test]
    fn a_message_holds_each_request_under_its_number() {
        let body = message([("<0>".to_owned(), "DELETE /a HTTP/1.1\r\n\r\n".to_owned())]);
        assert!(body.starts_with("--litestream-rs-batch\r\n") && body.ends_with("\r\n\r\n--litestream-rs-batch--\r\n"));
        assert!(body.contains("Content-ID: <0>\r\n\r\nDELETE /a HTTP/1.1\r\n"), "{body}");
    }
}
