//! The parser: Go's `flag.FlagSet.Parse`, over a command's table.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{Args, Command, Flag, Kind, value};

/// Why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub enum ParseError {
    /// `-h` was among the arguments: print usage and succeed.
    HelpWanted,
    /// An argument is wrong.
    Invalid {
        /// What to print, in the words of Go's `flag` package.
        message: String,
        /// The known flag that was probably meant.
        did_you_mean: Option<&'static str>,
    },
}

/// Reads the arguments that follow a command's name.
///
/// A plea for help is heard wherever it stands, also behind the positional arguments, where the reference takes it for one more.
pub fn parse(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> Result<Args, ParseError> {
    let mut rest = arguments.into_iter();
    let mut args = Args::default();
    while let Some(argument) = rest.next() {
        let Some(word) = flag_word(&argument) else {
            args.positionals.push(argument);
            break;
        };
        if word.is_empty() {
            break;
        }
        if let [b'-' | b'=', ..] = word {
            return Err(invalid(format!("bad flag syntax: {}", argument.to_string_lossy())));
        }
        let (name, attached) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]))),
            None => (word, None),
        };
        let flag = find(command, name)?;
        let value = if flag.kind == Kind::Switch {
            let state = attached.map_or(Ok(true), |text| value::parse_switch(flag, text)).map_err(invalid)?;
            OsString::from(if state { "true" } else { "false" })
        } else {
            let following = || rest.next().ok_or_else(|| invalid(format!("flag needs an argument: -{}", flag.name)));
            let value = attached.map_or_else(following, |text| Ok(text.to_owned()))?;
            value::check(flag, &value).map_err(invalid)?;
            value
        };
        args.values.push((flag.name, value));
    }
    args.positionals.extend(rest);
    if args.positionals.iter().any(|argument| flag_word(argument).is_some_and(is_help)) {
        return Err(ParseError::HelpWanted);
    }
    Ok(args)
}

/// What follows the one or two dashes; empty for `--`, `None` if the argument is no flag. A lone `-` is none.
fn flag_word(argument: &OsStr) -> Option<&[u8]> {
    let bytes = argument.as_bytes();
    let one = bytes.strip_prefix(b"-").filter(|rest| !rest.is_empty())?;
    Some(one.strip_prefix(b"-").unwrap_or(one))
}

fn is_help(name: &[u8]) -> bool {
    matches!(name, b"h" | b"help")
}

fn find(command: &Command, name: &[u8]) -> Result<&'static Flag, ParseError> {
    if let Some(flag) = command.flags.iter().find(|flag| flag.name.as_bytes() == name) {
        return Ok(flag);
    }
    if is_help(name) {
        return Err(ParseError::HelpWanted);
    }
    let typed = OsString::from_vec(name.to_vec()).to_string_lossy().into_owned();
    Err(ParseError::Invalid {
        message: format!("flag provided but not defined: -{typed}"),
        did_you_mean: nearest(&typed, command.flags.iter().map(|flag| flag.name)),
    })
}

fn invalid(message: String) -> ParseError {
    ParseError::Invalid { message, did_you_mean: None }
}

/// The known word that a typo probably stands for.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, two words have too little in common for one to be a slip of the other.
    const LIKENESS_MIN: f64 = 0.75;
    known
        .map(|word| (strsim::normalized_damerau_levenshtein(typed, word), word))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
