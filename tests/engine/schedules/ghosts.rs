//! Ghost commits: an application that is killed, or gets EIO, inside the fsync of a commit. Its frames lie in the WAL, valid and
//! marked as committed, but SQLite never published them. The next writer overwrites them; or, if everybody is gone before
//! that, the next opener recovers them, and then they are a commit like any other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::actors::Rows;
use super::schedule::read;
use crate::application::Application;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Killed,
    Failed,
}

/// The variable that `fsync.c` looks at.
const ORDERS: &str = "LITESTREAM_TEST_FSYNC";

/// The library that obeys orders, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fsync-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/engine/schedules/fsync.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).status();
        assert!(built.expect("a C compiler, which SQLite needs, too").success());
        path
    })
}

/// An application that dies in an fsync when `orders` says so.
pub fn application(orders: &Path) -> Application {
    Application::start_with(&[("LD_PRELOAD".as_ref(), library().as_os_str()), (ORDERS.as_ref(), orders.as_os_str())])
}

/// Gives the order, does the work, and takes the order back.
pub fn under_order<T>(orders: &Path, fate: Fate, work: impl FnOnce() -> T) -> T {
    std::fs::write(orders, if fate == Fate::Killed { "k" } else { "e" }).expect("write orders");
    let result = work();
    std::fs::remove_file(orders).expect("remove orders");
    result
}

/// The rows that SQLite shows to a reader now. Like any opener it recovers what is there, if it is the only one. `None`: somebody
/// is in the way.
pub fn rows_now(path: &Path) -> Option<Rows> {
    let connection = Connection::open(path).ok()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
    read(&connection).ok()
}
