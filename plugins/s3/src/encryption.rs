//! Encryption on the server: with a key of the user's own, or with one of the key management service.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use litestream_sdk::options::Findings;
use litestream_sdk::{Result, Secret, StorageError};
use md5::{Digest, Md5};

use crate::config::S3Options;
use crate::provider::is_local;

/// Headers that each kind of request carries.
#[derive(Clone, Default)]
pub(crate) struct Encryption {
    /// For writing: the first request of an upload.
    pub on_create: HeaderMap,
    /// For every request that touches content: a key of one's own goes along each time.
    pub on_content: HeaderMap,
}

/// Rules between the keys that need no file.
pub(crate) fn check(options: &S3Options, findings: &mut Findings) {
    let own_key = options.sse_customer_key.is_some() || options.sse_customer_key_path.is_some();
    if own_key && options.sse_kms_key_id.is_some() {
        findings.problem("sse-kms-key-id", "cannot be combined with a customer key: choose one kind of encryption");
    }
    if let Some(algorithm) = options.sse_customer_algorithm.as_deref().filter(|name| *name != "AES256") {
        findings.problem("sse-customer-algorithm", format!("must be AES256 (got {algorithm})"));
    }
    if options.sse_customer_algorithm.is_some() && !own_key {
        findings.problem("sse-customer-key", "required when `sse-customer-algorithm` is set");
    }
    let plain =
        options.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://") && !is_local(endpoint));
    if own_key && plain {
        findings.problem("endpoint", "a customer key is sent only over https, except inside a private network");
    }
    if options.sse_customer_key_path.is_none()
        && let Some(Err(error)) = options.sse_customer_key.as_ref().map(decoded)
    {
        findings.problem("sse-customer-key", error.message);
    }
}

/// The headers these options ask for. Reads the key's file, if there is one.
pub(crate) fn headers(options: &S3Options) -> Result<Encryption> {
    let mut encryption = Encryption::default();
    if let Some(key) = customer_key(options)? {
        let raw = decoded(&key)?;
        let md5 = options.sse_customer_key_md5.clone().unwrap_or_else(|| STANDARD.encode(Md5::digest(raw)));
        let headers = &mut encryption.on_content;
        headers.insert("x-amz-server-side-encryption-customer-algorithm", HeaderValue::from_static("AES256"));
        headers.insert("x-amz-server-side-encryption-customer-key", value(key.expose().trim(), true)?);
        headers.insert("x-amz-server-side-encryption-customer-key-md5", value(&md5, false)?);
    } else if let Some(key) = &options.sse_kms_key_id {
        let headers = &mut encryption.on_create;
        headers.insert("x-amz-server-side-encryption", HeaderValue::from_static("aws:kms"));
        headers.insert("x-amz-server-side-encryption-aws-kms-key-id", value(key, false)?);
    }
    if let Some(class) = &options.storage_class {
        encryption.on_create.insert("x-amz-storage-class", value(class, false)?);
    }
    Ok(encryption)
}

fn customer_key(options: &S3Options) -> Result<Option<Secret>> {
    let Some(path) = &options.sse_customer_key_path else { return Ok(options.sse_customer_key.clone()) };
    let path = match path.strip_prefix("~/") {
        Some(below) => format!("{}/{below}", options.home),
        None => path.clone(),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        StorageError::invalid_input(format!("sse-customer-key-path: {path} cannot be read: {error}"))
    })?;
    Ok(Some(Secret::new(text.trim())))
}

fn decoded(key: &Secret) -> Result<Vec<u8>> {
    match STANDARD.decode(key.expose().trim()) {
        Ok(raw) if raw.len() == 32 => Ok(raw),
        Ok(raw) => Err(StorageError::invalid_input(format!("a customer key has 32 bytes, this one has {}", raw.len()))),
        Err(_) => Err(StorageError::invalid_input("a customer key is base64 of 32 bytes")),
    }
}

fn value(text: &str, sensitive: bool) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        StorageError::invalid_input("an encryption or storage class option holds characters that no request can carry")
    })?;
    value.set_sensitive(sensitive);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use litestream_sdk::configure;
    use litestream_sdk::describe::ConfigureRequest;

    fn encryption(table: &[(&str, &str)]) -> Result<Encryption> {
        let request =
            ConfigureRequest::new().with_value("bucket", "b", "test").with_env("HOME", env!("CARGO_MANIFEST_DIR"));
        let request = table.iter().fold(request, |request, (key, value)| request.with_value(*key, *value, "test"));
        headers(&configure::options::<crate::S3Plugin>(&request)?)
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_managed_key_and_a_class_are_named_when_an_object_is_made() {
        let made = encryption(&[("sse-kms-key-id", "k1"), ("storage-class", "STANDARD_IA")]).unwrap();
        assert_eq!(text(&made.on_create, "x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(text(&made.on_create, "x-amz-server-side-encryption-aws-kms-key-id"), Some("k1"));
        assert_eq!(text(&made.on_create, "x-amz-storage-class"), Some("STANDARD_IA"));
        assert!(made.on_content.is_empty());
    }

    #[test]
    fn a_key_of_ones_own_goes_along_with_its_digest_and_is_shown_nowhere() {
        let key = STANDARD.encode([7; 32]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), format!("{key}\n")).unwrap();
        let file = dir.path().join("key").display().to_string();
        for table in [[("sse-customer-key", key.as_str())], [("sse-customer-key-path", file.as_str())]] {
            let made = encryption(&table).unwrap();
            assert_eq!(text(&made.on_content, "x-amz-server-side-encryption-customer-key"), Some(key.as_str()));
            let digest = text(&made.on_content, "x-amz-server-side-encryption-customer-key-md5");
            assert_eq!(digest, Some(STANDARD.encode(Md5::digest([7; 32])).as_str()));
            assert!(!format!("{:?}", made.on_content).contains(&key));
        }
        let missing = encryption(&[("sse-customer-key-path", "~/no-such-key")]).err().unwrap();
        let path = format!("{}/no-such-key cannot be read", env!("CARGO_MANIFEST_DIR"));
        assert!(missing.message.contains(&path), "{missing}");
    }
}
