//! `doctor`: the configuration and the world around it, looked at as `run` would meet them, with
//! what to do about each thing that is wrong.
//!
//! A file each for what is looked at together ([`Group`]); [`Check`] has the stable names. What is
//! asked of the provider, the portal and the store is asked by the code that asks it while we run,
//! and nothing is asked that changes anything there: no password, no identity and no form is sent.
//! All of it runs side by side, each with a bound, and is told in one order. Deliberately not
//! here: how findings look, and the exit code (`cli/doctor.rs`).

mod around;
mod check;
mod claims;
mod clock;
mod credentials;
mod doors;
mod files;
mod finding;
mod forms;
mod html;
mod machine;
mod portal;
mod provider;
mod registration;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::check::{Check, Group};
pub use self::finding::{Finding, Status};
use crate::clock::Clock;
use crate::config::{Config, Loaded, Portal, Problems};
use crate::gate::Mode;
use crate::relying_party::RelyingParty;

/// For everything that is looked at of one thing, such as a portal.
const BOUND: Duration = Duration::from_secs(20);

/// What is to be looked at, besides the configuration itself.
#[derive(Debug)]
pub struct Setting {
    /// Where the configuration is.
    pub path: PathBuf,
    /// Which groups; the others say nothing.
    pub groups: Vec<Group>,
    /// What a real token says.
    pub claims: Option<Map<String, Value>>,
    /// Where the portals should not answer either, as `host` or `host:port`.
    pub around: Vec<String>,
    /// What time it is.
    pub clock: Clock,
}

/// What all checks look at.
struct Case {
    config: Config,
    setting: Setting,
}

impl Case {
    /// The portals where the provider of this index is offered.
    fn portals_of(&self, provider: usize) -> impl Iterator<Item = &Portal> {
        let portals = self.config.portals.iter();
        let portals = portals.filter(|portal| portal.policy.mode != Mode::Off);
        portals.filter(move |portal| portal.sign_in.providers.contains(&provider))
    }
}

/// Findings that are on their way.
pub struct Coming {
    check: Check,
    subject: String,
    found: JoinHandle<Vec<Finding>>,
}

impl Coming {
    /// Waits for them.
    pub async fn findings(self) -> Vec<Finding> {
        match self.found.await {
            Ok(findings) => findings,
            Err(_) => vec![Finding::error(
                self.check,
                &self.subject,
                "looking at it ended in a fault of this program",
            )],
        }
    }
}

/// What is found of the configuration itself: at once, and all there is if it was refused.
#[must_use]
pub fn configuration(setting: &Setting, loaded: &Result<Loaded, Problems>) -> Vec<Finding> {
    let findings = files::configuration(setting, loaded);
    let is_asked = |finding: &Finding| {
        finding.status == Status::Error || setting.groups.contains(&finding.check.group())
    };
    findings.into_iter().filter(is_asked).collect()
}

/// Begins to look at everything else; what is found comes in this order. It has to be called on a
/// runtime.
#[must_use]
pub fn begin(config: Config, setting: Setting) -> Vec<Coming> {
    let case = Arc::new(Case { config, setting });
    let wants = |group: Group| case.setting.groups.contains(&group);
    let mut coming = Vec::new();
    if wants(Group::Files) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::ListenerCertificate, "listen.tls", async move {
            files::certificate(&case)
        });
    }
    if wants(Group::Machine) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Listener, "listen", async move { machine::look(&case).await });
    }
    let parties: Vec<Arc<RelyingParty>> = case
        .config
        .providers
        .iter()
        .map(|provider| {
            let (provider, clock) = (Arc::clone(provider), case.setting.clock.clone());
            RelyingParty::new(provider, clock, Arc::new(|_, _, _| {}))
        })
        .collect();
    if wants(Group::Provider) {
        for (index, party) in parties.iter().enumerate() {
            let (case, party) = (Arc::clone(&case), Arc::clone(party));
            let name = Arc::clone(party.name());
            spawn(&mut coming, Check::ProviderMetadata, &name, async move {
                provider::look(&case, index, &party).await
            });
        }
    }
    if wants(Group::Credentials) {
        for (index, party) in parties.iter().enumerate() {
            let (case, party) = (Arc::clone(&case), Arc::clone(party));
            let name = Arc::clone(party.name());
            spawn(&mut coming, Check::Credential, &name, async move {
                credentials::look(&case, index, &party).await
            });
        }
    }
    for (index, portal) in case.config.portals.iter().enumerate() {
        if wants(Group::Portal) {
            let (case, name) = (Arc::clone(&case), portal.origin().to_owned());
            spawn(&mut coming, Check::PortalAnswer, &name, async move {
                portal::look(&case, index).await
            });
        }
    }
    if wants(Group::Claims) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Token, "--token", async move { claims::look(&case) });
    }
    if wants(Group::Store) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Store, "sessions", async move { store::look(&case).await });
    }
    // Last, because they are there to be copied.
    if wants(Group::Credentials) {
        for (index, party) in parties.into_iter().enumerate() {
            let (case, name) = (Arc::clone(&case), Arc::clone(party.name()));
            spawn(&mut coming, Check::RedirectUri, &name, async move {
                registration::look(&case, index, &party).await
            });
        }
    }
    coming
}

fn spawn(
    coming: &mut Vec<Coming>,
    check: Check,
    subject: &str,
    look: impl Future<Output = Vec<Finding>> + Send + 'static,
) {
    let name = subject.to_owned();
    let found = tokio::spawn(async move {
        timeout(BOUND, look).await.unwrap_or_else(|_| {
            let told = format!("there was no result within {BOUND:?}");
            vec![Finding::error(check, &name, told)]
        })
    });
    coming.push(Coming { check, subject: subject.to_owned(), found });
}
