//! Shell completions and the manual page, made from the same tables as usage and parser: they cannot know less.

pub mod bash;
pub mod fish;
pub mod man;
pub mod zsh;

use crate::args::{Flag, Kind};

/// The first line of a flag's help, without its full stop.
fn summary(flag: &Flag) -> &str {
    flag.help.lines().next().unwrap_or_default().trim_end_matches('.')
}

/// What to offer as the value of a flag.
enum Offer {
    /// It takes none.
    Nothing,
    /// One of these.
    Words(&'static [&'static str]),
    /// Names of files.
    Files,
    /// Something that cannot be guessed.
    Unknown,
}

impl Offer {
    fn of(flag: &Flag) -> Offer {
        match flag.kind {
            Kind::Switch => Offer::Nothing,
            Kind::Choice(words) => Offer::Words(words),
            Kind::Path => Offer::Files,
            // The configuration and the socket are texts because they may begin with `~`.
            Kind::Text if flag.value_name == "PATH" => Offer::Files,
            Kind::LevelOrAll => Offer::Words(&["all", "0", "1", "2", "3", "9"]),
            Kind::Text | Kind::Integer | Kind::Duration | Kind::Txid => Offer::Unknown,
        }
    }
}

/// The words a user can type first, each once, with a summary; of a group the first word stands for all.
fn first_words(commands: &[&crate::args::Command]) -> Vec<(&'static str, String)> {
    let mut words: Vec<(&str, String)> = Vec::new();
    for command in commands {
        match command.name.split_once(' ') {
            None => words.push((command.name, command.summary.to_owned())),
            Some((group, _)) if words.iter().any(|(word, _)| *word == group) => {}
            Some((group, _)) => {
                let all: Vec<&str> = second_words(commands, group);
                words.push((group, all.join(", ")));
            }
        }
    }
    words
}

/// The words that may follow the first word of a group.
fn second_words(commands: &[&crate::args::Command], group: &str) -> Vec<&'static str> {
    commands
        .iter()
        .filter_map(|c| c.name.split_once(' ').filter(|(first, _)| *first == group))
        .map(|(_, w)| w)
        .collect()
}

/// The groups.
fn groups(commands: &[&crate::args::Command]) -> Vec<&'static str> {
    let mut groups: Vec<&str> = commands.iter().filter_map(|c| Some(c.name.split_once(' ')?.0)).collect();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests;
