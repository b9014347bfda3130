//! Checks of flag values, with the words of Go's `flag` package and of the reference's own flag types.

use std::ffi::OsStr;

use litestream_core::config::GoDuration;
use litestream_core::ltx::{Level, Txid};

use super::{Flag, Kind};
use crate::go_quote::quote;

/// What stands behind `invalid value "..." for flag -x: `.
const PARSE_ERROR: &str = "parse error";

/// `Ok` with the state if Go's `strconv.ParseBool` would take the text.
pub fn parse_switch(flag: &Flag, text: &OsStr) -> Result<bool, String> {
    match text.to_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        _ => Err(format!("invalid boolean value {} for -{}: {PARSE_ERROR}", quote(text.as_encoded_bytes()), flag.name)),
    }
}

/// Checks a value against its flag; the error is the whole message.
pub fn check(flag: &Flag, value: &OsStr) -> Result<(), String> {
    check_kind(flag.kind, value).map_err(|reason| {
        format!("invalid value {} for flag -{}: {reason}", quote(value.as_encoded_bytes()), flag.name)
    })
}

fn check_kind(kind: Kind, value: &OsStr) -> Result<(), String> {
    if kind == Kind::Path {
        return Ok(());
    }
    let text = value.to_str().ok_or("not valid UTF-8")?;
    match kind {
        Kind::Switch | Kind::Text | Kind::Choice(_) | Kind::Path => Ok(()),
        Kind::Integer => text.parse::<i64>().map(drop).map_err(|_| PARSE_ERROR.to_owned()),
        Kind::Duration => text.parse::<GoDuration>().map(drop).map_err(|_| PARSE_ERROR.to_owned()),
        Kind::Txid => text.parse::<Txid>().map(drop).map_err(|_| "invalid txid format".to_owned()),
        Kind::LevelOrAll => parse_level(text).map(drop),
    }
}

/// `None` for `all`.
pub fn parse_level(text: &str) -> Result<Option<Level>, String> {
    if text == "all" {
        return Ok(None);
    }
    let number: i64 = text.parse().map_err(|_| "invalid level: must be 0-9 or \"all\"".to_owned())?;
    let level = u8::try_from(number).ok().and_then(Level::new);
    level.map(Some).ok_or_else(|| "level must be between 0 and 9".to_owned())
}
