//! The connection: login, encryption, and how it comes back after a cut. The client reconnects by itself, as often as the
//! options say; [`Connection::has_ended`] knows when it has given up.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::ConnectOptions;
use litestream_sdk::{Context, ErrorKind, Result, StorageError};

use crate::config::NatsOptions;
use crate::error;

/// A client, and whether it still works.
pub(crate) struct Connection {
    pub client: async_nats::Client,
    /// Held by the task of the client's connection.
    alive: Weak<()>,
}

impl Connection {
    /// Whether the client has given up after too many tries. It never works again then.
    pub fn has_ended(&self) -> bool {
        self.alive.strong_count() == 0
    }
}

/// Connects to the server of the options.
///
/// # Errors
/// UNAUTHENTICATED for a refused login, or credentials that cannot be read; TRANSIENT if nobody answers.
pub(crate) async fn connect(options: &NatsOptions, context: &Context) -> Result<Connection> {
    let connect = encryption(login(options, context).await?, options);
    let wait = options.reconnect_wait;
    let held = Arc::new(());
    let alive = Arc::downgrade(&held);
    let connect = connect
        .name("litestream-rs")
        // No event says that the client gives up; but then it lets go of this.
        .event_callback(move |_| {
            let _held = &held;
            std::future::ready(())
        })
        .connection_timeout(options.timeout)
        .request_timeout(Some(options.timeout))
        .max_reconnects(usize::try_from(options.max_reconnects).ok())
        // The first try of all counts, too, and is made at once.
        .reconnect_delay_callback(move |attempt| if attempt <= 1 { Duration::ZERO } else { wait });
    let servers: Vec<String> = options.server.split(',').map(|server| format!("nats://{}", server.trim())).collect();
    let connected = connect.connect(servers).await;
    let client = connected.map_err(|failed| error::connecting(&options.server, &failed))?;
    Ok(Connection { client, alive })
}

/// In the reference's order: token and key, their file, key, name and password, token.
async fn login(options: &NatsOptions, context: &Context) -> Result<ConnectOptions> {
    let connect = ConnectOptions::new();
    let unusable = |what: &str, why: &dyn std::fmt::Display| {
        StorageError::new(ErrorKind::UNAUTHENTICATED, format!("{what} is not usable: {why}"))
    };
    if let (Some(jwt), Some(seed)) = (&options.jwt, &options.seed) {
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            jwt.expose().trim(),
            seed.expose().trim(),
        );
        return connect.credentials(&credentials).map_err(|_| unusable("`jwt` with `seed`", &"no such key"));
    }
    if let Some(file) = &options.creds {
        let file = options.expand(file);
        let text = read(context, &file).await.map_err(|error| unusable(&format!("creds {file}"), &error))?;
        return connect.credentials(&text).map_err(|_| unusable(&format!("creds {file}"), &"no token and key in it"));
    }
    if let Some(nkey) = &options.nkey {
        let file = options.expand(nkey.expose());
        // A key has no slash in it.
        let seed = if file.contains('/') {
            read(context, &file).await.map_err(|error| unusable("the file of `nkey`", &error))?
        } else {
            file
        };
        return Ok(connect.nkey(seed.trim().to_owned()));
    }
    if let Some(name) = &options.username {
        let password = options.password.as_ref().map(|password| password.expose().to_owned());
        return Ok(connect.user_and_password(name.clone(), password.unwrap_or_default()));
    }
    Ok(match &options.token {
        Some(token) => connect.token(token.expose().to_owned()),
        None => connect,
    })
}

async fn read(context: &Context, file: &str) -> Result<String> {
    let file = file.to_owned();
    context.blocking(move || Ok(std::fs::read_to_string(file)?)).await
}

fn encryption(connect: ConnectOptions, options: &NatsOptions) -> ConnectOptions {
    let mut connect = connect.require_tls(options.tls);
    for file in &options.root_cas {
        connect = connect.add_root_certificates(PathBuf::from(options.expand(file)));
    }
    match (&options.client_cert, &options.client_key) {
        (Some(cert), Some(key)) => {
            connect.add_client_certificate(options.expand(cert).into(), options.expand(key).into())
        }
        _ => connect,
    }
}
