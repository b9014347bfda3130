//! What to do with a database that was out of our sight: does its WAL continue our position, is its file untouched, or
//! must every page be looked at? Pure; the caller looks while it holds the read lock, and copies up to the header that was
//! judged, never to a newer one.
//!
//! First match wins:
//!
//! | | seen | verdict | strength |
//! |---|---|---|---|
//! | V0 | no position | full | - |
//! | V1 | another device, inode or birth time | full, next TXID | safe |
//! | | only the device number differs, and the birth time is known | differs | always right |
//! | | another page size | full, next TXID | safe |
//! | V2 | same salts, not zero, at least as many frames, and our last frame still carries our checksum | continues | proof: 64-bit running checksum over the whole generation |
//! | V3 | stamp of the file equals the folded one | folded: this WAL from its first frame, whatever its salts | proof, given honest time stamps |
//! | V4 | anything else | differs | always right |
//!
//! V2 has one exception: if the WAL has nothing new and everything in it was in the database file, then nobody had a
//! reason to change that file. A changed stamp is somebody who overwrote it in place.
//!
//! Never a proof: the first salt counting up by one, the old last frame still lying there, the size of the WAL, the change
//! counter of the database header, times without ctime.

use super::position::Position;
use super::report::Reason;
use super::rules::{self, Rule};
use super::stamp::{Identity, Stamp};
use super::wal_index::IndexHeader;
use crate::ltx::PageSize;
use crate::sqlite::{Salt, WalChecksum};

/// What stands where our position was, seen under the read lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Which file stands at the path.
    pub identity: Identity,
    /// Its stamp.
    pub stamp: Stamp,
    /// Its page size.
    pub page_size: PageSize,
    /// One stable wal-index header.
    pub header: IndexHeader,
    /// Salts and checksum that the WAL holds for the frame our position ends at; `None` if there is no such frame.
    pub frame_at_position: Option<(Salt, WalChecksum)>,
}

/// How to get from the saved position to the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read every page.
    Full(Reason),
    /// Copy the frames after our position.
    Continues,
    /// Copy this WAL from its first frame.
    Folded,
    /// Compare every page with its remembered checksum.
    Differs(Reason),
}

/// The table above.
pub(super) fn judge(position: Option<&Position>, seen: &Seen) -> Verdict {
    let Some(position) = position else { return Verdict::Full(Reason::First) };
    match (position.identity, seen.identity) {
        (ours, theirs) if ours == theirs => {}
        // Device numbers may change when the machine starts; inode and birth time then still agree.
        (ours, theirs) if ours.birth_ns != 0 && (Identity { dev: theirs.dev, ..ours }) == theirs => {
            return Verdict::Differs(Reason::DeviceRenumbered);
        }
        _ => return Verdict::Full(Reason::Replaced),
    }
    if position.page_size != seen.page_size {
        return Verdict::Full(Reason::PageSizeChanged);
    }
    let untouched = position.folded == Some(seen.stamp);
    if continues(position, seen) {
        let nothing_new = seen.header.frames == position.wal.frames;
        if nothing_new && position.folded.is_some() && !untouched {
            return Verdict::Differs(Reason::ChangedInPlace);
        }
        return Verdict::Continues;
    }
    if untouched || rules::is_off(Rule::Folded) || tail_is_believed(position, seen) {
        return Verdict::Folded;
    }
    Verdict::Differs(Reason::WalNotContinued)
}

fn continues(position: &Position, seen: &Seen) -> bool {
    let wal = &position.wal;
    // An empty or missing WAL has salts 0, so they name nothing.
    let named = seen.header.salt != Salt::default() || rules::is_off(Rule::Zero);
    named
        && seen.header.salt == wal.salt
        && seen.header.frames >= wal.frames
        && (wal.frames == 0 || seen.frame_at_position == Some((wal.salt, wal.checksum)))
}

/// The reference's rule, which loses commits: exists only to prove that the tests notice.
fn tail_is_believed(position: &Position, seen: &Seen) -> bool {
    rules::is_off(Rule::Tail)
        && position.wal.frames > 0
        && seen.frame_at_position.is_some_and(|(salt, _)| salt == position.wal.salt)
}

#[cfg(test)]
mod tests {
    use super::super::position::WalPosition;
    use super::*;
    use crate::sqlite::ByteOrder;

    const SALT: Salt = Salt { salt1: 5, salt2: 77 };
    const SUM: WalChecksum = WalChecksum { s0: 8, s1: 9 };
    const STAMP: Stamp = Stamp { dev: 1, ino: 2, size: 4096, mtime_ns: 10, ctime_ns: 11 };
    const IDENTITY: Identity = Identity { dev: 1, ino: 2, birth_ns: 3 };

    fn position() -> Position {
        let wal = WalPosition { salt: SALT, frames: 4, checksum: SUM };
        Position { wal, identity: IDENTITY, folded: None, page_size: PageSize::MIN, commit: 3 }
    }

    fn header(salt: Salt, frames: u32) -> IndexHeader {
        let page_size = Some(PageSize::MIN);
        IndexHeader { salt, frames, checksum: SUM, pages: 3, page_size, order: ByteOrder::NATIVE, backfilled: 0 }
    }

    /// Our frame still in place, nothing new behind it.
    fn seen() -> Seen {
        Seen {
            identity: IDENTITY,
            stamp: STAMP,
            page_size: PageSize::MIN,
            header: header(SALT, 4),
            frame_at_position: Some((SALT, SUM)),
        }
    }

    const DIFFERS: Verdict = Verdict::Differs(Reason::WalNotContinued);

    #[test]
    fn v0_without_a_position_every_page_is_read() {
        assert_eq!(judge(None, &seen()), Verdict::Full(Reason::First));
    }

    #[test]
    fn v1_another_file_is_never_mixed_with_its_predecessor() {
        for identity in [
            Identity { ino: 9, ..IDENTITY },
            Identity { birth_ns: 9, ..IDENTITY },
            Identity { dev: 9, birth_ns: 0, ..IDENTITY },
        ] {
            let seen = Seen { identity, ..seen() };
            let folded = Position { folded: Some(STAMP), ..position() };
            assert_eq!(judge(Some(&folded), &seen), Verdict::Full(Reason::Replaced));
        }
        let seen = Seen { page_size: PageSize::MAX, ..seen() };
        assert_eq!(judge(Some(&position()), &seen), Verdict::Full(Reason::PageSizeChanged));
    }

    #[test]
    fn v1_a_renumbered_device_is_compared_page_by_page_and_not_sent_again() {
        let seen = Seen { identity: Identity { dev: 9, ..IDENTITY }, ..seen() };
        assert_eq!(judge(Some(&position()), &seen), Verdict::Differs(Reason::DeviceRenumbered));
    }

    #[test]
    fn v2_same_generation_with_our_last_frame_in_place_continues() {
        assert_eq!(judge(Some(&position()), &seen()), Verdict::Continues);
        let longer = Seen { header: header(SALT, 9), ..seen() };
        assert_eq!(judge(Some(&position()), &longer), Verdict::Continues);
    }

    #[test]
    fn v2_fails_on_another_salt_fewer_frames_another_checksum_or_a_missing_frame() {
        let other = Salt { salt1: SALT.salt1 + 1, salt2: SALT.salt2 };
        for seen in [
            Seen { header: header(other, 9), ..seen() },
            Seen { header: header(SALT, 3), ..seen() },
            Seen { frame_at_position: Some((SALT, WalChecksum { s0: 8, s1: 10 })), ..seen() },
            Seen { frame_at_position: Some((other, SUM)), ..seen() },
            Seen { frame_at_position: None, ..seen() },
        ] {
            assert_eq!(judge(Some(&position()), &seen), DIFFERS, "{seen:?}");
        }
    }

    #[test]
    fn v2_salt_zero_names_nothing() {
        let zero = Salt::default();
        let wal = WalPosition { salt: zero, frames: 0, checksum: WalChecksum::default() };
        let position = Position { wal, ..position() };
        let seen = Seen { header: header(zero, 0), frame_at_position: None, ..seen() };
        assert_eq!(judge(Some(&position), &seen), DIFFERS);
    }

    #[test]
    fn v2_a_generation_of_which_nothing_was_copied_continues_at_its_first_frame() {
        let wal = WalPosition { salt: SALT, frames: 0, checksum: WalChecksum::default() };
        let position = Position { wal, ..position() };
        let seen = Seen { frame_at_position: None, ..seen() };
        assert_eq!(judge(Some(&position), &seen), Verdict::Continues);
    }

    #[test]
    fn v2_a_file_changed_behind_a_wal_that_had_nothing_left_to_give_was_overwritten() {
        let folded = Position { folded: Some(STAMP), ..position() };
        assert_eq!(judge(Some(&folded), &seen()), Verdict::Continues);
        let touched = Stamp { ctime_ns: 12, ..STAMP };
        let overwritten = Seen { stamp: touched, ..seen() };
        assert_eq!(judge(Some(&folded), &overwritten), Verdict::Differs(Reason::ChangedInPlace));
        let with_news = Seen { header: header(SALT, 5), ..overwritten };
        assert_eq!(judge(Some(&folded), &with_news), Verdict::Continues, "a checkpoint may have changed the file");
    }

    #[test]
    fn v3_an_untouched_file_takes_any_wal_from_its_first_frame() {
        let folded = Position { folded: Some(STAMP), ..position() };
        for salt in [Salt::default(), Salt { salt1: 6, salt2: 1 }, Salt { salt1: 900, salt2: 1 }] {
            let seen = Seen { header: header(salt, 2), frame_at_position: None, ..seen() };
            assert_eq!(judge(Some(&folded), &seen), Verdict::Folded);
        }
    }

    #[test]
    fn v3_needs_all_five_fields_of_the_stamp() {
        for stamp in [Stamp { size: 8192, ..STAMP }, Stamp { mtime_ns: 12, ..STAMP }, Stamp { ctime_ns: 12, ..STAMP }] {
            let folded = Position { folded: Some(STAMP), ..position() };
            let seen = Seen { stamp, header: header(Salt { salt1: 6, salt2: 1 }, 2), ..seen() };
            assert_eq!(judge(Some(&folded), &seen), DIFFERS, "{stamp:?}");
        }
    }

    #[test]
    fn v4_the_references_signs_are_no_proof() {
        // The old last frame is still there and the first salt counts up by one: the reference resumes, and loses the
        // commits that were appended before the restart.
        let next = Salt { salt1: SALT.salt1 + 1, salt2: 3 };
        let seen = Seen { header: header(next, 1), frame_at_position: Some((SALT, SUM)), ..seen() };
        assert_eq!(judge(Some(&position()), &seen), DIFFERS);
    }
}
