//! From the words on the command line to a command, or to a refusal in the reader's language.
//!
//! clap finds what is wrong; the sentences about it are ours. Values that were given are not repeated, since a secret
//! may have been typed in the wrong place.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use fluent_bundle::FluentValue;

use super::{CommandLine, not_built};
use crate::failure::{Code, Failure};
use crate::language::Language;

/// What has to be known before the command line is parsed, because errors of parsing are told with it.
pub(crate) struct Early {
    /// `--json` stands somewhere.
    pub(crate) json: bool,
    /// The value of `--lang`.
    pub(crate) lang: Option<String>,
}

impl Early {
    /// Looks for these two flags up to `--`.
    pub(crate) fn scan(arguments: &[OsString]) -> Self {
        let mut early = Self { json: false, lang: None };
        let mut words = arguments.iter().skip(1).map_while(|word| {
            let word = word.to_string_lossy();
            (word != "--").then_some(word)
        });
        while let Some(word) = words.next() {
            if word == "--json" {
                early.json = true;
            } else if word == "--lang" {
                early.lang = words.next().map(|tag| tag.into_owned());
            } else if let Some(tag) = word.strip_prefix("--lang=") {
                early.lang = Some(tag.to_owned());
            }
        }
        early
    }
}

/// What the words on the command line come to.
pub(crate) enum Parsed {
    /// A command.
    Run(Box<CommandLine>),
    /// Help, or the version: to be shown on standard output.
    Show(String),
}

/// Parses the command line.
pub(crate) fn parse(arguments: Vec<OsString>, language: &Language) -> Result<Parsed, Failure> {
    let mut command = command(language);
    let matches = match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                return Ok(Parsed::Show(error.render().to_string()));
            }
            _ => return Err(usage(&error, language)),
        },
    };
    if matches.get_one::<String>("proxy").is_some() {
        return Err(Failure::not_built("--proxy"));
    }
    not_built::refuse(&matches)?;
    let line = CommandLine::from_arg_matches(&matches).map_err(|error| usage(&error, language))?;
    Ok(Parsed::Run(Box::new(line)))
}

/// The command line with the words of the catalogue.
fn command(language: &Language) -> clap::Command {
    let root = not_built::add_to(CommandLine::command(), language);
    localise(root, "hearken", language)
        .help_template("{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .after_help(language.text("head-after-help"))
}

/// Fills in what commands and arguments are for: `help-<command>`, `arg-<command>-<argument>` or `arg-<argument>`.
fn localise(mut command: clap::Command, key: &str, language: &Language) -> clap::Command {
    if let Some(about) = language.find(&format!("help-{key}"), &[]) {
        command = command.about(about);
    }
    let flags = language.text("head-flags");
    let globals = language.text("head-global-flags");
    command = command.mut_args(|argument| {
        let id = argument.get_id().as_str().replace('_', "-").to_lowercase();
        let text = language
            .find(&format!("arg-{key}-{id}"), &[])
            .or_else(|| language.find(&format!("arg-{id}"), &[]));
        let heading = if argument.is_global_set() { &globals } else { &flags };
        let argument = match text {
            Some(text) => argument.help(text),
            None => argument,
        };
        if argument.is_positional() { argument } else { argument.help_heading(heading.clone()) }
    });
    let children: Vec<String> =
        command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
    for child in children {
        let child_key = if key == "hearken" { child.clone() } else { format!("{key}-{child}") };
        command = command.mut_subcommand(child, |child| localise(child, &child_key, language));
    }
    command.subcommand_help_heading(language.text("head-commands")).disable_help_subcommand(true)
}

/// Wrong usage, in one sentence.
fn usage(error: &clap::Error, language: &Language) -> Failure {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => first_word(text),
        Some(ContextValue::Strings(texts)) => {
            let words: Vec<String> = texts.iter().map(|text| first_word(text)).collect();
            words.join(", ")
        }
        _ => String::new(),
    };
    let argument = named(ContextKind::InvalidArg);
    let say = |key: &str, values: &[(&str, FluentValue<'_>)]| language.text_with(key, values);
    let about = |key: &str| say(key, &[("argument", FluentValue::from(argument.clone()))]);
    let detail = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => about("usage-unknown-flag"),
        ErrorKind::UnknownArgument => say("usage-too-many-words", &[]),
        ErrorKind::InvalidSubcommand => say("usage-unknown-command", &[]),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say("usage-no-command", &[])
        }
        ErrorKind::MissingRequiredArgument => {
            // These are names out of the definition, nothing that was typed.
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(texts)) => texts.join(", ").replace(['<', '>'], ""),
                _ => String::new(),
            };
            say("usage-missing", &[("argument", FluentValue::from(missing))])
        }
        ErrorKind::ArgumentConflict => about("usage-conflict"),
        ErrorKind::InvalidValue if !named(ContextKind::ValidValue).is_empty() => say(
            "usage-one-of",
            &[
                ("argument", FluentValue::from(argument.clone())),
                ("values", FluentValue::from(named(ContextKind::ValidValue))),
            ],
        ),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 => {
            about("usage-bad-value")
        }
        _ => say("usage-other", &[]),
    };
    Failure::new(Code::Usage).with("detail", detail)
}

/// The name in clap's description of an argument, which may go on with a value.
fn first_word(text: &str) -> String {
    let word = text.split([' ', '=']).next().unwrap_or_default().trim_matches(['[', ']', '<', '>']);
    crate::failure::printable(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> Language {
        Language::choose(Some("en"))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn code_of(line: &str) -> Option<Code> {
        parse(words(line), &english()).err().map(|failure| failure.code())
    }

    #[test]
    fn the_definition_holds_together() {
        command(&english()).debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for line in [
            "hearken --json --home x --route direct contacts",
            "hearken contacts --json --home x --route direct",
            "hearken vault --json change-passphrase --home x --route=direct",
        ] {
            let Ok(Parsed::Run(parsed)) = parse(words(line), &english()) else { panic!("{line}") };
            assert!(parsed.global.json && parsed.global.home.is_some(), "{line}");
            assert_eq!(parsed.global.route, Some(crate::global::Route::Direct), "{line}");
        }
    }

    #[test]
    fn two_dashes_end_the_flags() {
        let early = Early::scan(&words("hearken send bob -- --json"));
        assert!(!early.json);
        let Ok(Parsed::Run(line)) = parse(words("hearken send bob -- --json"), &english()) else {
            panic!("a text may begin with dashes");
        };
        assert!(!line.global.json);
    }

    #[test]
    fn what_is_not_built_is_refused_and_wrong_usage_of_it_is_wrong_usage() {
        for line in [
            "hearken group list",
            "hearken group add friends bob",
            "hearken submit --desk l --text-file f --attach a --attach b --words zh-Hans",
            "hearken case --desk l --since 30",
            "hearken case reply --desk l --text-file f",
            "hearken case rate --desk l 5",
            "hearken desk create Council --as Ada --threshold 2 --seat a=1 --seat b=1",
            "hearken desk status d c in-review",
            "hearken vault panic-phrase",
            "hearken app --no-browser",
            "hearken contacts --proxy socks5://127.0.0.1:9050",
        ] {
            assert_eq!(code_of(line), Some(Code::NotBuilt), "{line}");
        }
        for line in [
            "hearken group",
            "hearken group add friends",
            "hearken group invent",
            "hearken submit --desk l",
            "hearken case",
            "hearken case --desk l --since 31",
            "hearken case rate --desk l 6",
            "hearken desk create Council --as Ada --threshold two",
            "hearken consent answer id maybe",
            "hearken vault panic-phrase --out f",
            "hearken vault",
            "hearken",
            "hearken invent",
            "hearken contacts --passphrase hunter2",
            "hearken contacts --route mix3",
            "hearken send bob hello --text-file f",
            "hearken send bob",
            "hearken contacts --passphrase-file a --passphrase-fd 3",
        ] {
            assert_eq!(code_of(line), Some(Code::Usage), "{line}");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        for line in [
            "hearken contacts --passphrase=hunter2",
            "hearken contacts hunter2",
            "hearken hunter2",
            "hearken contacts --route hunter2",
            "hearken contacts --passphrase-fd hunter2",
        ] {
            let failure = parse(words(line), &english()).err().unwrap();
            assert!(!failure.render(&english(), false).contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn every_built_command_and_argument_is_explained() {
        fn check(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} has no help");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path} {} has no help", argument.get_id());
            }
            for child in command.get_subcommands() {
                check(child, &format!("{path} {}", child.get_name()));
            }
        }
        let built = localise(CommandLine::command(), "hearken", &english());
        check(&built, "hearken");
        for child in command(&english()).get_subcommands() {
            assert!(child.get_about().is_some(), "{} has no help", child.get_name());
        }
    }

    #[test]
    fn every_help_text_belongs_to_a_command_or_an_argument() {
        fn collect(command: &clap::Command, key: &str, found: &mut Vec<String>) {
            found.push(format!("help-{key}"));
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str().replace('_', "-").to_lowercase();
                found.push(format!("arg-{key}-{id}"));
                found.push(format!("arg-{id}"));
            }
            for child in command.get_subcommands() {
                let name = child.get_name();
                let key = if key == "hearken" { name.to_owned() } else { format!("{key}-{name}") };
                collect(child, &key, found);
            }
        }
        let mut found = Vec::new();
        collect(&command(&english()), "hearken", &mut found);
        for line in include_str!("../../locales/en/help.ftl").lines() {
            let Some((key, _)) = line.split_once(" =") else { continue };
            if key.starts_with("help-") || key.starts_with("arg-") {
                assert!(found.iter().any(|known| known == key), "{key} explains nothing");
            }
        }
    }
}
