//! Deleting many objects with one request, and an answer for each: a MIME message of requests, answered by one of answers.

use bytes::Bytes;
use http::{HeaderMap, Method};
use litestream_sdk::{ObjectKey, Result};
use litestream_sdk_http::mime;

use crate::client::{Call, Client, Target};
use crate::error;

/// Requests in one batch, by the protocol.
pub(crate) const MOST: u32 = 100;

/// One result for each key, in order; an object that is not there is deleted.
pub(crate) async fn delete(client: &Client, keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    let mut requests = Vec::with_capacity(keys.len());
    for (number, key) in keys.iter().enumerate() {
        let path = client.object_path(key.to_utf8()?);
        requests.push((format!("<{number}>"), format!("DELETE {path} HTTP/1.1\r\n\r\n")));
    }
    let what = format!("DELETE of {} objects", keys.len());
    let call = Call::new(Method::POST, Target::Batch, &what).header("content-type", &mime::content_type())?;
    let (headers, answer) = client.ask(call.body([Bytes::from(mime::message(requests))])).await?;
    results(&what, &headers, &answer, keys)
}

fn results(what: &str, headers: &HeaderMap, answer: &[u8], keys: &[ObjectKey]) -> Result<Vec<Result<()>>> {
    mime::deletions(what, headers, answer, keys, |key, status, headers, body| {
        let target = Target::Object(key.to_string());
        error::from_answer(&format!("DELETE {key}"), &target, status, headers, body)
    })
}

#[cfg(test)]
mod tests {
    use litestream_sdk::ErrorKind;

    use super::*;

    fn keys() -> Vec<ObjectKey> {
        ["a", "b", "c", "d", "e"].map(|key| ObjectKey::parse(key).unwrap()).into()
    }

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, "multipart/mixed; boundary=batch_1f".parse().unwrap())])
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
