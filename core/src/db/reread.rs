//! Looking at every page: a full file, or a file of the pages that differ from what we last wrote.
//!
//! The answer to every doubt. Reads one published commit under the read lock, straight into a local file; never uploads
//! while the lock is held, and never needs the whole database in memory.

use super::Db;
use super::error::{DbError, DbErrorKind, Result};
use super::image::Image;
use super::l0::{self, L0Writer};
use super::page_checksums::{self, Builder, Remembered};
use super::phase::{self, Phase};
use super::position::{L0Id, WalPosition};
use super::report::{Content, Reason, SyncReport};
use super::rules::{self, Step};
use super::wal_index::IndexHeader;
use crate::ltx::{Pgno, page_checksum};

/// How many restarts of the WAL during one look are too many.
const MAX_TRIES: u32 = 10;

/// Which pages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of them.
    Full,
    /// Those that differ, if the checksums are remembered; else all.
    Difference,
}

impl Db {
    /// Writes the database as it is now, from whatever state before. What waited in memory is contained in it.
    pub(super) fn reread(&mut self, extent: Extent, reason: Reason, report: &mut SyncReport) -> Result<()> {
        phase::enter(Phase::WriteLtxFromDb);
        self.attached_mut().pending = None;
        self.drop_older_history()?;
        for _ in 0..MAX_TRIES {
            let header = self.attached().header()?;
            rules::passed(Step::Looking);
            if self.reread_at(&header, extent, reason, report)? {
                return Ok(());
            }
        }
        Err(DbError::new(DbErrorKind::Busy, "read database", &self.files.path))
    }

    /// False if the WAL was restarted meanwhile.
    fn reread_at(
        &mut self,
        header: &IndexHeader,
        extent: Extent,
        reason: Reason,
        report: &mut SyncReport,
    ) -> Result<bool> {
        let attachment = self.attached();
        let page_size = attachment.page_size;
        let Some(image) = attachment.image(header)? else { return Ok(false) };
        if image.commit() == 0 {
            return Err(DbError::new(DbErrorKind::NotADatabase, "read database", &self.files.path));
        }
        let wal = WalPosition::start_of(header.salt)..header.wal_position();
        let ltx_header = l0::header(page_size, image.commit(), self.next_txid(), wal);
        let mut remembered = self.remembered(extent);
        let mut builder = self.start_checksums(&image);
        let mut writer = L0Writer::create(&self.meta, &self.owner()?, &ltx_header)?;
        let written = copy_pages(&image, &self.files.path, &mut remembered, &mut builder, &mut writer);
        let restarted = !header.is_folded() && attachment.header()?.salt != header.salt;
        drop(image);
        if restarted {
            return Ok(false);
        }
        written?;
        let content = if remembered.is_some() { Content::Difference(reason) } else { Content::Full(reason) };
        let same_size = remembered.is_some_and(|remembered| remembered.commit() == ltx_header.commit);
        if writer.pages() == 0 && same_size {
            // Nothing differs: the newest file already says it all, only the place in the WAL is another one.
            drop(writer);
            return self.found_equal(header.wal_position(), ltx_header.commit).map(|()| true);
        }
        let l0 = self.publish(writer, &ltx_header, header.wal_position(), content, report)?;
        match builder {
            Some(builder) => self.finish_checksums(builder, l0, ltx_header.commit),
            None => self.bring_checksums_forward(l0, false),
        }
        self.attached_mut().owed = None;
        Ok(true)
    }

    /// The position moves without a new file.
    fn found_equal(&mut self, wal: WalPosition, commit: u32) -> Result<()> {
        self.attached_mut().owed = None;
        self.set_position(wal, commit);
        self.save_position()
    }

    fn remembered(&self, extent: Extent) -> Option<Remembered> {
        let newest = self.newest.filter(|_| extent == Extent::Difference)?;
        page_checksums::load(&self.meta, newest, self.attached().page_size)
    }

    /// New checksums, unless the database is too large for them. Failing here only costs a full file some day.
    fn start_checksums(&self, image: &Image<'_>) -> Option<Builder> {
        let page_size = self.attached().page_size;
        let bytes = u64::from(image.commit()) * u64::from(page_size.get());
        if bytes > self.settings.page_checksum_limit_bytes {
            page_checksums::remove(&self.meta);
            return None;
        }
        Builder::create(&self.meta, &self.owner().ok()?, page_size).ok()
    }

    fn finish_checksums(&mut self, builder: Builder, l0: L0Id, commit: u32) {
        self.remembered = Some(l0);
        if let Err(error) = builder.publish(l0, commit) {
            tracing::debug!(db = %self.files.path.display(), %error, "page checksums were not kept");
            page_checksums::remove(&self.meta);
        }
    }
}

/// Writes the pages that are wanted, and the checksums of all.
fn copy_pages(
    image: &Image<'_>,
    path: &std::path::Path,
    remembered: &mut Option<Remembered>,
    builder: &mut Option<Builder>,
    writer: &mut L0Writer,
) -> Result<()> {
    image.for_each_page(path, |pgno: Pgno, page| {
        let mut is_known = false;
        if remembered.is_some() || builder.is_some() {
            let checksum = page_checksum(pgno, page);
            let known = |remembered: &mut Remembered| remembered.get(pgno).ok().flatten() == Some(checksum);
            is_known = remembered.as_mut().is_some_and(known);
            if builder.as_mut().is_some_and(|builder| builder.push(pgno, checksum).is_err()) {
                *builder = None;
            }
        }
        if is_known { Ok(()) } else { writer.put(pgno, page) }
    })
}
