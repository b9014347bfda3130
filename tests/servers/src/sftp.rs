//! SFTP: Debian's OpenSSH with a key, or with a password of root's (it takes only those of real users), and rclone with
//! any user and password.
//!
//! All keep their files below `DIR/files`, and their host key is `DIR/host_key.pub`.

use std::fs;
use std::io::{Read, Write, stderr};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Server, find};

/// OpenSSH, which logs in the current user with the key `DIR/user_key`. Paths are those of the machine.
pub fn openssh() -> Option<Server> {
    let (sshd, keygen) = (find("sshd")?, find("ssh-keygen")?);
    let prepare = |dir: &Path, port: u16| {
        configure(&sshd, &keygen, dir, port, "PasswordAuthentication no");
        let mut command = Command::new(&sshd);
        command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config"));
        command
    };
    Some(Server::start(prepare, greets))
}

/// OpenSSH, which lets root in with this password, or with the key `DIR/user_key`. Only root can start it: it sees a
/// file of passwords of its own where the machine has `/etc/shadow`.
///
/// # Panics
/// With `CI=true`, if this is another user: there all tests run.
pub fn openssh_with_password(password: &str) -> Option<Server> {
    let (sshd, keygen, unshare, openssl) = (find("sshd")?, find("ssh-keygen")?, find("unshare")?, find("openssl")?);
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        let help = "OpenSSH with a password can be started by root alone";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{help}");
        let _ = writeln!(stderr(), "\nSKIPPED: {help}");
        return None;
    }
    let hash = Command::new(openssl).args(["passwd", "-6", password]).output().expect("openssl runs").stdout;
    let hash = String::from_utf8(hash).expect("the form of crypt(3)");
    let prepare = |dir: &Path, port: u16| {
        configure(&sshd, &keygen, dir, port, "PasswordAuthentication yes");
        let shadow = dir.join("shadow");
        fs::write(&shadow, format!("root:{}:19000:0:99999:7:::\n", hash.trim())).expect("a file in a fresh directory");
        let mut command = Command::new(&unshare);
        command.args(["--mount", "sh", "-c", r#"mount --bind "$1" /etc/shadow && exec "$2" -D -e -f "$3""#, "sh"]);
        command.arg(shadow).arg(&sshd).arg(dir.join("sshd_config"));
        command
    };
    Some(Server::start(prepare, greets))
}

/// Makes the keys and the configuration of an OpenSSH server.
fn configure(sshd: &Path, keygen: &Path, dir: &Path, port: u16, passwords: &str) {
    // The server wants it for its privilege separation; only root can make it, and only root's server needs it.
    let _ = fs::create_dir_all("/run/sshd");
    prepare_dir(keygen, dir, &["host_key", "user_key"]);
    let at = |name: &str| dir.join(name).display().to_string();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
         PidFile none\nPermitRootLogin yes\n{passwords}\nMaxSessions 64\nMaxStartups 200\n\
         PerSourcePenalties no\nSubsystem sftp internal-sftp\n",
        at("host_key"),
        at("user_key.pub"),
    );
    fs::write(dir.join("sshd_config"), supported(&config, sshd)).expect("a file in a fresh directory");
}

/// rclone's SFTP server with a user and a password. Paths begin at `DIR/files`.
pub fn rclone_sftp(user: &str, password: &str) -> Option<Server> {
    let (rclone, keygen) = (find("rclone")?, find("ssh-keygen")?);
    let prepare = |dir: &Path, port: u16| {
        prepare_dir(&keygen, dir, &["host_key"]);
        let mut command = Command::new(&rclone);
        command.args(["serve", "sftp"]).arg(dir.join("files")).arg("--addr").arg(format!("127.0.0.1:{port}"));
        command.arg("--config").arg(dir.join("none")).arg("--key").arg(dir.join("host_key"));
        command.args(["--user", user, "--pass", password]);
        command
    };
    Some(Server::start(prepare, greets))
}

fn prepare_dir(keygen: &Path, dir: &Path, keys: &[&str]) {
    fs::create_dir_all(dir.join("files")).expect("a directory in a fresh one");
    for key in keys {
        let made = Command::new(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
        assert!(made.is_ok_and(|status| status.success()), "ssh-keygen failed");
    }
}

/// Since 9.8 a server punishes addresses whose logins fail, as some tests' do; before, it does not know the word.
fn supported(config: &str, sshd: &Path) -> String {
    let knows = Command::new(sshd).args(["-T", "-o", "PerSourcePenalties=no"]).output();
    let knows = knows.is_ok_and(|output| !String::from_utf8_lossy(&output.stderr).contains("Bad configuration option"));
    let fits = |line: &&str| knows || !line.starts_with("PerSourcePenalties");
    config.lines().filter(fits).map(|line| format!("{line}\n")).collect()
}

fn greets(server: &Server) -> bool {
    let Ok(mut stream) = TcpStream::connect(server.address()) else { return false };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(10))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}
