//! Deleting many blobs with one request, and an answer for each: a MIME message of requests, answered by one of answers.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use litestream_sdk::{ErrorKind, ObjectKey, Result, StorageError};

use crate::client::{Call, Client};
use crate::error;

/// Requests in one batch, by the protocol.
pub(crate) const MOST: u32 = 256;

const BOUNDARY: &str = "litestream-rs-batch";

/// One result for each key, in order; a blob that is not there is deleted.
pub(crate) async fn delete(client: &Client, keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    let what = format!("DELETE of {} blobs", keys.len());
    let mut body = String::new();
    for (number, key) in keys.iter().enumerate() {
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {number}\r\n\r\n"
        ));
        body.push_str(&inner_request(client, key).await?);
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    let call = Call::container(Method::POST, &what).query("comp", "batch");
    let call = call.header("content-type", &format!("multipart/mixed; boundary={BOUNDARY}"))?;
    let (headers, answer) = client.ask(call.body(body)).await?;
    results(&what, &headers, &answer, keys)
}

async fn inner_request(client: &Client, key: &ObjectKey) -> Result<String> {
    let call = Call::blob(Method::DELETE, key.to_utf8()?).header("content-length", "0")?;
    // A blob with snapshots, which somebody else made, could not be deleted without them.
    let request = client.sign(call.header("x-ms-delete-snapshots", "include")?).await?;
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let mut text = format!("DELETE {address} HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    Ok(text + "\r\n")
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
    for part in text.split(&format!("--{boundary}")) {
        // The answer to a batch that was refused as a whole has no number.
        let Some((number, inner)) = InnerAnswer::parse(part) else { continue };
        let number = number.unwrap_or_default();
        if let (Some(result), Some(key)) = (results.get_mut(number), keys.get(number)) {
            *result = inner.result(key);
        }
    }
    Ok(results)
}

struct InnerAnswer<'a> {
    status: u16,
    headers: HeaderMap,
    body: &'a str,
}

impl InnerAnswer<'_> {
    /// The number of the request and its answer; `None` for what is around the parts.
    fn parse(part: &str) -> Option<(Option<usize>, InnerAnswer<'_>)> {
        let (outer, inner) = split_head(part.trim_start())?;
        let (head, body) = split_head(inner).unwrap_or((inner, ""));
        let (first, rest) = head.split_once('\n').unwrap_or((head, ""));
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let number = headers_of(outer).get("content-id").and_then(|id| id.to_str().ok()?.parse().ok());
        Some((number, InnerAnswer { status, headers: headers_of(rest), body }))
    }

    fn result(&self, key: &ObjectKey) -> Result<()> {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        let error =
            error::from_answer(&format!("DELETE {key}"), self.status, &self.headers, self.body.trim().as_bytes());
        if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) }
    }
}

/// Splits at the first empty line, whatever the line ends are.
fn split_head(text: &str) -> Option<(&str, &str)> {
    text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))
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
        ["a", "b", "c", "d"].map(|key| ObjectKey::parse(key).unwrap()).into()
    }

    fn headers() -> HeaderMap {
        headers_of("Content-Type: multipart/mixed; boundary=batchresponse_1f")
    }

    /// In the form of the service, answers out of order and one missing.
    #[test]
    fn each_key_has_its_own_answer() {
        let answer = "--batchresponse_1f\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n\
            HTTP/1.1 202 Accepted\r\nx-ms-request-id: r1\r\n\r\n\
            --batchresponse_1f\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n\
            HTTP/1.1 404 The specified blob does not exist.\r\nx-ms-error-code: BlobNotFound\r\n\
            Content-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code>\
            <Message>The specified blob does not exist.</Message></Error>\r\n\
            --batchresponse_1f\r\nContent-Type: application/http\r\nContent-ID: 2\r\n\r\n\
            HTTP/1.1 409 Conflict\r\nx-ms-error-code: BlobImmutableDueToPolicy\r\nx-ms-request-id: r3\r\n\r\n\
            --batchresponse_1f--\r\n";
        let results = results("DELETE", &headers(), answer.as_bytes(), &keys()).unwrap();
        assert_eq!((&results[0], &results[1]), (&Ok(()), &Ok(())), "absent is deleted");
        let kept = results[2].as_ref().unwrap_err();
        assert_eq!((kept.kind, kept.request_id.as_str()), (ErrorKind::PERMISSION_DENIED, "r3"));
        assert_eq!(kept.message, "DELETE c: status 409 Conflict");
        assert_eq!(results[3].as_ref().unwrap_err().kind, ErrorKind::TRANSIENT, "no answer is no success");
    }

    #[test]
    fn a_missing_container_is_not_a_missing_blob() {
        let answer = "--batchresponse_1f\nContent-ID: 0\n\nHTTP/1.1 404 Not Found\nx-ms-error-code: ContainerNotFound\n\n\
            --batchresponse_1f--";
        let results = results("DELETE", &headers(), answer.as_bytes(), &keys()[..1]).unwrap();
        assert_eq!(results[0].as_ref().unwrap_err().kind, ErrorKind::NO_STORE);
        assert!(super::results("DELETE", &HeaderMap::new(), b"", &keys()).is_err());
    }
}
