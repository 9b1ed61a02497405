//! One portal for each family of models: what its operator wrote down, the requests from which
//! hostile ones are made, and the gate's judgement of a request. How rules become a policy is in
//! one place, [`Portal::policy`]; holes that are known are listed in `open.txt`.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anteport::gate::identity::{LocalCredentials, OwnedNames};
use anteport::gate::{
    self, Access, Asked, CanonicalPath, Decision, Form, Lifetimes, Mode, Pair, Passes, Policy,
    PortalCookies, RawTarget, Route, Rule, Session, Spelling, Subject, Timestamp, ValuePattern,
    VerifiedClaims, decide,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::forwarded::{Forwarded, Model};
use super::{asp, django, node, php, rails, servlet, wordpress};

/// A site, its server and its operator.
pub struct Portal {
    pub host: &'static str,
    pub models: &'static [Model],
    /// Handlers that nobody may reach.
    pub blocked: &'static [&'static str],
    /// Handlers that take a session.
    pub guarded: &'static [&'static str],
    /// What asks for a sign-in wherever it is, before the public routes.
    pub guard: Option<Guard>,
    pub rules: &'static [Deny],
    pub seeds: &'static [Seed],
}

/// What asks for a sign-in below public paths too.
pub enum Guard {
    /// The parameter by which a front controller takes the page on every path.
    Parameter(&'static str),
    /// A path that the server finds at any depth.
    Anywhere(&'static str),
}

/// An entrance that the operator shuts.
pub struct Deny {
    pub path: &'static str,
    pub methods: Methods,
    pub covers: Covers,
    /// Only where this parameter, of the query or of a form, has this value (PATH-12). With `/`
    /// and all below: a front controller takes it on every path, the public ones too.
    pub when: Option<(&'static str, &'static str)>,
}

/// With which methods an entrance is shut.
pub enum Methods {
    All,
    /// It is a login page: a GET becomes a sign-in.
    LoginPage,
    Only(&'static [Method]),
}

/// What else a rule covers (PATH-10).
pub struct Covers {
    /// Extra path info.
    pub below: bool,
    /// `.json` and the like.
    pub format: bool,
    /// A language, or another single folder, before it.
    pub language: bool,
    /// At any depth.
    pub anywhere: bool,
    /// Whatever begins so.
    pub suffixes: bool,
}

/// A request to begin with.
pub struct Seed {
    pub method: &'static str,
    pub target: &'static str,
    pub body: &'static str,
}

const PATH: Covers =
    Covers { below: false, format: false, language: false, anywhere: false, suffixes: false };
const BELOW: Covers = Covers { below: true, ..PATH };
const FORMAT: Covers = Covers { format: true, ..BELOW };
const LANGUAGE: Covers = Covers { language: true, ..BELOW };
const LANGUAGE_FORMAT: Covers = Covers { language: true, format: true, ..BELOW };
const ANYWHERE: Covers = Covers { anywhere: true, ..BELOW };
const ANYWHERE_FORMAT: Covers = Covers { format: true, ..ANYWHERE };

const fn deny(path: &'static str, methods: Methods, covers: Covers) -> Deny {
    Deny { path, methods, covers, when: None }
}

const fn deny_when(path: &'static str, name: &'static str, value: &'static str) -> Deny {
    Deny { path, methods: Methods::All, covers: BELOW, when: Some((name, value)) }
}

const fn get(target: &'static str) -> Seed {
    Seed { method: "GET", target, body: "" }
}

const fn post(target: &'static str) -> Seed {
    Seed { method: "POST", target, body: "" }
}

const fn form(target: &'static str, body: &'static str) -> Seed {
    Seed { method: "POST", target, body }
}

pub const PORTALS: &[Portal] = &[
    Portal {
        host: "asp.example",
        models: asp::MODELS,
        blocked: asp::BLOCKED,
        guarded: asp::GUARDED,
        guard: None,
        rules: &[
            deny("/login.aspx", Methods::LoginPage, BELOW),
            deny("/login", Methods::LoginPage, BELOW),
            deny("/Account/Login", Methods::LoginPage, BELOW),
            deny_when("/", "page", "login"),
            deny_when("/default.aspx", "page", "login"),
            deny_when("/default", "page", "login"),
        ],
        seeds: &[
            post("/login.aspx"),
            post("/Account/Login"),
            get("/login.aspx?__VIEWSTATE=x"),
            post("/login"),
            post("/default.aspx?page=login"),
            get("/?lang=de&page=login"),
            form("/default.aspx", "page=login&user=x"),
            get("/reports"),
            get("/assets/site.css"),
        ],
    },
    Portal {
        host: "servlet.example",
        models: servlet::MODELS,
        blocked: servlet::BLOCKED,
        guarded: servlet::GUARDED,
        guard: Some(Guard::Anywhere("/export.action")),
        rules: &[
            deny("/login", Methods::LoginPage, ANYWHERE_FORMAT),
            deny("/auth", Methods::All, BELOW),
            deny("/j_security_check", Methods::All, ANYWHERE),
            // Struts calls methods by `!`, and loosely configured it wants no ending.
            deny("/login.action", Methods::All, Covers { suffixes: true, ..ANYWHERE_FORMAT }),
            deny_when("/front", "action", "login"),
        ],
        seeds: &[
            post("/login"),
            post("/auth/token"),
            post("/j_security_check"),
            post("/members/j_security_check"),
            post("/login.action"),
            get("/front?action=login"),
            form("/front", "action=login"),
            get("/reports/2025"),
            get("/export.action"),
            get("/open/news"),
        ],
    },
    Portal {
        host: "php.example",
        models: php::MODELS,
        blocked: php::BLOCKED,
        guarded: php::GUARDED,
        guard: Some(Guard::Parameter("route")),
        rules: &[
            deny("/login.php", Methods::LoginPage, FORMAT),
            deny("/login", Methods::LoginPage, ANYWHERE),
            deny_when("/", "route", "login"),
        ],
        seeds: &[
            post("/login.php"),
            post("/login"),
            post("/de/login"),
            post("/index.php/login"),
            post("/index.php?route=login"),
            get("/?a=1&route=login"),
            form("/index.php", "route=login"),
            get("/index.php?route=reports"),
            get("/reports"),
            get("/assets/site.css"),
        ],
    },
    Portal {
        host: "rails.example",
        models: rails::MODELS,
        blocked: rails::BLOCKED,
        guarded: rails::GUARDED,
        guard: None,
        rules: &[
            deny("/users/sign_in", Methods::LoginPage, LANGUAGE_FORMAT),
            deny(
                "/account/password",
                Methods::Only(&[Method::PUT, Method::PATCH]),
                LANGUAGE_FORMAT,
            ),
            Deny { covers: LANGUAGE_FORMAT, ..deny_when("/session", "step", "password") },
        ],
        seeds: &[
            post("/users/sign_in"),
            post("/users/sign_in.json"),
            Seed { method: "PUT", target: "/account/password", body: "password=x" },
            form("/account/password", "email=x"),
            post("/session?step=password"),
            form("/session", "step=password"),
            get("/reports"),
            get("/open/news"),
        ],
    },
    Portal {
        host: "django.example",
        models: django::MODELS,
        blocked: django::BLOCKED,
        guarded: django::GUARDED,
        guard: None,
        rules: &[
            deny("/accounts/login", Methods::LoginPage, LANGUAGE),
            deny("/api/token", Methods::All, LANGUAGE_FORMAT),
        ],
        seeds: &[
            post("/accounts/login/"),
            post("/de/accounts/login/"),
            post("/app/accounts/login/"),
            post("/api/token"),
            post("/api/token.json"),
            get("/reports/"),
            get("/assets/site.css"),
        ],
    },
    Portal {
        host: "node.example",
        models: node::MODELS,
        blocked: node::BLOCKED,
        guarded: node::GUARDED,
        guard: None,
        rules: &[
            deny("/login", Methods::LoginPage, BELOW),
            deny("/api/auth/login", Methods::All, BELOW),
            deny_when("/rpc", "action", "login"),
        ],
        seeds: &[
            post("/login"),
            post("/api/auth/login"),
            get("/rpc?id=1&action=login"),
            form("/rpc", "action=login"),
            form("/rpc", "{\"action\":\"login\"}"),
            get("/reports"),
            get("/open/news"),
        ],
    },
    Portal {
        host: "wordpress.example",
        models: wordpress::MODELS,
        blocked: wordpress::BLOCKED,
        guarded: wordpress::GUARDED,
        guard: None,
        rules: &[
            deny("/wp-login.php", Methods::LoginPage, ANYWHERE),
            deny("/xmlrpc.php", Methods::All, ANYWHERE),
            deny("/wp-json/jwt-auth", Methods::All, ANYWHERE),
            deny("/my-account", Methods::All, ANYWHERE),
            deny_when("/", "rest_route", "/jwt-auth/v1/token"),
            deny_when("/", "pagename", "my-account"),
            deny_when("/", "page_id", "7"),
        ],
        seeds: &[
            post("/wp-login.php?action=lostpassword"),
            post("/site/wp-login.php"),
            post("/xmlrpc.php"),
            post("/wp-json/jwt-auth/v1/token"),
            post("/my-account/"),
            post("/de/my-account/"),
            post("/index.php/my-account/"),
            post("/?rest_route=/jwt-auth/v1/token"),
            post("/?page_id=7"),
            post("/?pagename=my-account"),
            form("/", "pagename=my-account"),
            get("/reports/"),
            get("/assets/site.css"),
        ],
    },
];

/// Of a portal at this host, about which the operator says nothing: not even a route is there.
pub fn policy(host: &str) -> Policy {
    Policy {
        host: Arc::from(host),
        secure: true,
        mode: Mode::AzureOnly,
        rollout: None,
        own: CanonicalPath::parse("/.auth").unwrap(),
        callbacks: Vec::new(),
        elsewhere: Vec::new(),
        spelling: Spelling::default(),
        login_pages: Vec::new(),
        password_routes: Vec::new(),
        portal_cookies: PortalCookies::default(),
        form_limit: 0,
        resend_forms: None,
        routes: Vec::new(),
    }
}

impl Portal {
    /// Everything that the operator says, as the gate is told.
    fn policy(&self) -> Policy {
        let mut policy = Policy {
            form_limit: 1 << 20,
            routes: [
                ("/assets/**", Access::Public),
                ("/open/*", Access::Public),
                ("/**", Access::SIGNED_IN),
            ]
            .map(|(path, access)| Route {
                path: path.parse().unwrap(),
                covers: gate::Covers::default(),
                conditions: gate::Conditions::default(),
                access,
                passes: Passes::default(),
            })
            .into(),
            ..policy(self.host)
        };
        if let Some(guard) = &self.guard {
            let route = |path: &str| Route {
                path: path.parse().unwrap(),
                covers: gate::Covers {
                    anywhere: true,
                    extensions: true,
                    suffixes: true,
                    ..gate::Covers::default()
                },
                conditions: gate::Conditions::default(),
                access: Access::SIGNED_IN,
                passes: Passes::default(),
            };
            policy.routes.insert(
                0,
                match guard {
                    Guard::Anywhere(path) => route(path),
                    Guard::Parameter(name) => Route {
                        conditions: gate::Conditions {
                            form: vec![Pair::new(name, vec![ValuePattern::Any])],
                            ..gate::Conditions::default()
                        },
                        ..route("/**")
                    },
                },
            );
        }
        for deny in self.rules {
            let mut paths = vec![deny.path.to_owned()];
            if deny.when.is_some() && deny.path == "/" {
                paths = vec!["/**".to_owned()];
            } else if deny.covers.language && !deny.covers.anywhere {
                // A single folder that is no language, as the operator would say it.
                paths.push(format!("/*{}", deny.path));
            }
            for path in paths {
                let mut rule = Rule {
                    covers: gate::Covers {
                        extensions: deny.covers.format,
                        path_info: deny.covers.below,
                        language_prefix: deny.covers.language,
                        anywhere: deny.covers.anywhere,
                        suffixes: deny.covers.suffixes,
                    },
                    ..Rule::at(path.parse().unwrap())
                };
                if let Some((name, value)) = deny.when {
                    // Routes may be told with a language before them.
                    let values = [value.to_owned(), format!("*/{}", value.trim_start_matches('/'))];
                    let values = values.map(|value| ValuePattern::parse(&value).unwrap());
                    rule.conditions.form.push(Pair::new(name, values.into()));
                }
                rule.methods = match deny.methods {
                    Methods::All => None,
                    Methods::Only(methods) => Some(methods.to_vec()),
                    Methods::LoginPage => {
                        policy.login_pages.push(rule.clone());
                        let rest = [
                            Method::POST,
                            Method::PUT,
                            Method::PATCH,
                            Method::DELETE,
                            Method::OPTIONS,
                        ];
                        Some(rest.to_vec())
                    }
                };
                policy.password_routes.push(rule);
            }
        }
        policy
    }
}

static POLICIES: LazyLock<Vec<Policy>> =
    LazyLock::new(|| PORTALS.iter().map(Portal::policy).collect());
static OWNED: LazyLock<OwnedNames> = LazyLock::new(|| OwnedNames::with([]));
static SESSIONS: LazyLock<Vec<Session>> = LazyLock::new(|| PORTALS.iter().map(session).collect());

pub const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn session(portal: &Portal) -> Session {
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(
        claims,
        Arc::from("corporate"),
        Arc::from(portal.host),
        "h".into(),
        lifetimes,
        NOON,
    )
}

/// A request as a visitor sends it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// Without `Host`, which names the portal.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What the gate lets through: this target, with these headers.
#[derive(Clone, Debug)]
pub struct Sent {
    pub target: String,
    pub headers: HeaderMap,
}

impl Sent {
    pub fn forwarded<'a>(&'a self, request: &'a Request) -> Forwarded<'a> {
        Forwarded {
            method: Cow::Borrowed(&request.method),
            target: Cow::Borrowed(&self.target),
            headers: &self.headers,
            body: &request.body,
        }
    }
}

/// The gate's judgement; `None` where nothing is forwarded. Conditions on a form get the body here.
pub fn judge(portal: &Portal, request: &Request, is_signed_in: bool) -> Option<Sent> {
    let method = Method::from_bytes(request.method.as_bytes()).ok()?;
    let mut headers = request.headers.clone();
    headers.insert("host", HeaderValue::from_static(portal.host));
    let target = RawTarget::Line(Bytes::copy_from_slice(&request.target));
    let asked = Asked::read(&POLICIES, &method, &target, &headers).ok()?;
    let has_own_cookies = asked.has_own_cookies();
    let at = asked.portal();
    let session = SESSIONS.get(at).filter(|_| is_signed_in);
    let decision = decide(&POLICIES[at], asked, session, NOON).settled().unwrap_or_else(|asked| {
        let form = Form::read(&headers, &request.body);
        decide(&POLICIES[at], asked.with_form(form), session, NOON).settled().unwrap()
    });
    let Decision::Forward(permit) = decision else { return None };
    OWNED.cleanse(&mut headers, has_own_cookies, LocalCredentials::Stop);
    Some(Sent { target: permit.target().to_owned(), headers })
}

/// What a visitor could reach and must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub model: &'static str,
    pub handler: &'static str,
}

/// Whether what the gate forwards of a request reaches, in any model, what it must not: a blocked
/// handler whoever asks, or a guarded one for strangers. The other value: whether it was forwarded.
pub fn breach(portal: &Portal, request: &Request, is_signed_in: bool) -> (Option<Breach>, bool) {
    let Some(sent) = judge(portal, request, is_signed_in) else { return (None, false) };
    let forwarded = sent.forwarded(request);
    for model in portal.models {
        let handlers = (model.resolve)(&forwarded);
        let guarded: &[&str] = if is_signed_in { &[] } else { portal.guarded };
        if let Some(handler) = handlers.any_of(portal.blocked).or_else(|| handlers.any_of(guarded))
        {
            return (Some(Breach { model: model.name, handler }), true);
        }
    }
    (None, true)
}
