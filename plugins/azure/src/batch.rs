//! Deleting many blobs with one request, and an answer for each: a MIME message of requests, answered by one of answers.

use http::{HeaderMap, Method};
use litestream_sdk::{ObjectKey, Result};
use litestream_sdk_http::mime;

use crate::client::{Client, blob, container};
use crate::error;

/// Requests in one batch, by the protocol.
pub(crate) const MOST: u32 = 256;

/// One result for each key, in order; a blob that is not there is deleted.
pub(crate) async fn delete(client: &Client, keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    let what = format!("DELETE of {} blobs", keys.len());
    let mut requests = Vec::with_capacity(keys.len());
    for (number, key) in keys.iter().enumerate() {
        requests.push((number.to_string(), inner_request(client, key).await?));
    }
    let call = container(Method::POST, &what).query("comp", "batch").header("content-type", &mime::content_type())?;
    let (headers, answer) = client.ask(call.body(mime::message(requests))).await?;
    results(&what, &headers, &answer, keys)
}

fn results(what: &str, headers: &HeaderMap, answer: &[u8], keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    mime::deletions(what, headers, answer, keys, |key, status, headers, body| {
        error::from_answer(&format!("DELETE {key}"), status, headers, body)
    })
}

async fn inner_request(client: &Client, key: &ObjectKey) -> Result<String> {
    let call = blob(Method::DELETE, key.to_utf8()?).header("content-length", "0")?;
    // A blob with snapshots, which somebody else made, could not be deleted without them.
    let request = client.sign(call.header("x-ms-delete-snapshots", "include")?).await?;
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let mut text = format!("DELETE {address} HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    Ok(text + "\r\n")
}

#[cfg(test)]
mod tests {
    use litestream_sdk::ErrorKind;

    use super::*;

    fn keys() -> Vec<ObjectKey> {
        ["a", "b", "c", "d"].map(|key| ObjectKey::parse(key).unwrap()).into()
    }

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            "multipart/mixed; boundary=batchresponse_1f".parse().unwrap(),
        )])
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
