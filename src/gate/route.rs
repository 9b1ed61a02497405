//! What a portal's configuration says about a request: its routes, its login pages, its password
//! routes and its mode. Deliberately not here: how they combine, which is `decide`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Method;

use super::path::{CanonicalPath, PathError, deny_key};

/// What the gate does for a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only people who signed in with the provider get in; the portal's own password doors are shut.
    AzureOnly,
    /// Visitors pass as nobody, or signed in if they wish; password doors stay open.
    Optional,
    /// Everything passes. Identity headers of visitors are removed all the same.
    Off,
}

impl Mode {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AzureOnly => "azure_only",
            Self::Optional => "optional",
            Self::Off => "off",
        }
    }
}

/// Whom a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// People who signed in.
    SignedIn,
}

impl Access {
    /// Whether strangers may pass.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }
}

/// A path with `*` for one segment and a last `**` for whatever follows: `/assets/**`, `/`,
/// `/members/*/photo`. `/assets/**` covers `/assets` too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    folded: String,
    shape: Shape,
}

/// How a pattern is compared. Most are text, or text and `/**`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Below,
    Segments,
}

impl Shape {
    fn of(pattern: &str) -> Self {
        match pattern.strip_suffix("/**") {
            _ if !pattern.contains('*') => Self::Text,
            Some(text) if !text.contains('*') => Self::Below,
            _ => Self::Segments,
        }
    }

    fn covers(self, pattern: &str, path: &str) -> bool {
        match self {
            Self::Text => pattern == path,
            Self::Below => {
                let above = pattern.strip_suffix("/**").unwrap_or(pattern);
                let rest = path.strip_prefix(above);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Segments => covers_segments(pattern, path),
        }
    }
}

/// Why a pattern cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Its plain part is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `*` beside other characters, or `**` before the end.
    #[error("`*` stands for one whole segment, and `**` only at the end for all that follow")]
    Wildcard,
    /// An escape or capital in the wrong spelling.
    #[error("the path is not in its canonical spelling")]
    NotCanonical,
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if CanonicalPath::parse(text)?.as_str() != text {
            return Err(PatternError::NotCanonical);
        }
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            let well_placed = match segment {
                "*" => true,
                "**" => segments.peek().is_none(),
                plain => !plain.contains('*'),
            };
            if !well_placed {
                return Err(PatternError::Wildcard);
            }
        }
        let folded = deny_key(text).into_owned();
        Ok(Self { text: text.to_owned(), folded, shape: Shape::of(text) })
    }
}

impl PathPattern {
    /// Whether this is the path, to the letter: what a rule that lets in must ask.
    #[must_use]
    pub fn is_exactly(&self, path: &str) -> bool {
        self.shape.covers(&self.text, path)
    }

    /// Whether a portal could take a path with this deny key for this one, whatever its spelling:
    /// what a rule that keeps out must ask (PATH-09).
    #[must_use]
    pub fn could_be(&self, deny_key: &str) -> bool {
        self.shape.covers(&self.folded, deny_key)
    }

    /// As the operator wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn covers_segments(pattern: &str, path: &str) -> bool {
    let mut pattern = pattern.split('/');
    let mut path = path.split('/');
    loop {
        match (pattern.next(), path.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

/// Whether `path` is `prefix` or below it, in any spelling that could be taken for it.
pub(super) fn lies_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.as_bytes();
    let Some(head) = path.as_bytes().get(..prefix.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(prefix)
        && matches!(path.as_bytes().get(prefix.len()), None | Some(b'/'))
}

/// One line of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it covers.
    pub path: PathPattern,
    /// Whom it lets in.
    pub access: Access,
    /// What passes on it besides ordinary requests and answers.
    pub passes: Passes,
}

/// What passes on a route only where its line says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// Upgrades to WebSocket (HTTP-08).
    pub websocket: bool,
    /// Trailers of the portal's answers, as gRPC needs them (HDR-07).
    pub trailers: bool,
    /// `Authorization` to the portal and its `WWW-Authenticate` to the visitor, in every mode
    /// (PATH-15).
    pub credentials: bool,
    /// The most bytes that a request's body may have; `None` is without a limit (LIM-03).
    pub largest_body: Option<u64>,
}

/// One of the portal's own entrances for passwords: refused for everybody in `azure_only`.
#[derive(Clone, Debug)]
pub struct PasswordRoute {
    /// Where the portal listens.
    pub path: PathPattern,
    /// With which methods; `None` is every method (PATH-13).
    pub methods: Option<Vec<Method>>,
}

impl PasswordRoute {
    fn could_be(&self, method: &Method, deny_key: &str) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(as_judged(method)))
            && self.path.could_be(deny_key)
    }
}

/// HEAD is judged as the GET that most frameworks make of it (PATH-13).
fn as_judged(method: &Method) -> &Method {
    if method == Method::HEAD { &Method::GET } else { method }
}

/// Everything that the gate knows about one portal.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The portal's host as visitors write it, with the port if it is not the scheme's own. A
    /// session is valid at one of these (HOST-02).
    pub host: Arc<str>,
    /// Whether visitors come by `https` (FWD-03: from configuration, never from a request).
    pub secure: bool,
    /// What the gate does.
    pub mode: Mode,
    /// Where our own endpoints are, `/.auth` unless the operator moved them.
    pub own: CanonicalPath,
    /// The portal's login pages: a GET becomes a sign-in.
    pub login_pages: Vec<PathPattern>,
    /// The portal's password entrances.
    pub password_routes: Vec<PasswordRoute>,
    /// Who may go where; the first that covers a path decides.
    pub routes: Vec<Route>,
}

impl Policy {
    /// The first route that covers a path with its deny key. Nothing covers what no line names
    /// (GEN-04); a public route covers exact text only, one that asks for a sign-in whatever could
    /// be taken for it.
    #[must_use]
    pub fn covering(&self, path: &str, deny_key: &str) -> Option<&Route> {
        self.routes.iter().find(|route| match route.access {
            Access::Public => route.path.is_exactly(path),
            Access::SignedIn => route.path.could_be(deny_key),
        })
    }

    /// Whether the portal could take this request for one of its password entrances.
    #[must_use]
    pub fn is_password_route(&self, method: &Method, deny_key: &str) -> bool {
        self.password_routes.iter().any(|route| route.could_be(method, deny_key))
    }

    /// Whether this asks for the portal's login page.
    #[must_use]
    pub fn is_login_page(&self, method: &Method, deny_key: &str) -> bool {
        as_judged(method) == Method::GET
            && self.login_pages.iter().any(|page| page.could_be(deny_key))
    }

    /// Whether a `Host` names this portal: its host in any case, with the scheme's own port or
    /// without it (RFC 9110, section 4.2.3).
    #[must_use]
    pub fn is_at(&self, host: &str) -> bool {
        let own_port = if self.secure { ":443" } else { ":80" };
        let bare = host.strip_suffix(own_port).unwrap_or(host);
        self.host.eq_ignore_ascii_case(bare)
    }
}
