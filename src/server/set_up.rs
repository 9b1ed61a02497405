//! How a proxy is put together: at the start, and again under another configuration. What outlives
//! a configuration goes on then, and so does what is the same in both: connections to a portal, and
//! what is known of a provider. Deliberately not here: when that happens (`current`).

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

use super::break_glass::BreakGlass;
use super::verify::Verifying;
use super::{Lasting, Limits, Portal, Proxy};
use super::{
    account, admission, discoveries, front, limits, measured_call, measured_outcome, members, pace,
    session_store,
};
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::config::{self, Config, LogFormat, Provider, SigningKeysError, Sink, Store};
use crate::gate::identity::OwnedNames;
use crate::gate::{Lifetimes, Session, Timestamp};
use crate::identity::{Identity, KeptSigners};
use crate::members::Members;
use crate::pages::Look;
use crate::relying_party::RelyingParty;
use crate::sessions::{Ended, KeptKeys, KeptKeysError, Ours, Sessions};
use crate::signing_key::SigningAlgorithm;
use crate::telemetry::log::DroppedLines;
use crate::telemetry::metrics::{Metrics, SessionEnd};
use crate::telemetry::traces::{self, Traces, What};
use crate::upstream::Servers;

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
    /// TLS cannot be set up, which is a fault of the build.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// What stays as it is while the process lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    listen: SocketAddr,
    admin: SocketAddr,
    /// Where questions over gRPC come.
    grpc: Option<SocketAddr>,
    store: Store,
    capacity: u64,
    lifetimes: Lifetimes,
    has_sealing_keys: bool,
    log_format: LogFormat,
    /// Where the three streams go.
    log_sinks: [Sink; 3],
}

impl Fixed {
    /// The keys of which another value takes a restart.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("listen.address", self.listen == other.listen),
            ("admin.address", self.admin == other.admin),
            ("verify.grpc.address", self.grpc == other.grpc),
            ("sessions.store", self.store == other.store),
            ("sessions.capacity", self.capacity == other.capacity),
            ("sessions.idle_timeout", self.lifetimes.idle == other.lifetimes.idle),
            ("sessions.absolute_timeout", self.lifetimes.absolute == other.lifetimes.absolute),
            ("sessions.keys", self.has_sealing_keys == other.has_sealing_keys),
            ("logging.format", self.log_format == other.log_format),
            ("logging.to", self.log_sinks == other.log_sinks),
        ];
        all.into_iter().filter(|(_, is_same)| !is_same).map(|(key, _)| key).collect()
    }
}

/// The portals that there are.
#[derive(Debug, Default)]
pub(super) struct Known(ArcSwap<Vec<KnownPortal>>);

#[derive(Debug)]
struct KnownPortal {
    host: Arc<str>,
    /// The names of its providers.
    providers: Vec<Arc<str>>,
}

impl Known {
    fn include(&self, session: &Session) -> bool {
        let known = self.0.load();
        let portal = known.iter().find(|portal| session.is_for(&portal.host));
        let is_its = |name: &Arc<str>| **name == *session.provider();
        portal.is_some_and(|portal| portal.providers.iter().any(is_its))
    }
}

/// What is made of a configuration before the rest of it.
struct Parts {
    lasting: Lasting,
    metrics: Arc<Metrics>,
    keys: Arc<KeptKeys>,
    signing: Arc<KeptSigners>,
}

impl Proxy {
    /// Puts everything together. No network is touched: it serves from the first moment on, whoever
    /// else is down.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        dropped_lines: DroppedLines,
        limits: Limits,
    ) -> Result<Self, SetUpError> {
        let metrics =
            counted(&config, |portals, providers| Metrics::new(portals, providers, dropped_lines));
        let signing = KeptSigners::read(&config.signing, needed(&config), clock.now())?;
        let keys = KeptKeys::read(&config.sessions.keys, clock.now())?;
        let seal = Arc::clone(keys.seal());
        let counter = Arc::clone(&metrics);
        let ended = move |ended| match ended {
            Ended::Expired => counter.session_ended(SessionEnd::Expired),
            Ended::Evicted => counter.session_ended(SessionEnd::Evicted),
        };
        let known = Arc::<Known>::default();
        let asked = Arc::clone(&known);
        let is_ours = Ours::new(move |session| asked.include(session));
        let sessions = Sessions::new(&config.sessions, &seal, &clock, is_ours, ended);
        sessions.observe(session_store::observe(&metrics));
        let lasting = Lasting {
            began: clock.now(),
            clock,
            sessions: Arc::new(sessions),
            lifetimes: config.sessions.lifetimes,
            in_force: Arc::default(),
            known,
            seal,
            admission: admission::Admission::new(
                config.listen.max_connections,
                config.listen.max_connections_per_address,
            ),
            limits,
            request_ids: Arc::new(account::RequestIds::generate().map_err(|_| SetUpError::Random)?),
            form_room: Arc::default(),
            sign_outs: Arc::new(pace::Pace::default()),
            discoveries: Arc::new(discoveries::Discoveries::default()),
            last_logins: Arc::default(),
            openings: Arc::default(),
        };
        let (keys, signing) = (Arc::new(keys), Arc::new(signing));
        let proxy = Self::under(config, Parts { lasting, metrics, keys, signing }, None)?;
        proxy.know();
        proxy.measure();
        proxy.metrics.service.configured(&proxy.fingerprint, proxy.clock.now());
        Ok(proxy)
    }

    /// The same under another configuration. Nothing of it is in force yet.
    ///
    /// # Errors
    /// When a key cannot be used or made.
    pub(super) fn next(&self, config: Config) -> Result<Self, SetUpError> {
        let metrics = counted(&config, |portals, providers| self.metrics.next(portals, providers));
        let now = self.clock.now();
        let signing = match self.signing.suits(&config.signing, &needed(&config)) {
            true => Arc::clone(&self.signing),
            false => Arc::new(self.signing.next(&config.signing, needed(&config), now)?),
        };
        let keys = match self.keys.is_of(&config.sessions.keys) {
            true => Arc::clone(&self.keys),
            false => Arc::new(self.keys.next(&config.sessions.keys, now)?),
        };
        let lasting = self.lasting.clone();
        Self::under(config, Parts { lasting, metrics, keys, signing }, Some(self))
    }

    fn under(config: Config, parts: Parts, before: Option<&Self>) -> Result<Self, SetUpError> {
        let Parts { lasting, metrics, keys, signing } = parts;
        let fixed = Fixed {
            listen: config.listen.address,
            admin: config.admin,
            grpc: config.grpc_address(),
            store: config.sessions.store,
            capacity: config.sessions.capacity,
            lifetimes: config.sessions.lifetimes,
            has_sealing_keys: !config.sessions.keys.is_empty(),
            log_format: config.logging.format,
            log_sinks: [config.logging.to, config.logging.access_to, config.logging.audit_to],
        };
        let providers = config.providers.iter().enumerate();
        let relying_parties = providers
            .map(|(index, provider)| party(provider, index, &lasting.clock, &metrics, before))
            .collect();
        let mut policies = Vec::with_capacity(config.portals.len());
        let mut portals = Vec::with_capacity(config.portals.len());
        for (index, settings) in config.portals.into_iter().enumerate() {
            let was = before.and_then(|before| before.portal(&settings.policy.host));
            let (policy, portal) =
                portal(settings, (index, &metrics), &signing, was, lasting.clock.now())?;
            policies.push(policy);
            portals.push(portal);
        }
        let traces = traced(config.traces, &metrics, before)?;
        Ok(Self {
            lasting,
            policies,
            portals,
            relying_parties,
            refresh_interval: config.sessions.refresh_interval,
            keys,
            signing,
            tls: config.listen.tls,
            front: front::Front::new(config.listen.proxy_protocol, config.listen.trusted_proxies),
            metrics,
            verify: config.verify.map(Verifying::new),
            logs_access: config.logging.access,
            watches_files: config.watches_files,
            traces,
            stops: config.shutdown,
            fixed,
            fingerprint: config.fingerprint,
            most: (config.listen.max_connections, config.listen.max_connections_per_address),
        })
    }

    /// What all configurations share is as this one says.
    ///
    /// # Errors
    /// When a key cannot seal; then nothing has changed.
    pub(super) fn come_into_force(&self, before: &Self) -> Result<(), SetUpError> {
        if !Arc::ptr_eq(&self.keys, &before.keys) {
            self.keys.come_into_force().map_err(|_| SetUpError::Random)?;
        }
        let (most, most_of_one) = self.most;
        self.admission.change(most, most_of_one);
        self.know();
        self.measure();
        self.metrics.service.reloaded(&self.fingerprint, self.clock.now());
        Ok(())
    }

    /// How far levels may go, and until when visitors believe us.
    fn measure(&self) {
        let number = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
        let service = &self.metrics.service;
        service.connections_max.set(number(self.most.0));
        service.sessions_max.set(i64::try_from(self.fixed.capacity).unwrap_or(i64::MAX));
        service.form_bytes_max.set(number(limits::FORMS));
        let own = self.tls.as_ref().and_then(|tls| tls.cert.first());
        let own = own.and_then(|certificate| Certificate::read(certificate));
        service.certificate_ends(own.map(|own| own.ends()));
        for (index, portal) in self.portals.iter().enumerate() {
            let most = portal.servers.max_requests();
            self.metrics.portal(index).requests_max.set(number(most));
        }
    }

    fn know(&self) {
        let names = |portal: &Portal| {
            let parties = portal.providers.iter().filter_map(|at| self.relying_parties.get(*at));
            parties.map(|party| Arc::clone(party.name())).collect()
        };
        let portals = self.policies.iter().zip(&self.portals);
        let known = portals.map(|(policy, portal)| KnownPortal {
            host: Arc::clone(&policy.host),
            providers: names(portal),
        });
        self.known.0.store(Arc::new(known.collect()));
    }

    fn portal(&self, host: &str) -> Option<&Portal> {
        let place = self.policies.iter().position(|policy| &*policy.host == host)?;
        self.portals.get(place)
    }
}

/// The metrics for a configuration: `make` makes them for the names of portals and providers.
fn counted(config: &Config, make: impl FnOnce(&[&str], &[&str]) -> Metrics) -> Arc<Metrics> {
    let portals: Vec<&str> = config.portals.iter().map(|portal| &*portal.policy.host).collect();
    let providers: Vec<&str> = config.providers.iter().map(|provider| &*provider.name).collect();
    let mut metrics = make(&portals, &providers);
    for (index, portal) in config.portals.iter().enumerate() {
        metrics.add_upstreams(index, portal.upstream.servers.iter().map(ToString::to_string));
    }
    for (index, provider) in config.providers.iter().enumerate() {
        metrics.add_credentials(index, provider.credentials.len());
    }
    Arc::new(metrics)
}

/// Where spans go: as before, if that is the same.
fn traced(
    settings: Option<config::Traces>,
    metrics: &Arc<Metrics>,
    before: Option<&Proxy>,
) -> Result<Option<Arc<Traces>>, SetUpError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let was = before.and_then(|before| before.traces.as_ref());
    if let Some(was) = was.filter(|was| was.are_as(&settings)) {
        return Ok(Some(Arc::clone(was)));
    }
    let traces = Traces::new(settings, metrics).map_err(|_| SetUpError::Random)?;
    Ok(Some(Arc::new(traces)))
}

/// Ourselves towards a provider: as before, if that is the same; else with what was known of it, as
/// far as that still holds.
fn party(
    provider: &Arc<Provider>,
    index: usize,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    before: Option<&Proxy>,
) -> Arc<RelyingParty> {
    let mut parties = before.into_iter().flat_map(|before| &before.relying_parties);
    let was = parties.find(|party| *party.name() == provider.name);
    if let Some(was) = was.filter(|was| was.is_of(provider)) {
        return Arc::clone(was);
    }
    let metrics = Arc::clone(metrics);
    let name = Arc::clone(&provider.name);
    let observe = move |call, outcome, took| {
        let (call, outcome) = (measured_call(call), measured_outcome(outcome));
        metrics.provider_called(index, call, outcome, took);
        let what = || What::Provider { call: call.as_str(), name: Arc::clone(&name) };
        traces::called(what, took, outcome.error());
    };
    let party = RelyingParty::new(Arc::clone(provider), clock.clone(), Arc::new(observe));
    if let Some(was) = was {
        party.inherit(was);
    }
    party
}

fn portal(
    settings: config::Portal,
    (index, metrics): (usize, &Arc<Metrics>),
    signing: &KeptSigners,
    before: Option<&Portal>,
    now: Timestamp,
) -> Result<(crate::gate::Policy, Portal), SetUpError> {
    let policy = settings.policy;
    let opened = before.and_then(|before| before.break_glass.as_ref());
    let public_url = settings.public_url.as_str().trim_end_matches('/').to_owned();
    let kept = before.filter(|before| before.servers.are_as(&settings.upstream));
    let (shares, servers) = match kept {
        Some(kept) => (Arc::clone(&kept.shares), Arc::clone(&kept.servers)),
        None => (
            Arc::new(admission::Shares::new(settings.upstream.max_requests)),
            Arc::new(Servers::new(settings.upstream)),
        ),
    };
    let portal = Portal {
        host: HeaderValue::try_from(&*policy.host).map_err(|_| SetUpError::Host)?,
        scheme: HeaderValue::from_static(if policy.secure { "https" } else { "http" }),
        owned: OwnedNames::with(settings.identity.sets()),
        break_glass: BreakGlass::of(settings.break_glass, &policy, now, opened),
        tells: settings.identity.tells(),
        gate_cookies: settings.identity.presets.cookies(),
        identity: Identity::new(&settings.identity, &public_url, signing.signers()),
        shares,
        servers,
        members: settings.members.map(|settings| {
            Arc::new(Members::new(settings, &public_url, members::observe(metrics, index)))
        }),
        providers: settings.sign_in.providers,
        button_label: settings.sign_in.button_label,
        look: Look::new(settings.pages.name, settings.pages.colour, settings.pages.help),
        tests_logins: settings.sign_in.test,
        signs_out_at_provider: settings.logout.federated,
        public_url,
    };
    Ok((policy, portal))
}

/// What portals are signed for with, by keys.
fn needed(config: &Config) -> Vec<SigningAlgorithm> {
    let portals = config.portals.iter();
    let used: Vec<_> = portals.flat_map(|portal| portal.identity.algorithms()).collect();
    SigningAlgorithm::ALL.into_iter().filter(|algorithm| used.contains(algorithm)).collect()
}
