//! What a run found, for people and for programs.

use crate::error::Result;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The promise is kept.
    Ok,
    /// It could not be judged; why.
    Skip(String),
    /// It is broken; what was seen.
    Fail(String),
}

/// One check's result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckResult {
    /// `W1`.
    pub id: &'static str,
    /// What a store promises.
    pub promise: &'static str,
    /// What happens to a user where it is broken.
    pub meaning: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl CheckResult {
    /// One JSON object: `id`, `promise`, `outcome` (`ok`, `skip`, `fail`), `ms`; `reason` unless ok; `meaning` of a failure.
    pub fn to_json(&self) -> String {
        let (outcome, reason) = match &self.outcome {
            Outcome::Ok => ("ok", None),
            Outcome::Skip(reason) => ("skip", Some(reason)),
            Outcome::Fail(reason) => ("fail", Some(reason)),
        };
        let mut object = json!({ "id": self.id, "promise": self.promise, "outcome": outcome, "ms": self.ms() });
        if let Some(reason) = reason {
            object["reason"] = reason.as_str().into();
        }
        if matches!(self.outcome, Outcome::Fail(_)) {
            object["meaning"] = self.meaning.into();
        }
        object.to_string()
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, promise, meaning, outcome, .. } = self;
        let ms = self.ms();
        match outcome {
            Outcome::Ok => write!(f, "  {id:<3} ok   {ms:>7} ms  {promise}"),
            Outcome::Skip(reason) => write!(f, "  {id:<3} skip {ms:>7} ms  {promise}  ({reason})"),
            Outcome::Fail(reason) => {
                write!(f, "  {id:<3} FAIL {ms:>7} ms  {promise}\n        seen:  {reason}\n        means: {meaning}")
            }
        }
    }
}

/// A whole run. Its `Display` is the report for people.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// In the order of the list.
    pub results: Vec<CheckResult>,
    /// How many objects were removed at the end, or why some may be left.
    pub removed: Result<u64>,
}

impl Report {
    /// Whether no check failed.
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|result| matches!(result.outcome, Outcome::Fail(_)))
    }
}

impl Report {
    /// The last line: how many ended how, and what was cleaned up.
    pub fn summary(&self) -> String {
        let failed = self.failed().count();
        let skipped = self.results.iter().filter(|result| matches!(result.outcome, Outcome::Skip(_))).count();
        let ok = self.results.len() - failed - skipped;
        let cleaned = match &self.removed {
            Ok(objects) => format!("removed {objects} objects"),
            Err(error) => format!("objects may be left behind: {error}"),
        };
        format!("{ok} ok, {failed} failed, {skipped} skipped; {cleaned}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.results.iter().try_for_each(|result| writeln!(f, "{result}"))?;
        f.write_str(&self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_read_the_same() {
        let result =
            |id, outcome| CheckResult { id, promise: "p", meaning: "m", outcome, took: Duration::from_millis(7) };
        let results = vec![
            result("W1", Outcome::Ok),
            result("W10", Outcome::Skip("not claimed: IF_ABSENT".into())),
            result("L5", Outcome::Fail("1000 of 1100 listed".into())),
        ];
        assert_eq!(
            results[2].to_json(),
            r#"{"id":"L5","promise":"p","outcome":"fail","ms":7,"reason":"1000 of 1100 listed","meaning":"m"}"#
        );
        let report = Report { results, removed: Ok(3) };
        let expected = "  W1  ok         7 ms  p\n  W10 skip       7 ms  p  (not claimed: IF_ABSENT)\n  \
            L5  FAIL       7 ms  p\n        seen:  1000 of 1100 listed\n        means: m\n1 ok, 1 failed, 1 skipped; removed 3 objects";
        assert_eq!(report.to_string(), expected);
        assert!(!report.is_ok());
    }
}
