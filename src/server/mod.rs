//! Connections in, and everything brought together. `request.rs` is the way of a request: read it
//! first. Deliberately not here: any decision about who may pass (`gate`).

mod account;
mod admission;
mod bound;
mod break_glass;
mod caching;
mod callback;
mod check;
mod circles;
mod connection;
mod current;
mod described;
mod discoveries;
mod draining;
mod failure;
mod farewell;
mod forward;
mod frames;
mod front;
mod glass_door;
mod grpc;
mod hand_over;
mod http1;
mod http2;
mod inspect;
mod kept_keys;
mod last_logins;
mod limits;
mod listener;
mod login;
mod lots;
mod members;
mod own;
mod pace;
mod parameters;
mod peer;
mod provider_logout;
mod proxy_protocol;
mod reload;
mod renewal;
mod request;
mod resend;
mod respond;
mod revocation;
mod service;
mod session_store;
mod set_up;
mod sign_out;
mod sockets;
mod stop;
mod telling;
mod test_login;
mod tls;
mod verify;
mod worker;

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::sign::CertifiedKey;

pub use current::ChangeError;
pub use hand_over::HandOverError;
pub(crate) use http1::http_date;
pub use limits::Limits;
pub use listener::{bind, workers};
pub use reload::{Reason, ReloadError, Reloaded, Reloads, Source};
pub use service::{Order, Service, StartError, Surroundings};
use set_up::Fixed;
pub use set_up::SetUpError;
pub use sockets::{Listeners, SocketsError};
pub use stop::{Shutdown, Stop};
use verify::Verifying;
pub use worker::Workers;

use crate::clock::Clock;
use crate::gate::identity::OwnedNames;
use crate::gate::{Lifetimes, Policy, PortalCookies, Session, Timestamp};
use crate::identity::{Identity, KeptSigners};
use crate::members::Members;
use crate::pages::Look;
use crate::relying_party::{Call, CredentialFault, Outcome, RelyingParty};
use crate::sessions::{KeptKeys, Seal, Sessions, Watched};
use crate::telemetry::metrics::{
    CallOutcome, CredentialFailure, Metrics, ProviderCall, SessionEnd,
};
use crate::telemetry::traces::Traces;
use crate::upstream::Servers;

/// What all workers share, under one configuration.
#[derive(Debug)]
pub(crate) struct Proxy {
    lasting: Lasting,
    /// By the index that [`crate::gate::Asked::portal`] gives, as are `portals`.
    policies: Vec<Policy>,
    portals: Vec<Portal>,
    relying_parties: Vec<Arc<RelyingParty>>,
    /// How often the provider is asked again about a member (SESS-06).
    refresh_interval: Duration,
    keys: Arc<KeptKeys>,
    signing: Arc<KeptSigners>,
    tls: Option<Arc<CertifiedKey>>,
    front: front::Front,
    metrics: Arc<Metrics>,
    /// Which other servers ask about requests that do not come here.
    verify: Option<Verifying>,
    logs_access: bool,
    /// How long the parts of a stop take.
    stops: crate::config::Shutdown,
    watches_files: bool,
    fixed: Fixed,
    /// Connections in all, and from one address.
    most: (usize, usize),
    /// Which one it is.
    fingerprint: String,
    /// `None` if no request is traced.
    traces: Option<Arc<Traces>>,
}

/// What outlives a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    clock: Clock,
    /// When the process began.
    began: Timestamp,
    sessions: Arc<Sessions>,
    lifetimes: Lifetimes,
    /// What is in force, for what outlives its configuration.
    in_force: Arc<Mutex<Weak<Proxy>>>,
    /// Whose sessions are taken from outside.
    known: Arc<set_up::Known>,
    seal: Arc<Seal>,
    admission: Arc<admission::Admission>,
    limits: Limits,
    request_ids: Arc<account::RequestIds>,
    form_room: Arc<inspect::FormRoom>,
    /// Sign-outs in the name of a provider.
    sign_outs: Arc<pace::Pace>,
    discoveries: Arc<discoveries::Discoveries>,
    last_logins: Arc<last_logins::LastLogins>,
    /// What a broken glass has let through and goes on.
    openings: Arc<Watched<break_glass::Opening>>,
}

impl Deref for Proxy {
    type Target = Lasting;

    fn deref(&self) -> &Lasting {
        &self.lasting
    }
}

/// A portal, ready for requests.
#[derive(Debug)]
struct Portal {
    /// Without a trailing slash.
    public_url: String,
    host: HeaderValue,
    scheme: HeaderValue,
    owned: OwnedNames,
    /// In which it may be told who is asking.
    tells: Vec<HeaderName>,
    identity: Identity,
    /// What opens the way to the portal's own sign-in, if anything does.
    break_glass: Option<break_glass::BreakGlass>,
    /// Cookies by which other gates tell who is asking; none reaches the portal.
    gate_cookies: PortalCookies,
    servers: Arc<Servers>,
    shares: Arc<admission::Shares>,
    members: Option<Arc<Members>>,
    /// Indexes into [`Proxy::relying_parties`]; at least one.
    providers: Vec<usize>,
    button_label: String,
    /// How its pages look.
    look: Look,
    /// Whether there are logins of which no session comes.
    tests_logins: bool,
    signs_out_at_provider: bool,
}

impl Proxy {
    /// What is counted.
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What the listener for questions over gRPC shows.
    fn grpc_tls(&self) -> Option<&Arc<CertifiedKey>> {
        self.verify.as_ref().and_then(Verifying::grpc_tls)
    }

    /// Whether a change of the configuration's files puts them in force.
    const fn watches_files(&self) -> bool {
        self.watches_files
    }

    /// The sessions, whose store somebody has to keep.
    pub(crate) fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// Where spans go, if any request is traced.
    pub(crate) const fn traces(&self) -> Option<&Arc<Traces>> {
        self.traces.as_ref()
    }

    /// Reads the sessions that an earlier process left, while requests already come.
    fn restore_sessions(&self) {
        let restored = self.sessions.read_snapshot(self.clock.now());
        self.metrics.sessions_restored.add_many(restored);
    }

    /// How long the parts of a stop take.
    const fn stops(&self) -> crate::config::Shutdown {
        self.stops
    }

    /// Leaves the sessions to the next process; nobody uses them any more.
    fn leave_sessions(&self) {
        self.sessions.write_snapshot(self.clock.now());
    }

    /// Leaves the sessions to the process that takes our place, while something goes on here.
    fn hand_sessions_on(&self) -> bool {
        self.sessions.hand_on(self.clock.now())
    }

    /// The relying parties, whose keys somebody has to keep fresh.
    pub(crate) fn relying_parties(&self) -> &[Arc<RelyingParty>] {
        &self.relying_parties
    }

    /// This is what is in force.
    fn is_in_force(self: &Arc<Self>) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        *in_force = Arc::downgrade(self);
    }

    /// What is in force now, whatever was when this was asked for.
    fn in_force(self: &Arc<Self>) -> Arc<Self> {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.upgrade().unwrap_or_else(|| Arc::clone(self))
    }

    /// Whether a session is of a portal that there is, with a provider that this has.
    fn has(&self, session: &Session) -> bool {
        let mut portals = self.policies.iter().zip(&self.portals);
        let found = portals.find(|(policy, _)| session.is_for(&policy.host));
        found.is_some_and(|(_, portal)| self.provider(portal, session.provider()).is_some())
    }

    /// A provider of a portal by its name.
    fn provider(&self, portal: &Portal, name: &str) -> Option<usize> {
        portal.providers.iter().copied().find(|index| {
            let party = self.relying_parties.get(*index);
            party.is_some_and(|party| &**party.name() == name)
        })
    }

    /// Which claims the last logins with each provider had, by name, as JSON.
    fn last_logins(&self) -> String {
        self.last_logins.to_json().to_string()
    }

    /// Where requests in `report_only` carried passwords, as JSON.
    fn discoveries(&self) -> String {
        self.discoveries.to_json().to_string()
    }

    /// How each provider and each server of a portal is, for `/readyz?verbose`; none of it changes
    /// readiness.
    fn details(&self) -> Vec<(String, String)> {
        let now = self.clock.now();
        let state = |party: &RelyingParty| match party.keys_age(now) {
            Some(age) => format!("known, keys are {} s old", age.as_secs()),
            None => "not reached yet; nobody can sign in".to_owned(),
        };
        let parties = self.relying_parties.iter();
        let parties = parties.map(|party| (format!("provider {}", party.name()), state(party)));
        let credentials = self.relying_parties.iter().flat_map(|party| {
            let all = party.credentials().into_iter().enumerate();
            all.map(|(index, credential)| {
                let number = index.saturating_add(1);
                let name = format!("credential {number} of provider {}", party.name());
                (name, credential.in_words(now))
            })
        });
        let servers = self.portals.iter().zip(&self.policies).flat_map(|(portal, policy)| {
            portal.servers.health().map(|(server, is_well)| {
                let how = if is_well { "well" } else { "ill or not reachable" };
                (format!("upstream {server} of {}", policy.host), how.to_owned())
            })
        });
        let keys = self.keys_in_words(now);
        let store = [self.session_store_in_words(now)];
        parties.chain(credentials).chain(servers).chain(store).chain(keys).collect()
    }

    /// The servers of every portal, and what the portal is called: somebody has to watch them.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (Arc<Servers>, HeaderValue)> {
        self.portals.iter().map(|portal| (Arc::clone(&portal.servers), portal.host.clone()))
    }

    /// Ends the sessions that are over and in whose name something goes on (SESS-10); to be called
    /// every second, beside the requests.
    pub(crate) async fn end_expired(&self) {
        for _ in 0..self.sessions.end_expired(self.clock.now()).await {
            self.metrics.session_ended(SessionEnd::Expired);
        }
    }

    /// Looks after a part of the sessions; to be called every second, beside the requests. A
    /// million that expire take their time, which nobody else's has to be.
    pub(crate) async fn tidy_sessions(&self) {
        let now = self.clock.now();
        let sessions = Arc::clone(&self.sessions);
        let tidying = tokio::task::spawn_blocking(move || sessions.tidy(now));
        if tidying.await.is_err() {
            tracing::error!("the sessions were not looked after, because of a panic");
        }
    }

    /// Looks after what is only counted now and then; to be called every few seconds, beside the
    /// requests.
    pub(crate) fn tidy(&self) {
        self.metrics.sessions.set(i64::try_from(self.sessions.count()).unwrap_or(i64::MAX));
        for (index, portal) in self.portals.iter().enumerate() {
            let levels = self.metrics.upstreams(index);
            // Where break-glass was switched off there are none any more.
            let passes = portal.break_glass.as_ref().map(|glass| glass.passes(self.clock.now()));
            self.metrics.portal(index).switch.passes.set(passes.unwrap_or_default());
            for ((_, is_well), (_, level)) in portal.servers.health().zip(levels) {
                level.set(i64::from(is_well));
            }
        }
        self.metrics.service.form_bytes.set(self.form_room.held());
        self.tidy_session_store();
        self.metrics.sealing_keys.set(&self.keys.state());
        self.metrics.signing_keys.set(&self.signing.state());
        let now = self.clock.now();
        for (index, party) in self.relying_parties.iter().enumerate() {
            if let Some(age) = party.keys_age(now) {
                self.metrics.provider_keys_fetched(index, now.before(age));
            }
            party.announce_ends();
            for (number, credential) in party.credentials().into_iter().enumerate() {
                let faults = CredentialFault::ALL.map(measured_fault);
                let passed_over = faults.into_iter().zip(credential.passed_over);
                self.metrics.credential(index, number, credential.ends, passed_over);
            }
        }
    }
}

/// `relying_party` and `telemetry` do not know each other.
const fn measured_call(call: Call) -> ProviderCall {
    match call {
        Call::Discovery => ProviderCall::Metadata,
        Call::Keys => ProviderCall::Keys,
        Call::Token => ProviderCall::Token,
        Call::Graph => ProviderCall::Graph,
    }
}

const fn measured_fault(fault: CredentialFault) -> CredentialFailure {
    match fault {
        CredentialFault::SecretWrong => CredentialFailure::SecretWrong,
        CredentialFault::SecretExpired => CredentialFailure::SecretExpired,
        CredentialFault::AssertionRefused => CredentialFailure::AssertionRefused,
        CredentialFault::AssertionTime => CredentialFailure::AssertionTime,
        CredentialFault::CertificateRefused => CredentialFailure::CertificateRefused,
        CredentialFault::FederationUnknown => CredentialFailure::FederationUnknown,
        CredentialFault::KindUnsupported => CredentialFailure::KindUnsupported,
        CredentialFault::Other => CredentialFailure::Other,
        CredentialFault::TokenFileUnreadable => CredentialFailure::TokenFileUnreadable,
        CredentialFault::IdentityUnavailable => CredentialFailure::IdentityUnavailable,
        CredentialFault::NotSigned => CredentialFailure::NotSigned,
    }
}

const fn measured_outcome(outcome: Outcome) -> CallOutcome {
    match outcome {
        Outcome::Ok => CallOutcome::Ok,
        Outcome::Refused => CallOutcome::Refused,
        Outcome::Unreachable => CallOutcome::Unreachable,
    }
}
