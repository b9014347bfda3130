//! Events of one file that never pause. Equal events that nobody has read yet the kernel keeps as one, so a listener that
//! now and then lets them lie hears the same with a fraction of the wake-ups.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Events of the same file one after the other until they are a flood; a few come with every commit.
const MANY: u32 = 32;

/// How long a flood is left lying: well below what a commit takes to its replica.
const PAUSE: Duration = Duration::from_millis(3);

/// Counts events of one file in a row.
#[derive(Debug, Default)]
pub struct Flood {
    of: PathBuf,
    count: u32,
}

impl Flood {
    /// One more event; what to wait for after it was dealt with. Other files' events end a flood at once.
    pub fn heard(&mut self, path: &Path) -> Option<Duration> {
        if self.of != path {
            path.clone_into(&mut self.of);
            self.count = 0;
        }
        self.count += 1;
        if self.count < MANY {
            return None;
        }
        // What lay there meanwhile is an event or two: those are heard before the next pause.
        self.count = MANY - 2;
        Some(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(events: impl IntoIterator<Item = &'static str>) -> usize {
        let mut flood = Flood::default();
        events.into_iter().filter_map(|path| flood.heard(Path::new(path))).count()
    }

    #[test]
    fn one_file_without_a_pause_is_left_lying_and_many_files_are_not() {
        assert_eq!(pauses(["a-wal"; 31]), 0);
        assert!(pauses(["a-wal"; 100]) > 30);
        assert_eq!(pauses(["a-wal", "b-wal"].into_iter().cycle().take(1000)), 0);
    }
}
