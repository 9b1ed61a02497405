//! Whom the portal knows. Somebody who has signed in is looked for in the portal's directory of
//! members, and let in, created, linked to an account that waits for them, or refused: before there
//! is a session. [`decision`] says which, without a network; `webhook` and `scim` are the two ways
//! to ask, and each call is made within the `patience` of one sign-in.
//!
//! # What holds
//!
//! - *A directory that cannot be asked lets nobody in*, also not with `unknown: allow`: it may have
//!   refused this one (GEN-02, GEN-03). Without a directory nobody is asked.
//! - *Nobody is created twice.* Whoever is created is looked for first, by their member key; what
//!   was sent and not answered is looked for again before it is sent again (SCIM), or is sent with
//!   the same idempotency key, which depends on portal and member alone (webhook); the other side
//!   looks for the member before it creates one. So a crash
//!   between any two steps, two sign-ins at once and two nodes come to one account. In this process
//!   only one sign-in of a member is in here at a time.
//! - *An address links only if it is verified*, and the account is the only one with it and is
//!   nobody's yet (AZ-02). Which addresses are verified, the relying party knows.
//! - *What is not known to be so is not done.* A directory that answers a question that was not
//!   asked is not believed.
//!
//! It runs once for each login, and not when a provider is asked again about somebody who is there,
//! nor after a change of the profile: a directory that is down for an hour then costs new sign-ins,
//! and nobody's session. Who is to be out at once is signed out by a revocation. Deliberately not
//! here: who has signed in (`relying_party`), when somebody did last (`sessions`), and what a
//! visitor is shown (`server`).

mod calls;
pub mod decision;
mod error;
mod patience;
mod profile;
mod scim;
mod text;
mod turns;
mod webhook;

use std::time::Duration;

use serde_json::{Map, Value};

pub use self::calls::{Call, Observe, Outcome};
use self::decision::{Found, Rules, Step};
pub use self::error::{DirectoryError, MembersError, Refused};
use self::patience::Patience;
use self::scim::Scim;
use self::turns::Turns;
use self::webhook::Webhook;
use crate::config::{self, DirectoryKind, Unknown};
use crate::gate::{Timestamp, VerifiedClaims};

/// The members of one portal.
pub struct Members {
    settings: config::Members,
    directory: Option<Directory>,
    turns: Turns,
}

/// Who is asked.
enum Directory {
    Webhook(Webhook),
    Scim(Scim),
}

/// Somebody who has signed in with a provider.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// Who it is, and what the provider says of them.
    pub claims: &'a VerifiedClaims,
    /// The provider, by its name in the configuration.
    pub provider: &'a str,
    /// Their address, if it is verified.
    pub address: Option<&'a str>,
    /// Whether any route could let them in.
    pub has_a_way_in: bool,
    /// When they signed in last.
    pub last_login: LastLogin,
    /// When they do now.
    pub now: Timestamp,
}

/// When somebody signed in last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLogin {
    /// That is not kept.
    NotKept,
    /// Never, as far as is remembered.
    Never,
    /// Then.
    At(Timestamp),
}

/// Nothing of a member is shown (LOG-01).
impl std::fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrival(…)")
    }
}

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// How.
    pub how: How,
    /// What the directory says of them, each claim under its own name.
    pub said: Map<String, Value>,
}

/// How somebody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// There is no directory.
    Unasked,
    /// The directory knows them.
    Known,
    /// The directory does not know them, and `unknown: allow` lets them in.
    Unknown,
    /// They have just been created.
    Created,
    /// They have just been linked to an account that was nobody's.
    Linked,
}

/// What would become of somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// What would be done.
    pub step: Step,
    /// What the directory says of them, if it knows them.
    pub said: Map<String, Value>,
    /// What the directory has to say to them, if it refuses them.
    pub message: Option<String>,
}

/// What the directory says when it is asked for somebody.
struct Looked {
    found: Found,
    said: Map<String, Value>,
    message: Option<String>,
    /// The account, where it takes that to change it.
    account: Option<scim::Account>,
}

/// What has come of creating or linking somebody.
enum Written {
    /// They are a member; whether by this very call is said where that is known.
    Member { is_new: bool, said: Map<String, Value> },
    /// The directory has something against it.
    Refused { why: Refused, message: Option<String> },
}

/// What the directory is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Create,
    Link,
}

impl Members {
    /// Makes no call. `portal` is the portal's public URL without a slash at its end; every call is
    /// told to `observe`.
    #[must_use]
    pub fn new(settings: config::Members, portal: &str, observe: Observe) -> Self {
        let mut settings = settings;
        let directory = settings.directory.take().map(|directory| {
            let config::Directory { kind, url, deadline, trusted } = directory;
            let calls = calls::Calls::new(url, deadline, trusted, observe);
            match kind {
                DirectoryKind::Webhook(key) => Directory::Webhook(Webhook::new(calls, key, portal)),
                DirectoryKind::Scim(token) => Directory::Scim(Scim::new(calls, token)),
            }
        });
        Self { settings, directory, turns: Turns::default() }
    }

    /// For how long first and last sign-in of somebody are remembered.
    #[must_use]
    pub const fn remembered(&self) -> Duration {
        self.settings.remembered
    }

    /// Whether anybody is asked.
    #[must_use]
    pub const fn ask(&self) -> bool {
        self.directory.is_some()
    }

    /// Lets somebody in, having created or linked them if that is to be.
    ///
    /// # Errors
    /// Why they are not let in.
    pub async fn admit(&self, arrival: Arrival<'_>) -> Result<Admitted, MembersError> {
        let Some(directory) = &self.directory else {
            return Ok(Admitted { how: How::Unasked, said: Map::new() });
        };
        let patience = &mut Patience::new(directory.deadline());
        let key = arrival.claims.subject().member_key();
        let _turn = self.turns.take(&key, patience).await?;
        let looked = self.look(directory, arrival, false, patience).await?;
        let ask = match decision::decide(self.rules(arrival), looked.found) {
            Step::Admit => {
                if let (Directory::Scim(scim), Some(account)) = (directory, &looked.account) {
                    scim.update(account, &self.settings, arrival, patience).await;
                }
                return Ok(Admitted { how: How::Known, said: looked.said });
            }
            Step::AdmitUnknown => return Ok(Admitted { how: How::Unknown, said: Map::new() }),
            Step::Refuse(why) => return Err(self.refused(why, looked.message, arrival)),
            Step::Create => Ask::Create,
            Step::Link => Ask::Link,
        };
        let written = match directory {
            Directory::Webhook(webhook) => {
                webhook.write(ask, &self.settings, arrival, patience).await?
            }
            Directory::Scim(scim) => {
                scim.write(ask, looked.account, &self.settings, arrival, patience).await?
            }
        };
        match (written, ask) {
            (Written::Member { is_new: true, said }, Ask::Create) => {
                Ok(Admitted { how: How::Created, said })
            }
            (Written::Member { is_new: true, said }, Ask::Link) => {
                Ok(Admitted { how: How::Linked, said })
            }
            (Written::Member { is_new: false, said }, _) => Ok(Admitted { how: How::Known, said }),
            (Written::Refused { why, message }, _) => Err(self.refused(why, message, arrival)),
        }
    }

    /// What would become of somebody, without doing it: the directory is asked for them, and told
    /// that this is all.
    ///
    /// # Errors
    /// When the directory does not say.
    pub async fn foresee(&self, arrival: Arrival<'_>) -> Result<Foreseen, MembersError> {
        let Some(directory) = &self.directory else {
            return Ok(Foreseen { step: Step::Admit, said: Map::new(), message: None });
        };
        let patience = &mut Patience::new(directory.deadline());
        let looked = self.look(directory, arrival, true, patience).await?;
        let step = decision::decide(self.rules(arrival), looked.found);
        let message = match step {
            Step::Refuse(why) => self.message(why, looked.message, arrival),
            Step::Admit | Step::AdmitUnknown | Step::Create | Step::Link => None,
        };
        let said = match step {
            Step::Admit => looked.said,
            Step::AdmitUnknown | Step::Create | Step::Link | Step::Refuse(_) => Map::new(),
        };
        Ok(Foreseen { step, said, message })
    }

    async fn look(
        &self,
        directory: &Directory,
        arrival: Arrival<'_>,
        is_dry: bool,
        patience: &mut Patience,
    ) -> Result<Looked, DirectoryError> {
        match directory {
            Directory::Webhook(webhook) => {
                webhook.look(&self.settings, arrival, is_dry, patience).await
            }
            Directory::Scim(scim) => {
                let address = arrival.address.filter(|_| self.settings.links_by_address);
                scim.look(&arrival.claims.subject().member_key(), address, patience).await
            }
        }
    }

    fn rules(&self, arrival: Arrival<'_>) -> Rules {
        Rules {
            unknown: self.settings.unknown,
            registration: self.settings.registration_by(arrival.provider).is,
            links: self.settings.links_by_address && arrival.address.is_some(),
            has_a_way_in: arrival.has_a_way_in,
        }
    }

    fn refused(&self, why: Refused, said: Option<String>, arrival: Arrival<'_>) -> MembersError {
        MembersError::Refused { why, message: self.message(why, said, arrival) }
    }

    /// What they are told besides: by the directory, or by the operator.
    fn message(&self, why: Refused, said: Option<String>, arrival: Arrival<'_>) -> Option<String> {
        let registration = self.settings.registration_by(arrival.provider);
        match why {
            Refused::Vetoed | Refused::Inactive => said,
            Refused::Unknown | Refused::Closed | Refused::Uninvited => {
                registration.message.clone().filter(|_| self.settings.unknown != Unknown::Allow)
            }
            Refused::Conflict | Refused::NoWayIn => None,
        }
    }
}

impl Directory {
    const fn deadline(&self) -> Duration {
        match self {
            Self::Webhook(webhook) => webhook.deadline(),
            Self::Scim(scim) => scim.deadline(),
        }
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("unknown", &self.settings.unknown).finish_non_exhaustive()
    }
}
