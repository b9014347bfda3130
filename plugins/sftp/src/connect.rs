//! One connection: TCP, the server's key, the login, and the SFTP session on it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use litestream_sdk::{Context, ErrorKind, Result, StorageError};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{MethodKind, Preferred};
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};

use crate::config::{Address, SftpOptions};
use crate::error;
use crate::host_key::{Accepted, HostKeyCheck};
use crate::session::{Extensions, Session};

/// From the first packet to a working session. Less than the host's own limit for a call, so that its error says what
/// was slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// An idle connection is asked this often whether it lives: often enough for firewalls that forget.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// A request without an answer for so long means that the connection is dead.
const REQUEST_TIMEOUT_SECS: u64 = 30;

/// Makes connections to one server.
pub(crate) struct Connector {
    address: Address,
    options: SftpOptions,
    context: Context,
}

impl Connector {
    /// For the server that the options name.
    ///
    /// # Errors
    /// INVALID_INPUT for an address that is none.
    pub fn new(options: SftpOptions, context: Context) -> Result<Self> {
        let address = Address::parse(&options.host).map_err(StorageError::invalid_input)?;
        Ok(Self { address, options, context })
    }

    /// A new session. Files of keys are read each time, so that a changed one needs no restart.
    ///
    /// # Errors
    /// UNAUTHENTICATED for a wrong server or a refused login; TRANSIENT and TIMEOUT for a server that does not answer.
    pub async fn connect(&self) -> Result<Session> {
        let accepted = Accepted::of(&self.options, &self.address, &self.context).await?;
        let key = self.private_key().await?;
        match tokio::time::timeout(CONNECT_TIMEOUT, self.reach(accepted, key)).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("connecting to {}: no end after {CONNECT_TIMEOUT:?}", self.address);
                Err(StorageError::new(ErrorKind::TIMEOUT, message))
            }
        }
    }

    async fn reach(&self, accepted: Accepted, key: Option<Arc<PrivateKey>>) -> Result<Session> {
        let mut preferred = Preferred::default();
        if let Some(algorithms) = accepted.algorithms() {
            preferred.key = Cow::Owned(algorithms);
        }
        let config = client::Config {
            preferred,
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..client::Config::default()
        };
        let (check, refusal) = HostKeyCheck::new(accepted, self.address.clone());
        let server = (self.address.host.as_str(), self.address.port);
        let connected = client::connect(Arc::new(config), server, check).await;
        let failed = |error: &russh::Error| error::connecting(&self.address, error);
        let mut ssh = connected.map_err(|error| refusal.take().unwrap_or_else(|| failed(&error)))?;
        self.log_in(&mut ssh, key).await?;

        let channel = ssh.channel_open_session().await.map_err(|error| failed(&error))?;
        channel.request_subsystem(true, "sftp").await.map_err(|error| failed(&error))?;
        let config = SftpConfig { request_timeout_secs: REQUEST_TIMEOUT_SECS, ..SftpConfig::default() };
        let sftp = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version =
            sftp.init().await.map_err(|error| error::failed("starting SFTP on", &self.address.to_string(), &error))?;
        Ok(Session::new(ssh, sftp, Extensions::of(&version.extensions)).await)
    }

    async fn private_key(&self) -> Result<Option<Arc<PrivateKey>>> {
        let Some(path) = &self.options.key_path else { return Ok(None) };
        let path = self.options.expand(path);
        let read = move || {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| StorageError::from(error).context(format!("key-path {path}")))?;
            let key = decode_secret_key(&text, None).map_err(|error| {
                let encrypted = matches!(error, russh::keys::Error::KeyIsEncrypted);
                let hint = if encrypted { "; a key without a passphrase is needed" } else { "" };
                let message = format!("key-path {path}: not a usable private key: {error}{hint}");
                StorageError::new(ErrorKind::UNAUTHENTICATED, message)
            })?;
            Ok(Some(Arc::new(key)))
        };
        self.context.blocking(read).await
    }

    /// Password first, then key, as the reference does; without either the server may let everybody in.
    async fn log_in(&self, ssh: &mut Handle<HostKeyCheck>, key: Option<Arc<PrivateKey>>) -> Result<()> {
        let user = self.options.user.as_str();
        let failed = |error: russh::Error| error::connecting(&self.address, &error);
        let mut tried = Vec::new();
        let mut offers = Vec::new();
        if let Some(password) = &self.options.password {
            let result = ssh.authenticate_password(user, password.expose()).await.map_err(failed)?;
            if accepted(result, &mut offers) {
                return Ok(());
            }
            tried.push("password");
        }
        if let Some(key) = key {
            let hash = ssh.best_supported_rsa_hash().await.map_err(failed)?.flatten();
            let key = PrivateKeyWithHashAlg::new(key, hash);
            let result = ssh.authenticate_publickey(user, key).await.map_err(failed)?;
            if accepted(result, &mut offers) {
                return Ok(());
            }
            tried.push("key-path");
        }
        if tried.is_empty() {
            let result = ssh.authenticate_none(user).await.map_err(failed)?;
            if accepted(result, &mut offers) {
                return Ok(());
            }
        }
        Err(self.refused(&tried, &offers))
    }

    fn refused(&self, tried: &[&str], offers: &[&str]) -> StorageError {
        let (address, user) = (&self.address, &self.options.user);
        let tried = match tried {
            [] => "neither `password` nor `key-path` is set".to_owned(),
            tried => format!("tried {}", tried.join(" and ")),
        };
        let offers = if offers.is_empty() { String::new() } else { format!(", it takes {}", offers.join(", ")) };
        let message = format!("{address}: the server does not let user `{user}` in ({tried}{offers})");
        StorageError::new(ErrorKind::UNAUTHENTICATED, message)
    }
}

/// Whether a login succeeded; if not, what the server would take.
fn accepted(result: AuthResult, offers: &mut Vec<&'static str>) -> bool {
    match result {
        AuthResult::Success => true,
        AuthResult::Failure { remaining_methods, .. } => {
            *offers = remaining_methods.iter().map(|method: &MethodKind| method.into()).collect();
            false
        }
    }
}
