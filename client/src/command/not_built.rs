//! Commands and flags that the contract of the command line names and that are not built yet.
//!
//! They are parsed like any other, so that wrong usage is told as such, and then refused before a vault is opened or
//! anything is sent; never ignored. A command leaves this table when it is built.

use clap::builder::{OsStringValueParser, PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::failure::Failure;
use crate::language::Language;

/// Usage lines. Brackets: optional. `…`: more than once. `NAME=a|b`: one of these. `K`, `N`, `SECONDS`, `DAYS`: a
/// whole number.
const USAGES: &[&str] = &[
    "group create NAME [--policy POLICY] [--as PSEUDONYM] [--pairwise]",
    "group add GROUP CONTACT",
    "group accept GROUP [--as PSEUDONYM]",
    "group decline GROUP",
    "group as GROUP PSEUDONYM",
    "group remove GROUP MEMBER",
    "group promote GROUP MEMBER",
    "group demote GROUP MEMBER",
    "group proposals GROUP",
    "group approve GROUP PROPOSAL",
    "group reject GROUP PROPOSAL",
    "group rename GROUP NAME",
    "group leave GROUP",
    "group move GROUP --relay ADDRESS",
    "group list",
    "group members GROUP",
    "submit --desk LINK --text-file FILE [--attach FILE]… [--keep-metadata] [--keep-name] [--category NAME] [--exclude HANDLER]… [--accept-veto] [--drop] [--words WORDS=en|es|fr|pt|cs|it|ja|ko|zh-Hans|zh-Hant] [--relay ADDRESS]… [--timeout SECONDS]",
    "case --desk LINK [--relay ADDRESS]… [--since DAYS=7|30|90|400]",
    "case reply --desk LINK --text-file FILE [--relay ADDRESS]…",
    "case consent --desk LINK ID ANSWER=yes|no|withdraw [--relay ADDRESS]…",
    "case appeal --desk LINK --text-file FILE [--relay ADDRESS]…",
    "case checkins --desk LINK SWITCH=on|off [--relay ADDRESS]…",
    "case rate --desk LINK STARS=1|2|3|4|5 [--relay ADDRESS]…",
    "case prove --desk LINK --out FILE [--relay ADDRESS]…",
    "desk show --desk LINK [--relay ADDRESS]…",
    "desk audit --desk LINK [--proof FILE]… [--out DIR] [--relay ADDRESS]…",
    "desk create NAME --as PUBLIC-NAME --threshold K [--seat SEAT]… [--my-seat NAME] [--acknowledge-days N] [--feedback-days N] [--procedure FILE] [--languages TAGS] [--successor LINK] [--entry ADDRESS]…",
    "desk add DESK CONTACT --as PUBLIC-NAME [--seat NAME]",
    "desk accept DESK",
    "desk decline DESK",
    "desk publish DESK [--accept-veto]",
    "desk list",
    "desk inbox DESK",
    "desk approve DESK CASE",
    "desk read DESK CASE [--out DIR]",
    "desk reply DESK CASE --text-file FILE",
    "desk status DESK CASE STATUS=acknowledged|in-review|feedback|closed [--reason TEXT]",
    "desk note DESK CASE TEXT",
    "desk assign DESK CASE HANDLER",
    "desk recuse DESK CASE",
    "desk mute DESK CASE",
    "desk refer DESK CASE --to WHOM --for WHAT --text-file REDACTED [--until DATE]",
    "desk approve-export DESK CASE --consent ID",
    "desk export DESK CASE --consent ID --out FILE",
    "desk remove DESK HANDLER",
    "desk leave DESK",
    "desk release DESK WEEK",
    "desk admit DESK CASE HANDLER",
    "desk set DESK [--procedure FILE] [--languages TAGS] [--successor LINK]",
    "desk approve-change DESK [CHANGE]",
    "desk witness DESK ADDRESS",
    "desk decommission DESK --on DATE [--successor LINK]",
    "vault panic-phrase [--new-passphrase-file FILE] [--new-passphrase-fd N]",
    "vault duress-phrase [--new-passphrase-file FILE] [--new-passphrase-fd N]",
    "app [--listen IP:PORT] [--no-browser]",
];

/// Puts these commands beside the ones that are built.
pub(crate) fn add_to(mut root: Command, language: &Language) -> Command {
    for usage in USAGES {
        root = insert(root, usage, language);
    }
    root
}

/// Refuses what was asked for when it is in this table.
pub(crate) fn refuse(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((first, rest)) = matches.subcommand() else { return Ok(()) };
    let second = rest.subcommand_name();
    for usage in USAGES {
        let (noun, verb, _) = path(usage);
        // A noun that is wholly unbuilt is refused whatever follows; `vault` has a verb that is built.
        if noun == first && verb == second {
            return Err(Failure::not_built(command_name(usage)));
        }
    }
    Ok(())
}

/// The one or two words that name the command, and the rest of the usage line.
fn path(usage: &'static str) -> (&'static str, Option<&'static str>, &'static str) {
    let (noun, rest) = usage.split_once(' ').unwrap_or((usage, ""));
    let (verb, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    if verb.starts_with(|c: char| c.is_ascii_lowercase()) {
        (noun, Some(verb), arguments)
    } else {
        (noun, None, rest)
    }
}

fn command_name(usage: &'static str) -> &'static str {
    let (noun, verb, _) = path(usage);
    match verb {
        Some(verb) => usage.get(..noun.len() + 1 + verb.len()).unwrap_or(noun),
        None => noun,
    }
}

fn insert(root: Command, usage: &'static str, language: &Language) -> Command {
    let (noun, verb, arguments) = path(usage);
    let Some(verb) = verb else {
        return root.subcommand(with_arguments(Command::new(noun), arguments));
    };
    let about = language.text("say-not-built-yet");
    let child = with_arguments(Command::new(verb).about(about), arguments);
    if root.find_subcommand(noun).is_none() {
        return root.subcommand(
            Command::new(noun)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(child),
        );
    }
    root.mut_subcommand(noun, |parent| {
        // `case` stands alone too: its own flags are then not wanted beside a verb.
        let alone = parent.get_arguments().next().is_some();
        let parent = parent.subcommand(child);
        if alone {
            parent.args_conflicts_with_subcommands(true).subcommand_negates_reqs(true)
        } else {
            parent
        }
    })
}

fn with_arguments(mut command: Command, usage: &'static str) -> Command {
    let mut words = usage.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let optional = word.starts_with('[');
        let mut name = word.trim_matches(['[', ']', '…']);
        let mut many = word.ends_with('…');
        let argument = if let Some(flag) = name.strip_prefix("--") {
            let takes_value = match words.peek() {
                // `[--both]` closes at once; `--out FILE` and `[--out FILE]` go on.
                Some(_) if optional => !word.ends_with([']', '…']),
                Some(next) => !next.starts_with(['[', '-']),
                None => false,
            };
            let argument = Arg::new(flag).long(flag).required(!optional);
            if takes_value {
                let word = words.next().unwrap_or_default();
                many = word.ends_with('…');
                name = word.trim_matches(['[', ']', '…']);
                with_value(argument, name)
            } else {
                argument.action(ArgAction::SetTrue)
            }
        } else {
            let id = name.split('=').next().unwrap_or(name);
            with_value(Arg::new(id).required(!optional), name)
        };
        command = command.arg(if many { argument.action(ArgAction::Append) } else { argument });
    }
    command
}

fn with_value(argument: Arg, name: &'static str) -> Arg {
    let (name, parser) = match name.split_once('=') {
        Some((name, values)) => {
            let values: Vec<&'static str> = values.split('|').collect();
            (name, ValueParser::from(PossibleValuesParser::new(values)))
        }
        None if matches!(name, "K" | "N" | "SECONDS" | "DAYS") => {
            (name, ValueParser::from(value_parser!(u32)))
        }
        None => (name, ValueParser::from(OsStringValueParser::new())),
    };
    argument.value_name(name).value_parser(parser)
}
