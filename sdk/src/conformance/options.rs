//! O1: what a user sees of a wrong configuration.

use super::catalogue::Verdict;
use super::kit::Kit;
use super::subject::Configure;
use super::{broken, ensure};
use crate::describe::{ConfigureAnswer, ConfigureRequest, Given, OptionDescription};
use crate::error::Result;

const CANARY: &str = "canary-9f31c0de";

pub(super) async fn problems(kit: &Kit) -> Result<Verdict> {
    let Some((description, accepted, configure)) = &kit.subject.configure else {
        return Err(broken("no configure at hand"));
    };
    all_at_once(accepted, &**configure)?;
    defaults_are_usable(&description.options)?;
    let secrets = description.options.iter().filter(|option| option.secret);
    for option in secrets {
        let given = accepted.clone().with_value(&option.name, CANARY, "check");
        let shown = match configure(&given) {
            ConfigureAnswer::Refused { problems } => format!("{problems:?}"),
            ConfigureAnswer::Accepted(mut configured) => {
                configured.pool = Default::default(); // the only place where a secret may be
                serde_json::to_string(&configured).unwrap_or_default()
            }
        };
        ensure!(!shown.contains(CANARY), "the secret {} is shown in an answer", option.name);
        let unusable = accepted.clone().with_value(&option.name, serde_json::json!({ CANARY: 1 }), "check");
        let ConfigureAnswer::Refused { problems } = configure(&unusable) else {
            return Err(broken(format!("a table was accepted as the secret {}", option.name)));
        };
        ensure!(!format!("{problems:?}").contains(CANARY), "the secret {} is shown in a problem", option.name);
    }
    Ok(Verdict::Kept)
}

fn all_at_once(accepted: &ConfigureRequest, configure: &Configure) -> Result<()> {
    let wrong: Vec<String> = (1..=5).map(|number| format!("no-such-key-{number}")).collect();
    let mut request = accepted.clone();
    for (line, key) in wrong.iter().enumerate() {
        request.values.insert(key.clone(), Given::new("x", format!("check:{line}")));
    }
    let ConfigureAnswer::Refused { problems } = configure(&request) else {
        return Err(broken("five keys that nobody declared were accepted"));
    };
    for (line, key) in wrong.iter().enumerate() {
        let named = problems.iter().any(|p| p.key == *key && p.origin == format!("check:{line}"));
        ensure!(named, "of five wrong keys {key} is not named with its place: {problems:?}");
    }
    Ok(())
}

/// A default is written by hand in the declaration; a wrong one would refuse every configuration.
fn defaults_are_usable(options: &[OptionDescription]) -> Result<()> {
    for option in options {
        ensure!(!(option.required && option.default.is_some()), "{} is required and has a default", option.name);
        ensure!(!(option.location && option.global), "{} says where databases go and is global", option.name);
        ensure!(!(option.secret && option.default.is_some()), "the secret {} has a default", option.name);
    }
    Ok(())
}
