//! Which server keys are accepted: the configured one, those of a `known_hosts` file, or any.
//!
//! The list is made before the connection, since it also says which types of key to ask the server for: one that has
//! several would else show another than the one that is known here.

use std::sync::{Arc, Mutex, PoisonError};

use litestream_sdk::{Context, ErrorKind, Result, StorageError};
use russh::client;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::config::{Address, SftpOptions};

/// Finds the key in one line of text: alone, with a comment, or after host names as `ssh-keyscan` prints it.
pub(crate) fn parse(text: &str) -> Option<PublicKey> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).find_map(|pair| PublicKey::from_openssh(&format!("{} {}", pair[0], pair[1])).ok())
}

/// The keys that a server may show.
#[derive(Clone, Debug)]
pub(crate) enum Accepted {
    /// Nothing is known about it.
    Any,
    /// One of these, which come from the key named second.
    These(Vec<PublicKey>, String),
}

impl Accepted {
    /// What the configuration says about this server.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the `known_hosts` file does not know it; what reading that file meets.
    pub async fn of(options: &SftpOptions, address: &Address, context: &Context) -> Result<Self> {
        if let Some(key) = options.host_key.as_deref().and_then(parse) {
            return Ok(Self::These(vec![key], "`host-key`".to_owned()));
        }
        let Some(file) = &options.known_hosts else { return Ok(Self::Any) };
        let file = options.expand(file);
        let (at, of) = (file.clone(), address.clone());
        let keys = context.blocking(move || {
            // An absent file would count as an empty one.
            std::fs::File::open(&at).map_err(|error| StorageError::from(error).context(format!("known-hosts {at}")))?;
            known_host_keys_path(&of.host, of.port, &at)
                .map_err(|error| StorageError::permanent(format!("known-hosts {at}")).with_source(&error))
        });
        let keys: Vec<PublicKey> = keys.await?.into_iter().map(|(_, key)| key).collect();
        if keys.is_empty() {
            let hint =
                format!("add what `ssh-keyscan -p {} {}` prints, if it is the right one", address.port, address.host);
            let message = format!("{address}: known-hosts {file} has no key of this server; {hint}");
            return Err(StorageError::new(ErrorKind::UNAUTHENTICATED, message));
        }
        Ok(Self::These(keys, format!("known-hosts {file}")))
    }

    /// The types of key to ask for; `None` for whatever the client prefers.
    pub fn algorithms(&self) -> Option<Vec<Algorithm>> {
        let Self::These(keys, _) = self else { return None };
        let mut algorithms = Vec::new();
        for key in keys {
            let ways = match key.algorithm() {
                // One key, and two ways to sign with it that are still safe.
                Algorithm::Rsa { .. } => {
                    [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
                }
                other => vec![other],
            };
            algorithms.extend(ways.into_iter().filter(|way| !algorithms.contains(way)).collect::<Vec<_>>());
        }
        Some(algorithms)
    }

    /// Why a key is refused, if it is.
    fn refuse(&self, shown: &PublicKey, address: &Address) -> Option<StorageError> {
        let Self::These(keys, whence) = self else { return None };
        if keys.iter().any(|key| key.key_data() == shown.key_data()) {
            return None;
        }
        let known: Vec<String> = keys.iter().map(fingerprint).collect();
        let message = format!(
            "{address}: the server's key is {}, and {whence} has {}: another server answers there, or it got a new key; \
             nothing was sent to it",
            fingerprint(shown),
            known.join(", "),
        );
        Some(StorageError::new(ErrorKind::UNAUTHENTICATED, message))
    }
}

/// As `ssh-keygen -l` shows it.
fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// Asked by the client for each server key that it is shown.
pub(crate) struct HostKeyCheck {
    accepted: Accepted,
    address: Address,
    refusal: Refusal,
}

/// Why a key was refused: the client's own error only says that it was.
#[derive(Clone, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<StorageError>>>);

impl Refusal {
    /// The reason, if there was one.
    pub fn take(&self) -> Option<StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HostKeyCheck {
    /// A check, and where it leaves its reason.
    pub fn new(accepted: Accepted, address: Address) -> (Self, Refusal) {
        let refusal = Refusal::default();
        (Self { accepted, address, refusal: refusal.clone() }, refusal)
    }
}

impl client::Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // Certificates are never asked for.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let refused = self.accepted.refuse(key, &self.address);
        let accepted = refused.is_none();
        *self.refusal.0.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn address() -> Address {
        Address::parse("h:2222").unwrap()
    }

    #[test]
    fn a_key_is_found_wherever_it_stands_in_its_line() {
        for text in [KEY.to_owned(), format!("{KEY} me@h\n"), format!("[h]:2222 {KEY}"), format!("h,10.0.0.1 {KEY} x")]
        {
            assert_eq!(parse(&text).unwrap().to_openssh().unwrap().split(' ').nth(1), KEY.split(' ').nth(1), "{text}");
        }
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWB",
            KEY.split(' ').nth(1).unwrap(),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_pinned_key_is_accepted_and_the_refusal_names_both() {
        let (key, other) = (parse(KEY).unwrap(), parse(OTHER).unwrap());
        let pinned = Accepted::These(vec![key.clone()], "`host-key`".to_owned());
        assert!(pinned.refuse(&key, &address()).is_none());
        let refused = pinned.refuse(&other, &address()).unwrap();
        assert_eq!(refused.kind, ErrorKind::UNAUTHENTICATED);
        assert!(refused.message.starts_with("h:2222: the server's key is ssh-ed25519 SHA256:"), "{refused}");
        assert_eq!(refused.message.matches("SHA256:").count(), 2, "{refused}");
        assert!(Accepted::Any.refuse(&other, &address()).is_none());
        assert_eq!(pinned.algorithms(), Some(vec![Algorithm::Ed25519]));
        assert_eq!(Accepted::Any.algorithms(), None);
    }

    #[tokio::test]
    async fn a_file_of_known_hosts_is_read_and_a_host_that_is_not_in_it_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        std::fs::write(&file, format!("# mine\n[h]:2222 {KEY}\nother {OTHER}\n")).unwrap();
        let context = Context::without_host();
        let mut options = crate::tests::options(&[("known-hosts", file.to_str().unwrap())]);
        let Accepted::These(keys, whence) = Accepted::of(&options, &address(), &context).await.unwrap() else {
            panic!()
        };
        assert_eq!((keys.len(), keys[0].key_data() == parse(KEY).unwrap().key_data()), (1, true));
        assert!(whence.contains("known_hosts"));

        let unknown = Address::parse("stranger").unwrap();
        let refused = Accepted::of(&options, &unknown, &context).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::UNAUTHENTICATED);
        assert!(refused.message.contains("ssh-keyscan -p 22 stranger"), "{refused}");

        options.known_hosts = Some(dir.path().join("absent").display().to_string());
        assert_eq!(Accepted::of(&options, &address(), &context).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    }
}
