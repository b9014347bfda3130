//! Deleting many objects with one request, and an answer for each: a MIME message of requests, answered by one of answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use litestream_sdk::{ErrorKind, ObjectKey, Result, StorageError};

use crate::client::{Call, Client, Target};
use crate::error;

/// Requests in one batch, by the protocol.
pub(crate) const MOST: u32 = 100;

const BOUNDARY: &str = "litestream-rs-batch";

/// One result for each key, in order; an object that is not there is deleted.
pub(crate) async fn delete(client: &Client, keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    let mut body = String::new();
    for (number, key) in keys.iter().enumerate() {
        let path = client.object_path(key.to_utf8()?);
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\nDELETE {path} HTTP/1.1\r\n\r\n"
        ));
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    let what = format!("DELETE of {} objects", keys.len());
    let call = Call::new(Method::POST, Target::Batch, &what);
    let call = call.header("content-type", &format!("multipart/mixed; boundary={BOUNDARY}"))?;
    let (headers, answer) = client.ask(call.body([Bytes::from(body)])).await?;
    results(&what, &headers, &answer, keys)
}

/// Takes the answer apart; a key without one is an error of that key.
fn results(what: &str, headers: &HeaderMap, answer: &[u8], keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
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
    for (place, inner) in text.split(&delimiter).filter_map(InnerAnswer::parse).enumerate() {
        // The emulator gives no numbers, and keeps the order.
        let number = inner.number.unwrap_or(place);
        if let (Some(result), Some(key)) = (results.get_mut(number), keys.get(number)) {
            *result = inner.result(key);
        }
    }
    Ok(results)
}

struct InnerAnswer<'a> {
    /// Of the request that it answers.
    number: Option<usize>,
    status: u16,
    headers: HeaderMap,
    body: &'a str,
}

impl InnerAnswer<'_> {
    /// `None` for what is around the parts.
    fn parse(part: &str) -> Option<InnerAnswer<'_>> {
        let (outer, inner) = part.split_at(part.find("HTTP/1.1 ")?);
        let (head, body) = inner.split_once("\r\n\r\n").or_else(|| inner.split_once("\n\n")).unwrap_or((inner, ""));
        let (first, rest) = head.split_once('\n').unwrap_or((head, ""));
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        // `<0>` comes back as `<response-0>`.
        let id = headers_of(outer).get("content-id").and_then(|id| id.to_str().ok().map(str::to_owned));
        let number = id.and_then(|id| id.trim_matches(['<', '>']).rsplit('-').next()?.parse().ok());
        Some(InnerAnswer { number, status, headers: headers_of(rest), body })
    }

    fn result(&self, key: &ObjectKey) -> Result<()> {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        let (what, target) = (format!("DELETE {key}"), Target::Object(key.to_string()));
        let error = error::from_answer(&what, &target, self.status, &self.headers, self.body.trim().as_bytes());
        if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) }
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

    fn keys() -> Vec<ObjectKey> {
        ["a", "b", "c", "d", "e"].map(|key| ObjectKey::parse(key).unwrap()).into()
    }

    fn headers() -> HeaderMap {
        headers_of("Content-Type: multipart/mixed; boundary=batch_1f")
    }

    /// In the form of the service, answers out of order and one missing.
    #[test]
    fn each_key_has_its_own_answer() {
        let part = |number: u32, status: &str, body: &str| {
            format!(
                "--batch_1f\r\nContent-Type: application/http\r\nContent-ID: <response-{number}>\r\n\r\nHTTP/1.1 {status}\r\n\
                 Content-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}\r\n",
                body.len()
            )
        };
        let failure = |reason: &str, message: &str| {
            format!(r#"{{"error":{{"message":"{message}","errors":[{{"reason":"{reason}"}}]}}}}"#)
        };
        let answer = [
            part(1, "204 No Content", ""),
            part(0, "404 Not Found", &failure("notFound", "No such object: b/a")),
            part(2, "403 Forbidden", &failure("forbidden", "the object is under retention")),
            part(4, "404 Not Found", &failure("notFound", "The specified bucket does not exist.")),
            "--batch_1f--\r\n".to_owned(),
        ]
        .concat();
        let results = results("DELETE", &headers(), answer.as_bytes(), &keys()).unwrap();
        assert_eq!((&results[0], &results[1]), (&Ok(()), &Ok(())), "absent is deleted");
        let kept = results[2].as_ref().unwrap_err();
        assert_eq!((kept.kind, kept.code.as_str()), (ErrorKind::PERMISSION_DENIED, "forbidden"));
        assert_eq!(kept.message, "DELETE c: the object is under retention");
        assert_eq!(results[3].as_ref().unwrap_err().kind, ErrorKind::TRANSIENT, "no answer is no success");
        assert_eq!(results[4].as_ref().unwrap_err().kind, ErrorKind::NO_STORE, "a missing bucket is no missing object");
    }

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        assert!(results("DELETE", &HeaderMap::new(), b"", &keys()).is_err());
        assert!(results("DELETE", &headers(), b"{}", &keys()).unwrap().iter().all(Result::is_err));
    }
}
