//! Presets: a portal that trusts another gate gets the headers that it knows. What an operator writes
//! of them is in `written.rs`, what that means in `resolve.rs`, and what several providers or portals
//! together mean in `together.rs`; what the headers say is `identity::presets`'s.

mod resolve;
mod together;
mod written;

use std::sync::Arc;

use http::HeaderName;

pub(super) use self::resolve::{elsewhere, resolve};
pub(super) use self::together::{meet_providers, tokens_are_of_one};
pub(super) use self::written::{PresetsFile, read};
use super::providers::ProviderKind;
use crate::gate::{PortalCookies, ValuePattern};
use crate::signing_key::SigningAlgorithm;

const CLOUDFLARE_ACCESS: &str = "cloudflare_access";
const POMERIUM: &str = "pomerium";

/// What a portal is told in the way of other gates.
#[derive(Clone, Debug, Default)]
pub struct Presets {
    /// Each once.
    pub presets: Vec<Preset>,
    /// What they take it from.
    pub claims: PresetClaims,
    /// What is known of addresses.
    pub addresses: Addresses,
}

/// Whose e-mail addresses a portal may take for verified (AZ-02).
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Whether the operator says that each is its member's own, where the provider says nothing.
    pub are_theirs: bool,
    /// What each provider of the portal is, by its name: how it says that an address is verified.
    pub providers: Vec<(Arc<str>, ProviderKind)>,
}

impl Presets {
    /// Cookies that a portal behind such a gate may believe: a visitor's own never reach it.
    #[must_use]
    pub fn cookies(&self) -> PortalCookies {
        let of = |preset: &Preset| match preset {
            Preset::CloudflareAccess { .. } => {
                Some(ValuePattern::Exactly("CF_Authorization".to_owned()))
            }
            Preset::EasyAuth { .. }
            | Preset::Oauth2Proxy { .. }
            | Preset::GoogleIap { .. }
            | Preset::AwsAlb { .. }
            | Preset::Pomerium { .. }
            | Preset::Authelia => None,
        };
        PortalCookies::new(&self.presets.iter().filter_map(of).collect::<Vec<_>>())
    }
}

/// The claims that presets take what they tell from.
#[derive(Clone, Debug, Default)]
pub struct PresetClaims {
    /// What names a member; without it, each preset's own.
    pub user: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The name for display.
    pub name: String,
    /// The groups.
    pub groups: String,
}

/// Another gate.
#[derive(Clone, Debug)]
pub enum Preset {
    /// App Service "Easy Auth".
    EasyAuth {
        /// What each provider of the portal is called there.
        names: Vec<(String, String)>,
    },
    /// oauth2-proxy.
    Oauth2Proxy {
        /// `X-Forwarded-…`.
        forwarded: bool,
        /// `X-Auth-Request-…`.
        auth_request: bool,
    },
    /// Cloudflare Access.
    CloudflareAccess {
        /// `iss`.
        team_domain: String,
        /// `aud`.
        audience: String,
        /// Whether the unsigned header is sent, too.
        plain: bool,
    },
    /// Google's Identity-Aware Proxy.
    GoogleIap {
        /// `aud`.
        audience: String,
        /// Whether the unsigned headers are sent, too.
        plain: bool,
    },
    /// AWS Application Load Balancer.
    AwsAlb {
        /// The ARN of the load balancer.
        signer: String,
        /// `iss`, if not the ID token's.
        issuer: Option<String>,
        /// `client`, if not the ID token's `aud`.
        client_id: Option<String>,
        /// Claims besides those of userinfo.
        claims: Vec<String>,
        /// Whether the unsigned header is sent, too.
        plain: bool,
    },
    /// Pomerium.
    Pomerium {
        /// `iss`.
        issuer: String,
        /// `aud`: the portal's host.
        audience: String,
        /// Plain headers, each with its claim.
        headers: Vec<(HeaderName, String)>,
    },
    /// Authelia.
    Authelia,
}

impl Preset {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EasyAuth { .. } => "easy_auth",
            Self::Oauth2Proxy { .. } => "oauth2_proxy",
            Self::CloudflareAccess { .. } => "cloudflare_access",
            Self::GoogleIap { .. } => "google_iap",
            Self::AwsAlb { .. } => "aws_alb",
            Self::Pomerium { .. } => "pomerium",
            Self::Authelia => "authelia",
        }
    }

    /// What it signs with, if it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Option<SigningAlgorithm> {
        match self {
            Self::EasyAuth { .. } | Self::Oauth2Proxy { .. } | Self::Authelia => None,
            Self::CloudflareAccess { .. } => Some(SigningAlgorithm::Rs256),
            Self::GoogleIap { .. } | Self::AwsAlb { .. } | Self::Pomerium { .. } => {
                Some(SigningAlgorithm::Es256)
            }
        }
    }

    /// The names of its headers; which of them a request has depends on its member.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        match self {
            Self::EasyAuth { .. } => vec![
                "x-ms-client-principal",
                "x-ms-client-principal-id",
                "x-ms-client-principal-name",
                "x-ms-client-principal-idp",
            ],
            Self::Oauth2Proxy { forwarded, auth_request } => {
                let of_upstream = [
                    "x-forwarded-user",
                    "x-forwarded-email",
                    "x-forwarded-preferred-username",
                    "x-forwarded-groups",
                ];
                let of_request = [
                    "x-auth-request-user",
                    "x-auth-request-email",
                    "x-auth-request-preferred-username",
                    "x-auth-request-groups",
                ];
                let of_upstream = of_upstream.into_iter().filter(|_| *forwarded);
                of_upstream.chain(of_request.into_iter().filter(|_| *auth_request)).collect()
            }
            Self::CloudflareAccess { plain, .. } => with_plain(
                "cf-access-jwt-assertion",
                &["cf-access-authenticated-user-email"],
                *plain,
            ),
            Self::GoogleIap { plain, .. } => with_plain(
                "x-goog-iap-jwt-assertion",
                &["x-goog-authenticated-user-email", "x-goog-authenticated-user-id"],
                *plain,
            ),
            Self::AwsAlb { plain, .. } => {
                with_plain("x-amzn-oidc-data", &["x-amzn-oidc-identity"], *plain)
            }
            Self::Pomerium { headers, .. } => std::iter::once("x-pomerium-jwt-assertion")
                .chain(headers.iter().map(|(name, _)| name.as_str()))
                .collect(),
            Self::Authelia => vec!["remote-user", "remote-groups", "remote-name", "remote-email"],
        }
    }

    /// Whether the real thing tells of verified addresses alone, or of none but its own directory's,
    /// so that portals take what it tells for one.
    fn promises_verified_addresses(&self) -> bool {
        match self {
            Self::Oauth2Proxy { .. }
            | Self::CloudflareAccess { .. }
            | Self::GoogleIap { .. }
            | Self::Pomerium { .. }
            | Self::Authelia => true,
            // They hand on what the provider says, and with it what it says of the address.
            Self::EasyAuth { .. } | Self::AwsAlb { .. } => false,
        }
    }

    /// Whether some of them are signed by nobody.
    fn has_plain_headers(&self) -> bool {
        self.algorithm().is_none() || self.header_names().len() > 1
    }
}

fn with_plain<'a>(signed: &'a str, others: &[&'a str], plain: bool) -> Vec<&'a str> {
    let others = others.iter().copied().filter(|_| plain);
    std::iter::once(signed).chain(others).collect()
}
