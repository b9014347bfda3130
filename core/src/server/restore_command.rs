//! The command that restores a database of this daemon, made so that it works as it stands in any shell of this machine: it
//! names the daemon's own configuration and plugins where they are not at their usual places.

use std::path::Path;

use crate::config;
use crate::ltx::Txid;

use super::registrations::Registrations;

/// What commands need to find what this daemon replicates. The default: everything is at its usual place.
#[derive(Clone, Default)]
pub struct RestoreCommand {
    /// Flags that lead to its configuration, ready words: `-config`, `/srv/litestream.yml`.
    pub config_flags: Vec<String>,
    /// Flags that lead to its plugins.
    pub plugin_flags: Vec<String>,
    /// The replica of the database on the daemon's command line, which no configuration knows. May hold secrets.
    pub replica_url: Option<String>,
    /// What was registered at run time, which no configuration knows either.
    pub registrations: Option<Registrations>,
}

/// A line for a person to copy.
pub(super) struct Line {
    pub(super) text: String,
    /// Something of the replica's URL is left out, because it may be secret.
    pub(super) without_secrets: bool,
}

impl RestoreCommand {
    /// Restores the state after a transaction beside the database as it is.
    pub(super) fn line(&self, database: &Path, txid: Txid) -> Line {
        let output = format!("{}.restored", database.display());
        let registered = self.registrations.as_ref().and_then(|registrations| registrations.replica_url(database));
        let url = registered.or_else(|| self.replica_url.clone());
        let shown = url.as_ref().and_then(|url| config::replica_from_url(url).ok()?.display_url());
        let without_secrets = shown.is_some() && shown != url;
        // A URL needs no configuration, and the two together are refused.
        let config_flags = if shown.is_some() { &[][..] } else { &self.config_flags };
        let source = shown.unwrap_or_else(|| database.display().to_string());
        let txid = txid.to_string();
        let words = ["litestream-rs", "restore"].into_iter().chain(config_flags.iter().map(String::as_str));
        let words = words.chain(self.plugin_flags.iter().map(String::as_str));
        let words = words.chain(["-txid", txid.as_str(), "-o", output.as_str(), source.as_str()]);
        Line { text: words.map(shell_word).collect::<Vec<_>>().join(" "), without_secrets }
    }
}

/// A word of a command line, as a shell reads it back.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> RestoreCommand {
        let flags = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        RestoreCommand {
            config_flags: flags(["-config", "/srv/my config.yml"]),
            plugin_flags: flags(["-plugin-dir", "/opt/p"]),
            replica_url: None,
            registrations: None,
        }
    }

    #[test]
    fn a_database_of_the_configuration_is_named_with_where_that_is() {
        let line = command().line(Path::new("/d/it's.db"), Txid(3));
        let expected = "litestream-rs restore -config '/srv/my config.yml' -plugin-dir /opt/p -txid 0000000000000003 \
                        -o '/d/it'\\''s.db.restored' '/d/it'\\''s.db'";
        assert_eq!(line.text, expected);
        assert!(!line.without_secrets);
    }

    #[tokio::test]
    async fn what_no_configuration_knows_is_named_by_its_replica_without_secrets() {
        let state = tempfile::tempdir().unwrap();
        let registrations = Registrations::load(state.path(), Path::new("/run/s.sock"));
        registrations.add("/d/b.db".into(), "sftp://me:secret@host/b".into()).await;
        let replica_url = Some("file:///r/a".to_owned());
        let command = RestoreCommand { replica_url, registrations: Some(registrations), ..command() };
        let line = |path: &str| {
            let line = command.line(Path::new(path), Txid(1));
            (line.text.rsplit(' ').next().unwrap().to_owned(), line.without_secrets, line.text.contains("-config"))
        };
        assert_eq!(line("/d/a.db"), ("file:///r/a".to_owned(), false, false));
        assert_eq!(line("/d/b.db"), ("sftp://host/b".to_owned(), true, false));
    }

    #[test]
    fn a_shell_reads_every_word_back_as_it_was() {
        assert_eq!(shell_word("/a/b.db"), "/a/b.db");
        assert_eq!(shell_word("/a b/$(rm)'s.db"), r"'/a b/$(rm)'\''s.db'");
        assert_eq!(shell_word(""), "''");
    }
}
