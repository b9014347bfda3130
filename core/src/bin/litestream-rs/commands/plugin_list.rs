//! `plugin list`: which storage plugins are there, what they serve, and why some are not used.

use std::sync::Arc;

use litestream_core::config::Environment;
use litestream_core::plugin::{LoadedPlugin, PluginFile, Record, Refusal};
use litestream_sdk::describe::OptionDescription;
use serde_json::{Value, json};

use super::JSON;
use crate::args::{Args, Command, Example, Flag};
use crate::exit_code::Exit;
use crate::setup::{self, PLUGIN_DIR};
use crate::{commands, output};

const VERBOSE: Flag = Flag::switch("v", "Load each plugin and show the keys it understands.");

/// `plugin list [-v] [-json]`.
pub const COMMAND: Command = Command {
    name: "plugin list",
    deprecated_alias: None,
    summary: "list storage plugins and the replica types they serve",
    about: "The plugin list command lists the storage plugins that can be used.\n\
            \n\
            Plugins are recognised by their file names (liblitestream_plugin_NAME.so) and\n\
            checked without being loaded.",
    synopsis: &["[arguments]"],
    flags: &[&PLUGIN_DIR, &VERBOSE, &JSON],
    notes: "",
    examples: &[
        Example { what: "Which replica types can be used", line: "plugin list" },
        Example {
            what: "The keys of each, from a directory of one's own",
            line: "plugin list -v -plugin-dir ./plugins",
        },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    commands::no_positionals(args)?;
    let registry = setup::plugins(args, None, &Environment::of_process());
    let load = |file: &PluginFile| args.switch(&VERBOSE).then(|| registry.load(file));
    if args.switch(&JSON) {
        let plugins: Vec<Value> = registry.files().iter().map(|file| as_json(file, load(file))).collect();
        output::print_json(&plugins)?;
        return Ok(Exit::Success);
    }
    let usable = registry.files().iter().filter_map(|file| Some((file, file.record.as_ref().ok()?)));
    let rows: Vec<_> = usable.clone().map(|(file, record)| row(file, record)).collect();
    output::print(&output::table(["name", "version", "sdk", "types", "file"], &rows))?;
    for (file, record) in usable {
        match load(file) {
            Some(Ok(plugin)) => output::print(&keys_of(record, &plugin))?,
            Some(Err(refusal)) => eprintln!("\nNot used: {refusal}"),
            None => {}
        }
    }
    for refusal in registry.files().iter().filter_map(|file| file.record.as_ref().err()) {
        eprintln!("\nNot used: {refusal}");
    }
    if rows.is_empty() {
        eprintln!("\nNo plugin was found in:");
        registry.searched().iter().for_each(|dir| eprintln!("  {}", dir.display()));
    }
    Ok(Exit::Success)
}

fn row(file: &PluginFile, record: &Record) -> [String; 5] {
    [
        record.name.clone(),
        record.version.clone(),
        record.sdk.clone(),
        record.claims().join(", "),
        file.path.display().to_string(),
    ]
}

fn keys_of(record: &Record, plugin: &LoadedPlugin) -> String {
    let rows: Vec<_> = shown(plugin)
        .map(|option| {
            [option.name.clone(), option.type_name.clone(), default_of(option), option.help.replace('\n', " ")]
        })
        .collect();
    format!(
        "\nKeys of a replica of type {}:\n{}",
        record.replica_type(),
        output::table(["key", "type", "default", "meaning"], &rows)
    )
}

fn shown(plugin: &LoadedPlugin) -> impl Iterator<Item = &OptionDescription> {
    plugin.description().options.iter().filter(|option| !option.hidden)
}

fn default_of(option: &OptionDescription) -> String {
    match &option.default {
        _ if option.required => "required".to_owned(),
        None => String::new(),
        Some(Value::String(text)) if text.is_empty() => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn as_json(file: &PluginFile, loaded: Option<Result<Arc<LoadedPlugin>, Refusal>>) -> Value {
    let path = file.path.display().to_string();
    let (record, refusal) = match (&file.record, loaded) {
        (Err(refusal), _) => return json!({ "path": path, "problem": refusal.what(), "remedy": refusal.remedy() }),
        (Ok(record), Some(Err(refusal))) => (record, Some(refusal)),
        (Ok(record), Some(Ok(plugin))) => {
            let options: Vec<_> = shown(&plugin).collect();
            return merged(record, &path, &json!({ "options": options }));
        }
        (Ok(record), None) => (record, None),
    };
    let problem = refusal.map_or_else(|| json!({}), |r| json!({ "problem": r.what(), "remedy": r.remedy() }));
    merged(record, &path, &problem)
}

fn merged(record: &Record, path: &str, more: &Value) -> Value {
    let mut object = json!({
        "name": record.name, "version": record.version, "abi": record.abi, "sdk": record.sdk,
        "schemes": record.schemes, "layouts": record.layouts, "path": path,
    });
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
    object
}
