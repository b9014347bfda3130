//! Go's `filepath.Match` over the bytes of one file name.
//!
//! ```text
//! *        any bytes but '/'         ?        one character but '/'
//! [a-z]    one character of these    [^a-z]   one of the others
//! \x       x itself                  x        x
//! ```
//!
//! Go works on bytes where it skips for a star, and on UTF-8 characters where `?` and classes consume; an invalid
//! byte is one character with the value U+FFFD. Both are kept, so that each pattern takes exactly the same files.

/// A compiled pattern: pieces of fixed shape, each optionally after a star.
#[derive(Clone)]
pub(super) struct NamePattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, Default)]
struct Piece {
    after_star: bool,
    items: Vec<Item>,
}

#[derive(Clone)]
enum Item {
    Byte(u8),
    AnyCharacter,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl NamePattern {
    /// `None` where Go reports `syntax error in pattern`.
    pub(super) fn parse(mut pattern: &[u8]) -> Option<NamePattern> {
        let mut pieces = vec![Piece::default()];
        while let Some((&first, rest)) = pattern.split_first() {
            pattern = rest;
            let item = match first {
                b'*' => {
                    pieces.push(Piece { after_star: true, items: Vec::new() });
                    continue;
                }
                b'?' => Item::AnyCharacter,
                b'[' => parse_class(&mut pattern)?,
                b'\\' => {
                    let (&literal, rest) = pattern.split_first()?;
                    pattern = rest;
                    Item::Byte(literal)
                }
                literal => Item::Byte(literal),
            };
            pieces.last_mut()?.items.push(item);
        }
        // Several stars in a row are one, and the empty piece before a leading star says nothing.
        let last = pieces.len() - 1;
        let mut index = 0;
        pieces.retain(|piece| {
            index += 1;
            !piece.items.is_empty() || (index - 1 == last && piece.after_star)
        });
        Some(NamePattern { pieces })
    }

    pub(super) fn matches(&self, mut name: &[u8]) -> bool {
        for (index, piece) in self.pieces.iter().enumerate() {
            let is_last = index + 1 == self.pieces.len();
            if piece.after_star && piece.items.is_empty() {
                return !name.contains(&b'/');
            }
            let fits = |rest: &[u8]| !is_last || rest.is_empty();
            let here = piece.consume(name).filter(|rest| fits(rest));
            let rest = here.or_else(|| {
                let skippable = name.iter().take_while(|&&byte| byte != b'/').count();
                let reach = if piece.after_star { skippable } else { 0 };
                (1..=reach).find_map(|skip| piece.consume(&name[skip..]).filter(|rest| fits(rest)))
            });
            match rest {
                Some(rest) => name = rest,
                None => return false,
            }
        }
        name.is_empty()
    }
}

impl Piece {
    /// What is left of `name` after this piece, if it stands at the beginning.
    fn consume<'n>(&self, mut name: &'n [u8]) -> Option<&'n [u8]> {
        for item in &self.items {
            name = match item {
                Item::Byte(byte) => name.strip_prefix(std::slice::from_ref(byte))?,
                Item::AnyCharacter => {
                    let (_, width) = first_character(name).filter(|(character, _)| *character != '/')?;
                    &name[width..]
                }
                Item::Class { negated, ranges } => {
                    let (character, width) = first_character(name)?;
                    let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    if inside == *negated {
                        return None;
                    }
                    &name[width..]
                }
            };
        }
        Some(name)
    }
}

/// Reads a class behind its `[`.
fn parse_class(pattern: &mut &[u8]) -> Option<Item> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        *pattern = &pattern[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && pattern.first() == Some(&b']') {
            *pattern = &pattern[1..];
            return Some(Item::Class { negated, ranges });
        }
        let low = parse_class_character(pattern)?;
        let mut high = low;
        if pattern.first() == Some(&b'-') {
            *pattern = &pattern[1..];
            high = parse_class_character(pattern)?;
        }
        ranges.push((low, high));
    }
}

/// Reads one end of a range; something must follow it, at least the closing bracket.
fn parse_class_character(pattern: &mut &[u8]) -> Option<char> {
    if matches!(pattern.first(), None | Some(b'-' | b']')) {
        return None;
    }
    if pattern.first() == Some(&b'\\') {
        *pattern = &pattern[1..];
    }
    let (character, width) = first_character(pattern)?;
    if character == char::REPLACEMENT_CHARACTER && width == 1 {
        return None;
    }
    *pattern = &pattern[width..];
    (!pattern.is_empty()).then_some(character)
}

/// The first UTF-8 character and its width; an invalid byte is U+FFFD of width 1, as in Go.
fn first_character(bytes: &[u8]) -> Option<(char, usize)> {
    bytes.first()?;
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(character) => Some((character, character.len_utf8())),
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: pattern, name (both in hex), and what Go answers: `1`, `0`, or `E` for a pattern that is an error.
    const GO_ANSWERS: &str = include_str!("testdata/go-filepath-match.txt");

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn takes_exactly_the_names_that_go_takes() {
        let mut compared = 0;
        for line in GO_ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split(' ');
            let (pattern, name) = (from_hex(fields.next().unwrap()), from_hex(fields.next().unwrap()));
            let answer = fields.next().unwrap();
            let ours = match NamePattern::parse(&pattern) {
                None => "E",
                Some(parsed) if parsed.matches(&name) => "1",
                Some(_) => "0",
            };
            let shown = (String::from_utf8_lossy(&pattern), String::from_utf8_lossy(&name));
            assert_eq!(ours, answer, "pattern and name: {shown:?}, in hex: {line}");
            compared += 1;
        }
        assert!(compared > 5_000, "the table is cut: {compared} lines");
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = NamePattern::parse(b"*a*a*a*a*a*a*a*a*a*a*b").unwrap();
        assert!(!pattern.matches(&[b'a'; 255]));
    }
}
