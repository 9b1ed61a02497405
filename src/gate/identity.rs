//! Identity headers: which we set, and every spelling that we strip.
//!
//! The order is the control: validate → remove hop-by-hop → remove ours and forbidden ones → set
//! ours. [`OwnedNames::cleanse`] does the first three on every request in every mode; only a
//! permit sets. Deliberately not here: what the headers say (`crate::identity`).

use std::collections::HashSet;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, header};

use super::{Mode, Refusal, Timestamp, cookies};

/// The signed statement of who is asking.
pub const ASSERTION: &str = "x-anteport-assertion";

/// A member's identity as it goes to the portal: headers rendered once and sent many times.
#[derive(Debug)]
pub struct Envelope {
    /// Name and value, in the order in which they are set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// From then on a new one is made, early enough for the old to be valid on arrival (ENV-02).
    pub renew: Timestamp,
}

/// The header names that a visitor's request must not have, whatever their spelling.
#[derive(Clone, Debug)]
pub struct OwnedNames {
    folded: HashSet<Box<[u8]>>,
    /// Bit `n` is set if a name of `n` folded characters is owned: most names end here.
    lengths: u64,
}

/// Names by which identity proxies, web servers and frameworks are told who is asking or where
/// from (HDR-05, FWD-01), or by which a request is renamed behind our back (PATH-14).
const BUILT_IN: &[&str] = &[
    ASSERTION,
    "x-anteport-signature",
    "signature",
    "signature-input",
    // Forwarding.
    "forwarded",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-by",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-protocol",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "remote-addr",
    "true-client-ip",
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
    "x-scheme",
    "x-host",
    "x-url-scheme",
    "front-end-https",
    "x-proxyuser-ip",
    "via",
    "x-request-id",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-arr-log-id",
    "x-appservice-proto",
    // Another target or method.
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-original-method",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-sendfile",
    "x-accel-redirect",
    "x-middleware-subrequest",
    "x-middleware-rewrite",
    "x-waws-unencoded-url",
    // Easy Auth and Azure.
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "x-ms-client-principal-idp",
    "x-ms-token-aad-id-token",
    "x-ms-token-aad-access-token",
    "x-ms-token-aad-expires-on",
    "x-ms-token-aad-refresh-token",
    "x-zumo-auth",
    "x-ms-token-google-id-token",
    "x-ms-token-google-access-token",
    "x-ms-token-google-expires-on",
    "x-ms-token-google-refresh-token",
    "x-ms-token-facebook-access-token",
    "x-ms-token-facebook-expires-on",
    "x-ms-token-twitter-access-token",
    "x-ms-token-twitter-access-token-secret",
    "x-ms-auth-token",
    // oauth2-proxy, Authelia, Authentik, Traefik, Keycloak, nginx recipes.
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-forwarded-name",
    "x-forwarded-roles",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-preferred-username",
    "x-auth-request-groups",
    "x-auth-request-access-token",
    "x-auth-request-redirect",
    "gap-signature",
    "gap-auth",
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "x-authentik-username",
    "x-authentik-groups",
    "x-authentik-email",
    "x-authentik-name",
    "x-authentik-uid",
    "x-authentik-jwt",
    "x-authentik-meta-app",
    "x-authentik-meta-outpost",
    "x-auth-user",
    "x-auth-username",
    "x-auth-email",
    "x-auth-name",
    "x-auth-roles",
    "x-auth-groups",
    "x-auth-token",
    "x-auth-subject",
    "x-auth-userid",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-authenticated-groups",
    "x-authenticated-email",
    "x-authenticated-scope",
    "x-consumer-id",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "x-webauth-user",
    "x-webauth-email",
    "x-webauth-name",
    "x-webauth-role",
    "x-webauth-groups",
    "x-remote-user",
    "x-remote-group",
    "x-remote-groups",
    "x-remote-email",
    "x-user",
    "x-user-id",
    "x-user-name",
    "x-user-email",
    "x-user-roles",
    "x-user-groups",
    "x-username",
    "x-email",
    "x-groups",
    "x-roles",
    "x-proxy-user",
    "x-proxy-remote-user",
    "x-sso-user",
    "x-sm-user",
    "sm-user",
    "sm-userdn",
    "sm-universalid",
    "iv-user",
    "iv-groups",
    "iv-creds",
    "oam-remote-user",
    "x-uid",
    "http-remote-user",
    "x-ssl-client-cert",
    "x-ssl-client-dn",
    "x-ssl-client-s-dn",
    "x-ssl-client-verify",
    "ssl-client-cert",
    "ssl-client-verify",
    "ssl-client-s-dn",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "client-cert",
    "client-cert-chain",
    // mod_auth_openidc, Shibboleth.
    "oidc-access-token",
    "oidc-id-token",
    "oidc-id-token-payload",
    "oidc-userinfo",
    "oidc-userinfo-json",
    "oidc-claim-sub",
    "oidc-claim-email",
    "oidc-claim-name",
    "oidc-claim-preferred-username",
    "oidc-claim-groups",
    "oidc-claim-roles",
    "oidc-claim-oid",
    "oidc-claim-upn",
    "oidc-claim-tid",
    "oidc-refresh-token",
    "oidc-access-token-expires",
    "eppn",
    "persistent-id",
    "shib-session-id",
    "shib-identity-provider",
    "affiliation",
    // Cloud gates.
    "cf-access-jwt-assertion",
    "cf-access-authenticated-user-email",
    "cf-access-token",
    "cf-access-client-id",
    "x-goog-iap-jwt-assertion",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-amzn-oidc-accesstoken",
    "x-pomerium-jwt-assertion",
    "x-pomerium-claim-email",
    "x-pomerium-claim-user",
    "x-pomerium-claim-groups",
    "x-pomerium-claim-name",
    "x-tailscale-user",
    "tailscale-user-login",
    "tailscale-user-name",
    "x-vouch-user",
    "x-vouch-idp-claims-email",
    "x-vouch-idp-accesstoken",
    "x-teleport-login",
    "teleport-jwt-assertion",
    "x-okta-user",
    "x-token-subject",
    "x-jwt-assertion",
    "x-id-token",
    "x-access-token",
    "x-userinfo",
];

/// Families of names: everything that begins so belongs to one of those gates.
const BUILT_IN_PREFIXES: &[&[u8]] = &[
    b"xanteport",
    b"xmsclientprincipal",
    b"xmstoken",
    b"xauthrequest",
    b"xauthentik",
    b"oidcclaim",
    b"xpomeriumclaim",
    b"xvouchidp",
    b"cfaccess",
    b"xgoogauthenticated",
    b"xamznoidc",
];

/// Headers of which a second copy would let two readers see two requests (HDR-06).
static SINGLE: [HeaderName; 17] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    AUTHORIZATION,
    TRANSFER_ENCODING,
    EXPECT,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
    header::RANGE,
    header::MAX_FORWARDS,
    header::FROM,
];

/// Those of RFC 9110 section 7.6.1, and framing, which is ours on both sides (HTTP-01).
static HOP_BY_HOP: [HeaderName; 12] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
    EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

impl OwnedNames {
    /// The built-in names and those that this portal's configuration maps.
    #[must_use]
    pub fn with<'a>(mapped: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mapped = mapped.into_iter().map(HeaderName::as_str);
        let folded: HashSet<Box<[u8]>> = BUILT_IN
            .iter()
            .copied()
            .chain(mapped)
            .map(|name| fold(name).collect())
            .collect();
        let lengths = folded
            .iter()
            .fold(0, |bits, name| bits | length_bit(name.len()));
        Self { folded, lengths }
    }

    /// Whether a header of this name is taken from visitors: it is ours or another gate's once
    /// case and separators are folded away (HDR-03), or has odd characters (HDR-04).
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let mut buffer = [0; 64];
        let mut length = 0;
        for byte in name.bytes() {
            match byte {
                b'-' => continue,
                _ if byte.is_ascii_alphanumeric() => {}
                _ => return true,
            }
            match buffer.get_mut(length) {
                Some(place) => *place = byte.to_ascii_lowercase(),
                // Longer than any that is owned; a prefix decides.
                None => break,
            }
            length += 1;
        }
        let folded = buffer.get(..length).unwrap_or_default();
        (self.lengths & length_bit(length) != 0 && self.folded.contains(folded))
            || BUILT_IN_PREFIXES
                .iter()
                .any(|family| folded.starts_with(family))
    }

    /// Makes a visitor's headers safe to send on: refuses ambiguous ones, then removes what is
    /// hop-by-hop, what is owned, our cookies, and in `azure_only` the credentials that a portal
    /// could take for a local sign-in (PATH-15). Sets nothing.
    ///
    /// # Errors
    /// [`Refusal::RepeatedHeader`], before anything was removed.
    pub fn cleanse(
        &self,
        headers: &mut HeaderMap,
        has_own_cookies: bool,
        mode: Mode,
    ) -> Result<(), Refusal> {
        check_single(headers)?;
        remove_hop_by_hop(headers);
        let taken: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.takes(name.as_str()))
            .cloned()
            .collect();
        for name in &taken {
            headers.remove(name);
        }
        if mode == Mode::AzureOnly {
            headers.remove(AUTHORIZATION);
        }
        if has_own_cookies {
            remove_own_cookies(headers);
        }
        Ok(())
    }
}

fn check_single(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    match SINGLE
        .iter()
        .any(|name| headers.get_all(name).iter().nth(1).is_some())
    {
        true => Err(Refusal::RepeatedHeader),
        false => Ok(()),
    }
}

/// Removes what belongs to one connection, with everything that `Connection` names (HDR-01). It
/// serves both directions.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn remove_own_cookies(headers: &mut HeaderMap) {
    let kept: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(cookies::without_own)
        .collect();
    headers.remove(COOKIE);
    for field in kept {
        headers.append(COOKIE, field);
    }
}

fn fold(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
}

const fn length_bit(length: usize) -> u64 {
    1 << (if length > 63 { 63 } else { length })
}
