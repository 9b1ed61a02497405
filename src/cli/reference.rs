//! The page docs/command-line.md: every verb and what it takes, from the command line's own
//! definition. Not by clap's own help, whose lines are as long as a terminal is wide.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::Arguments;

const BEGIN: &str = "\
# The command line
Made from the program's own definition (`src/cli/`); a test keeps it current, and `WRITE_REFERENCES=1 cargo test --test
references` writes it anew. `anteport help VERB` says the same, and packages bring a manual page for each verb.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut text = BEGIN.to_owned();
    if let Some(after) = command.get_after_help() {
        let _ = writeln!(text, "\n{}", after.to_string().replace('\n', "\n\n"));
    }
    text.push_str("\n| verb | what it does |\n|---|---|\n");
    for verb in shown(&command) {
        let name = verb.get_name();
        let _ = writeln!(text, "| [`{name}`](#anteport-{name}) | {} |", said(verb.get_about()));
    }
    for verb in shown(&command) {
        add(&mut text, "anteport", verb);
    }
    text
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn add(text: &mut String, above: &str, verb: &Command) {
    let name = format!("{above} {}", verb.get_name());
    let _ = writeln!(text, "\n## {name}");
    let about = verb.get_long_about().or_else(|| verb.get_about());
    let _ = writeln!(text, "{}", about.map(ToString::to_string).unwrap_or_default().trim());
    let arguments: Vec<&Arg> = verb
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        .collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | what it is |\n|---|---|\n");
    }
    for argument in arguments {
        let _ = writeln!(text, "| `{}` | {} |", spelled(argument), explained(argument));
    }
    let after = verb.get_after_long_help().or_else(|| verb.get_after_help());
    if let Some(after) = after {
        let _ = writeln!(text, "\n```text\n{}\n```", after.to_string().trim());
    }
    for verb in shown(verb) {
        add(text, &name, verb);
    }
}

/// As it is written, such as `--config FILE` or `METHOD`.
fn spelled(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_value_names().unwrap_or_default();
    let values: Vec<&str> = values.iter().map(|name| name.as_str()).collect();
    let values = match takes_value {
        true => values.join(" "),
        false => String::new(),
    };
    match argument.get_long() {
        Some(long) => format!("--{long} {values}").trim_end().to_owned(),
        None => values,
    }
}

fn explained(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut said = said(help);
    if !argument.get_action().takes_values() {
        return said;
    }
    let values = argument.get_possible_values();
    let values: Vec<String> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        let _ = write!(said, ": {}", values.join(", "));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() {
        let _ = write!(said, "; {} unless another is named", defaults.join(", "));
    }
    said
}

/// On one line of a table.
fn said(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    // The first of several has no full stop at its end, for it stands alone elsewhere.
    let mut said = String::new();
    for paragraph in paragraphs.filter(|paragraph| !paragraph.is_empty()) {
        if !said.is_empty() {
            said.push_str(if said.ends_with(['.', ':', '?']) { " " } else { ". " });
        }
        said.push_str(&paragraph);
    }
    said.replace('|', "\\|")
}
