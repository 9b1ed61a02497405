//! What becomes of somebody, by what is configured and what the directory says: values in, values
//! out.

use super::error::Refused;
use crate::config::{Open, Unknown};

/// What is configured, for one who arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What becomes of somebody whom the directory does not know.
    pub unknown: Unknown,
    /// Who is created.
    pub registration: Open,
    /// Whether accounts are linked by address, and this one's is verified.
    pub links: bool,
    /// Whether any route could let them in.
    pub has_a_way_in: bool,
}

/// What the directory says of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It knows them by their member key.
    Known,
    /// It knows them, and they are not to come in.
    Inactive,
    /// It refuses them.
    Vetoed,
    /// It knows one account that has their address, the only one, and that is nobody's yet.
    Unlinked,
    /// It does not know them.
    Nobody {
        /// Whether they are invited all the same.
        is_invited: bool,
    },
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// They are let in as a member.
    Admit,
    /// They are let in, and nobody is created.
    AdmitUnknown,
    /// They are created.
    Create,
    /// They are linked to the account that has their address.
    Link,
    /// They are refused.
    Refuse(Refused),
}

/// What becomes of somebody.
#[must_use]
pub const fn decide(rules: Rules, found: Found) -> Step {
    let is_invited = match found {
        Found::Known => return Step::Admit,
        Found::Inactive => return Step::Refuse(Refused::Inactive),
        Found::Vetoed => return Step::Refuse(Refused::Vetoed),
        // An account that waits for them is one that the directory has already: it takes no
        // registration.
        Found::Unlinked if rules.links => return Step::Link,
        Found::Unlinked => false,
        Found::Nobody { is_invited } => is_invited,
    };
    match (rules.unknown, rules.registration) {
        (Unknown::Allow, _) => Step::AdmitUnknown,
        (Unknown::Deny, _) => Step::Refuse(Refused::Unknown),
        (Unknown::Provision, Open::ToNobody) => Step::Refuse(Refused::Closed),
        (Unknown::Provision, Open::ToInvited) if !is_invited => Step::Refuse(Refused::Uninvited),
        // Nobody is made a member who could then see nothing.
        (Unknown::Provision, Open::ToAll | Open::ToInvited) => match rules.has_a_way_in {
            true => Step::Create,
            false => Step::Refuse(Refused::NoWayIn),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = Rules> {
        let unknown =
            prop_oneof![Just(Unknown::Allow), Just(Unknown::Deny), Just(Unknown::Provision)];
        let registration =
            prop_oneof![Just(Open::ToAll), Just(Open::ToNobody), Just(Open::ToInvited)];
        (unknown, registration, any::<bool>(), any::<bool>()).prop_map(
            |(unknown, registration, links, has_a_way_in)| Rules {
                unknown,
                registration,
                links,
                has_a_way_in,
            },
        )
    }

    fn found() -> impl Strategy<Value = Found> {
        prop_oneof![
            Just(Found::Known),
            Just(Found::Inactive),
            Just(Found::Vetoed),
            Just(Found::Unlinked),
            any::<bool>().prop_map(|is_invited| Found::Nobody { is_invited }),
        ]
    }

    proptest! {
        #[test]
        fn whom_the_directory_refuses_nothing_lets_in(rules in rules()) {
            for found in [Found::Inactive, Found::Vetoed] {
                prop_assert!(matches!(decide(rules, found), Step::Refuse(_)));
            }
        }

        #[test]
        fn whom_the_directory_knows_comes_in_whatever_is_configured(rules in rules()) {
            prop_assert_eq!(decide(rules, Found::Known), Step::Admit);
        }

        #[test]
        fn az_02_nobody_is_linked_without_a_verified_address_or_against_the_configuration(
            rules in rules(), found in found(),
        ) {
            if decide(rules, found) == Step::Link {
                prop_assert!(rules.links && found == Found::Unlinked);
            }
        }

        #[test]
        fn nobody_is_created_but_where_that_is_written(rules in rules(), found in found()) {
            if decide(rules, found) == Step::Create {
                prop_assert_eq!(rules.unknown, Unknown::Provision);
                prop_assert!(rules.has_a_way_in);
                let is_invited = found == Found::Nobody { is_invited: true };
                let may_be = match rules.registration {
                    Open::ToAll => true,
                    Open::ToInvited => is_invited,
                    Open::ToNobody => false,
                };
                prop_assert!(may_be);
                let is_unknown = matches!(found, Found::Unlinked | Found::Nobody { .. });
                prop_assert!(is_unknown);
            }
        }

        #[test]
        fn gen_04_who_is_unknown_comes_in_as_that_only_by_allow(rules in rules(), found in found()) {
            if decide(rules, found) == Step::AdmitUnknown {
                prop_assert_eq!(rules.unknown, Unknown::Allow);
            }
        }

        #[test]
        fn an_invitation_takes_nothing_away(rules in rules()) {
            let without = decide(rules, Found::Nobody { is_invited: false });
            let with = decide(rules, Found::Nobody { is_invited: true });
            let is_the_invitation = without == Step::Refuse(Refused::Uninvited);
            prop_assert!(without == with || is_the_invitation);
        }
    }
}
