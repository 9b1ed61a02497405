//! Rules for the portal's own doors: what a request has to be for one to hold. A rule keeps out, so
//! each of its conditions holds for everything that a server could take for what it names; its
//! exceptions let through, so theirs hold to the letter (PATH-09 to PATH-13).

use std::sync::Arc;

use http::Method;
use http::header::COOKIE;

use super::asked::Asked;
use super::cookies;
use super::fold::{decoded_to_the_end, name_key, without_first_colons, without_streams};
use super::login::Journey;
use super::parameters::{Field, Pair};
use super::pattern::PathPattern;

/// One of the portal's own doors: a login page, or where passwords are taken.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the log and `explain` call it.
    pub name: Arc<str>,
    /// Where it is.
    pub path: PathPattern,
    /// What else could be this path (PATH-10).
    pub covers: Covers,
    /// With which methods; `None` is every method (PATH-13).
    pub methods: Option<Vec<Method>>,
    /// What else has to hold.
    pub conditions: Conditions,
    /// It does not hold where one of these does.
    pub unless: Vec<Exception>,
    /// What a GET becomes, of a login page; a password route leads nowhere.
    pub journey: Journey,
}

/// What a path stands for besides itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covers {
    /// `/login.json` for `/login`, and `/login` or `/login.json` for `/login.php`.
    pub extensions: bool,
    /// `/login.php/more`.
    pub path_info: bool,
    /// `/en/login`, `/pt-br/login`.
    pub language_prefix: bool,
    /// `/login-form`: whatever begins so.
    pub suffixes: bool,
    /// `/any/folder/login`.
    pub anywhere: bool,
}

/// What has to be in a request, all of it.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// In the query.
    pub query: Vec<Pair>,
    /// In the body, or in the query or a cookie: many frameworks do not tell them apart.
    pub form: Vec<Pair>,
    /// In a header.
    pub headers: Vec<Pair>,
    /// In a cookie.
    pub cookies: Vec<Pair>,
}

/// What lifts a rule.
#[derive(Clone, Debug, Default)]
pub struct Exception {
    /// This path.
    pub path: Option<PathPattern>,
    /// One of these methods.
    pub methods: Option<Vec<Method>>,
    /// And these.
    pub conditions: Conditions,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// Nobody can say before the body has been read.
    NeedsForm,
}

impl Holds {
    const fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Both.
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::NeedsForm, _) | (_, Self::NeedsForm) => Self::NeedsForm,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl Rule {
    /// A rule for a path and nothing else.
    #[must_use]
    pub fn at(path: PathPattern) -> Self {
        Self {
            name: Arc::from(path.as_str()),
            path,
            covers: Covers::default(),
            methods: None,
            conditions: Conditions::default(),
            unless: Vec::new(),
            journey: Journey::SignIn,
        }
    }

    pub(super) fn holds(&self, asked: &Asked<'_>) -> Holds {
        let is_here = self.could_ask(asked.method()) && self.could_be(asked.deny_key());
        if !is_here {
            return Holds::No;
        }
        let holds = self.conditions.could_hold(asked);
        if holds == Holds::No {
            return holds;
        }
        let lifted = self.unless.iter().map(|exception| exception.holds(asked));
        let lifted = lifted.fold(Holds::No, |any, this| match (any, this) {
            (Holds::Yes, _) | (_, Holds::Yes) => Holds::Yes,
            (Holds::NeedsForm, _) | (_, Holds::NeedsForm) => Holds::NeedsForm,
            (Holds::No, Holds::No) => Holds::No,
        });
        match lifted {
            Holds::Yes => Holds::No,
            Holds::No => holds,
            Holds::NeedsForm => Holds::NeedsForm,
        }
    }

    /// Whether a path with this deny key could be this rule's.
    pub(super) fn could_be(&self, deny_key: &str) -> bool {
        self.covers.could_be(&self.path, deny_key)
    }

    /// HEAD is the GET that most frameworks make of it. A POST may be anything: frameworks let a
    /// form field name another method.
    fn could_ask(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| {
            methods.contains(as_judged(method)) || (method == Method::POST && !methods.is_empty())
        })
    }
}

/// HEAD is judged as GET (PATH-13).
pub(super) fn as_judged(method: &Method) -> &Method {
    if method == Method::HEAD { &Method::GET } else { method }
}

impl Covers {
    /// Whether a path with this deny key could be the pattern's, or what else it stands for;
    /// streams of Windows (PATH-11) and a wiki's first colons left out or not.
    pub(super) fn could_be(self, pattern: &PathPattern, deny_key: &str) -> bool {
        let could_be = |key: &str| {
            pattern.could_be(key) || (self != Self::default() && self.widely(pattern, key))
        };
        could_be(deny_key)
            || without_streams(deny_key).is_some_and(|key| could_be(&key))
            || without_first_colons(deny_key).is_some_and(|key| could_be(&key))
    }

    fn widely(self, pattern: &PathPattern, key: &str) -> bool {
        let pattern = pattern.folded();
        let mut key = key;
        let mut is_first = true;
        loop {
            if self.covers_from(pattern, key) {
                return true;
            }
            // On below the first segment, if that is one that may stand before.
            let Some(at) = key.get(1..).and_then(|rest| rest.find('/')).map(|at| at + 1) else {
                return false;
            };
            let is_language = key.get(1..at).is_some_and(is_language);
            if !(self.anywhere || is_first && self.language_prefix && is_language) {
                return false;
            }
            key = key.get(at..).unwrap_or_default();
            is_first = false;
        }
    }

    fn covers_from(self, pattern: &str, key: &str) -> bool {
        let mut pattern = pattern.split('/').peekable();
        let mut key = key.split('/').peekable();
        loop {
            let (wanted, segment) = match (pattern.next(), key.next()) {
                (Some("**"), _) | (None, None) => return true,
                (None, Some(_)) => return self.path_info,
                (Some(_), None) => return false,
                (Some(wanted), Some(segment)) => (wanted, segment),
            };
            let is_last = pattern.peek().is_none_or(|next| *next == "**");
            let fits = (wanted == "*" && !segment.is_empty())
                || wanted == segment
                || (is_last && !wanted.is_empty() && self.could_end(wanted, segment));
            if !fits {
                return false;
            }
        }
    }

    fn could_end(self, wanted: &str, segment: &str) -> bool {
        let stem = wanted.rsplit_once('.').map_or(wanted, |(stem, _)| stem);
        let has_extension = |stem: &str| {
            segment.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        (self.suffixes && segment.starts_with(if self.extensions { stem } else { wanted }))
            || (self.extensions && (has_extension(wanted) || has_extension(stem)))
    }
}

/// `en`, `pt-br`, `zh_hans`: two or three letters, and perhaps more (RFC 5646).
fn is_language(segment: &str) -> bool {
    let mut parts = segment.split(['-', '_']);
    let is_first = parts.next().is_some_and(|first| {
        (2..=3).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    is_first
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

impl Rule {
    /// Whether it may depend on what a form says: by what it asks for, or by what lifts it, for many
    /// frameworks take a field of the form for one of the query.
    #[must_use]
    pub fn reads_forms(&self) -> bool {
        let lifts = |exception: &Exception| {
            !exception.conditions.form.is_empty() || !exception.conditions.query.is_empty()
        };
        !self.conditions.form.is_empty() || self.unless.iter().any(lifts)
    }
}

impl Conditions {
    /// Whether there is nothing to ask for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.query.is_empty()
            && self.form.is_empty()
            && self.headers.is_empty()
            && self.cookies.is_empty()
    }

    /// For whatever a server could take for them.
    pub(super) fn could_hold(&self, asked: &Asked<'_>) -> Holds {
        let heads = self.headers.iter().all(|pair| could_have_header(asked, pair))
            && self.cookies.iter().all(|pair| could_have_cookie(asked, pair))
            && self.query.iter().all(|pair| pair.could_be_in(asked.query_fields().iter()));
        if !heads || self.form.is_empty() {
            return Holds::from(heads);
        }
        let Some(form) = asked.form() else {
            return Holds::NeedsForm;
        };
        let could_be = |pair: &Pair| pair.could_be_in(all_fields(asked));
        Holds::from(form.is_unreadable() || self.form.iter().all(could_be))
    }

    /// The same to the letter, for what lets pass. A value that the body could say again is not
    /// plain.
    pub(super) fn holds(&self, asked: &Asked<'_>) -> Holds {
        let heads = self.headers.iter().all(|pair| has_header(asked, pair))
            && self.cookies.iter().all(|pair| has_cookie(asked, pair))
            && self.query.iter().all(|pair| pair.is_plainly_in(asked.query_fields().iter()));
        if !heads || (self.query.is_empty() && self.form.is_empty()) {
            return Holds::from(heads);
        }
        let Some(form) = asked.form() else {
            return Holds::NeedsForm;
        };
        // PHP, Express and others read no more than a thousand: what comes after is not there for
        // them.
        if all_fields(asked).take(MOST_PLAIN + 1).count() > MOST_PLAIN {
            return Holds::No;
        }
        let is_plain = |pair: &Pair| pair.is_plainly_in(all_fields(asked));
        Holds::from(!form.is_unreadable() && self.query.iter().chain(&self.form).all(is_plain))
    }
}

impl Exception {
    fn holds(&self, asked: &Asked<'_>) -> Holds {
        let is_here = self.path.as_ref().is_none_or(|path| path.is_exactly(asked.path()))
            && self.methods.as_ref().is_none_or(|m| m.contains(as_judged(asked.method())));
        Holds::from(is_here).and(if is_here { self.conditions.holds(asked) } else { Holds::No })
    }
}

/// The most fields among which an exception is looked for.
const MOST_PLAIN: usize = 500;

fn all_fields<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = &'a Field> {
    let form = asked.form().map_or(&[][..], super::Form::fields);
    asked.query_fields().iter().chain(form).chain(asked.cookie_fields())
}

fn could_have_header(asked: &Asked<'_>, pair: &Pair) -> bool {
    asked.headers().iter().any(|(name, value)| {
        pair.could_be_named(name.as_str())
            && pair.could_have(&String::from_utf8_lossy(value.as_bytes()))
    })
}

fn has_header(asked: &Asked<'_>, pair: &Pair) -> bool {
    let mut values = asked.headers().get_all(pair.name()).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().is_ok_and(|value| pair.has(value)),
        _ => false,
    }
}

fn could_have_cookie(asked: &Asked<'_>, pair: &Pair) -> bool {
    cookies::readings(asked.headers().get_all(COOKIE)).any(|(name, value)| {
        let name = decoded_to_the_end(&String::from_utf8_lossy(name));
        name.is_none_or(|name| pair.could_be_named(&name_key(&name)))
            && pair.could_have(&String::from_utf8_lossy(value))
    })
}

fn has_cookie(asked: &Asked<'_>, pair: &Pair) -> bool {
    let mut copies = cookies::all(asked.headers().get_all(COOKIE))
        .filter(|(name, _)| pair.could_be_named(&String::from_utf8_lossy(name)));
    match (copies.next(), copies.next()) {
        (Some((name, value)), None) => {
            name == pair.name().as_bytes()
                && std::str::from_utf8(value).is_ok_and(|value| pair.has(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(path: &str, covers: Covers, key: &str) -> bool {
        Rule { covers, ..Rule::at(path.parse().unwrap()) }.could_be(key)
    }

    #[test]
    fn path_10_a_rule_covers_what_it_says() {
        let none = Covers::default();
        let extensions = Covers { extensions: true, ..none };
        let path_info = Covers { path_info: true, ..none };
        let language = Covers { language_prefix: true, ..none };
        let suffixes = Covers { suffixes: true, ..none };
        let anywhere = Covers { anywhere: true, ..none };
        let all = Covers {
            extensions: true,
            path_info: true,
            language_prefix: true,
            suffixes: true,
            anywhere: true,
        };
        for (path, how, key) in [
            ("/login", extensions, "/login.json"),
            ("/login", extensions, "/login.tar.gz"),
            ("/login.php", extensions, "/login"),
            ("/login.php", extensions, "/login.php.bak"),
            ("/login.php", path_info, "/login.php/x/y"),
            ("/a/*/c", path_info, "/a/b/c/d"),
            ("/login", language, "/en/login"),
            ("/login", language, "/pt-br/login"),
            ("/login", language, "/zh_hans/login"),
            ("/login", suffixes, "/login-form"),
            ("/login", anywhere, "/blog/de/login"),
            ("/login/**", anywhere, "/blog/login/x"),
            ("/login.php", all, "/blog/login.html/x"),
            ("/login", all, "/x/loginform.json/y"),
            ("/login/**", extensions, "/login.json/x"),
        ] {
            assert!(covers(path, how, key), "{path} covers {key}");
            assert!(!covers(path, none, key), "{path} alone does not cover {key}");
        }
        for (path, how, key) in [
            ("/login", extensions, "/loginx"),
            ("/login", extensions, "/login/json"),
            ("/login.php", path_info, "/login.phpx"),
            ("/login", language, "/blog/login"),
            ("/login", language, "/e/login"),
            ("/login", suffixes, "/xlogin"),
            ("/login", anywhere, "/login/x"),
            ("/login", anywhere, "/xlogin"),
        ] {
            assert!(!covers(path, how, key), "{path} does not cover {key}");
        }
    }
}
