//! `$NAME` and `${NAME}` in the text of a configuration file, before it is parsed, by the rules of Go's `os.Expand`.
//!
//! There is no escape: a secret that holds `$` needs `-no-expand-env`. Variables that are not set become nothing.

/// The text after expansion, and which line of the file each of its lines comes from.
pub(super) struct Expanded {
    pub(super) text: String,
    source_lines: Vec<u32>,
}

impl Expanded {
    /// Takes a text as it is.
    pub(super) fn verbatim(text: String) -> Expanded {
        Expanded { text, source_lines: Vec::new() }
    }

    /// The line of the file that line `line` of the text comes from; they differ below a value of several lines.
    pub(super) fn source_line(&self, line: u32) -> u32 {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.source_lines.get(index).copied().unwrap_or(line)
    }
}

/// Fills in variables; `lookup` gives their values.
pub(super) fn expand(source: &str, lookup: impl Fn(&str) -> Option<String>) -> Expanded {
    let mut out = Writer { text: String::with_capacity(source.len()), line: 1, source_lines: vec![1] };
    let mut rest = source;
    while let Some(dollar) = rest.find('$') {
        let (before, after) = (&rest[..dollar], &rest[dollar + 1..]);
        out.copy(before);
        let reference = read_reference(after);
        match reference {
            Reference::None => out.copy("$"),
            Reference::Malformed(width) => out.skip(&after[..width]),
            Reference::Name { name, width } => {
                out.skip(&after[..width]);
                out.insert(&lookup(name).unwrap_or_default());
            }
        }
        rest = &after[reference.width()..];
    }
    out.copy(rest);
    Expanded { text: out.text, source_lines: out.source_lines }
}

/// What stands behind a `$`; widths in bytes.
enum Reference<'a> {
    /// No name: the `$` stays.
    None,
    /// `${` without an end, or `${}`: removed.
    Malformed(usize),
    Name {
        name: &'a str,
        width: usize,
    },
}

impl Reference<'_> {
    fn width(&self) -> usize {
        match self {
            Reference::None => 0,
            Reference::Malformed(width) | Reference::Name { width, .. } => *width,
        }
    }
}

fn read_reference(text: &str) -> Reference<'_> {
    let bytes = text.as_bytes();
    match bytes {
        [b'{', special, b'}', ..] if is_special(*special) => Reference::Name { name: &text[1..2], width: 3 },
        [b'{', ..] => match text.find('}') {
            None => Reference::Malformed(1),
            Some(1) => Reference::Malformed(2),
            Some(end) => Reference::Name { name: &text[1..end], width: end + 1 },
        },
        [special, ..] if is_special(*special) => Reference::Name { name: &text[..1], width: 1 },
        _ => match bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count() {
            0 => Reference::None,
            width => Reference::Name { name: &text[..width], width },
        },
    }
}

/// The shell's own variables, one character each.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9')
}

struct Writer {
    text: String,
    /// The line of the source that is being read.
    line: u32,
    source_lines: Vec<u32>,
}

impl Writer {
    fn copy(&mut self, source: &str) {
        for _ in 0..newlines(source) {
            self.line += 1;
            self.source_lines.push(self.line);
        }
        self.text.push_str(source);
    }

    fn skip(&mut self, source: &str) {
        self.line += newlines(source);
    }

    fn insert(&mut self, value: &str) {
        self.source_lines.extend((0..newlines(value)).map(|_| self.line));
        self.text.push_str(value);
    }
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expanded(source: &str) -> String {
        let lookup = |name: &str| match name {
            "A" => Some("alpha".to_owned()),
            "A_1" => Some("one".to_owned()),
            "PID" => Some("42".to_owned()),
            _ => None,
        };
        expand(source, lookup).text
    }

    /// Each was run through the reference.
    #[test]
    fn follows_the_reference_to_the_letter() {
        for (source, text) in [
            ("$A/${A}", "alpha/alpha"),
            ("$A_1 $A-1 $PID", "one alpha-1 42"),
            ("[$UNSET][${UNSET}]", "[][]"),
            ("x$$y$5z$", "xyz$"),
            ("$$x$5y$.z", "xy$.z"),
            ("a${}b", "ab"),
            ("a${A", "aA"),
            ("${", ""),
            ("a${5}b${*}c${55}d${HO ME}e${A}", "abcdealpha"),
            ("a$é$\"", "a$é$\""),
            ("${A b", "A b"),
        ] {
            assert_eq!(expanded(source), text, "{source}");
        }
    }

    #[test]
    fn lines_are_those_of_the_file_also_below_a_value_of_several_lines() {
        let expanded = expand("a\n$KEY\nb ${X\n}c\nd", |name| (name == "KEY").then(|| "1\n2\n3".to_owned()));
        assert_eq!(expanded.text, "a\n1\n2\n3\nb c\nd");
        let lines: Vec<u32> = (1..=6).map(|line| expanded.source_line(line)).collect();
        assert_eq!(lines, [1, 2, 2, 2, 3, 5]);
        assert_eq!(Expanded::verbatim("a\nb".into()).source_line(2), 2);
    }

    proptest! {
        #[test]
        fn no_text_panics(source in "[${}a-c0é\\n*]{0,40}") {
            let expanded = expand(&source, |_| Some("x\n".to_owned()));
            prop_assert!(expanded.source_line(u32::MAX) >= 1);
        }
    }
}
