//! What the code made by [`options!`](crate::options!) calls: one key at a time, problems collected.

use super::{OptionSpec, OptionType, Problem, Values};

/// A key of type `T`: given, else default, else absent. `None` if a problem was added.
pub fn take<T: OptionType>(values: &Values, spec: &OptionSpec, problems: &mut Vec<Problem>) -> Option<T> {
    let option = &spec.described;
    let (value, origin) = match (values.get(&option.name), &option.default) {
        (Some(given), _) => (&given.value, given.origin.as_str()),
        (None, Some(default)) => (default, "default"),
        (None, None) => {
            let absent = T::absent();
            if absent.is_none() {
                problems.push(Problem::new(&option.name, "required"));
            }
            return absent;
        }
    };
    match T::from_value(value) {
        Ok(value) => Some(value),
        Err(reason) => {
            let message = if T::SECRET { "not usable".to_owned() } else { reason };
            problems.push(Problem::new(&option.name, message).with_origin(origin));
            None
        }
    }
}

/// A problem for each key that nobody declared.
pub fn refuse_unknown(values: &Values, specs: &[OptionSpec], problems: &mut Vec<Problem>) {
    for (key, given) in values.iter().filter(|(key, _)| specs.iter().all(|spec| spec.described.name != *key)) {
        let visible = specs.iter().map(|spec| &spec.described).filter(|option| !option.hidden);
        let message = format!("unknown key{}", nearest(key, visible.map(|option| &option.name)));
        problems.push(Problem::new(key, message).with_origin(given.origin.clone()));
    }
}

/// A suggestion, if one of `names` is close: ``; did you mean `path`?``.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a String>) -> String {
    let best = names.map(|name| (strsim::damerau_levenshtein(written, name), name)).min();
    match best {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}
