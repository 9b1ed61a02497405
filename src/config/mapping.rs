//! How one identity header is made, as the operator writes it: a claim by its path, a text, or a
//! template; and what is done to the claim on the way. `docs/identity-headers.md` is about this
//! language. Deliberately not here: which names a header may have (`headers.rs`), and doing what is
//! written (`crate::identity`).

mod template;
mod transform;

use std::collections::BTreeMap;

use super::context::{Context, Located, Spot};
use super::file::{PortalFile, bare};
use super::keys;
use super::kind::Unfit;
use super::section::Section;
use super::value::is_guid;
use super::wording::nearest;
use super::{Portal, Provider, ProviderKind};
use crate::gate::{ClaimPath, TOKENS_AS_CLAIMS};

pub use template::{Piece, Template, TemplateError};
pub use transform::Transform;

/// How one header is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The same text for every member.
    Constant(String),
    /// A claim, or what is inside of one.
    Claim(ClaimMapping),
    /// Several, in a text.
    Template {
        /// The text.
        template: Template,
        /// What is done to each of its values.
        transforms: Vec<Transform>,
        /// What is sent if one of them is not there.
        otherwise: Otherwise,
    },
}

/// A claim on its way into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMapping {
    /// Where it is.
    pub path: ClaimPath,
    /// What is done to each of its values, in this order.
    pub transforms: Vec<Transform>,
    /// The portal's words for its values.
    pub words: Option<Words>,
    /// How several become one text.
    pub join: Join,
    /// What is sent if there is none.
    pub otherwise: Otherwise,
}

/// The portal's words for what a claim says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// By the claim's.
    pub known: BTreeMap<String, String>,
    /// What becomes of others.
    pub unmapped: Unmapped,
}

/// What becomes of a value without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// The portal is not told of it.
    Drop,
    /// It stays as it is.
    Keep,
    /// Nobody who has it signs in.
    Refuse,
}

/// How the values of a claim become one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// There is one value, and a list is none. It may have any character.
    One,
    /// With this between them, which is encoded inside of each, also of one alone.
    By(char),
}

/// What is sent where there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: the header is not there.
    Nothing,
    /// This.
    Default(String),
    /// Nobody signs in without one.
    Refuse,
}

/// Claims that OpenID Connect (Core 1.0, section 5.1) and Microsoft define as one text: there a comma
/// is a part of it, and a list would be something else than what was asked for.
const OF_ONE_TEXT: [&str; 27] = [
    "birthdate",
    "city",
    "country",
    "email",
    "family_name",
    "gender",
    "given_name",
    "jobTitle",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "oid",
    "phone_number",
    "picture",
    "postalCode",
    "preferred_username",
    "profile",
    "state",
    "streetAddress",
    "sub",
    "tid",
    "unique_name",
    "upn",
    "website",
    "zoneinfo",
    "address",
];

/// Claims that one could mean and mistype; shorter ones are too near to others.
const KNOWN: [&str; 14] = [
    "birthdate",
    "email",
    "emails",
    "family_name",
    "given_name",
    "group_names",
    "groups",
    "nickname",
    "phone_number",
    "postalCode",
    "preferred_username",
    "roles",
    "streetAddress",
    "unique_name",
];

/// Claims that are right as they are, however near to another.
const ALSO_KNOWN: [&str; 4] = ["email_verified", "group", "mail", "role"];

/// Names that people who know a directory give to claims of Microsoft's, in small letters and without
/// `_`, and what the claims are called.
const CALLED_OTHERWISE: [(&str, &str); 10] = [
    ("objectid", "oid"),
    ("tenantid", "tid"),
    ("mail", "email"),
    ("emailaddress", "email"),
    ("username", "preferred_username"),
    ("userprincipalname", "upn"),
    ("displayname", "name"),
    ("firstname", "given_name"),
    ("lastname", "family_name"),
    ("surname", "family_name"),
];

/// A claim that is called otherwise at Microsoft's, where it is written, and how.
pub(super) type Misnamed = (Spot, &'static str);

impl Mapping {
    /// A claim as it is.
    #[must_use]
    pub fn claim(path: ClaimPath) -> Self {
        let join = Join::usual(&path);
        let (transforms, words, otherwise) = (Vec::new(), None, Otherwise::Nothing);
        Self::Claim(ClaimMapping { path, transforms, words, join, otherwise })
    }

    /// The claims that it reads.
    pub fn paths(&self) -> impl Iterator<Item = &ClaimPath> {
        let (one, several) = match self {
            Self::Constant(_) => (None, None),
            Self::Claim(claim) => (Some(&claim.path), None),
            Self::Template { template, .. } => (None, Some(template)),
        };
        one.into_iter().chain(several.into_iter().flat_map(Template::claims))
    }

    /// What it is made of, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let (of, transforms, has_words) = match self {
            Self::Constant(_) => ("the same for everybody".to_owned(), &[][..], false),
            Self::Claim(claim) => {
                (format!("claim {}", claim.path), &*claim.transforms, claim.words.is_some())
            }
            Self::Template { transforms, .. } => {
                let claims: Vec<String> = self.paths().map(ToString::to_string).collect();
                (format!("claims {} in a text", claims.join(", ")), &**transforms, false)
            }
        };
        let mut words = vec![of];
        words.extend(transforms.iter().map(ToString::to_string));
        words.extend(has_words.then(|| "in the portal's words".to_owned()));
        words.join(", ")
    }

    /// The groups that it has words for: they have to be known to be told.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        let words = match self {
            Self::Claim(claim) if claim.path.name() == "groups" => claim.words.as_ref(),
            Self::Constant(_) | Self::Claim(_) | Self::Template { .. } => None,
        };
        words.into_iter().flat_map(|words| words.known.keys().map(String::as_str))
    }
}

impl Join {
    /// How a claim is joined unless the operator says otherwise.
    fn usual(path: &ClaimPath) -> Self {
        match path.is_element() || OF_ONE_TEXT.contains(&path.name()) {
            true => Self::One,
            false => Self::By(','),
        }
    }
}

/// What is written at a header's name; `None` if something was reported.
/// Claims that may be misnamed go to `misnamed`: that depends on the provider.
pub(super) fn read(
    context: &Context<'_>,
    section: &Section<'_>,
    misnamed: &mut Vec<Misnamed>,
) -> Option<Mapping> {
    let sources = ["claim", "value", "template"];
    let written: Vec<&str> = sources.into_iter().filter(|key| section.has(key)).collect();
    match written.as_slice() {
        ["claim"] => claim(context, section, misnamed),
        ["value"] => {
            refuse_beside(
                section,
                "value",
                &["transform", "map", "unmapped", "join", "default", "required"],
            );
            Some(Mapping::Constant(section.value("value", text)?.value))
        }
        ["template"] => {
            refuse_beside(section, "template", &["map", "unmapped", "join"]);
            let template = section.value("template", template);
            let transforms = transforms(section);
            let otherwise = otherwise(section);
            if let Some(template) = &template {
                let suggested =
                    template.value.claims().map(|path| suggest(context, template, path));
                misnamed.extend(suggested.flatten());
            }
            Some(Mapping::Template {
                template: template?.value,
                transforms: transforms?,
                otherwise: otherwise?,
            })
        }
        [] => {
            section.refuse(
                "one of `claim`, `value` and `template` says what the header carries, such as \
                 `{ claim: roles, join: \";\" }`",
            );
            None
        }
        [_, ..] => {
            section.refuse(&format!("`{}` exclude each other", written.join("` and `")));
            None
        }
    }
}

fn claim(
    context: &Context<'_>,
    section: &Section<'_>,
    misnamed: &mut Vec<Misnamed>,
) -> Option<Mapping> {
    let path = section.value("claim", path);
    let transforms = transforms(section);
    let words = words(context, section);
    let join = section.if_there("join", |key| section.value(key, join));
    let otherwise = otherwise(section);
    let path = path?;
    misnamed.extend(suggest(context, &path, &path.value));
    let path = path.value;
    Some(Mapping::Claim(ClaimMapping {
        join: bare(join?).unwrap_or_else(|| Join::usual(&path)),
        path,
        transforms: transforms?,
        words: words?,
        otherwise: otherwise?,
    }))
}

fn refuse_beside(section: &Section<'_>, source: &str, others: &[&'static str]) {
    for other in others.iter().filter(|other| section.has(other)) {
        let message = format!("`{other}` is for a claim, and not beside `{source}`");
        section.refuse_at(&section.spot_of(other), &message);
    }
}

/// Outside `None` if something was reported.
fn transforms(section: &Section<'_>) -> Option<Vec<Transform>> {
    if !section.has("transform") {
        return Some(Vec::new());
    }
    let steps: Vec<Option<Transform>> = section.sections("transform").iter().map(step).collect();
    // What is no list was reported.
    (!steps.is_empty()).then(|| steps.into_iter().collect())?
}

fn step(section: &Section<'_>) -> Option<Transform> {
    let written: Vec<&str> =
        keys::TRANSFORM.iter().map(|key| key.name).filter(|key| section.has(key)).collect();
    let made = |key: &str, make: fn(String) -> Transform| {
        section.value(key, text).map(|text| make(text.value))
    };
    match written.as_slice() {
        ["apply"] => section
            .value("apply", |word| Transform::named(word).ok_or(Unfit::Kind))
            .map(|step| step.value),
        ["before"] => made("before", Transform::Before),
        ["after"] => made("after", Transform::After),
        ["strip_prefix"] => made("strip_prefix", Transform::StripPrefix),
        [] => {
            section.refuse("nothing is done here; write a word, or such as `before: \"@\"`");
            None
        }
        [_, ..] => {
            section.refuse("one step each: begin another with `-`, in the order in which they go");
            None
        }
    }
}

/// Outside `None` if something was reported.
fn words(context: &Context<'_>, section: &Section<'_>) -> Option<Option<Words>> {
    let unmapped = section.value("unmapped", |word| {
        Ok(match word {
            "keep" => Unmapped::Keep,
            "refuse" => Unmapped::Refuse,
            _ => Unmapped::Drop,
        })
    });
    if !section.has("map") {
        if section.has("unmapped") {
            let message = "`unmapped` says what becomes of values that `map` has no word for, and \
                           there is no `map`";
            section.refuse_at(&section.spot_of("unmapped"), message);
            return None;
        }
        return Some(None);
    }
    let written = section.named_values("map", text);
    let mut known = BTreeMap::new();
    for (value, word) in &written {
        // Microsoft writes object ids in lower case.
        let folded = match is_guid(&value.value) {
            true => value.value.to_ascii_lowercase(),
            false => value.value.clone(),
        };
        if known.insert(folded, word.value.clone()).is_some() {
            context.error(&value.spot, "this value has a word already, in other letters");
        }
    }
    if written.is_empty() {
        let message = "no word that could be read stands here, such as `{ Board: admin }`";
        section.refuse_at(&section.spot_of("map"), message);
        return None;
    }
    Some(Some(Words { known, unmapped: unmapped?.value }))
}

fn otherwise(section: &Section<'_>) -> Option<Otherwise> {
    let default = section.if_there("default", |key| section.value(key, text))?;
    let is_required = section.value("required", super::value::yes_or_no)?;
    match (default, is_required.value) {
        (Some(default), true) => {
            let message = "with a `default` there is always a value, so `required` has no meaning";
            section.refuse_at(&default.spot, message);
            None
        }
        (Some(default), false) => Some(Otherwise::Default(default.value)),
        (None, true) => Some(Otherwise::Refuse),
        (None, false) => Some(Otherwise::Nothing),
    }
}

/// Warns of claims that no token of a portal's providers has, if all of them are Microsoft's: others
/// call theirs as they like.
pub(super) fn meet_providers(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &[Portal],
    providers: &[Provider],
) {
    for (file, portal) in files.iter().zip(portals) {
        let kinds = || {
            let parties = portal.sign_in.providers.iter().filter_map(|index| providers.get(*index));
            parties.map(|provider| &provider.kind)
        };
        if kinds().any(|kind| matches!(kind, ProviderKind::Oidc(_))) {
            continue;
        }
        // User flows of B2C have them in a list.
        let is_list = kinds().all(|kind| matches!(kind, ProviderKind::AzureAdB2c(_)));
        for (spot, meant) in file.identity.iter().flat_map(|identity| &identity.misnamed) {
            let meant = match *meant {
                "email" if is_list => "emails[0]",
                meant => meant,
            };
            context.warn(spot, did_you_mean_the_claim(meant));
        }
    }
}

fn did_you_mean_the_claim(meant: &str) -> String {
    format!(
        "did you mean the claim `{meant}`? In quotes, as in `'\"member id\"'`, a name is taken \
         as it is"
    )
}

/// A name that is nearly a known one may be meant all the same; then it stands in quotes. What may be
/// called otherwise is given back.
fn suggest<T>(context: &Context<'_>, written: &Located<T>, path: &ClaimPath) -> Option<Misnamed> {
    let name = path.name();
    if TOKENS_AS_CLAIMS.contains(&name) {
        let message = "this claim is a live token of another provider's: it is dropped from what \
                       is said of a member, and is never there";
        context.warn(&written.spot, message);
    }
    let is_meant = written.is_private || written.shown.contains('"');
    if is_meant || KNOWN.contains(&name) {
        return None;
    }
    let folded = name.replace('_', "").to_ascii_lowercase();
    let otherwise = CALLED_OTHERWISE.into_iter().find(|(called, _)| *called == folded);
    if let Some((_, meant)) = otherwise {
        return Some((written.spot.clone(), meant));
    }
    if !ALSO_KNOWN.contains(&name)
        && let Some(meant) = nearest(name, KNOWN.into_iter())
    {
        context.warn(&written.spot, did_you_mean_the_claim(meant));
    }
    None
}

fn path(text: &str) -> Result<ClaimPath, Unfit> {
    text.parse().map_err(|error| Unfit::Because(format!("{error}")))
}

fn template(text: &str) -> Result<Template, Unfit> {
    text.parse().map_err(|error| Unfit::Because(format!("{error}")))
}

fn text(text: &str) -> Result<String, Unfit> {
    let fits = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// One character that is never a part of an escape.
fn join(text: &str) -> Result<Join, Unfit> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        _ if text == "none" => Ok(Join::One),
        (Some(one), None) if one == ' ' || (one.is_ascii_punctuation() && one != '%') => {
            Ok(Join::By(one))
        }
        _ => Err(Unfit::Kind),
    }
}
