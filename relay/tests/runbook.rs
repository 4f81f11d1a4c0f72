//! The runbook in `deploy/` says what the program can do: every command and flag in it exists, and the unit is as
//! hardened as it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::process::relay;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// Commands of the program in a text: its words up to the end of the line, of the quotation or of the shell's command.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        for part in line.split(['`', '|', ';', '&', '>']) {
            let mut words = part.split_whitespace().map(|word| {
                word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !"-/.<>".contains(c))
            });
            // As a path, or alone; `hearken-relay` is the name of an account, a unit and a folder, too.
            while let Some(word) = words.next() {
                if word == "hearken-relay" || word.ends_with("/bin/hearken-relay") {
                    let rest: Vec<String> = words.clone().map(str::to_owned).collect();
                    let subcommand = rest.first().is_some_and(|first| {
                        first.bytes().all(|byte| byte.is_ascii_lowercase()) && rest.len() > 1
                    });
                    if subcommand && rest.iter().any(|word| word.starts_with("--")) {
                        found.push(rest);
                        break;
                    }
                }
            }
        }
    }
    found
}

/// What is wrong with commands: a subcommand or a flag that the program does not have.
fn unknown(commands: &[Vec<String>]) -> BTreeSet<String> {
    let help = |arguments: &[&str]| String::from_utf8(relay(arguments).stdout).unwrap();
    let mut wrong = BTreeSet::new();
    let all = help(&["--help"]);
    for command in commands {
        let subcommand = command[0].as_str();
        let known = all.lines().any(|line| line.split_whitespace().next() == Some(subcommand));
        if !known {
            wrong.insert(subcommand.to_owned());
            continue;
        }
        let flags = help(&[subcommand, "--help"]);
        let known: BTreeSet<&str> = flags
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| word.starts_with("--"))
            .collect();
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap();
            if !known.contains(flag) {
                wrong.insert(format!("{subcommand} {flag}"));
            }
        }
    }
    wrong
}

#[test]
fn every_command_in_the_runbook_exists_with_every_flag() {
    let mut seen = BTreeSet::new();
    for name in ["README.md", "Containerfile", "hearken-relay.service"] {
        let commands = commands(&fs::read_to_string(deploy(name)).unwrap());
        assert_eq!(unknown(&commands), BTreeSet::new(), "{name}");
        seen.extend(commands.into_iter().map(|command| command[0].clone()));
    }
    let wanted =
        ["address", "backup", "check", "decommission", "init", "restore", "serve", "stats"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "each is explained");
    // Planted: what the check above must see.
    let planted = commands(
        "    sudo -u hearken hearken-relay backup --data /var/lib/hearken-relay --to x\n\
         run `/usr/local/bin/hearken-relay dance --data y` and hearken-relay stats --data z --jsno",
    );
    let wrong: Vec<String> = unknown(&planted).into_iter().collect();
    assert_eq!(wrong, ["backup --to", "dance", "stats --jsno"]);
}

/// What systemd makes of a unit, from 0 (safe) to 10; `None` where it is not there to ask.
fn exposure(unit: &Path) -> Option<f64> {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("Overall exposure level"))?;
    let number = line.rsplit(':').next().unwrap().split_whitespace().next().unwrap();
    Some(number.parse().unwrap())
}

#[test]
fn the_unit_leaves_the_relay_next_to_nothing() {
    let Some(found) = exposure(&deploy("hearken-relay.service")) else {
        assert!(std::env::var_os("HEARKEN_CI").is_none(), "systemd-analyze is missing");
        println!("skipped: needs systemd-analyze 250 or later");
        return;
    };
    // 1.1 by systemd 252; other versions weigh differently.
    assert!(found < 2.0, "{found}");
    // Planted: without what takes the kernel away from it, the same unit is far from that.
    let text = fs::read_to_string(deploy("hearken-relay.service")).unwrap();
    let weaker: String = text
        .lines()
        .filter(|line| !line.starts_with("Protect") && !line.starts_with("SystemCallFilter"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let planted = folder.path().join("hearken-relay.service");
    fs::write(&planted, weaker).unwrap();
    assert!(exposure(&planted).unwrap() > 2.0);
}
