//! Lines recorded from the reference (0.5.17) and from Go's slog, against ours.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use tracing::{debug, error, info, info_span, trace};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines_of(format: LogFormat, events: impl FnOnce()) -> Vec<String> {
    let captured = Captured::default();
    let mut layer = LogLayer::new(format, false, false, Box::new(captured.clone()));
    layer.zone = TimeZone::get("Europe/Berlin").unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The line without its time, which is checked for its shape.
fn after_time(line: &str, prefix: &str, time_len: usize) -> String {
    let rest = line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line} does not begin with {prefix}"));
    rest[time_len..].to_owned()
}

fn text_lines(events: impl FnOnce()) -> Vec<String> {
    let lines = lines_of(LogFormat::Text, events);
    lines.iter().map(|line| after_time(line, "time=", "2026-11-23T16:52:50.777+01:00 ".len())).collect()
}

#[test]
fn text_lines_equal_the_references() {
    let lines = text_lines(|| {
        info!(version = "0.5.17", level = "", "litestream");
        info!(dir = "/w/dbs", count = 3, watch = true, "found databases in directory");
        info!(system = "store", level = 9, interval = ?Duration::from_hours(24), "starting compaction monitor");
        info!(r#type = "file", "sync-interval" = ?Duration::from_secs(1), path = "/w/rep/c d.db", "replicating to");
        debug!(txid.replica = "0000000000000001", txid.db = "0000000000000001", "replica sync");
        trace!("sync: skip");
    });
    let expected = [
        r#"level=INFO msg=litestream version=0.5.17 level="""#,
        r#"level=INFO msg="found databases in directory" dir=/w/dbs count=3 watch=true"#,
        r#"level=INFO msg="starting compaction monitor" system=store level=9 interval=24h0m0s"#,
        r#"level=INFO msg="replicating to" type=file sync-interval=1s path="/w/rep/c d.db""#,
        r#"level=DEBUG msg="replica sync" txid.replica=0000000000000001 txid.db=0000000000000001"#,
        r#"level=TRACE msg="sync: skip""#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn text_values_are_quoted_by_slogs_rule() {
    let lines = text_lines(|| {
        info!(
            a = "",
            b = "x=y",
            c = r"back\slash",
            d = r#"q"q"#,
            e = "ü",
            f = "\u{a0}",
            g = "tab\t",
            h = 1.5,
            i = true,
            p = -3,
            q = "{x}",
            r = "'",
            new = "a\nb",
            "",
        );
    });
    let expected =
        r#"level=INFO msg="" a="" b="x=y" c=back\slash d="q\"q" e=ü f="\u00a0" g="tab\t" h=1.5 i=true p=-3 "#;
    assert_eq!(lines, [format!(r#"{expected}q={{x}} r=' new="a\nb""#)]);
}

#[test]
fn times_carry_milliseconds_and_the_local_offset() {
    let line = lines_of(LogFormat::Text, || info!("x")).remove(0);
    let time = line.strip_prefix("time=").unwrap().split(' ').next().unwrap();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(shape == "0000-00-00T00:00:00.000+00:00", "{time}");
    assert!(time.ends_with("+01:00") || time.ends_with("+02:00"), "{time}");
}

#[test]
fn json_nests_groups_and_counts_nanoseconds() {
    let lines = lines_of(LogFormat::Json, || {
        info!(interval = ?Duration::from_mins(5), level = 2, "starting compaction monitor");
        info!(db = "a.db", txid.min = "1", txid.max = "4", size = 578_u64, "compaction complete");
        info!(r#type = "q\"q", "x");
    });
    let after: Vec<_> =
        lines.iter().map(|line| line.split_once(r#"+01:00","#).or(line.split_once(r#"+02:00","#)).unwrap().1).collect();
    let expected = [
        r#""level":"INFO","msg":"starting compaction monitor","interval":300000000000,"level":2}"#,
        r#""level":"INFO","msg":"compaction complete","db":"a.db","txid":{"min":"1","max":"4"},"size":578}"#,
        r#""level":"INFO","msg":"x","type":"q\"q"}"#,
    ];
    assert_eq!(after, expected);
}

#[test]
fn pretty_lines_equal_the_references() {
    let lines = lines_of(LogFormat::Pretty, || {
        info!(dir = "/w/dbs", count = 3, "found databases in directory");
        trace!(db = "c d.db", "sync: skip");
        error!(error = "no such file: a", "sync error");
        info!("a\x1b[31mb");
    });
    let after: Vec<_> = lines.iter().map(|line| &line["16:52:56 ".len()..]).collect();
    let expected = [
        "INF found databases in directory dir=/w/dbs count=3",
        r#"TRACE sync: skip db="c d.db""#,
        r#"ERR sync error error="no such file: a""#,
        r#"INF "a\x1b[31mb""#,
    ];
    assert_eq!(after, expected);
}

#[test]
fn fields_of_spans_come_first() {
    let lines = text_lines(|| {
        let _outer = info_span!("store", system = "store").entered();
        let _inner = info_span!("db", db = "a.db").entered();
        info!(size = 1, "snapshot complete");
    });
    assert_eq!(lines, [r#"level=INFO msg="snapshot complete" system=store db=a.db size=1"#]);
}

#[test]
fn the_source_is_shown_on_request() {
    let captured = Captured::default();
    let layer = LogLayer::new(LogFormat::Text, true, false, Box::new(captured.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || info!("x"));
    let line = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(line.contains(" level=INFO source=bin/litestream-rs/logging/tests.rs:"), "{line}");
    assert!(line.ends_with(" msg=x\n"), "{line}");
}

#[test]
fn texts_that_look_like_durations_stay_texts() {
    let lines = text_lines(|| {
        info!(a = %"90s", b = ?"90s", c = ?Duration::from_secs(90), d = ?Duration::from_micros(1500), e = ?Duration::from_nanos(1), "x");
    });
    assert_eq!(lines, [r#"level=INFO msg=x a=90s b="\"90s\"" c=1m30s d=1.5ms e=1ns"#]);
}

#[test]
fn a_line_about_a_database_has_its_name_and_its_path() {
    let lines = text_lines(|| {
        info!(target: "litestream_core::fleet::start", path = "/t/a.db", "initialized db");
        info!(target: "litestream_core::db", db = "b.db", path = "/t/b.db", "sync");
        info!(target: "litestream_core::fleet::start", db = "a.db", r#type = "file", path = "/r/a", "replicating to");
        info!(target: "litestream_core::server", path = "/run/x.sock", "control socket listening");
    });
    let expected = [
        r#"level=INFO msg="initialized db" db=a.db path=/t/a.db"#,
        "level=INFO msg=sync db=b.db path=/t/b.db",
        r#"level=INFO msg="replicating to" db=a.db type=file path=/r/a"#,
        r#"level=INFO msg="control socket listening" path=/run/x.sock"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_error_that_repeats_is_one_line() {
    let lines = text_lines(|| {
        for attempt in [1, 1, 2, 1] {
            error!(attempt, "sync error");
            info!("goes on");
        }
    });
    assert_eq!(lines.iter().filter(|line| line.contains("sync error")).count(), 2, "{lines:?}");
    assert_eq!(lines.len(), 6, "what is no problem is never held back");
}
