//! Connections in, and everything brought together. `request.rs` is the way of a request: read it
//! first. Deliberately not here: any decision about who may pass (`gate`).

mod account;
mod admission;
mod bound;
mod caching;
mod callback;
mod circles;
mod connection;
mod described;
mod discoveries;
mod failure;
mod frames;
mod front;
mod http1;
mod http2;
mod inspect;
mod kept_keys;
mod limits;
mod listener;
mod login;
mod members;
mod own;
mod pace;
mod parameters;
mod peer;
mod provider_logout;
mod proxy_protocol;
mod renewal;
mod request;
mod resend;
mod respond;
mod revocation;
mod service;
mod session_store;
mod sign_out;
mod telling;
mod test_login;
mod tls;
mod verify;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::sign::CertifiedKey;

pub use limits::Limits;
pub use listener::{bind, workers};
pub use service::{Service, StartError};
use verify::Verifying;
pub use worker::{Shutdown, Stop, Workers, run};

use crate::clock::Clock;
use crate::config::{Config, SigningKeysError};
use crate::gate::identity::OwnedNames;
use crate::gate::{Policy, PortalCookies, Timestamp};
use crate::identity::{Identity, KeptSigners};
use crate::members::Members;
use crate::relying_party::{Call, CredentialFault, Outcome, RelyingParty};
use crate::sessions::{Ended, KeptKeys, KeptKeysError, Ours, Seal, Sessions};
use crate::signing_key::SigningAlgorithm;
use crate::telemetry::metrics::{
    CallOutcome, CredentialFailure, Metrics, ProviderCall, SessionEnd,
};
use crate::upstream::Servers;

/// What all workers share.
#[derive(Debug)]
pub struct Proxy {
    clock: Clock,
    /// When it was put together.
    began: Timestamp,
    /// By the index that [`crate::gate::Asked::portal`] gives, as are `portals`.
    policies: Vec<Policy>,
    portals: Vec<Portal>,
    relying_parties: Vec<Arc<RelyingParty>>,
    sessions: Arc<Sessions>,
    lifetimes: crate::gate::Lifetimes,
    /// How often the provider is asked again about a member (SESS-06).
    refresh_interval: Duration,
    seal: Arc<Seal>,
    keys: KeptKeys,
    signing: KeptSigners,
    tls: Option<Arc<CertifiedKey>>,
    front: front::Front,
    admission: Arc<admission::Admission>,
    limits: Limits,
    metrics: Arc<Metrics>,
    request_ids: account::RequestIds,
    form_room: Arc<inspect::FormRoom>,
    /// Sign-outs in the name of a provider.
    sign_outs: pace::Pace,
    discoveries: discoveries::Discoveries,
    /// Which other servers ask about requests that do not come here.
    verify: Option<Verifying>,
    logs_access: bool,
}

/// A portal, ready for requests.
#[derive(Debug)]
struct Portal {
    /// Without a trailing slash.
    public_url: String,
    host: HeaderValue,
    scheme: HeaderValue,
    owned: OwnedNames,
    identity: Identity,
    /// Cookies by which other gates tell who is asking; none reaches the portal.
    gate_cookies: PortalCookies,
    servers: Arc<Servers>,
    shares: admission::Shares,
    members: Option<Members>,
    /// Indexes into [`Proxy::relying_parties`]; at least one.
    providers: Vec<usize>,
    button_label: String,
    /// Whether there are logins of which no session comes.
    tests_logins: bool,
    signs_out_at_provider: bool,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// No randomness.
    #[error("the system's random generator failed")]
    Random,
    /// No key to seal with.
    #[error(transparent)]
    SealingKeys(#[from] KeptKeysError),
    /// No key for the assertion.
    #[error("a key that signs assertions cannot be used")]
    Signing(#[from] SigningKeysError),
    /// A host that no header can carry; cannot come up for a configuration that was read.
    #[error("the public URL has a host that no header can carry")]
    Host,
}

impl Proxy {
    /// Puts everything together. No network is touched: it serves from the first moment on, whoever
    /// else is down.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub fn new(
        config: Config,
        clock: Clock,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Self, SetUpError> {
        let signing = KeptSigners::read(&config.signing, needed(&config), clock.now())?;
        let keys = KeptKeys::read(&config.sessions.keys, clock.now())?;
        let seal = Arc::clone(keys.seal());
        let relying_parties = config.providers.iter().enumerate().map(|(index, provider)| {
            let metrics = Arc::clone(&metrics);
            let observe = move |call, outcome, took| {
                metrics.provider_called(
                    index,
                    measured_call(call),
                    measured_outcome(outcome),
                    took,
                );
            };
            RelyingParty::new(Arc::clone(provider), clock.clone(), Arc::new(observe))
        });
        let relying_parties: Vec<Arc<RelyingParty>> = relying_parties.collect();
        let mut policies = Vec::with_capacity(config.portals.len());
        let mut portals = Vec::with_capacity(config.portals.len());
        for (index, portal) in config.portals.into_iter().enumerate() {
            let public_url = portal.public_url.as_str().trim_end_matches('/').to_owned();
            portals.push(Portal {
                host: HeaderValue::try_from(&*portal.policy.host).map_err(|_| SetUpError::Host)?,
                scheme: HeaderValue::from_static(if portal.policy.secure {
                    "https"
                } else {
                    "http"
                }),
                owned: OwnedNames::with(portal.identity.sets()),
                gate_cookies: portal.identity.presets.cookies(),
                identity: Identity::new(&portal.identity, &public_url, signing.signers()),
                shares: admission::Shares::new(portal.upstream.max_requests),
                servers: Arc::new(Servers::new(portal.upstream)),
                members: portal.members.map(|settings| {
                    Members::new(settings, &public_url, members::observe(&metrics, index))
                }),
                providers: portal.sign_in.providers,
                button_label: portal.sign_in.button_label,
                tests_logins: portal.sign_in.test,
                signs_out_at_provider: portal.logout.federated,
                public_url,
            });
            policies.push(portal.policy);
        }
        let counted = Arc::clone(&metrics);
        let ended = move |ended| match ended {
            Ended::Expired => counted.session_ended(SessionEnd::Expired),
            Ended::Evicted => counted.session_ended(SessionEnd::Evicted),
        };
        let is_ours = ours(&policies, &portals, &relying_parties);
        let sessions = Sessions::new(&config.sessions, &seal, &clock, is_ours, ended);
        sessions.observe(session_store::observe(&metrics));
        Ok(Self {
            policies,
            portals,
            relying_parties,
            sessions: Arc::new(sessions),
            lifetimes: config.sessions.lifetimes,
            refresh_interval: config.sessions.refresh_interval,
            seal,
            keys,
            signing,
            tls: config.listen.tls,
            front: front::Front::new(config.listen.proxy_protocol, config.listen.trusted_proxies),
            admission: admission::Admission::new(
                config.listen.max_connections,
                config.listen.max_connections_per_address,
            ),
            limits,
            request_ids: account::RequestIds::generate().map_err(|_| SetUpError::Random)?,
            form_room: Arc::default(),
            sign_outs: pace::Pace::default(),
            discoveries: discoveries::Discoveries::default(),
            verify: config.verify.map(Verifying::new),
            logs_access: config.logging.access,
            began: clock.now(),
            clock,
            metrics,
        })
    }

    /// The sessions, whose store somebody has to keep.
    pub(crate) fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// Reads the sessions that an earlier process left, while requests already come.
    fn restore_sessions(&self) {
        let restored = self.sessions.read_snapshot(self.clock.now());
        self.metrics.sessions_restored.add_many(restored);
    }

    /// Leaves the sessions to the next process; nobody uses them any more.
    fn leave_sessions(&self) {
        self.sessions.write_snapshot(self.clock.now());
    }

    /// The relying parties, whose keys somebody has to keep fresh.
    #[must_use]
    pub fn relying_parties(&self) -> &[Arc<RelyingParty>] {
        &self.relying_parties
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
    pub async fn end_expired(&self) {
        for _ in 0..self.sessions.end_expired(self.clock.now()).await {
            self.metrics.session_ended(SessionEnd::Expired);
        }
    }

    /// Looks after a part of the sessions; to be called every second, beside the requests. A
    /// million that expire take their time, which nobody else's has to be.
    pub async fn tidy_sessions(&self) {
        let now = self.clock.now();
        let sessions = Arc::clone(&self.sessions);
        let tidying = tokio::task::spawn_blocking(move || sessions.tidy(now));
        if tidying.await.is_err() {
            tracing::error!("the sessions were not looked after, because of a panic");
        }
    }

    /// Looks after what is only counted now and then; to be called every few seconds, beside the
    /// requests.
    pub fn tidy(&self) {
        self.metrics.sessions.set(i64::try_from(self.sessions.count()).unwrap_or(i64::MAX));
        for (index, portal) in self.portals.iter().enumerate() {
            let levels = self.metrics.upstreams(index);
            for ((_, is_well), (_, level)) in portal.servers.health().zip(levels) {
                level.set(i64::from(is_well));
            }
        }
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

/// What portals are signed for with, by keys.
fn needed(config: &Config) -> Vec<SigningAlgorithm> {
    let portals = config.portals.iter();
    let used: Vec<_> = portals.flat_map(|portal| portal.identity.algorithms()).collect();
    SigningAlgorithm::ALL.into_iter().filter(|algorithm| used.contains(algorithm)).collect()
}

/// The sessions of portals that there are, with providers that they have.
fn ours(policies: &[Policy], portals: &[Portal], parties: &[Arc<RelyingParty>]) -> Ours {
    let of_portal = |portal: &Portal| -> Vec<Arc<str>> {
        let parties = portal.providers.iter().filter_map(|index| parties.get(*index));
        parties.map(|party| Arc::clone(party.name())).collect()
    };
    let known = policies.iter().zip(portals);
    let known: Vec<(Arc<str>, Vec<Arc<str>>)> =
        known.map(|(policy, portal)| (Arc::clone(&policy.host), of_portal(portal))).collect();
    Ours::new(move |session| {
        let portal = known.iter().find(|(host, _)| session.is_for(host));
        portal.is_some_and(|(_, names)| names.iter().any(|name| **name == *session.provider()))
    })
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
