//! What an operator wrote, value by value: each key of `keys.rs` read, each value fit for itself.
//! A field that is `None` was left out or has been reported. Deliberately not here: what depends
//! on another key, another file or the environment's secrets, which is `resolve.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::ServerName;
use url::Url;

use super::break_glass::{self, BreakGlassFile};
use super::context::{Context, Located, Spot};
use super::doors::DoorFile;
use super::keys;
use super::kind::Unfit;
use super::mapping::{self, Mapping, Misnamed};
use super::members::{self, MembersFile};
use super::networks;
use super::pages::{self, PagesFile};
use super::presets::{self, PresetsFile};
use super::profiles;
use super::providers::{self, ProviderFile};
use super::requires::{self, RequiresFile};
use super::rollout::{self, RolloutFile};
use super::section::Section;
use super::sessions::{self, SessionsFile};
use super::shutdown::{self, ShutdownFile};
use super::signature::{self, SignatureFile};
use super::signing::{self, SigningFile};
use super::tokens::{self, TokensFile};
use super::traces::{self, TracesFile};
use super::value;
use super::verify::{self, VerifyFile};
use super::yaml::Node;
use super::{Logging, Protocol, logging};
use crate::gate::{
    Access, CanonicalPath, Conditions, Covers, Mode, Oddities, Oddity, PathPattern, Requirement,
    Secret, ValuePattern,
};
use crate::signing_key::SigningAlgorithm;

/// The whole file.
pub(super) struct File {
    pub(super) listen: Option<ListenFile>,
    pub(super) admin: Option<Located<SocketAddr>>,
    /// By name; one whose section cannot be read is there all the same.
    pub(super) providers: Vec<(Located<String>, Option<ProviderFile>)>,
    pub(super) portals: Vec<PortalFile>,
    pub(super) sessions: Option<SessionsFile>,
    pub(super) signing: Option<SigningFile>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) verify: Option<Option<VerifyFile>>,
    pub(super) logging: Option<Logging>,
    pub(super) shutdown: Option<ShutdownFile>,
    pub(super) watches_files: Option<bool>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) traces: Option<Option<TracesFile>>,
}

pub(super) struct ListenFile {
    pub(super) address: Option<Located<SocketAddr>>,
    pub(super) tls: Option<TlsFile>,
    pub(super) proxy_protocol: Option<Located<bool>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) trusted_proxies: Option<Option<Vec<Located<IpNet>>>>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_connections_per_address: Option<usize>,
}

pub(super) struct TlsFile {
    pub(super) certificate: Option<Located<PathBuf>>,
    pub(super) key: Option<Located<PathBuf>>,
}

/// Where a secret comes from; how many of them were written is for `secrets.rs` to judge.
pub(super) struct SecretFile {
    pub(super) spot: Spot,
    pub(super) file: Option<Located<PathBuf>>,
    pub(super) env: Option<Located<String>>,
    pub(super) value: Option<Located<Secret<String>>>,
    /// Which of the keys are there, readable or not.
    pub(super) written: Vec<&'static str>,
}

pub(super) struct PortalFile {
    pub(super) spot: Spot,
    pub(super) public_url: Option<Located<Url>>,
    pub(super) upstream: Option<UpstreamFile>,
    pub(super) mode: Option<Mode>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) rollout: Option<Option<RolloutFile>>,
    /// The same.
    pub(super) break_glass: Option<Option<BreakGlassFile>>,
    pub(super) auth_path: Option<CanonicalPath>,
    pub(super) sign_in: Option<SignInFile>,
    pub(super) pages: Option<PagesFile>,
    pub(super) local_login: Option<LocalLoginFile>,
    pub(super) spelling: Option<SpellingFile>,
    /// Whether the key is there.
    pub(super) names_local_login: bool,
    /// `None` if the key is not there.
    pub(super) routes: Option<Vec<RouteFile>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) members: Option<Option<MembersFile>>,
    pub(super) identity: Option<IdentityFile>,
    pub(super) federated: Option<bool>,
}

pub(super) struct UpstreamFile {
    pub(super) spot: Spot,
    pub(super) url: Option<Located<Url>>,
    pub(super) urls: Option<Vec<Located<Url>>>,
    /// Whether the keys are there.
    pub(super) names: (bool, bool),
    pub(super) protocol: Option<Protocol>,
    pub(super) tls: Option<UpstreamTlsFile>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) response_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_requests: Option<usize>,
    pub(super) health_check: Option<HealthCheckFile>,
}

pub(super) struct UpstreamTlsFile {
    pub(super) spot: Spot,
    pub(super) ca: Option<Vec<Located<PathBuf>>>,
    pub(super) own: TlsFile,
    pub(super) server_name: Option<ServerName<'static>>,
}

pub(super) struct HealthCheckFile {
    pub(super) path: Option<CanonicalPath>,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) healthy_after: Option<u32>,
    pub(super) unhealthy_after: Option<u32>,
}

pub(super) struct SignInFile {
    pub(super) spot: Spot,
    /// Whether the key is there.
    pub(super) names_providers: bool,
    pub(super) providers: Option<Vec<Located<String>>>,
    pub(super) button_label: Option<String>,
    /// `None` if the key is not there.
    pub(super) resend_forms: Option<Located<usize>>,
    pub(super) test: Option<Located<bool>>,
}

pub(super) struct LocalLoginFile {
    pub(super) profiles: Vec<Located<String>>,
    pub(super) login_pages: Vec<DoorFile>,
    pub(super) password_routes: Vec<DoorFile>,
    pub(super) portal_cookies: Vec<ValuePattern>,
    pub(super) form_limit: Option<usize>,
}

pub(super) struct SpellingFile {
    pub(super) mends_segments: Option<bool>,
    pub(super) mends_session_parameter: Option<bool>,
    pub(super) allowed: Vec<AllowanceFile>,
}

pub(super) struct AllowanceFile {
    pub(super) path: Option<Located<PathPattern>>,
    pub(super) oddities: Option<Oddities>,
}

pub(super) struct RouteFile {
    pub(super) path: Option<Located<PathPattern>>,
    pub(super) covers: Covers,
    pub(super) conditions: Conditions,
    pub(super) access: Option<Located<Access>>,
    /// `None` if the key is not there.
    pub(super) requires: Option<RequiresFile>,
    pub(super) websocket: Option<bool>,
    pub(super) response_trailers: Option<bool>,
    pub(super) credentials: Option<bool>,
    /// Outside `None` if it was reported, inside if there is no limit.
    pub(super) max_body: Option<Option<u64>>,
    /// What is told there; `None` if it was reported.
    pub(super) identity: Option<Vec<Located<String>>>,
}

impl RouteFile {
    /// What members need on it besides a sign-in, if that is written and can be read.
    pub(super) fn requirement(&self) -> Option<&Requirement> {
        self.requires.as_ref()?.requirement.as_ref()
    }

    /// Whom it lets in; `None` if something was reported.
    pub(super) fn whom(&self) -> Option<Access> {
        match (&self.access.as_ref()?.value, &self.requires) {
            (access, None) => Some(access.clone()),
            (Access::SignedIn(_), Some(requires)) => {
                Some(Access::SignedIn(requires.requirement.clone()?))
            }
            // Reported as a contradiction.
            (Access::Public, Some(_)) => None,
        }
    }
}

pub(super) struct IdentityFile {
    /// By header; one that cannot be read is there all the same.
    pub(super) headers: Vec<(Located<String>, Option<Mapping>)>,
    pub(super) misnamed: Vec<Misnamed>,
    pub(super) assertion: AssertionFile,
    pub(super) signature: SignatureFile,
    pub(super) presets: PresetsFile,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) tokens: Option<Option<TokensFile>>,
}

pub(super) enum AssertionFile {
    /// `none`.
    Off,
    /// A section, written or with its defaults.
    On(Box<AssertionOn>),
    /// Something that was reported.
    Unreadable,
}

pub(super) struct AssertionOn {
    pub(super) audience: Option<Located<String>>,
    pub(super) lifetime: Option<Duration>,
    /// `None` inside is HS256.
    pub(super) algorithm: Option<Located<Option<SigningAlgorithm>>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) secret: Option<Option<SecretFile>>,
}

/// Reads the whole file; `None` if it is not a section at all.
pub(super) fn read<'a>(context: &'a Context<'a>, root: &'a Node) -> Option<File> {
    let top = Section::open(context, keys::FILE, root, Spot::top(root.place))?;
    Some(File {
        listen: top.section("listen").map(|section| listen(&section)),
        admin: top.section("admin").and_then(|section| section.value("address", value::address)),
        providers: top
            .named_sections("providers")
            .into_iter()
            .map(|(name, section)| (name, section.map(|section| providers::read(&section))))
            .collect(),
        portals: top.sections("portals").iter().map(|section| portal(context, section)).collect(),
        sessions: top.section("sessions").map(|section| sessions::read_section(&section)),
        signing: top.section("signing").map(|section| signing::read(&section)),
        verify: top
            .if_there("verify", |key| top.section(key).map(|section| verify::read(&section))),
        logging: top.section("logging").and_then(|section| logging::read(&section)),
        shutdown: top.section("shutdown").map(|section| shutdown::read(&section)),
        watches_files: top
            .section("reload")
            .and_then(|section| bare(section.value("watch", value::yes_or_no))),
        traces: top
            .if_there("traces", |key| top.section(key).map(|section| traces::read(&section))),
    })
}

fn listen(section: &Section<'_>) -> ListenFile {
    ListenFile {
        address: section.value("address", value::address),
        tls: section.section("tls").map(|section| tls(&section)),
        proxy_protocol: section.value("proxy_protocol", value::yes_or_no),
        trusted_proxies: section
            .if_there("trusted_proxies", |key| section.values(key, networks::network)),
        max_connections: bare(section.value("max_connections", value::connections)),
        max_connections_per_address: bare(
            section.value("max_connections_per_address", value::connections),
        ),
    }
}

pub(super) fn tls(section: &Section<'_>) -> TlsFile {
    TlsFile {
        certificate: section.value("certificate", value::path),
        key: section.value("key", value::path),
    }
}

pub(super) fn secret(section: &Section<'_>) -> SecretFile {
    let names = ["file", "env", "value"];
    SecretFile {
        spot: section.spot().clone(),
        file: section.value("file", value::path),
        env: section.value("env", value::text),
        value: section.value("value", |text| Ok(Secret::new(text.to_owned()))),
        written: names.into_iter().filter(|name| section.has(name)).collect(),
    }
}

fn portal(context: &Context<'_>, section: &Section<'_>) -> PortalFile {
    PortalFile {
        spot: section.spot().clone(),
        public_url: section.value("public_url", value::origin),
        upstream: section.section("upstream").map(|section| upstream(&section)),
        mode: bare(section.value("mode", |word| {
            Ok(match word {
                "optional" => Mode::Optional,
                "report_only" => Mode::ReportOnly,
                "off" => Mode::Off,
                _ => Mode::AzureOnly,
            })
        })),
        rollout: section
            .if_there("rollout", |key| section.section(key).map(|section| rollout::read(&section))),
        break_glass: section.if_there("break_glass", |key| {
            section.section(key).map(|section| break_glass::read(&section))
        }),
        auth_path: bare(section.value("auth_path", value::own_path)),
        sign_in: section.section("sign_in").map(|section| SignInFile {
            spot: section.spot().clone(),
            names_providers: section.has("providers"),
            providers: section.values("providers", value::text),
            button_label: bare(section.value("button_label", value::label)),
            test: section.value("test", value::yes_or_no),
            resend_forms: section.value("resend_forms", value::resend_forms),
        }),
        pages: section.section("pages").map(|section| pages::read(&section)),
        local_login: section.section("local_login").map(|section| local_login(&section)),
        spelling: section.section("spelling").map(|section| spelling(&section)),
        names_local_login: section.has("local_login"),
        routes: section
            .has("routes")
            .then(|| section.sections("routes").iter().map(route).collect()),
        members: section
            .if_there("members", |key| section.section(key).map(|section| members::read(&section))),
        identity: section.section("identity").map(|section| identity(context, &section)),
        federated: section
            .section("logout")
            .and_then(|section| bare(section.value("federated", value::yes_or_no))),
    }
}

fn upstream(section: &Section<'_>) -> UpstreamFile {
    UpstreamFile {
        spot: section.spot().clone(),
        url: section.value("url", value::origin),
        urls: section.values("urls", value::origin),
        names: (section.has("url"), section.has("urls")),
        protocol: bare(section.value("protocol", |word| {
            Ok(match word {
                "http2" => Protocol::Http2,
                _ => Protocol::Http1,
            })
        })),
        tls: section.section("tls").map(|section| UpstreamTlsFile {
            spot: section.spot().clone(),
            ca: section.values("ca", value::path),
            own: TlsFile {
                certificate: section.value("certificate", value::path),
                key: section.value("key", value::path),
            },
            server_name: bare(section.value("server_name", value::server_name)),
        }),
        connect_timeout: bare(section.value("connect_timeout", value::duration("10ms", "1m"))),
        response_timeout: bare(section.value("response_timeout", value::duration("10ms", "1h"))),
        idle_timeout: bare(section.value("idle_timeout", value::duration("10ms", "7d"))),
        max_requests: bare(section.value("max_requests", value::number(1_000_000)))
            .and_then(|most| usize::try_from(most).ok()),
        health_check: section.section("health_check").map(|section| HealthCheckFile {
            path: bare(section.value("path", value::plain_path)),
            interval: bare(section.value("interval", value::duration("100ms", "1h"))),
            timeout: bare(section.value("timeout", value::duration("10ms", "1m"))),
            healthy_after: bare(section.value("healthy_after", value::number(100))),
            unhealthy_after: bare(section.value("unhealthy_after", value::number(100))),
        }),
    }
}

fn local_login(section: &Section<'_>) -> LocalLoginFile {
    let doors = |key: &str| section.sections(key).iter().map(DoorFile::read).collect();
    let cookies = section.values("portal_cookies", super::doors::value_pattern);
    LocalLoginFile {
        profiles: section.values("profile", profile).unwrap_or_default(),
        login_pages: doors("login_pages"),
        password_routes: doors("password_routes"),
        portal_cookies: cookies.into_iter().flatten().map(|cookie| cookie.value).collect(),
        form_limit: bare(section.value("form_limit", value::form_limit)),
    }
}

/// One of the table's words; of another, what to do.
fn profile(name: &str) -> Result<String, Unfit> {
    match profiles::NAMES.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(profiles::UNKNOWN_PRODUCT.into()),
    }
}

fn spelling(section: &Section<'_>) -> SpellingFile {
    let redirects = |key: &str| bare(section.value(key, |word| Ok(word == "redirect")));
    SpellingFile {
        mends_segments: redirects("odd_segments"),
        mends_session_parameter: redirects("session_parameter"),
        allowed: section
            .sections("allow")
            .iter()
            .map(|section| AllowanceFile {
                path: section.value("path", value::pattern),
                oddities: section.values("oddities", value::oddity).map(|oddities| {
                    let oddities: Vec<Oddity> = oddities.iter().map(|odd| odd.value).collect();
                    Oddities::of(&oddities)
                }),
            })
            .collect(),
    }
}

fn route(section: &Section<'_>) -> RouteFile {
    RouteFile {
        path: section.value("path", value::pattern),
        covers: super::doors::covers(section),
        conditions: Conditions {
            query: super::doors::pairs(section, "query"),
            form: super::doors::pairs(section, "form"),
            ..Conditions::default()
        },
        access: section.value("access", |word| {
            Ok(match word {
                "public" => Access::Public,
                _ => Access::SIGNED_IN,
            })
        }),
        requires: match section.has("requires") {
            // One that cannot be read at all was reported.
            true => section.section("requires").map(|section| requires::read(&section)),
            false => None,
        },
        websocket: bare(section.value("websocket", value::yes_or_no)),
        response_trailers: bare(section.value("response_trailers", value::yes_or_no)),
        credentials: bare(section.value("local_credentials", value::yes_or_no)),
        max_body: bare(section.value("max_body", value::size_or_none)),
        identity: section.values("identity", value::text),
    }
}

fn identity(context: &Context<'_>, section: &Section<'_>) -> IdentityFile {
    let assertion = if section.is_word("assertion", "none") {
        AssertionFile::Off
    } else {
        match section.section("assertion") {
            Some(section) => AssertionFile::On(Box::new(AssertionOn {
                algorithm: section.value("algorithm", |word| {
                    let mut all = SigningAlgorithm::ALL.into_iter();
                    Ok(all.find(|algorithm| algorithm.name() == word))
                }),
                secret: section
                    .if_there("secret", |key| section.section(key).map(|section| secret(&section))),
                audience: section.value("audience", value::audience),
                lifetime: bare(section.value("lifetime", value::duration("5s", "60s"))),
            })),
            None => AssertionFile::Unreadable,
        }
    };
    let mut misnamed = Vec::new();
    let headers = section.named_sections("headers").into_iter();
    let headers = headers.map(|(name, section)| {
        (name, section.and_then(|section| mapping::read(context, &section, &mut misnamed)))
    });
    IdentityFile {
        headers: headers.collect(),
        misnamed,
        assertion,
        signature: signature::read(section),
        presets: presets::read(section),
        tokens: section
            .if_there("tokens", |key| section.section(key).map(|section| tokens::read(&section))),
    }
}

pub(super) fn bare<T>(located: Option<Located<T>>) -> Option<T> {
    located.map(|located| located.value)
}
