//! Damage: a few small changes to an input, or a piece of another one in it.

/// Changes made to one input, at most.
const CHANGES: usize = 6;

/// Longest input that is made.
const MAX_LEN: usize = 256 << 10;

/// Numbers at which things break.
const NUMBERS: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// One damaged copy.
pub fn mutate(random: &mut fastrand::Rng, start: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = start.to_vec();
    for _ in 0..random.usize(1..=CHANGES) {
        change(random, &mut bytes, other, words);
    }
    bytes.truncate(MAX_LEN);
    bytes
}

fn change(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = random.usize(..=bytes.len());
    let len = random.usize(..=(bytes.len() - at).min(64));
    match random.u8(..9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + len)),
        4 => {
            let copy = bytes[at..at + len].to_vec();
            let to = random.usize(..=bytes.len());
            drop(bytes.splice(to..to, copy));
        }
        5 => {
            let from = random.usize(..=other.len());
            let piece = &other[from..from + random.usize(..=(other.len() - from).min(256))];
            drop(bytes.splice(at..at + len, piece.iter().copied()));
        }
        6 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())].to_be_bytes();
            let number = &number[8 - (1 << random.usize(..4))..];
            let end = (at + number.len()).min(bytes.len());
            drop(bytes.splice(at..end, number.iter().copied()));
        }
        7 if !words.is_empty() => {
            let word = words[random.usize(..words.len())].bytes();
            drop(bytes.splice(at..at + len, word));
        }
        _ => {
            let noise: Vec<u8> = (0..random.usize(..8)).map(|_| random.u8(..)).collect();
            drop(bytes.splice(at..at, noise));
        }
    }
}
