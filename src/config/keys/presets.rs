//! The keys of the presets, below `identity`.

use super::super::kind::{Change, Key, Kind, Need};
use super::{URL_PATTERN, YES_OR_NO, default, optional, required, word};

/// The presets, by their names.
pub(in crate::config) const PRESETS: [&str; 7] = [
    "easy_auth",
    "oauth2_proxy",
    "cloudflare_access",
    "google_iap",
    "aws_alb",
    "pomerium",
    "authelia",
];

const CLAIM: Kind = Kind::Value("the name of a claim, such as `email`");
const TEXT: Kind = Kind::Value("a text without spaces");
const CLAIMS: Kind = Kind::List(&CLAIM);

pub(super) const PRESET: Key = optional(
    "preset",
    Kind::List(&Kind::Word(&PRESETS)),
    "another gate, or several, whose headers the portal gets as well",
);

pub(super) const ONLY_WAY_IN: Key = default(
    "only_way_in",
    "false",
    YES_OR_NO,
    "whether the portal can be reached through Anteport alone, which headers that nobody signs need",
);

pub(super) const ADDRESSES_ARE_THEIRS: Key = default(
    "addresses_are_theirs",
    "false",
    YES_OR_NO,
    "whether presets tell of addresses of which the provider does not say that they are verified",
);

pub(super) const PRESET_CLAIMS: Key = Key {
    name: "preset_claims",
    need: Need::Defaults,
    kind: Kind::Section(&[
        optional("user", CLAIM, "the claim that names a member; without it, each preset's own"),
        default("email", "email", CLAIM, "the claim with the e-mail address"),
        default("name", "name", CLAIM, "the claim with the name for display"),
        default("groups", "groups", CLAIM, "the claim with the groups"),
    ]),
    says: "the claims that presets take what they tell from",
    change: Change::Live,
};

pub(super) const EASY_AUTH: Key = optional(
    "easy_auth",
    Kind::Section(&[optional(
        "provider_name",
        Kind::Value("1 to 32 of `a`-`z`, `0`-`9` and `-`"),
        "what the provider is called; `aad` for Entra ID, else its name here",
    )]),
    "what `preset: easy_auth` has besides",
);

pub(super) const OAUTH2_PROXY: Key = optional(
    "oauth2_proxy",
    Kind::Section(&[default(
        "headers",
        "forwarded",
        word(&["forwarded", "auth_request", "both"]),
        "`X-Forwarded-…`, `X-Auth-Request-…`, or both",
    )]),
    "what `preset: oauth2_proxy` has besides",
);

const PLAIN_HEADERS: Key = default(
    "plain_headers",
    "true",
    YES_OR_NO,
    "whether the headers that nobody signs are sent beside the signed one",
);

pub(super) const CLOUDFLARE_ACCESS: Key = optional(
    "cloudflare_access",
    Kind::Section(&[
        required("audience", TEXT, "the AUD tag that the portal compares"),
        optional(
            "team_domain",
            Kind::Formed {
                what: "a URL of scheme and host, such as `https://club.cloudflareaccess.com`",
                pattern: URL_PATTERN,
            },
            "the issuer that the portal compares; the public URL unless another is named",
        ),
        PLAIN_HEADERS,
    ]),
    "what `preset: cloudflare_access` has besides",
);

pub(super) const GOOGLE_IAP: Key = optional(
    "google_iap",
    Kind::Section(&[
        required("audience", TEXT, "the audience that the portal compares, `/projects/…`"),
        PLAIN_HEADERS,
    ]),
    "what `preset: google_iap` has besides",
);

pub(super) const AWS_ALB: Key = optional(
    "aws_alb",
    Kind::Section(&[
        required("signer", TEXT, "the ARN of the load balancer that the portal compares"),
        optional("issuer", TEXT, "`iss`; the ID token's unless another is named"),
        optional("client_id", TEXT, "`client`; the ID token's `aud` unless another is named"),
        optional("claims", CLAIMS, "claims besides those of OpenID Connect's userinfo"),
        PLAIN_HEADERS,
    ]),
    "what `preset: aws_alb` has besides",
);

pub(super) const POMERIUM: Key = optional(
    "pomerium",
    Kind::Section(&[
        default(
            "issuer",
            "host",
            word(&["host", "uri"]),
            "`iss`: the portal's host, or a URL with it and a slash",
        ),
        optional("claim_headers", CLAIMS, "claims with an `X-Pomerium-Claim-…` header each"),
    ]),
    "what `preset: pomerium` has besides",
);
