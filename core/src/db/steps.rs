//! The engine one step at a time, so that a test can put an application's step between any two of its own.
//!
//! The words are those of the line protocol of the schedule tester. Every step calls what [`Db::sync`] and [`Db::detach`]
//! are made of; only the order is the tester's.

use super::Db;
use super::copy::Copied;
use super::error::{DbError, DbErrorKind, Result};
use super::report::SyncReport;

impl Db {
    /// Does one step. An error of any but `lock` and `hold` leaves the database detached.
    #[doc(hidden)]
    pub fn step(&mut self, name: &str) -> Result<String> {
        let mut report = SyncReport::default();
        let may_be_refused = matches!(name, "lock" | "hold");
        self.take_step(name, &mut report).inspect_err(|_| {
            if !may_be_refused {
                self.abandon();
            }
        })
    }

    fn take_step(&mut self, name: &str, report: &mut SyncReport) -> Result<String> {
        let busy = || DbError::new(DbErrorKind::Busy, "test step", &self.files.path);
        match name {
            "open" => {
                let judged = self.open_and_judge(report)?;
                self.judged = Some(judged);
                return Ok(format!("{:?}", judged.0));
            }
            "attach" => {
                let (verdict, header) = match self.judged.take() {
                    Some(judged) => judged,
                    None => self.open_and_judge(report)?,
                };
                self.follow(verdict, &header, report)?;
                self.copy_and_write(report)?;
                return Ok(format!("{verdict:?} {:?}", contents(report)));
            }
            "sync" | "copy" => self.copy_and_write(report)?,
            "hold" => self.attached_mut().second = Some(self.second_reader()?.ok_or_else(busy)?),
            "lock" => {
                self.attached_mut().second = Some(self.second_writer(std::time::Duration::ZERO)?.ok_or_else(busy)?)
            }
            "unread" => self.unread(),
            "passive" => self.checkpoint_passive(report),
            "read" => self.attached_mut().begin_read()?,
            "unlock" | "release" => {
                self.note_rest()?;
                self.release();
            }
            "detach" => {
                self.detach_steps(report)?;
                self.abandon();
            }
            _ => return Err(DbError::new(DbErrorKind::Io, "test step", &self.files.path).because("unknown step")),
        }
        Ok(format!("{:?}", contents(report)))
    }

    fn copy_and_write(&mut self, report: &mut SyncReport) -> Result<()> {
        while self.copy(report)? == Copied::Limited {}
        self.flush(report)
    }
}

fn contents(report: &SyncReport) -> Vec<super::Content> {
    report.files.iter().map(|file| file.content).collect()
}
