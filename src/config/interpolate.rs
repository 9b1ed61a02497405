//! `${VAR}` and `${VAR:-default}` in values; `$${` stands for `${` itself. Deliberately not here:
//! keys, which are never filled in, and nesting.

/// A value as it holds.
pub(super) struct Filled {
    pub(super) text: String,
    /// Whether any of it came from the environment, so that it must not be quoted.
    pub(super) is_private: bool,
}

/// Why a value cannot be filled in.
pub(super) enum Unfilled {
    /// `${` without `}`, or something else than a name inside.
    Syntax,
    /// A default that itself wants to be filled in.
    Nested,
    /// A variable that is not set, by its name, and no default.
    Unset(String),
}

/// Fills in `written`.
pub(super) fn fill(
    written: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Filled, Unfilled> {
    let mut filled = Filled { text: String::with_capacity(written.len()), is_private: false };
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            filled.text.push_str(literal);
            filled.text.push_str("${");
            rest = after;
            continue;
        }
        filled.text.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(Unfilled::Syntax)?;
        filled.text.push_str(&look_up(inside, environment)?);
        filled.is_private = true;
        rest = after;
    }
    filled.text.push_str(rest);
    Ok(filled)
}

/// The names of the variables in a text that can be filled in.
pub(super) fn variables(written: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        rest = after;
        if before.ends_with('$') {
            continue;
        }
        let (inside, after) = after.split_once('}').unwrap_or((after, ""));
        names.push(inside.split_once(":-").map_or(inside, |(name, _)| name));
        rest = after;
    }
    names
}

fn look_up(inside: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Unfilled> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable_name(name) {
        return Err(Unfilled::Syntax);
    }
    match (environment(name), default) {
        (_, Some(default)) if default.contains("${") => Err(Unfilled::Nested),
        // As in a shell, `:-` also stands in for an empty one.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unfilled::Unset(name.to_owned())),
    }
}

/// Letters, digits and `_`, not beginning with a digit (POSIX, section 8.1).
pub(super) fn is_variable_name(name: &str) -> bool {
    let begins_well =
        name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    begins_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
