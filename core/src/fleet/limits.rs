//! How many databases this process can keep attached: the configured ceiling, capped by what the system allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of one attached database: file, WAL and shared memory, and two more while its read mark moves.
const PER_DATABASE: u64 = 5;

/// Descriptors that are kept for everything else: connections to stores, local files under way, sockets, logs.
const RESERVED: u64 = 512;

/// Raises this process's limit of open files to what it may have, and gives how many databases may be attached:
/// `wanted`, or fewer if the limit does not allow that. At least `least`, the number of workers.
pub fn open_databases(wanted: usize, least: usize) -> usize {
    let allowed = ceiling(raise_open_files());
    let granted = wanted.min(allowed).max(least);
    if granted < wanted {
        tracing::debug!(wanted, granted, "max-open-databases is more than the limit of open files allows");
    }
    granted
}

fn ceiling(open_files: u64) -> usize {
    // A small limit is split in half, rather than leaving nothing.
    let for_databases = open_files.saturating_sub(RESERVED).max(open_files / 2);
    usize::try_from(for_databases / PER_DATABASE).unwrap_or(usize::MAX)
}

fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_left_for_everything_else() {
        assert_eq!(ceiling(1024), 102);
        assert_eq!(ceiling(20_000), (20_000 - 512) / 5);
        assert_eq!(ceiling(64), 6);
        assert!(ceiling(u64::MAX) > 1_000_000);
    }

    #[test]
    fn the_configured_number_is_a_ceiling_and_the_workers_are_a_floor() {
        assert_eq!(open_databases(10, 4), 10);
        assert_eq!(open_databases(0, 4), 4);
    }
}
