//! What an operator wrote, resolved into what the program runs on. After [`load`] nothing is
//! checked again: every name refers to something, every secret has been read, every key fits its
//! certificate.
//!
//! `yaml.rs` turns text into nodes with line and column, `keys.rs` says what an operator may
//! write, `file.rs` reads it, `resolve.rs` is the one way from there to [`Config`]. Every problem
//! that can be seen is said at once. It is told the environment and the time; the files that a
//! configuration names it reads itself.

mod break_glass;
mod context;
mod doors;
mod effective;
mod emulated;
mod file;
mod files;
mod headers;
mod idle;
mod interpolate;
mod keys;
mod kind;
mod logging;
mod mapping;
mod members;
mod networks;
mod pages;
mod patterns;
mod policy;
mod portal;
mod presets;
mod problem;
mod profiles;
mod providers;
mod reachable;
mod reference;
mod requires;
mod resolve;
mod rollout;
mod schema;
mod secrets;
mod section;
mod sessions;
mod shutdown;
mod signature;
mod signing;
mod tls;
mod tokens;
mod told;
mod traces;
mod upstream;
mod value;
mod verify;
mod wording;
mod yaml;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use rustls::sign::CertifiedKey;
use url::Url;

use self::context::{Context, Spot};
use self::resolve::Setting;
use crate::gate::identity::ASSERTION;
use crate::gate::{Lifetimes, Policy, Timestamp, TokenKind};
use crate::signing_key::SigningAlgorithm;

pub(crate) use self::effective::plain_or_quoted;
pub use self::effective::{Effective, effective, effective_of};
pub use self::reference::{
    Explained, explain as explain_key, page as key_reference, tree as key_tree,
};
pub use self::schema::schema;
pub use self::secrets::KeyFileError;
pub use self::sessions::{Redis, RedisMode, RedisTls, SealingKeyError, SealingKeys, Store};
pub use self::shutdown::Shutdown;
pub use self::signature::{SIGNATURE_HEADERS, Signature};
pub use self::signing::{SignedBy, SigningKeys, SigningKeysError};
pub use self::traces::{Share, Traces};

pub use self::break_glass::{BreakGlass, BreakGlassLink};
pub use self::emulated::emulated;
pub use self::files::Files;
pub use self::logging::{LogFormat, Logging, Sink};
pub use self::mapping::{
    ClaimMapping, Join, Mapping, Otherwise, Piece, Template, TemplateError, Transform, Unmapped,
    Words,
};
pub use self::members::{
    Attribute, Directory, DirectoryKind, Members, Open, Registration, SCIM_ATTRIBUTES, Source,
    Unknown,
};
pub use self::networks::Networks;
pub use self::pages::{Help, Pages};
pub use self::presets::{Addresses, Preset, PresetClaims, Presets};
pub use self::problem::{Problem, Problems, Severity};
pub(crate) use self::providers::LARGEST_TOKEN;
pub use self::providers::{
    AnswerBy, AssertionAlgorithm, AzureAdB2c, CertificateError, ClientCertificate, Credential,
    EntraId, ExternalId, GraphApi, GroupSource, Groups, IdentitySource, KeptGroups,
    ManagedIdentity, Oidc, PERSONAL_ACCOUNTS, Proof, Provider, ProviderKind, RequestOptions,
    SecretMethod, Tenant, Tenants,
};
pub(crate) use self::secrets::{key_file, read_at_most, read_bounded};
pub(crate) use self::signing::secret_in;
pub(crate) use self::tls::is_for_host;
pub use self::upstream::{HealthCheck, Protocol, ServerAddress, Upstream, UpstreamTls};
pub(crate) use self::value::{any_duration, is_guid, is_loopback};
pub use self::verify::{Description, Grpc, Verify};

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What the program runs on.
    pub config: Config,
    /// What may not mean what was meant, sorted by place.
    pub warnings: Vec<Problem>,
    /// What it was read from.
    pub files: Files,
}

/// Loads a configuration from a file, with the variables of the process's environment.
///
/// # Errors
/// All problems, errors and warnings, if there is an error among them.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Problems> {
    let mut files = Files::default();
    files.add(path);
    match read(path) {
        Ok((name, text)) => parse_of(files, &name, &text, &environment, now),
        Err(problems) => Err(problems.after(files)),
    }
}

/// [`load`] of what is read from somewhere else, such as standard input. Relative paths in it begin
/// where the process is.
///
/// # Errors
/// As of [`load`].
pub fn load_from(
    name: &str,
    input: impl std::io::Read,
    now: Timestamp,
) -> Result<Loaded, Problems> {
    let bytes = secrets::read_at_most(input, yaml::LARGEST as u64);
    let (name, text) = text_of(name.to_owned(), bytes)?;
    parse(&name, &text, &environment, now)
}

/// Loads a configuration from `text`. `name` is the path of its file: messages begin with it, and
/// relative paths in the text begin at its folder.
///
/// # Errors
/// All problems, errors and warnings, if there is an error among them.
pub fn parse(
    name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<Loaded, Problems> {
    parse_of(Files::default(), name, text, environment, now)
}

/// [`parse`], after these files were read.
fn parse_of(
    files: Files,
    name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<Loaded, Problems> {
    let context = Context::new(name, environment).after(files);
    let folder = Path::new(name).parent().unwrap_or_else(|| Path::new(""));
    let config = written(&context, text).and_then(|root| {
        let file = file::read(&context, &root)?;
        resolve::resolve(&context, &file, &Setting { folder, now, text })
    });
    let problems = context.done();
    match config {
        Some(config) if problems.errors() == 0 => {
            let (warnings, files) = problems.into_parts();
            Ok(Loaded { config, warnings, files })
        }
        // Whatever could not be made was reported where it stands.
        _ => Err(problems),
    }
}

/// Where a configuration has health and metrics served. It reads no secret and no other file, and
/// what is wrong elsewhere in the configuration does not matter to it.
///
/// # Errors
/// All problems, if the address cannot be read.
pub fn admin_address(path: &Path) -> Result<SocketAddr, Problems> {
    let (name, text) = read(path)?;
    let environment = environment;
    let context = Context::new(&name, &environment);
    let admin = written(&context, &text).and_then(|root| file::read(&context, &root)?.admin);
    match admin {
        Some(address) => Ok(address.value),
        None => Err(context.done()),
    }
}

/// The names of the profiles that `local_login` knows.
#[must_use]
pub const fn profile_names() -> &'static [&'static str] {
    profiles::NAMES
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<(String, String), Problems> {
    let name = path.display().to_string();
    text_of(name, secrets::read_bounded(path, yaml::LARGEST as u64))
}

fn text_of(name: String, bytes: std::io::Result<Vec<u8>>) -> Result<(String, String), Problems> {
    let bytes = bytes.map_err(|error| {
        let mut message = format!("cannot read the configuration: {}", secrets::reason(&error));
        if error.kind() == std::io::ErrorKind::NotFound {
            message.push_str(
                "; `--config` or $ANTEPORT_CONFIG names another, and `anteport config init` writes a \
                 first one",
            );
        }
        Problems::with_file(&name, message)
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(_) => {
            let message = "the configuration is not text (UTF-8)".to_owned();
            Err(Problems::with_file(&name, message))
        }
    }
}

/// The tree of what is written; `None` if that was reported.
fn written(context: &Context<'_>, text: &str) -> Option<yaml::Node> {
    let start = yaml::Place { line: 1, column: 1 };
    if text.len() > yaml::LARGEST {
        let message = format!("the configuration is larger than {} bytes", yaml::LARGEST);
        context.error(&Spot::top(start), message);
        return None;
    }
    let (root, faults) = yaml::read(text);
    let is_whole = faults.is_empty();
    for fault in faults {
        context.error(&Spot::top(fault.place), fault.message);
    }
    if root.is_none() && is_whole {
        context.error(&Spot::top(start), "the configuration is empty");
    }
    root
}

/// Everything that the program runs on.
#[derive(Debug)]
pub struct Config {
    /// Where visitors connect.
    pub listen: Listen,
    /// Where health and metrics are served; loopback by default (CFG-03).
    pub admin: SocketAddr,
    /// The identity providers.
    pub providers: Vec<Arc<Provider>>,
    /// The portals; at least one.
    pub portals: Vec<Portal>,
    /// How sessions are kept.
    pub sessions: Sessions,
    /// What signs the assertions. Empty: a key that is made at start and ends with the process.
    pub signing: SigningKeys,
    /// Which other servers ask about requests that do not come here, and how; `None` if none does.
    pub verify: Option<Verify>,
    /// Whether a change of its files puts them in force.
    pub watches_files: bool,
    /// What is logged, and how.
    pub logging: Logging,
    /// Where spans go; `None` makes none.
    pub traces: Option<Traces>,
    /// By which two processes see whether they run on the same text. Files and variables that it
    /// names are not in it, and nothing can be read from it.
    pub fingerprint: String,
    /// How long the parts of a stop take.
    pub shutdown: Shutdown,
}

impl Config {
    /// Where questions over gRPC come, if somewhere.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.verify.as_ref()?.grpc.as_ref().map(|grpc| grpc.address)
    }
}

/// The public listener.
#[derive(Debug)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificate chain and key, which fit each other; `None` serves plain HTTP/1.1.
    pub tls: Option<Arc<CertifiedKey>>,
    /// Whether every connection begins with a PROXY protocol header (FWD-04). There are
    /// `trusted_proxies` then.
    pub proxy_protocol: bool,
    /// Who may say whose a connection or a request is; nobody else (FWD-02, FWD-04).
    pub trusted_proxies: Networks,
    /// How many connections there may be in all (LIM-02).
    pub max_connections: usize,
    /// How many of them one address may have, `trusted_proxies` excepted; of IPv6, one /64.
    pub max_connections_per_address: usize,
}

/// A portal.
#[derive(Debug)]
pub struct Portal {
    /// Its public URL: scheme, host and port of every absolute URL that we write (FWD-03). No path.
    pub public_url: Url,
    /// Mode, routes, login pages and password routes, as the gate judges them.
    pub policy: Policy,
    /// What opens the way to the portal's own sign-in; `None` is nothing.
    pub break_glass: Option<BreakGlass>,
    /// Where allowed requests go.
    pub upstream: Upstream,
    /// The sign-in.
    pub sign_in: SignIn,
    /// How our own pages look there.
    pub pages: Pages,
    /// Whom it knows, and what becomes of others; `None` asks nobody.
    pub members: Option<Members>,
    /// What the portal is told.
    pub identity: Identity,
    /// What signing out does.
    pub logout: Logout,
}

impl Portal {
    /// Its public URL without the slash at its end.
    #[must_use]
    pub fn origin(&self) -> &str {
        let url = self.public_url.as_str();
        url.strip_suffix('/').unwrap_or(url)
    }

    /// The redirect URIs that a provider has to know for it.
    pub fn to_register(&self, provider: &Provider) -> impl Iterator<Item = String> + use<> {
        let own = format!("{}{}", self.origin(), self.policy.own);
        let callback = match &provider.callback_path {
            Some(path) => format!("{}{path}", self.origin()),
            None => format!("{own}/login/{}/callback", provider.name),
        };
        let signed_out = self.logout.federated.then(|| format!("{own}/logout/done"));
        std::iter::once(callback).chain(signed_out)
    }

    /// The addresses at which a provider can tell of a sign-out, each with what it is called there.
    pub fn sign_outs_at(
        &self,
        provider: &Provider,
    ) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let own = format!("{}{}", self.origin(), self.policy.own);
        let name = &provider.name;
        let front = ("Front-channel logout URL", format!("{own}/front-channel-logout/{name}"));
        let back = matches!(provider.kind, ProviderKind::Oidc(_))
            .then(|| ("Back-channel logout URL", format!("{own}/back-channel-logout/{name}")));
        std::iter::once(front).chain(back)
    }
}

/// How visitors of a portal sign in.
#[derive(Debug)]
pub struct SignIn {
    /// With which providers, as indexes into [`Config::providers`], in the order of the page.
    pub providers: Vec<usize>,
    /// What the button says.
    pub button_label: String,
    /// Whether there are logins of which no session comes.
    pub test: bool,
}

/// What a portal is told about a member.
#[derive(Debug)]
pub struct Identity {
    /// Plain headers, each with how it is made.
    pub headers: Vec<(HeaderName, Mapping)>,
    /// The signed assertion.
    pub assertion: Option<Assertion>,
    /// The message signature.
    pub signature: Option<Signature>,
    /// The names that go along on routes that do not send all of it, by their
    /// [`Told`](crate::gate::identity::Told).
    pub parts: Vec<Vec<HeaderName>>,
    /// The headers of other gates.
    pub presets: Presets,
    /// Which of the provider's tokens go along, each with its header; mostly none.
    pub tokens: Vec<(TokenKind, HeaderName)>,
}

impl Identity {
    /// The headers that are this portal's own to say, and so nobody else's.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &HeaderName> {
        let mapped = self.headers.iter().map(|(name, _)| name);
        let of_tokens = self.tokens.iter().map(|(_, name)| name);
        mapped.chain(of_tokens).chain(Signature::sets(self.signature.as_ref()))
    }

    /// All headers in which the portal may be told who is asking.
    pub(crate) fn tells(&self) -> Vec<HeaderName> {
        let presets = self.presets.presets.iter().flat_map(Preset::header_names);
        let built_in = presets.chain([ASSERTION]);
        let mut all: Vec<_> = built_in.filter_map(|name| HeaderName::try_from(name).ok()).collect();
        all.extend(self.sets().cloned());
        all.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        all.dedup();
        all
    }

    /// What the portal is signed for with, by keys.
    pub(crate) fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let assertion = self.assertion.as_ref().map(|made| &made.signed_by);
        let signature = self.signature.as_ref().map(|made| &made.signed_by);
        let by_keys = assertion.into_iter().chain(signature).filter_map(|by| match by {
            SignedBy::Key(algorithm) => Some(*algorithm),
            SignedBy::Secret(_) => None,
        });
        by_keys.chain(self.presets.presets.iter().filter_map(Preset::algorithm)).collect()
    }
}

/// The signed assertion.
#[derive(Debug)]
pub struct Assertion {
    /// `aud`: the portal's public URL unless the operator named another.
    pub audience: String,
    /// From `iat` to `exp`; 60 seconds at most (ENV-01).
    pub lifetime: Duration,
    /// How it is signed.
    pub signed_by: SignedBy,
}

/// What signing out does.
#[derive(Debug)]
pub struct Logout {
    /// Whether the provider's session ends too.
    pub federated: bool,
}

/// How sessions are kept.
#[derive(Debug)]
pub struct Sessions {
    /// Where.
    pub store: Store,
    /// What seals all that leaves this process. Empty: a key that is made at start and ends with
    /// the process.
    pub keys: SealingKeys,
    /// How long they last.
    pub lifetimes: Lifetimes,
    /// How often the provider is asked again about a member who has a refresh token.
    pub refresh_interval: Duration,
    /// How many this process keeps; beyond, the least recently used goes.
    pub capacity: u64,
}
