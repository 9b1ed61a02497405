//! What is known of the doors of common products (PATH-16). Each profile is a file of its own in
//! `profiles/`, written like `local_login` and read by the same reader; its first lines say what it
//! has been tried on.

use super::context::{Context, Spot};
use super::doors::DoorFile;
use super::keys;
use super::section::Section;
use super::value;
use super::yaml;
use crate::gate::{Rule, ValuePattern};

macro_rules! profiles {
    ($($name:literal),+ $(,)?) => {
        /// The names of all profiles.
        pub(super) const NAMES: &[&str] = &[$($name),+];
        const TEXTS: &[&str] = &[$(include_str!(concat!("profiles/", $name, ".yaml"))),+];
    };
}

profiles! {
    "wordpress", "dokuwiki", "mediawiki", "redmine", "django", "rails_devise", "aspnet_identity",
    "aspnet_webforms", "tomcat", "spring", "drupal", "joomla", "moodle", "keycloak", "generic",
}

/// What to do about a product that has no profile.
pub(super) const UNKNOWN_PRODUCT: &str = "for a product that is not among them take `generic`, or \
    `mode: report_only` and see by `anteport discover` where it asks for passwords";

/// A product's doors.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) login_pages: Vec<Rule>,
    pub(super) password_routes: Vec<Rule>,
    pub(super) portal_cookies: Vec<ValuePattern>,
}

/// The profile of this name, with what is wrong with it; a test holds that nothing is.
pub(super) fn find(name: &str) -> Result<Profile, String> {
    let text = NAMES.iter().zip(TEXTS).find_map(|(known, text)| (*known == name).then_some(text));
    read(name, text.ok_or("there is no such profile")?)
}

fn read(name: &str, text: &str) -> Result<Profile, String> {
    let environment = |_: &str| None;
    let context = Context::new(name, &environment);
    let profile = read_with(&context, text);
    match (profile, context.done().iter().next()) {
        (Some(profile), None) => Ok(profile),
        (_, Some(problem)) => Err(problem.to_string()),
        (None, None) => Err("the profile cannot be read".to_owned()),
    }
}

fn read_with(context: &Context<'_>, text: &str) -> Option<Profile> {
    let start = yaml::Place { line: 1, column: 1 };
    let (root, faults) = yaml::read(text);
    for fault in faults {
        context.error(&Spot::top(fault.place), fault.message);
    }
    let root = root?;
    let section = Section::open(context, keys::PROFILE, &root, Spot::top(start))?;
    for key in ["product", "proof"] {
        section.value(key, value::text);
    }
    section.values("sources", value::text);
    let rules = |key: &str| -> Option<Vec<Rule>> {
        section.sections(key).iter().map(|section| DoorFile::read(section).rule()).collect()
    };
    let cookies = section.values("portal_cookies", super::doors::value_pattern);
    Some(Profile {
        login_pages: rules("login_pages")?,
        password_routes: rules("password_routes")?,
        portal_cookies: cookies.into_iter().flatten().map(|cookie| cookie.value).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_16_every_profile_can_be_read_and_names_its_rules() {
        for name in NAMES {
            let profile = find(name).unwrap_or_else(|problem| panic!("{problem}"));
            let mut seen = Vec::new();
            for rule in &profile.password_routes {
                assert!(!seen.contains(&&rule.name), "{name}: `{}` is there twice", rule.name);
                assert!(!rule.name.contains('/'), "{name}: {} has no name", rule.name);
                seen.push(&rule.name);
            }
            assert!(!seen.is_empty(), "{name}");
        }
    }
}
