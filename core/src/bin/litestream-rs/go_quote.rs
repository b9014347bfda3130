//! Go's `strconv.Quote`: the reference quotes flag values and log values this way, and people grep for the result.

use std::fmt::Write;

/// The bytes as a Go string literal. Bytes that are not UTF-8 become `\xNN`.
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_char(&mut quoted, c));
        for byte in chunk.invalid() {
            push_hex(&mut quoted, *byte);
        }
    }
    quoted.push('"');
    quoted
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space.
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // The standard library keeps its table of printable characters private. It shows through the escaping of a string, where,
    // unlike in that of a single character, a combining mark after a letter stays as it is.
    let mut pair = String::from("a");
    pair.push(c);
    !c.is_whitespace() && pair.escape_debug().nth(1) == Some(c)
}

fn push_char(quoted: &mut String, c: char) {
    match c {
        '"' | '\\' => quoted.extend(['\\', c]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        c if is_print(c) => quoted.push(c),
        c if u32::from(c) < 0x80 => push_hex(quoted, c as u8),
        c if u32::from(c) < 0x1_0000 => push_formatted(quoted, format_args!("\\u{:04x}", u32::from(c))),
        c => push_formatted(quoted, format_args!("\\U{:08x}", u32::from(c))),
    }
}

fn push_hex(quoted: &mut String, byte: u8) {
    push_formatted(quoted, format_args!("\\x{byte:02x}"));
}

fn push_formatted(quoted: &mut String, text: std::fmt::Arguments<'_>) {
    quoted.write_fmt(text).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        // Left: what Go 1.25 prints with %q.
        for (expected, bytes) in [
            (r#""""#, &b""[..]),
            (r#""a b""#, b"a b"),
            (r#""say \"x\" \\ y""#, br#"say "x" \ y"#),
            (r#""\a\b\f\n\r\t\v\x00\x7f""#, b"\x07\x08\x0c\n\r\t\x0b\x00\x7f"),
            (r#""ü€""#, "ü€".as_bytes()),
            (r#""e\u0301""#.replace("\\u0301", "\u{301}").as_str(), "e\u{301}".as_bytes()),
            (r#""\u00a0\u200b\ufeff""#, "\u{a0}\u{200b}\u{feff}".as_bytes()),
            (r#""😀\U000e0001""#, "😀\u{e0001}".as_bytes()),
            (r#""a\xff\xc3z""#, b"a\xff\xc3z"),
        ] {
            assert_eq!(quote(bytes), expected);
        }
    }
}
