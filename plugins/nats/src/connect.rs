//! The connection: login, encryption, and how it comes back after a cut. The client reconnects by itself.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::ConnectOptions;
use litestream_sdk::{Context, ErrorKind, Result, StorageError};

use crate::config::NatsOptions;
use crate::error;

/// Connects to the server of the options.
///
/// # Errors
/// UNAUTHENTICATED for a refused login, or credentials that cannot be read; TRANSIENT if nobody answers.
pub(crate) async fn connect(options: &NatsOptions, context: &Context) -> Result<async_nats::Client> {
    let connect = encryption(login(options, context).await?, options);
    let wait = options.reconnect_wait;
    let connect = connect
        .name("litestream-rs")
        .connection_timeout(options.timeout)
        .request_timeout(Some(options.timeout))
        .max_reconnects(usize::try_from(options.max_reconnects).ok())
        // The first try of all counts, too, and is made at once.
        .reconnect_delay_callback(move |attempt| if attempt <= 1 { Duration::ZERO } else { wait });
    let servers: Vec<String> = options.server.split(',').map(|server| format!("nats://{}", server.trim())).collect();
    connect.connect(servers).await.map_err(|failed| error::connecting(&options.server, &failed))
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
