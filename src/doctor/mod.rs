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
mod last_logins;
mod machine;
mod passwords;
mod portal;
mod provider;
mod registration;
mod running;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
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

/// Findings that are on their way, in their order.
#[derive(Debug)]
pub struct Coming(UnboundedReceiver<Finding>);

impl Coming {
    /// Waits for the next one; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Finding> {
        self.0.recv().await
    }
}

/// Where findings go. What was found stays found, whatever happens to the rest of a look.
#[derive(Clone)]
struct Told(UnboundedSender<Finding>);

impl Told {
    fn tell(&self, finding: Finding) {
        // Whoever does not listen any more does not want to know.
        let _ = self.0.send(finding);
    }

    fn all(&self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.tell(finding));
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

/// Begins to look at everything else; what is found is to be told in this order. It has to be called
/// on a runtime.
#[must_use]
pub fn begin(config: Config, setting: Setting) -> Vec<Coming> {
    let case = Arc::new(Case { config, setting });
    let wants = |group: Group| case.setting.groups.contains(&group);
    let mut coming = Vec::new();
    if wants(Group::Files) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::ListenerCertificate, "listen.tls", async move |told| {
            told.all(files::certificate(&case));
        });
    }
    if wants(Group::Machine) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Listener, "listen", async move |told| {
            told.all(machine::look(&case).await);
        });
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
            spawn(&mut coming, Check::ProviderMetadata, &name, async move |told| {
                provider::look(&case, index, &party, &told).await;
            });
        }
    }
    if wants(Group::Credentials) {
        for (index, party) in parties.iter().enumerate() {
            let (case, party) = (Arc::clone(&case), Arc::clone(party));
            let name = Arc::clone(party.name());
            spawn(&mut coming, Check::Credential, &name, async move |told| {
                credentials::look(&case, index, &party, &told).await;
            });
        }
    }
    for (index, portal) in case.config.portals.iter().enumerate() {
        if wants(Group::Portal) {
            let (case, name) = (Arc::clone(&case), portal.origin().to_owned());
            spawn(&mut coming, Check::PortalAnswer, &name, async move |told| {
                portal::look(&case, index, &told).await;
                around::look(&case, index, &told).await;
            });
        }
    }
    if wants(Group::Claims) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Token, "--token", async move |told| {
            told.all(claims::look(&case));
            told.all(last_logins::look(&case).await);
        });
    }
    if wants(Group::Store) {
        let case = Arc::clone(&case);
        spawn(&mut coming, Check::Store, "sessions", async move |told| {
            told.all(store::look(&case).await);
        });
    }
    // Last, because they are there to be copied.
    if wants(Group::Credentials) {
        for (index, party) in parties.into_iter().enumerate() {
            let (case, name) = (Arc::clone(&case), Arc::clone(party.name()));
            spawn(&mut coming, Check::RedirectUri, &name, async move |told| {
                registration::look(&case, index, &party, &told).await;
            });
        }
    }
    coming
}

/// What does not end in time, or in a fault of ours, is an error: nobody can say that all is well.
fn spawn<F>(
    coming: &mut Vec<Coming>,
    check: Check,
    subject: &str,
    look: impl FnOnce(Told) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = unbounded_channel();
    let (told, name) = (Told(sender), subject.to_owned());
    tokio::spawn(async move {
        let looking = tokio::spawn(timeout(BOUND, look(told.clone())));
        let why = match looking.await {
            Ok(Ok(())) => return,
            Ok(Err(_)) => format!("there was no end of looking at it within {BOUND:?}"),
            Err(_) => "looking at it ended in a fault of this program".to_owned(),
        };
        told.tell(Finding::error(check, &name, why).fix("see what of it was found above"));
    });
    coming.push(Coming(receiver));
}
