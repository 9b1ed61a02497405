//! The catalogue as a page for operators, in Markdown.

use std::fmt::Write as _;

use super::{Class, Entry, all};

/// What stands above the tables.
const ABOVE: &str = "# Errors of the sign-in service, by code

Made from `src/catalogue/*.txt`; a test keeps it current.

When a sign-in fails, the page that the member sees has our own reason code, the provider's code and a
correlation id; the audit event `login-failed` in the log has these too, and trace id, time and what to do
about it. Search this page for the code. An error that comes up *on the provider's page* never comes back
to the portal: the member tells you of it, and the provider's own log has it.

";

/// The whole page.
#[must_use]
pub fn reference() -> String {
    let mut page = ABOVE.to_owned();
    page.push_str(
        "| who can do something | the page's title | what it says, unless a row says more |\n",
    );
    page.push_str("|---|---|---|\n");
    for class in Class::ALL {
        let _ = writeln!(page, "| {} | {} | {} |", who(class), class.title(), class.sentence());
    }
    let families = [
        ("Entra ID and External ID", "AADSTS"),
        ("Azure AD B2C", "AADB2C"),
        ("Any provider: the standard `error`", ""),
    ];
    for (title, family) in families {
        let _ = write!(
            page,
            "\n## {title}\n\n| code | comes up | who | what happened | what to do, and where | what \
             the member is told |\n|---|---|---|---|---|---|\n"
        );
        for entry in all().filter(|entry| family_of(entry) == family) {
            row(&mut page, entry);
        }
    }
    page
}

fn row(page: &mut String, entry: &Entry) {
    let places: Vec<&str> = entry.places.iter().map(|place| place.name()).collect();
    let member = match entry.member == entry.class.sentence() {
        true => "",
        false => &*entry.member,
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {} | {} | {} *{}* | {member} |",
        entry.code,
        places.join(", "),
        who(entry.class),
        entry.what,
        entry.operator,
        entry.menu,
    );
}

const fn who(class: Class) -> &'static str {
    match class {
        Class::Cancelled => "nobody: it was stopped",
        Class::Account => "the member, or who runs the accounts",
        Class::Again => "the member, by starting again",
        Class::Interaction => "the member, by a further step",
        Class::Operator => "the operator",
        Class::Temporary => "time",
    }
}

fn family_of(entry: &Entry) -> &'static str {
    ["AADSTS", "AADB2C"].into_iter().find(|family| entry.code.starts_with(family)).unwrap_or("")
}
