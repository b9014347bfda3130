//! The generated texts know every command and flag, and bash runs its script.

use std::process::Command as Process;

use super::*;
use crate::commands::ALL;

fn scripts() -> [String; 3] {
    [bash::script(ALL), zsh::script(ALL), fish::script(ALL)]
}

#[test]
fn every_flag_of_every_command_is_known_everywhere() {
    for (script, dash) in scripts().iter().zip(["-", "-", "-o "]) {
        for command in ALL {
            assert!(command.name.split(' ').all(|word| script.contains(word)), "{}", command.name);
            for flag in command.flags {
                assert!(script.contains(&format!("{dash}{}", flag.name)), "{} -{}", command.name, flag.name);
            }
        }
    }
    let page = man::page(ALL, "0.0.0");
    for command in ALL {
        assert!(page.contains(&format!(".SS {}\n", command.name)), "{}", command.name);
        for flag in command.flags {
            let name = flag.name.replace('-', "\\-");
            assert!(page.contains(&format!("\\fB\\-{name}\\fR")), "{} -{}", command.name, flag.name);
        }
    }
}

#[test]
fn no_line_of_the_manual_is_an_accidental_request() {
    let page = man::page(ALL, "0.0.0");
    const REQUESTS: [&str; 10] = [".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I", ".br", ".RS"];
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        let request = line.split(' ').next().unwrap();
        assert!(REQUESTS.contains(&request) || request == ".RE", "{line}");
    }
    assert!(page.contains(".SH EXIT STATUS") && !page.contains("\n\n"));
}

/// What bash offers for these words, of which the last is incomplete.
fn offered(words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_litestream_rs\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        bash::script(ALL),
        quoted.join(" "),
        words.len() - 1
    );
    let answer = Process::new("bash").args(["-c", &ask]).output().expect("bash");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_commands_flags_and_values() {
    if Process::new("bash").arg("--version").output().is_err() {
        eprintln!("SKIPPED: bash is not installed");
        return;
    }
    assert_eq!(offered(&["litestream-rs", "unre"]), ["unregister"]);
    assert_eq!(offered(&["litestream-rs", "config", "ex"]), ["explain"]);
    assert_eq!(offered(&["litestream-rs", "restore", "-integ"]), ["-integrity-check"]);
    assert_eq!(offered(&["litestream-rs", "restore", "--integrity-check", "q"]), ["quick"]);
    assert!(offered(&["litestream-rs", "restore", "-o", "/et"]).contains(&"/etc".to_owned()));
    assert!(offered(&["litestream-rs", "config", "check", "-len"]).contains(&"-lenient".to_owned()));
}
