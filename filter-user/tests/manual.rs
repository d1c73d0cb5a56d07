//! What is made from the command line itself: manual pages, and completions for shells.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    process::{Command, Output},
};

fn sipwall(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sipwall")).args(arguments).output().unwrap()
}

fn script(shell: &str) -> String {
    String::from_utf8(sipwall(&["completions", shell]).stdout).unwrap()
}

/// What bash offers for the last word of a line, by the script that `sipwall completions bash` prints.
fn bash_offers(line: &[&str]) -> Vec<String> {
    let script = script("bash");
    let words = line.join(" ");
    let last = line.len() - 1;
    let ask = format!(
        "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}\n\
         _sipwall sipwall '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        line[last],
        line[last - 1]
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(bash_offers(&["sipwall", "det"]), ["detach"]);
    assert_eq!(bash_offers(&["sipwall", "attach", "--allow"]), ["--allow-lockout", "--allow-generic"]);
    assert_eq!(bash_offers(&["sipwall", "replay", "--engine", "h"]), ["host"]);
}

#[test]
fn other_shells_have_a_script_too() {
    assert!(script("zsh").starts_with("#compdef sipwall"));
    assert!(script("fish").contains("complete -c sipwall"));
    assert_eq!(sipwall(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let run = sipwall(&["man", directory.path().to_str().unwrap()]);
    assert!(run.status.success() && run.stdout.is_empty(), "{run:?}");
    let page = |name: &str| fs::read_to_string(directory.path().join(format!("{name}.8"))).unwrap();
    let main = page("sipwall");
    let commands = main.lines().filter_map(|line| line.strip_suffix("(8)")?.strip_prefix("sipwall\\-"));
    let commands: Vec<_> = commands.collect();
    assert!(commands.contains(&"attach"), "{commands:?}");
    for command in &commands {
        let page = page(&format!("sipwall-{command}"));
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{section} of {command}");
        }
    }
    assert!(main.contains(".SH FILES\n") && main.contains("/etc/sipwall/policy.toml"), "{main}");
    // A command below a command.
    assert!(page("sipwall-allowlists-show").contains("sipwall allowlists show"));
}

#[test]
fn manual_pages_need_a_directory() {
    let run = sipwall(&["man", "/nonexistent"]);
    assert_eq!(run.status.code(), Some(1));
    let message = String::from_utf8(run.stderr).unwrap();
    assert!(message.starts_with("error: cannot write `/nonexistent/sipwall.8`: No such file"), "{message}");
}
