//! The portal's own doors, as an operator or a profile writes them: login pages and password
//! routes, each with what a request has to be (`gate::Rule`).

use std::sync::Arc;

use http::Method;

use super::context::Located;
use super::kind::Unfit;
use super::section::Section;
use super::value;
use crate::gate::login::Journey;
use crate::gate::{Conditions, Covers, Exception, Pair, PathPattern, Rule, ValuePattern};

/// One door. What is `None` was left out or has been reported.
pub(super) struct DoorFile {
    name: Option<Located<String>>,
    pub(super) path: Option<Located<PathPattern>>,
    covers: Covers,
    /// HEAD is not among them, which the gate judges as GET.
    pub(super) methods: Option<Vec<Method>>,
    conditions: Conditions,
    unless: Vec<Exception>,
    /// `None` if it was reported.
    pub(super) journey: Option<Located<Journey>>,
}

impl DoorFile {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            name: section.value("name", value::slug),
            path: section.value("path", value::pattern),
            covers: covers(section),
            methods: methods(section),
            conditions: conditions(section),
            unless: section.sections("unless").iter().map(exception).collect(),
            journey: section.value("journey", |word| Journey::named(word).ok_or(Unfit::Kind)),
        }
    }

    /// Whether anything besides path and methods decides.
    pub(super) fn is_conditional(&self) -> bool {
        !self.conditions.is_empty() || !self.unless.is_empty()
    }

    /// The rule; `None` if something was reported.
    pub(super) fn rule(&self) -> Option<Rule> {
        let path = &self.path.as_ref()?.value;
        let name = self.name.as_ref().map_or(path.as_str(), |name| name.value.as_str());
        Some(Rule {
            name: Arc::from(name),
            path: path.clone(),
            covers: self.covers,
            methods: self.methods.clone(),
            conditions: self.conditions.clone(),
            unless: self.unless.clone(),
            journey: self.journey.as_ref()?.value,
        })
    }
}

/// What a path stands for besides itself.
pub(super) fn covers(section: &Section<'_>) -> Covers {
    let words = section.values("covers", value::text).unwrap_or_default();
    let says = |word: &str| words.iter().any(|written| written.value == word);
    Covers {
        extensions: says("extensions"),
        path_info: says("path_info"),
        language_prefix: says("language_prefix"),
        suffixes: says("suffixes"),
        anywhere: says("anywhere"),
    }
}

fn exception(section: &Section<'_>) -> Exception {
    if section.is_empty() {
        section.refuse("an exception of nothing would lift the rule for everything");
    }
    Exception {
        path: section.value("path", value::pattern).map(|path| path.value),
        methods: methods(section),
        conditions: conditions(section),
    }
}

fn methods(section: &Section<'_>) -> Option<Vec<Method>> {
    let methods = section
        .values("methods", |name| Method::from_bytes(name.as_bytes()).map_err(|_| Unfit::Kind));
    methods.map(|methods| methods.into_iter().map(|method| method.value).collect())
}

fn conditions(section: &Section<'_>) -> Conditions {
    let pairs = |key: &str| pairs(section, key);
    Conditions {
        query: pairs("query"),
        form: pairs("form"),
        headers: pairs("headers"),
        cookies: pairs("cookies"),
    }
}

/// Names, each with what its value has to be.
pub(super) fn pairs(section: &Section<'_>, key: &str) -> Vec<Pair> {
    let lists = section.named_lists(key, value_pattern);
    let pair = |(name, values): (Located<String>, Vec<Located<ValuePattern>>)| {
        Pair::new(&name.value, values.into_iter().map(|value| value.value).collect())
    };
    lists.into_iter().map(pair).collect()
}

pub(super) fn value_pattern(text: &str) -> Result<ValuePattern, Unfit> {
    ValuePattern::parse(text).ok_or_else(|| "`*` stands at one end of a text, or alone".into())
}
