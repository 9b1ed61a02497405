//! Our own endpoints, by name.

/// The endpoints of ours, below the prefix (`/.auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `login`: the sign-in page.
    SignIn,
    /// `login/{provider}`: begins a login.
    Login(String),
    /// `login/{provider}/callback`: the redirect URI.
    Callback(String),
    /// `logout`.
    Logout,
    /// `logout/done`: where a federated logout returns to.
    LoggedOut,
    /// `front-channel-logout/{provider}`: a page of the provider's says, in the browser, that its
    /// session is over.
    FrontChannelLogout(String),
    /// `back-channel-logout/{provider}`: the provider itself says so.
    BackChannelLogout(String),
    /// `me`: who am I.
    Me,
    /// `refresh`: what the provider says of me now.
    Refresh,
    /// `resend`: a form that was kept is sent once more; `resend/at` and the path that it was for,
    /// so that what the portal answers with finds its way from there.
    Resend(Option<String>),
    /// `resend/signed-in`: where the sign-in for such a form leads to.
    ResendSignedIn,
    /// `jwks.json`: the keys of the assertion.
    Jwks,
    /// `test`: a login of which no session comes.
    Test,
    /// `test/{provider}`: begins one.
    TestLogin(String),
    /// `presets/…`: what another gate publishes, where its preset is on.
    Preset(PresetEndpoint),
    /// `break-glass`: opens the way to the portal's own sign-in, for who has a link.
    BreakGlass,
    /// What the server can do as a whole: `OPTIONS *` (RFC 9110, section 9.3.7).
    Server,
    /// The portal's login page, asked for by somebody who is signed in.
    SignedIn,
    /// Nothing that we have.
    Unknown,
}

/// What other gates publish for the portals behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresetEndpoint {
    /// `cloudflare_access/certs`: keys, and certificates for them.
    CloudflareCerts,
    /// `cloudflare_access/get-identity`: who am I.
    CloudflareIdentity,
    /// `google_iap/public_key`: key ids with keys in PEM.
    IapKeys,
    /// `google_iap/public_key-jwk`: the same keys as a JWK set.
    IapJwks,
    /// `aws_alb/{kid}`: one key in PEM.
    AlbKey(String),
    /// `pomerium/jwks.json`: a JWK set.
    PomeriumJwks,
}

impl PresetEndpoint {
    fn named(preset: &str, what: &str) -> Option<Self> {
        match (preset, what) {
            ("cloudflare_access", "certs") => Some(Self::CloudflareCerts),
            ("cloudflare_access", "get-identity") => Some(Self::CloudflareIdentity),
            ("google_iap", "public_key") => Some(Self::IapKeys),
            ("google_iap", "public_key-jwk") => Some(Self::IapJwks),
            ("aws_alb", key) => Some(Self::AlbKey(key.to_owned())),
            ("pomerium", "jwks.json") => Some(Self::PomeriumJwks),
            _ => None,
        }
    }
}

impl Endpoint {
    /// The endpoint at what is left of a path after the prefix.
    pub(super) fn named(rest: &str) -> Self {
        if let Some(place) = rest.strip_prefix("/resend/at").filter(|path| path.starts_with('/')) {
            return Self::Resend(Some(place.to_owned()));
        }
        let mut segments = rest.split('/').skip(1);
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("login"), None, ..) => Self::SignIn,
            (Some("login"), Some(provider), None, _) => Self::Login(provider.to_owned()),
            (Some("login"), Some(provider), Some("callback"), None) => {
                Self::Callback(provider.to_owned())
            }
            (Some("logout"), None, ..) => Self::Logout,
            (Some("logout"), Some("done"), None, _) => Self::LoggedOut,
            (Some("front-channel-logout"), Some(provider), None, _) => {
                Self::FrontChannelLogout(provider.to_owned())
            }
            (Some("back-channel-logout"), Some(provider), None, _) => {
                Self::BackChannelLogout(provider.to_owned())
            }
            (Some("me"), None, ..) => Self::Me,
            (Some("refresh"), None, ..) => Self::Refresh,
            (Some("resend"), None, ..) => Self::Resend(None),
            (Some("resend"), Some("signed-in"), None, _) => Self::ResendSignedIn,
            (Some("break-glass"), None, ..) => Self::BreakGlass,
            (Some("jwks.json"), None, ..) => Self::Jwks,
            (Some("test"), None, ..) => Self::Test,
            (Some("test"), Some(provider), None, _) => Self::TestLogin(provider.to_owned()),
            (Some("presets"), Some(preset), Some(what), None) => {
                PresetEndpoint::named(preset, what).map_or(Self::Unknown, Self::Preset)
            }
            _ => Self::Unknown,
        }
    }
}
