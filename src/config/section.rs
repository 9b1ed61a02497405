//! Reading a section of the file against the table of its keys, and collecting every problem on
//! the way.
//!
//! This is not `#[derive(Deserialize)]`, on purpose: serde stops at the first problem, and an
//! operator who mends one line a minute gives up. Here a value that cannot be used is reported
//! with its place and reading goes on.

use super::context::{Context, Located, Spot};
use super::interpolate::{self, Unfilled};
use super::kind::{Key, Kind, Need, Unfit, present};
use super::wording::{did_you_mean, listed, nearest, quoted};
use super::yaml::{Entry, Node, Value};

/// The words at a key, each with the keys that there are beside it.
type Variants = &'static [(&'static str, &'static [Key])];

/// A section that is being read.
pub(super) struct Section<'a> {
    context: &'a Context<'a>,
    keys: &'static [Key],
    entries: &'a [Entry],
    /// One value alone, and the key that it stands for; see [`Kind::Short`].
    short: Option<(&'static str, &'a Node)>,
    /// Which of several it is; see [`Kind::Variants`].
    variant: Option<&'static str>,
    spot: Spot,
}

impl<'a> Section<'a> {
    /// Opens a section: reports keys that are unknown or missing.
    pub(super) fn open(
        context: &'a Context<'a>,
        keys: &'static [Key],
        node: &'a Node,
        spot: Spot,
    ) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Refused => return None,
            other => {
                let expected = Kind::Section(keys).expected();
                let message = format!("{expected}, found {}", described(other));
                context.error(&spot.at(node.place), message);
                return None;
            }
        };
        let section = Self { context, keys, entries, short: None, variant: None, spot };
        section.report_unknown();
        section.report_missing();
        Some(section)
    }

    /// Opens a section of [`Kind::Variants`]: the word at its key says which keys there are. With a
    /// word that is only mistyped everything else is read all the same; without any, nothing is.
    fn open_variant(
        context: &'a Context<'a>,
        (key, of): (&'static str, Variants),
        node: &'a Node,
        spot: Spot,
    ) -> Option<Self> {
        let (_, any) = of.first()?;
        let Value::Map(entries) = &node.value else {
            return Section::open(context, any, node, spot);
        };
        let variant = None;
        let section =
            Self { context, keys: any, entries, short: None, variant, spot: spot.clone() };
        let Some(entry) = section.entry(key) else {
            let says = section.key(key)?.says;
            context.error(&spot, format!("`{key}` is missing: {says}"));
            return None;
        };
        let word = match &entry.node.value {
            Value::Scalar(written) => interpolate::fill(written, context.environment).ok(),
            _ => None,
        };
        let names = of.iter().map(|(name, _)| *name);
        let meant = word.and_then(|word| match names.clone().find(|name| *name == word.text) {
            Some(name) => Some(name),
            None => nearest(&word.text, names),
        });
        let Some((name, keys)) = of.iter().find(|(name, _)| Some(*name) == meant) else {
            section.value(key, |_| Ok(()));
            return None;
        };
        let opened = Section::open(context, keys, node, spot)?;
        Some(Self { variant: Some(name), ..opened })
    }

    /// Which of the variants it is; empty where there are none.
    pub(super) fn variant(&self) -> &'static str {
        self.variant.unwrap_or_default()
    }

    /// Where it begins.
    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    /// Reports what is wrong with the section as a whole.
    pub(super) fn refuse(&self, message: &str) {
        self.context.error(&self.spot, message);
    }

    /// Reports what is wrong at a place in it.
    pub(super) fn refuse_at(&self, spot: &Spot, message: &str) {
        self.context.error(spot, message);
    }

    /// Whether the operator wrote anything in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many keys the operator wrote in it.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is such a key here, written or not.
    pub(super) fn is_a_key(&self, name: &str) -> bool {
        present(self.keys).any(|key| key == name)
    }

    /// Whether the operator wrote this key, or one value alone that stands for it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some() || self.short.is_some_and(|(short, _)| short == name)
    }

    /// What `read` makes of a key: outside `None` if it was reported, inside if the key is not
    /// there.
    pub(super) fn if_there<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.has(name) {
            true => read(name).map(Some),
            false => Some(None),
        }
    }

    /// The place of a key, or of the section where it is not there.
    pub(super) fn spot_of(&self, name: &str) -> Spot {
        let place = self.entry(name).map_or(self.spot.place, |entry| entry.place);
        self.spot.key(place, name)
    }

    /// Whether a key has this word instead of what else it may have.
    pub(super) fn is_word(&self, name: &str, word: &str) -> bool {
        self.entry(name).is_some_and(
            |entry| matches!(&entry.node.value, Value::Scalar(written) if written == word),
        )
    }

    /// One value; `None` if it is not there and has no default, or was reported.
    pub(super) fn value<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Option<Located<T>> {
        let key = self.key(name)?;
        if let Some((short, node)) = self.short
            && short == name
        {
            return self.scalar(&key.kind, node, &self.spot, &parse);
        }
        match (self.entry(name), &key.need) {
            (Some(entry), _) => {
                let spot = self.spot.key(entry.place, name);
                self.scalar(&key.kind, &entry.node, &spot, &parse)
            }
            (None, Need::Default(default)) => {
                self.fitted(&key.kind, default, false, self.spot_of(name), &parse)
            }
            (None, _) => None,
        }
    }

    /// A list of values, which may also be one value alone; `None` as for [`Section::value`].
    pub(super) fn values<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Option<Vec<Located<T>>> {
        let key = self.key(name)?;
        let Kind::List(kind) = &key.kind else {
            return None;
        };
        let Some(entry) = self.entry(name) else {
            let Need::Default(default) = key.need else {
                return None;
            };
            let spot = self.spot_of(name);
            let items = default.trim_matches(['[', ']']).split(", ");
            return items
                .map(|item| self.fitted(kind, item, false, spot.clone(), &parse))
                .collect();
        };
        let spot = self.spot.key(entry.place, name);
        let mut values = Some(Vec::new());
        for (node, spot) in self.items(&entry.node, &spot)? {
            // One that cannot be read does not keep the others from being reported.
            let value = self.scalar(kind, node, &spot, &parse);
            values = values.zip(value).map(|(mut values, value)| {
                values.push(value);
                values
            });
        }
        values
    }

    /// A section within this one; with [`Need::Defaults`] it is there even if nobody wrote it.
    pub(super) fn section(&self, name: &str) -> Option<Self> {
        let key = self.key(name)?;
        let (Kind::Section(keys) | Kind::SectionOr { keys, .. }) = key.kind else {
            return None;
        };
        match (self.entry(name), &key.need) {
            (Some(entry), _) => {
                let spot = self.spot.key(entry.place, name);
                self.check_value(&entry.node, &spot)?;
                Section::open(self.context, keys, &entry.node, spot)
            }
            (None, Need::Defaults) => Some(Section {
                context: self.context,
                keys,
                entries: &[],
                short: None,
                variant: None,
                spot: self.spot_of(name),
            }),
            (None, _) => None,
        }
    }

    /// A list of sections, without those that were reported as something else.
    pub(super) fn sections(&self, name: &str) -> Vec<Self> {
        let (Some(Kind::List(kind)), Some(entry)) =
            (self.key(name).map(|key| &key.kind), self.entry(name))
        else {
            return Vec::new();
        };
        let (keys, short) = match kind {
            Kind::Section(keys) => (keys, None),
            Kind::Short { keys, key } => (keys, Some(*key)),
            Kind::Value(_) | Kind::Formed { .. } | Kind::Number(..) | Kind::Word(_) => {
                return Vec::new();
            }
            Kind::Private(_) | Kind::Secret(_) | Kind::SectionOr { .. } => return Vec::new(),
            Kind::List(_) | Kind::Named { .. } | Kind::Variants { .. } => return Vec::new(),
        };
        let spot = self.spot.key(entry.place, name);
        let items = match &entry.node.value {
            Value::List(_) => self.items(&entry.node, &spot).unwrap_or_default(),
            Value::Scalar(_) if short.is_some() => {
                self.items(&entry.node, &spot).unwrap_or_default()
            }
            other => {
                if self.check_value(&entry.node, &spot).is_some() {
                    let message = format!(
                        "expected a list, each item of which begins with `-`, found {}",
                        described(other)
                    );
                    self.context.error(&spot.at(entry.node.place), message);
                }
                Vec::new()
            }
        };
        items
            .into_iter()
            .filter_map(|(node, spot)| match (short, &node.value) {
                (Some(key), Value::Scalar(_)) => Some(self.short(keys, (key, node), spot)),
                _ => Section::open(self.context, keys, node, spot),
            })
            .collect()
    }

    /// One value alone, which stands for a key of its section.
    fn short(
        &self,
        keys: &'static [Key],
        short: (&'static str, &'a Node),
        spot: Spot,
    ) -> Section<'a> {
        let (context, short) = (self.context, Some(short));
        Section { context, keys, entries: &[], short, variant: None, spot }
    }

    /// The lists of [`Kind::Named`], each with its name, without those that were reported; one
    /// value alone is a list too.
    pub(super) fn named_lists<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Vec<(Located<String>, Vec<Located<T>>)> {
        let Some(Kind::Named { of: Kind::List(kind), .. }) = self.key(name).map(|key| &key.kind)
        else {
            return Vec::new();
        };
        self.named_entries(name)
            .into_iter()
            .filter_map(|(entry, spot)| {
                let items = self.items(&entry.node, &spot)?;
                let values = items.into_iter();
                let values = values.map(|(node, spot)| self.scalar(kind, node, &spot, &parse));
                Some((named(entry, spot), values.collect::<Option<_>>()?))
            })
            .collect()
    }

    /// The sections of [`Kind::Named`], each with its name; one without a readable section is
    /// there all the same, so that it can be referred to.
    pub(super) fn named_sections(&self, name: &str) -> Vec<(Located<String>, Option<Self>)> {
        let Some(Kind::Named { of: kind, .. }) = self.key(name).map(|key| &key.kind) else {
            return Vec::new();
        };
        let open = |entry: &'a Entry, spot: &Spot| {
            self.check_value(&entry.node, spot)?;
            match kind {
                Kind::Section(keys) => Section::open(self.context, keys, &entry.node, spot.clone()),
                Kind::Variants { key, of } => {
                    Section::open_variant(self.context, (key, of), &entry.node, spot.clone())
                }
                Kind::Short { keys, key } => Some(match &entry.node.value {
                    Value::Scalar(_) => self.short(keys, (*key, &entry.node), spot.clone()),
                    _ => Section::open(self.context, keys, &entry.node, spot.clone())?,
                }),
                _ => None,
            }
        };
        self.named_entries(name)
            .into_iter()
            .map(|(entry, spot)| {
                let section = open(entry, &spot);
                (named(entry, spot), section)
            })
            .collect()
    }

    /// The values of [`Kind::Named`], each with its name, without those that were reported.
    pub(super) fn named_values<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Vec<(Located<String>, Located<T>)> {
        let Some(Kind::Named { of: kind, .. }) = self.key(name).map(|key| &key.kind) else {
            return Vec::new();
        };
        self.named_entries(name)
            .into_iter()
            .filter_map(|(entry, spot)| {
                let value = self.scalar(kind, &entry.node, &spot, &parse)?;
                Some((named(entry, spot), value))
            })
            .collect()
    }

    fn named_entries(&self, name: &str) -> Vec<(&'a Entry, Spot)> {
        let Some(entry) = self.entry(name) else {
            return Vec::new();
        };
        let spot = self.spot.key(entry.place, name);
        match &entry.node.value {
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry, spot.key(entry.place, &entry.key))).collect()
            }
            other => {
                if self.check_value(&entry.node, &spot).is_some() {
                    let of = match self.key(name).map(|key| &key.kind) {
                        Some(Kind::Named { name, .. }) => name,
                        _ => "names",
                    };
                    let message = format!("expected a section of {of}, found {}", described(other));
                    self.context.error(&spot.at(entry.node.place), message);
                }
                Vec::new()
            }
        }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "`{name}` is not in the table of its section");
        key
    }

    fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    fn items(&self, node: &'a Node, spot: &Spot) -> Option<Vec<(&'a Node, Spot)>> {
        self.check_value(node, spot)?;
        Some(match &node.value {
            Value::List(nodes) if nodes.is_empty() => {
                let message = "the list is empty; give it an item, or remove the key";
                self.context.error(spot, message);
                return None;
            }
            Value::List(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| (node, spot.item(node.place, index)))
                .collect(),
            _ => vec![(node, spot.at(node.place))],
        })
    }

    /// Something has to stand at a key that was written: what is missing by accident would
    /// otherwise be a default that nobody chose.
    fn check_value(&self, node: &Node, spot: &Spot) -> Option<()> {
        match node.value {
            Value::Null => {
                let message = "there is no value; give one, or remove the key";
                self.context.error(spot, message);
                None
            }
            Value::Refused => None,
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => Some(()),
        }
    }

    fn scalar<T>(
        &self,
        kind: &Kind,
        node: &Node,
        spot: &Spot,
        parse: &impl Fn(&str) -> Result<T, Unfit>,
    ) -> Option<Located<T>> {
        if matches!(node.value, Value::Null) && kind.begins_as_a_comment() {
            let message =
                "there is no value: what begins with `#` is a comment, unless it is in quotes";
            self.context.error(spot, message);
            return None;
        }
        self.check_value(node, spot)?;
        let spot = spot.at(node.place);
        let Value::Scalar(written) = &node.value else {
            let message = format!("{}, found {}", kind.expected(), described(&node.value));
            self.context.error(&spot, message);
            return None;
        };
        match interpolate::fill(written, self.context.environment) {
            Ok(filled) => self.fitted(kind, &filled.text, filled.is_private, spot, parse),
            Err(unfilled) => {
                self.context.error(&spot, unfilled_message(&unfilled, kind));
                None
            }
        }
    }

    fn fitted<T>(
        &self,
        kind: &Kind,
        text: &str,
        is_private: bool,
        spot: Spot,
        parse: &impl Fn(&str) -> Result<T, Unfit>,
    ) -> Option<Located<T>> {
        let shown = match (kind, is_private) {
            (kind, _) if kind.is_private() => "something else".to_owned(),
            (_, true) => "a value from the environment".to_owned(),
            (_, false) if text.is_empty() => "an empty text".to_owned(),
            (_, false) => quoted(text),
        };
        if let Kind::Word(words) = kind
            && !words.contains(&text)
        {
            let nearest = match is_private {
                true => None,
                false => nearest(text, words.iter().copied()),
            };
            let mut message =
                format!("{}, found {shown}{}", kind.expected(), did_you_mean(nearest));
            // Who reads the word may know what to do without one.
            if nearest.is_none()
                && let Err(Unfit::Because(advice)) = parse(text)
            {
                message.push_str(&format!("; {advice}"));
            }
            self.context.error(&spot, message);
            return None;
        }
        match parse(text) {
            Ok(value) => Some(Located { value, spot, shown, is_private }),
            Err(Unfit::Kind) => {
                let message = format!("{}, found {shown}", kind.expected());
                self.context.error(&spot, message);
                None
            }
            Err(Unfit::Found(what)) => {
                let what = if is_private { shown.as_str() } else { what };
                self.context.error(&spot, format!("{}, found {what}", kind.expected()));
                None
            }
            Err(Unfit::Because(message)) => {
                self.context.error(&spot, message);
                None
            }
        }
    }

    fn report_unknown(&self) {
        // Where secrets are written, an unknown key may be one that went astray.
        let holds_secrets = self.keys.iter().any(|key| key.kind.is_private());
        for entry in self.entries {
            match self.keys.iter().find(|key| key.name == entry.key) {
                Some(_) => {}
                None => {
                    let nearest = nearest(&entry.key, present(self.keys));
                    let key = match (holds_secrets, nearest) {
                        (true, None) => String::new(),
                        _ => format!(" {}", quoted(&entry.key)),
                    };
                    let here = match nearest {
                        Some(name) => format!("; did you mean `{name}`? Here"),
                        None => "; here".to_owned(),
                    };
                    let message =
                        format!("unknown key{key}{here} there are {}", listed(present(self.keys)));
                    self.context.error(&self.spot.at(entry.place), message);
                }
            }
        }
    }

    fn report_missing(&self) {
        for key in self.keys {
            if matches!(key.need, Need::Required) && !self.has(key.name) {
                let message = format!("`{}` is missing: {}", key.name, key.says);
                self.context.error(&self.spot, message);
            }
        }
    }
}

fn named(entry: &Entry, spot: Spot) -> Located<String> {
    Located { value: entry.key.clone(), spot, shown: quoted(&entry.key), is_private: false }
}

fn unfilled_message(unfilled: &Unfilled, kind: &Kind) -> String {
    match unfilled {
        Unfilled::Syntax => "`${…}` holds the name of an environment variable, as in `${PORT}` or \
                             `${PORT:-8443}`; write `$${` for the characters themselves"
            .to_owned(),
        Unfilled::Nested => "a default inside `${…}` cannot hold another `${`".to_owned(),
        // What looks like a variable may be a part of the secret.
        Unfilled::Unset(_) if kind.is_private() => {
            "an environment variable that is named here is not set; write `$${` for the \
             characters themselves"
                .to_owned()
        }
        Unfilled::Unset(name) => format!(
            "the environment variable `{name}` is not set; `${{{name}:-…}}` would give a default"
        ),
    }
}

const fn described(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Refused => "nothing",
        Value::Scalar(_) => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) => "a section",
    }
}
