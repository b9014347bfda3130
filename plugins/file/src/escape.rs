//! How Go writes a path into a URL, byte for byte: the reference puts that text on disk when a file replica is
//! configured by `url`, and we must find and write the same names.

use std::fmt::Write as _;

/// The bytes that Go leaves alone in a path, beside letters and digits.
const PLAIN: &[u8] = b"-_.~$&+,/:;=@";
/// More bytes that are legal in a URL and stay when the user wrote them so himself.
const LEGAL: &[u8] = b"!'()*[]";

/// Everything but letters, digits and `-_.~$&+,/:;=@` becomes `%XX`.
pub(crate) fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes everything");
        }
    }
    text
}

/// The text on disk for a URL path that names one place: as it was written if every byte of it is legal, else escaped.
pub(crate) fn as_written(raw: &str) -> String {
    let legal =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'%' || PLAIN.contains(&byte) || LEGAL.contains(&byte);
    if raw.bytes().all(legal) { raw.to_owned() } else { escape(&unescape(raw)) }
}

/// The bytes that a URL path stands for.
pub(crate) fn unescape(raw: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(raw).collect()
}

/// The first `%` that two hex digits do not follow, with what follows it.
pub(crate) fn bad_escape(raw: &str) -> Option<&str> {
    raw.match_indices('%').map(|(at, _)| &raw[at..]).find_map(|rest| {
        let digits = rest.as_bytes().get(1..3);
        let good = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        (!good).then(|| rest.char_indices().nth(3).map_or(rest, |(end, _)| &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that Litestream 0.5.17 was seen to write.
    #[test]
    fn escapes_as_the_reference_does() {
        for (name, on_disk) in [
            ("re p!u", "re%20p%21u"),
            ("e!f (1).db", "e%21f%20%281%29.db"),
            ("[x].db", "%5Bx%5D.db"),
            ("q'z.db", "q%27z.db"),
            ("k;l,m.db", "k;l,m.db"),
            ("v$w&x=y@z+.db", "v$w&x=y@z+.db"),
            ("c%d.db", "c%25d.db"),
            ("ü.db", "%C3%BC.db"),
            ("a/b:c~", "a/b:c~"),
        ] {
            assert_eq!(escape(name.as_bytes()), on_disk);
        }
        assert_eq!(escape(b"\xff\x01"), "%FF%01");
    }

    #[test]
    fn a_legal_text_stays_as_it_was_written() {
        assert_eq!(as_written("/x/z!z/u(1)"), "/x/z!z/u(1)");
        assert_eq!(as_written("/x/%41%20b"), "/x/%41%20b");
        assert_eq!(as_written("/x/z!z/a b"), "/x/z%21z/a%20b", "one illegal byte, and all is escaped");
        assert_eq!(as_written("/x/a%20b c"), "/x/a%20b%20c");
    }

    #[test]
    fn broken_escapes_are_found() {
        assert_eq!(bad_escape("/a%20b"), None);
        for (raw, bad) in [("/a%2", "%2"), ("/a%zzy", "%zz"), ("%", "%"), ("/%25%üa", "%üa")] {
            assert_eq!(bad_escape(raw), Some(bad), "{raw}");
        }
    }
}
