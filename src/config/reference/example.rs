//! An example of what may stand at a key, taken from the words of its table, else from those here.

use super::super::kind::{Key, Kind, Need};

/// How YAML would have it on one line; `None` if the tables do not say one.
pub(super) fn example(key: &Key) -> Option<String> {
    let default = match key.need {
        // A default that says nothing of what else there could be.
        Need::Default("none" | "all") => None,
        Need::Default(text) => Some(text),
        Need::Required | Need::Optional | Need::OneOf(_) | Need::Defaults => None,
    };
    let said = such_as(key.says).map(str::to_owned);
    match &key.kind {
        Kind::List(of) if matches!(**of, Kind::Value(_) | Kind::Formed { .. }) => said
            .filter(|said| said.starts_with('['))
            .or_else(|| default.map(str::to_owned))
            .or_else(|| of_kind(of).map(|one| format!("[{one}]")))
            .or_else(|| usual(key)),
        kind => said
            .filter(|said| match kind {
                Kind::Word(_) => false,
                Kind::Section(_) | Kind::SectionOr { .. } | Kind::Named { .. } => {
                    said.starts_with('{')
                }
                _ => true,
            })
            .or_else(|| default.map(quoted))
            // The form alone says nothing of how much is right.
            .or_else(|| usual(key).filter(|_| matches!(kind, Kind::Formed { .. })))
            .or_else(|| of_kind(kind))
            .or_else(|| usual(key)),
    }
}

/// Of keys whose tables do not say one, by their names.
const USUAL: &[(&str, &str)] = &[
    ("acr", "[\"2\"]"),
    ("acr_values", "[c1]"),
    ("after", "\"/\""),
    ("amr", "[mfa]"),
    ("audience", "https://members.example.org"),
    ("authentication_context", "c1"),
    ("before", "\"@\""),
    ("ca", "[/etc/anteport/ca.pem]"),
    ("certificate", "/etc/anteport/tls.crt"),
    ("claims", "{ department: [Finance, Board] }"),
    ("client_id", "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20"),
    ("cookies", "{ legacy: \"*\" }"),
    ("default", "\"0\""),
    ("env", "NAME_OF_A_VARIABLE"),
    ("file", "/run/secrets/name_of_a_file"),
    ("form", "{ password: \"*\" }"),
    ("from_visitor", "{ login_hint: \"*@example.org\" }"),
    ("groups", "[0b6d4a12-9e3f-4c75-8d21-6a5b0f7c9e34]"),
    ("headers", "{ Authorization: \"Basic *\" }"),
    ("hint", "Ask the treasurer."),
    ("identity", "[assertion]"),
    ("issuer", "https://login.example.org"),
    ("keep", "[0b6d4a12-9e3f-4c75-8d21-6a5b0f7c9e34]"),
    ("key", "/etc/anteport/tls.key"),
    ("label", "Sign in with Contoso"),
    ("map", "{ 0b6d4a12-9e3f-4c75-8d21-6a5b0f7c9e34: treasurer }"),
    ("master", "members"),
    ("max_age", "15m"),
    ("name", "login"),
    ("parameters", "{ campaignId: autumn }"),
    ("portal_cookies", "[\"legacy_session*\"]"),
    ("provider_name", "aad"),
    ("providers", "[corporate]"),
    ("query", "{ action: [login, register] }"),
    ("registration_message", "Ask the secretary for an invitation."),
    ("resend_forms", "64KiB"),
    ("roles", "[Treasurer, Board]"),
    ("signer", "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/a/0123"),
    ("snapshot", "/var/lib/anteport/sessions"),
    ("strip_prefix", "\"/\""),
    ("tenant", "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"),
    ("tenants", "[3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11]"),
    ("token_file", "/var/run/secrets/azure/tokens/azure-identity-token"),
    ("username", "anteport"),
    ("valid_issuers", "[https://login.example.org/v2.0/]"),
    ("value", "members"),
];

fn usual(key: &Key) -> Option<String> {
    let is_single = !matches!(key.kind, Kind::Section(_) | Kind::SectionOr { .. });
    // No example of a secret is one.
    let is_shown = is_single && !matches!(key.kind, Kind::Secret(_));
    let found = USUAL.iter().find(|(name, _)| *name == key.name && is_shown);
    found.map(|(_, example)| (*example).to_owned())
}

/// What a text names behind "such as", if nothing in it is to be filled in.
fn such_as(text: &str) -> Option<&str> {
    let (example, _) = text.split_once("such as `")?.1.split_once('`')?;
    (!example.contains('<')).then_some(example)
}

fn of_kind(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Value(what) | Kind::Formed { what, .. } => such_as(what).map(quoted),
        Kind::Private(_) | Kind::Secret(_) => None,
        Kind::Number(least, _) => Some(least.to_string()),
        Kind::Word(words) => words.first().map(|word| quoted(word)),
        Kind::Section(keys) | Kind::SectionOr { keys, .. } => section(keys),
        Kind::Short { keys, key } => keys.iter().find(|known| known.name == *key).and_then(example),
        Kind::Variants { key, of } => of.first().map(|(word, _)| format!("{{ {key}: {word}, … }}")),
        Kind::List(of) => of_kind(of).map(|one| format!("[{one}]")),
        Kind::Named { of, .. } => of_kind(of).map(|one| format!("{{ NAME: {one} }}")),
    }
}

/// With the keys that have to be there, or else the first.
fn section(keys: &[Key]) -> Option<String> {
    let mut shown: Vec<&Key> =
        keys.iter().filter(|key| matches!(key.need, Need::Required)).collect();
    if shown.is_empty() {
        shown.extend(keys.first());
    }
    let shown = shown.iter().map(|key| Some(format!("{}: {}", key.name, example(key)?)));
    let shown: Vec<String> = shown.collect::<Option<_>>()?;
    (!shown.is_empty()).then(|| format!("{{ {} }}", shown.join(", ")))
}

/// A text as YAML has it on one line: in quotes where something in it means something there.
fn quoted(text: &str) -> String {
    let means = |character| matches!(character, '{' | '}' | '[' | ']' | ',' | '*' | '&' | '#');
    let is_odd = text.contains(means)
        || text.contains(": ")
        || text.ends_with(':')
        || text.starts_with(['!', '%', '@']);
    match is_odd {
        true => format!("\"{text}\""),
        false => text.to_owned(),
    }
}
