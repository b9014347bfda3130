//! What commands print on stdout: text, tables and JSON, in the reference's shape.

use std::io::{self, Write};

use litestream_core::clock::UnixMillis;
use serde::Serialize;

/// Prints text as it is.
///
/// # Errors
/// Whatever stdout says, except that nobody reads any more: `litestream-rs ltx ... | head` is no failure.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints a value as JSON, indented by two spaces.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Lines up cells under a header: columns padded to the widest cell and two spaces, the last one not padded.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| -> String {
        let padded = cells.iter().zip(widths).take(N - 1).map(|(cell, width)| format!("{cell:width$}  "));
        padded.chain([cells[N - 1].to_owned(), "\n".to_owned()]).collect()
    };
    let body = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(header)).chain(body).collect()
}

/// A size for people, with powers of 1000: `567 B`, `16 kB`, `1.2 MB`.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let exponent = bytes.ilog(1000) as usize;
    let unit = UNITS[exponent];
    // To tenths first, then, from 10 on, to whole numbers: 16,512 bytes are 16.5 and show as "16 kB" (half to even).
    let value = bytes as f64 / 1000f64.powi(exponent as i32);
    let tenths = (value * 10.0 + 0.5).floor() / 10.0;
    if tenths < 10.0 { format!("{tenths:.1} {unit}") } else { format!("{tenths:.0} {unit}") }
}

/// How long ago, in the largest unit that fits: `3s`, `12m`, `5h`, `9d`.
pub fn human_age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{}s", seconds.max(0)),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time in UTC to the second: `2026-11-22T09:24:52Z`.
pub fn utc_seconds(millis: UnixMillis) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as RFC 3339 has it, to the second. Text that is no time stays as it is.
pub fn without_fraction(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(|_| time.to_owned(), |time| utc_seconds(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_the_reference_prints_them() {
        // Left: github.com/dustin/go-humanize, which the reference uses.
        for (expected, bytes) in [
            ("0 B", 0),
            ("9 B", 9),
            ("10 B", 10),
            ("999 B", 999),
            ("1.0 kB", 1000),
            ("9.9 kB", 9_949),
            ("10 kB", 9_950),
            ("16 kB", 16_512),
            ("4.2 MB", 4_152_000),
            ("67 MB", 67_108_864),
            ("18 EB", u64::MAX),
        ] {
            assert_eq!(human_size(bytes), expected);
        }
    }

    #[test]
    fn tables_pad_every_column_but_the_last() {
        let rows = [["/w/a.db".to_owned(), "file".to_owned()], ["/w/longer.db".to_owned(), "s3".to_owned()]];
        assert_eq!(table(["path", "replica"], &rows), "path          replica\n/w/a.db       file\n/w/longer.db  s3\n");
        assert_eq!(table(["path", "replica"], &[]), "path  replica\n");
    }
}
