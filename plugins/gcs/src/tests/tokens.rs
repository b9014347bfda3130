//! Tokens for the key of a service account, against recorded answers of the token service.

use std::sync::atomic::{AtomicU32, Ordering};

use reqsign_core::{Context, FileRead, HttpSend, Signer};
use reqsign_google::RequestSigner;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::json;

use super::*;
use crate::credentials::{Tokens, failed};

/// A file as the console gives it out.
#[derive(Debug)]
struct KeyFile(String);

impl KeyFile {
    fn new() -> KeyFile {
        // Small, to be made quickly; it opens nothing.
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let account =
            json!({ "type": "service_account", "client_email": "backup@project", "private_key": pem.as_str() });
        KeyFile(account.to_string())
    }
}

impl FileRead for KeyFile {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        assert_eq!(path, "/etc/key.json");
        Ok(self.0.clone().into_bytes())
    }
}

/// The token service.
#[derive(Clone, Debug, Default)]
struct Service {
    asked: Arc<AtomicU32>,
    refuses: bool,
}

impl HttpSend for Service {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(request.uri(), "https://oauth2.googleapis.com/token");
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        assert!(
            form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"),
            "{form}"
        );
        if self.refuses {
            let text = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
            return Ok(http::Response::builder().status(400).body(text.into()).unwrap());
        }
        let text = r#"{"access_token":"ya29.hunter2","expires_in":3599,"token_type":"Bearer"}"#;
        Ok(http::Response::new(text.into()))
    }
}

fn signer(service: Service) -> Signer<reqsign_google::Credential> {
    let request = request("", fake::BUCKET).with_env("GOOGLE_APPLICATION_CREDENTIALS", "/etc/key.json");
    let tokens = Tokens::new(&configure::options::<GcsPlugin>(&request).unwrap());
    let context = Context::new().with_file_read(KeyFile::new()).with_http_send(service);
    Signer::new(context, tokens, RequestSigner::new("storage"))
}

fn parts() -> http::request::Parts {
    http::Request::get("https://storage.googleapis.com/storage/v1/b/b/o").body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn the_key_of_a_service_account_is_exchanged_once_for_many_requests() {
    let service = Service::default();
    let signer = signer(service.clone());
    for _ in 0..3 {
        let mut parts = parts();
        signer.sign(&mut parts, None).await.unwrap();
        assert_eq!(parts.headers["authorization"], "Bearer ya29.hunter2");
        assert!(parts.headers["authorization"].is_sensitive(), "no log shows it");
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_key_that_is_refused_is_an_error_of_credentials_that_says_why() {
    let refused = signer(Service { refuses: true, ..Service::default() }).sign(&mut parts(), None).await.unwrap_err();
    let error = failed("GET k", &refused);
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED);
    assert!(error.to_string().contains("Invalid JWT Signature"), "{error}");
    assert!(!format!("{error} {error:?}").contains("PRIVATE KEY"), "{error:?}");
}

/// A file that was named and is not there is not silently replaced by what else may be found.
#[tokio::test]
async fn a_missing_file_is_an_error_of_credentials() {
    let request =
        ConfigureRequest::new().with_url("gs://b/p").with_env("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file");
    let error = open(&request).await.stat(&key("a")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED);
    assert!(error.message.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{error}");
}
