//! The keys of an s3 replica, and the rules between them.

use litestream_sdk::options::Findings;
use litestream_sdk::{Location, ReplicaPath, Result, Secret, Size, options};

use crate::{encryption, provider};

options! {
    /// Keys of an s3 replica.
    pub struct S3Options {
        /// Bucket name, or the ARN of an access point.
        bucket: String = "", [not_with_url];
        /// Key prefix of the replica.
        path: String = "", [location, not_with_url];
        /// Region of the bucket. Without it: asked of Amazon, or `us-east-1` where an endpoint is set.
        region: Option<String>;
        /// Address of another store that speaks the protocol. Without a scheme it gets `https://`.
        endpoint: Option<String>, [env = "LITESTREAM_S3_ENDPOINT"];
        /// Access key. With the secret key, used instead of the usual chain of Amazon's tools.
        access_key_id: Option<String>;
        /// Secret key.
        secret_access_key: Option<Secret>;
        /// Whether the bucket stands in the path of a request rather than in its host name. On with an endpoint.
        force_path_style: Option<bool>, [query = "forcePathStyle"];
        /// Whether the body of each upload is part of its signature.
        sign_payload: Option<bool>, [query = "signPayload"];
        /// Whether uploads and batch deletes carry an MD5 of their body. On, except where a provider refuses it.
        require_content_md5: Option<bool>, [query = "requireContentMD5"];
        /// Accept any TLS certificate. Whoever stands between can then read and change everything.
        skip_verify: bool = false, [query = "skipVerify"];
        /// Storage class of new objects, such as `STANDARD_IA`.
        storage_class: Option<String>, [query = "storageClass"];
        /// Bytes in one part of a large upload.
        part_size: Size = "5MiB", [local, query = "partSize"];
        /// Parts sent at once in one upload. 5, but 2 on Cloudflare R2.
        concurrency: Option<u32>, [local];
        /// Algorithm of encryption with a key of your own: `AES256`.
        sse_customer_algorithm: Option<String>, [query = "sseCustomerAlgorithm"];
        /// Key of encryption with a key of your own: base64 of 32 bytes.
        sse_customer_key: Option<Secret>, [query = "sseCustomerKey", query = "sse-customer-key"];
        /// File with that key; beats `sse-customer-key`.
        sse_customer_key_path: Option<String>;
        /// MD5 of that key, base64. Computed when left out.
        sse_customer_key_md5: Option<String>, [query = "sseCustomerKeyMD5"];
        /// Key of the key management service that encrypts new objects.
        sse_kms_key_id: Option<String>, [query = "sseKmsKeyId"];
        /// The reference's own names for credentials, used when Amazon's are not set.
        litestream_access_key_id: Option<String>, [hidden, env = "LITESTREAM_ACCESS_KEY_ID"];
        /// The same, for the secret key.
        litestream_secret_access_key: Option<Secret>, [hidden, env = "LITESTREAM_SECRET_ACCESS_KEY"];
        /// The home directory, for `~` in `sse-customer-key-path`.
        home: String = "", [hidden, env = "HOME"];
    }
}

/// The smallest part that every store accepts, except as the last.
pub(crate) const MIN_PART_BYTES: u64 = 5 << 20;

/// Rules between keys.
pub(crate) fn check(options: &S3Options, findings: &mut Findings) {
    if options.bucket.is_empty() {
        findings.problem("bucket", "bucket required for s3 replica");
    }
    if options.access_key_id.is_some() != options.secret_access_key.is_some() {
        findings.warning(
            "only one of `access-key-id` and `secret-access-key` is set: both are ignored, and credentials are looked \
             for in the environment, the shared files and the metadata service",
        );
    }
    if options.part_size.0 < MIN_PART_BYTES {
        findings.problem("part-size", "must be at least 5MiB, the smallest part that stores accept");
    }
    if options.concurrency == Some(0) {
        findings.problem("concurrency", "must be at least 1");
    }
    if options.endpoint.as_deref().is_some_and(|endpoint| provider::authority_of(endpoint).contains('@')) {
        findings.problem("endpoint", "must hold no credentials: set `access-key-id` and `secret-access-key`");
    }
    if options.bucket.starts_with("arn:")
        && let Err(error) = crate::url::access_point(&options.bucket)
    {
        findings.problem("bucket", error.message);
    }
    encryption::check(options, findings);
}

/// The prefix, as a place in the bucket.
///
/// The reference joins path and level with a slash even when the path is empty, so its keys begin with one there. In the
/// hex layout the host asks for that place by an absolute path; the base itself is always relative.
pub(crate) fn locate(options: &S3Options) -> Result<Location> {
    Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
}
