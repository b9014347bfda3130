//! Azure blobs: Azurite.

use std::process::Command;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Server, find, http};

/// Account of the Azure server, which is the same everywhere.
pub const AZURITE_ACCOUNT: &str = "devstoreaccount1";
/// Its published key.
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite's blob service with empty containers of these names. Its endpoint is `http://ADDRESS/devstoreaccount1`.
pub fn azurite(containers: &[&str]) -> Option<Server> {
    let azurite = find("azurite-blob")?;
    let prepare = |dir: &std::path::Path, port: u16| {
        let mut command = Command::new(&azurite);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location"]).arg(dir);
        command.args(["--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
        command
    };
    Some(Server::start(prepare, |server| containers.iter().all(|name| make(server.port(), name))))
}

/// Creates a container, signed with the account's key.
fn make(port: u16, container: &str) -> bool {
    const VERSION: &str = "2021-08-06";
    let date = httpdate::fmt_http_date(SystemTime::now());
    let path = format!("/{AZURITE_ACCOUNT}/{container}");
    // The lines in between are headers that this request does not have.
    let text = format!(
        "PUT{}x-ms-date:{date}\nx-ms-version:{VERSION}\n/{AZURITE_ACCOUNT}{path}\nrestype:container",
        "\n".repeat(12)
    );
    let key = STANDARD.decode(AZURITE_KEY).expect("the published key is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length fits");
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let signature = format!("SharedKey {AZURITE_ACCOUNT}:{signature}");
    let headers = [("x-ms-date", date.as_str()), ("x-ms-version", VERSION), ("Authorization", &signature)];
    let status = http::status(port, "PUT", &format!("{path}?restype=container"), &headers, b"");
    matches!(status, Some(201 | 409)) // 409: there since the attempt before
}
