//! Presets: what a portal is told that trusts another gate, in the headers of that gate. Each has a
//! file of its own; what is the same as in the real thing and what is not stands in
//! `docs/presets.md`. Deliberately not here: what an operator writes (`config::presets`).

mod authelia;
mod aws_alb;
mod cloudflare_access;
mod easy_auth;
mod facts;
mod google_iap;
mod oauth2_proxy;
mod pomerium;
mod uuid;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use easy_auth::describe;

use super::assertion::Signing;
use super::{IdentityError, Signers, SigningError};
use crate::config::{self, Preset, PresetClaims};
use crate::gate::{EXTENSION, PresetEndpoint, Session, Timestamp};
use crate::signing_key::SigningAlgorithm;
use facts::{Facts, Headers};

/// For how long what a preset signs is valid. The others' is longer; a shorter one asks nothing more
/// of whoever verifies it (ENV-01).
const LIFETIME: Duration = Duration::from_secs(60);

/// The presets of one portal.
#[derive(Debug)]
pub struct Presets {
    settings: config::Presets,
    signers: Arc<Signers>,
}

/// What stands at an endpoint of a preset's.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// Keys as JSON, for everybody.
    Json(String),
    /// A key in PEM, for everybody.
    Pem(String),
    /// About the member who asks, as JSON.
    Own(String),
    /// About a member, and nobody is signed in.
    Nobody,
}

impl Presets {
    pub(super) fn new(settings: &config::Presets, signers: &Arc<Signers>) -> Self {
        Self { settings: settings.clone(), signers: Arc::clone(signers) }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.settings.presets.is_empty()
    }

    /// Whether what they say of a member is from a directory of members.
    pub(super) fn read_extensions(&self) -> bool {
        let PresetClaims { user, email, name, groups } = &self.settings.claims;
        let mut read = [email, name, groups].into_iter().chain(user);
        read.any(|claim| claim.starts_with(EXTENSION))
    }

    /// Adds the headers of all presets, and says when they are to be made anew, if before the
    /// session ends.
    pub(super) fn render(
        &self,
        session: &Session,
        now: Timestamp,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Option<Timestamp>, IdentityError> {
        let facts = Facts::new(session, &self.settings);
        let mut headers = Headers(headers);
        for preset in &self.settings.presets {
            match preset {
                Preset::EasyAuth { names } => easy_auth::render(names, &facts, &mut headers),
                Preset::Oauth2Proxy { forwarded, auth_request } => {
                    oauth2_proxy::render((*forwarded, *auth_request), &facts, &mut headers)
                }
                Preset::Authelia => authelia::render(&facts, &mut headers),
                signed => self.render_signed(signed, &facts, now, &mut headers),
            }?;
        }
        let signs = self.settings.presets.iter().any(|preset| preset.algorithm().is_some());
        Ok(signs.then(|| now.after(LIFETIME / 2)))
    }

    fn render_signed(
        &self,
        preset: &Preset,
        facts: &Facts<'_>,
        now: Timestamp,
        headers: &mut Headers<'_>,
    ) -> Result<(), IdentityError> {
        let pen = Pen { signers: &self.signers, now };
        match preset {
            Preset::CloudflareAccess { team_domain, audience, plain } => {
                cloudflare_access::render((team_domain, audience), *plain, facts, &pen, headers)
            }
            Preset::GoogleIap { audience, plain } => {
                google_iap::render(audience, *plain, facts, &pen, headers)
            }
            Preset::AwsAlb { signer, issuer, client_id, claims, plain } => {
                let alb = aws_alb::Alb {
                    signer,
                    issuer: issuer.as_deref(),
                    client_id: client_id.as_deref(),
                    claims,
                    plain: *plain,
                };
                aws_alb::render(&alb, facts, &pen, headers)
            }
            Preset::Pomerium { issuer, audience, headers: mapped } => {
                pomerium::render((issuer, audience), mapped, facts, &pen, headers)
            }
            Preset::EasyAuth { .. } | Preset::Oauth2Proxy { .. } | Preset::Authelia => Ok(()),
        }
    }

    /// What a provider is called towards the portal, where `easy_auth` is on.
    #[must_use]
    pub fn called(&self, provider: &str) -> Option<&str> {
        let names = self.easy_auth()?;
        names.iter().find(|(known, _)| known == provider).map(|(_, called)| called.as_str())
    }

    /// The first provider that is called so, where `easy_auth` is on.
    #[must_use]
    pub fn provider_called(&self, name: &str) -> Option<&str> {
        let names = self.easy_auth()?;
        names.iter().find(|(_, called)| called == name).map(|(provider, _)| provider.as_str())
    }

    fn easy_auth(&self) -> Option<&[(String, String)]> {
        self.settings.presets.iter().find_map(|preset| match preset {
            Preset::EasyAuth { names } => Some(names.as_slice()),
            _ => None,
        })
    }

    /// What stands at an endpoint; `None` if its preset is not on, or there is no such key.
    #[must_use]
    pub fn published(
        &self,
        endpoint: &PresetEndpoint,
        session: Option<&Session>,
    ) -> Option<Published> {
        let (name, algorithm) = match endpoint {
            PresetEndpoint::CloudflareCerts | PresetEndpoint::CloudflareIdentity => {
                ("cloudflare_access", SigningAlgorithm::Rs256)
            }
            PresetEndpoint::IapKeys | PresetEndpoint::IapJwks => {
                ("google_iap", SigningAlgorithm::Es256)
            }
            PresetEndpoint::AlbKey(_) => ("aws_alb", SigningAlgorithm::Es256),
            PresetEndpoint::PomeriumJwks => ("pomerium", SigningAlgorithm::Es256),
        };
        self.settings.presets.iter().find(|preset| preset.name() == name)?;
        let keys = self.signers.all_of(algorithm);
        match endpoint {
            PresetEndpoint::CloudflareCerts => {
                Some(Published::Json(cloudflare_access::certs(&keys)))
            }
            PresetEndpoint::CloudflareIdentity => Some(match session {
                Some(session) => {
                    let facts = Facts::new(session, &self.settings);
                    Published::Own(cloudflare_access::identity(&facts))
                }
                None => Published::Nobody,
            }),
            PresetEndpoint::IapKeys => Some(Published::Json(google_iap::keys(&keys))),
            PresetEndpoint::IapJwks | PresetEndpoint::PomeriumJwks => {
                let keys: Vec<&Value> = keys.iter().map(|key| key.public()).collect();
                Some(Published::Json(serde_json::json!({ "keys": keys }).to_string()))
            }
            PresetEndpoint::AlbKey(id) => {
                let key = keys.iter().find(|key| aws_alb::key_id(key) == *id)?;
                key.public_pem().map(Published::Pem)
            }
        }
    }
}

/// What signs now.
struct Pen<'a> {
    signers: &'a Arc<Signers>,
    now: Timestamp,
}

impl Pen<'_> {
    fn issued(&self) -> i64 {
        self.now.unix_seconds()
    }

    fn expires(&self) -> i64 {
        self.now.after(LIFETIME).unix_seconds()
    }

    /// A compact JWS over these claims, in the usual form.
    fn sign(&self, algorithm: SigningAlgorithm, claims: Value) -> Result<String, SigningError> {
        let claims: Map<String, Value> = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        Signing::Key(Arc::clone(self.signers), algorithm).sign(&claims)
    }
}

/// A claim of a token: what a member has not, it has not.
fn insert(claims: &mut Value, name: &str, value: Option<Value>) {
    if let (Value::Object(claims), Some(value)) = (claims, value) {
        claims.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
