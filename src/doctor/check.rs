//! Every check by its stable name: scripts, dashboards and `docs/doctor.md` know them by these.

/// What is looked at together, and can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// The configuration and the files that it names.
    Files,
    /// This machine: listeners and limits.
    Machine,
    /// Identity providers as everybody sees them.
    Provider,
    /// What we are registered as there.
    Credentials,
    /// The portals behind us.
    Portal,
    /// What a member's token says.
    Claims,
    /// Where sessions are kept.
    Store,
}

impl Group {
    /// All of them, in the order of their findings.
    pub const ALL: [Self; 7] = [
        Self::Files,
        Self::Machine,
        Self::Provider,
        Self::Credentials,
        Self::Portal,
        Self::Claims,
        Self::Store,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Machine => "machine",
            Self::Provider => "provider",
            Self::Credentials => "credentials",
            Self::Portal => "portal",
            Self::Claims => "claims",
            Self::Store => "store",
        }
    }
}

macro_rules! checks {
    ($($check:ident $name:literal $group:ident $asks:literal)+) => {
        /// What is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check {
            $(#[doc = $asks] $check,)+
        }

        impl Check {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$check),+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$check => $name),+ }
            }

            /// What it belongs to.
            #[must_use]
            pub const fn group(self) -> Group {
                match self { $(Self::$check => Group::$group),+ }
            }

            /// What it asks.
            #[must_use]
            pub const fn asks(self) -> &'static str {
                match self { $(Self::$check => $asks),+ }
            }
        }
    };
}

checks! {
    Configuration "configuration" Files
        "Can the configuration be used, and is there anything that `check` warns of?"
    ConfigurationFile "configuration-file" Files
        "Can nobody but its owner and group change the configuration?"
    ListenerCertificate "listener-certificate" Files
        "Is the listener's certificate for the hosts of the portals, and when does it end?"
    Listener "listener" Machine
        "Can the public address be listened at, or is it an Anteport that does?"
    AdminListener "admin-listener" Machine
        "The same of the admin address."
    Descriptors "descriptors" Machine
        "May a process have as many files open as `max_connections` needs?"
    ProviderName "provider-name" Provider
        "Does the provider's host have an address (DNS)?"
    ProviderConnection "provider-connection" Provider
        "Can it be connected to, and is its TLS certificate one to trust?"
    ProviderMetadata "provider-metadata" Provider
        "Is the metadata where the configuration says; and if not, at which other known address is it?"
    ProviderIssuer "provider-issuer" Provider
        "Is the issuer of the metadata the one that the configuration stands for?"
    ProviderKeys "provider-keys" Provider
        "Are there signing keys that tokens can be verified with?"
    Clock "clock" Provider
        "Does this machine's clock agree with the provider's?"
    Credential "credential" Credentials
        "Does the provider accept the client id and each credential?"
    CredentialExpiry "credential-expiry" Credentials
        "When does each credential end?"
    RedirectUri "redirect-uri" Credentials
        "Is each redirect URI registered? Also the list to copy."
    PortalReachable "portal-reachable" Portal
        "Can each server of the portal be connected to?"
    PortalCertificate "portal-certificate" Portal
        "When does the portal's own certificate end?"
    PortalAnswer "portal-answer" Portal
        "Does the portal answer for its public host, and not send visitors elsewhere?"
    PortalHeaders "portal-headers" Portal
        "Do the headers of its answer fit a portal behind a gate?"
    LoginForm "login-form" Portal
        "Is each password form of the portal shut by a rule of the configuration?"
    PasswordRoutes "password-routes" Portal
        "Does our own decision refuse each password route, to strangers and to members?"
    PortalAround "portal-around" Portal
        "Can the portal be reached past us?"
    Token "token" Claims
        "Is the token of `--token` one for a provider of the configuration?"
    MappedClaims "mapped-claims" Claims
        "Does it have what the portal's headers are made of?"
    LastLogins "last-logins" Claims
        "Did the last sign-ins at the Anteport that runs here have it?"
    Store "store" Store
        "Can the store of sessions be reached and used, with client tracking?"
    StoreKeeps "store-keeps" Store
        "Can something be written there, read and deleted, and how long does each take?"
    StoreVersion "store-version" Store
        "Is the store's version one that is known to do what is needed?"
    StoreEviction "store-eviction" Store
        "Does the store keep what it was given when its memory is full?"
    Snapshot "snapshot" Store
        "Can a snapshot of the sessions be written?"
}
