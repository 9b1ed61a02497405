//! The closed sets that labels come from.

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            pub(super) const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// Its label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

label!(
    /// What a provider was called for.
    ProviderCall {
        /// Its discovery document.
        Metadata = "metadata",
        /// Its signing keys.
        Keys = "keys",
        /// An authorization code redeemed.
        Token = "token",
        /// Groups asked for at Microsoft Graph.
        Graph = "graph",
    }
);
label!(
    /// What a portal's directory of members was called for.
    DirectoryCall {
        /// Somebody who has signed in.
        Lookup = "lookup",
        /// Somebody to be created.
        Create = "create",
        /// Somebody to be linked to an account.
        Link = "link",
        /// An account to be brought up to date.
        Update = "update",
    }
);
label!(
    /// What became of a sign-in at the portal's members.
    MemberResult {
        /// There is no directory to ask.
        Unasked = "unasked",
        /// The directory knows them.
        Known = "known",
        /// The directory does not, and they are let in.
        Unknown = "unknown",
        /// They were created.
        Created = "created",
        /// They were linked to an account.
        Linked = "linked",
        /// They were refused.
        Refused = "refused",
        /// The directory did not say.
        Failed = "failed",
    }
);
label!(
    /// How a call to a provider ended.
    CallOutcome {
        /// With the answer that was wanted.
        Ok = "ok",
        /// With an answer that says no, or none that can be read.
        Refused = "refused",
        /// Without an answer, or with one that says "not now".
        Unreachable = "unreachable",
    }
);
label!(
    /// What a store of sessions that others share was called for.
    SessionCall {
        /// A session.
        Find = "find",
        /// A session that begins.
        Start = "start",
        /// Another state of a session.
        Renew = "renew",
        /// A session that ends.
        End = "end",
        /// That a session is used.
        Use = "use",
        /// The sessions of a name.
        Names = "names",
        /// Whose turn it is to ask the provider about a member.
        Turn = "turn",
        /// Something that is used once.
        Spend = "spend",
        /// Who signed out.
        SignOut = "sign_out",
        /// Since when everybody has to sign in anew.
        Everybody = "everybody",
        /// When a member signed in.
        Logins = "logins",
        /// A list of sessions.
        List = "list",
    }
);
label!(
    /// Where a session was looked up.
    Lookup {
        /// In this process.
        Here = "here",
        /// In the store that others share, or in a snapshot that was still being read.
        Store = "store",
    }
);
label!(
    /// Why a client credential is passed over.
    CredentialFailure {
        /// No such secret.
        SecretWrong = "secret-wrong",
        /// The secret's time is over.
        SecretExpired = "secret-expired",
        /// The certificate is not registered, or its assertion not accepted.
        AssertionRefused = "assertion-refused",
        /// The assertion is too old, or not yet valid.
        AssertionTime = "assertion-time",
        /// The certificate has expired, or is not accepted for another reason.
        CertificateRefused = "certificate-refused",
        /// No federated credential is for this token.
        FederationUnknown = "federation-unknown",
        /// The provider takes none of this kind.
        KindUnsupported = "kind-unsupported",
        /// Something else that the provider refuses.
        Other = "other",
        /// There is no token in its file.
        TokenFileUnreadable = "token-file-unreadable",
        /// The managed identity's service gave no token.
        IdentityUnavailable = "identity-unavailable",
        /// No assertion could be signed.
        NotSigned = "not-signed",
    }
);
label!(
    /// How a session ended.
    SessionEnd {
        /// The member signed out.
        Logout = "logout",
        /// Nobody used it for the idle time, or its absolute time was over.
        Expired = "expired",
        /// There was no room left for it.
        Evicted = "evicted",
        /// The provider said that its own was over.
        Provider = "provider",
        /// The same browser signed in again.
        Replaced = "replaced",
        /// The provider no longer vouches for its member, or whoever runs this ended it.
        Revoked = "revoked",
    }
);
label!(
    /// What ends with the session that it is for.
    Stream {
        /// A WebSocket.
        WebSocket = "websocket",
        /// An answer without a length, such as an event stream.
        Answer = "answer",
    }
);
label!(
    /// What came of asking a provider again about a member.
    RefreshOutcome {
        /// What it says now.
        Ok = "ok",
        /// Nothing: it could not be asked, or its answer was of no use.
        Failed = "failed",
        /// The session's end.
        Ended = "ended",
    }
);
label!(
    /// How a TLS handshake ended.
    Handshake {
        /// With a connection.
        Ok = "ok",
        /// With an alert or a cut.
        Failed = "failed",
        /// After its time.
        Timeout = "timeout",
    }
);
label!(
    /// Why a visitor's connection was closed by us.
    ConnectionRefusal {
        /// There are as many as there may be.
        Total = "total",
        /// Its address has as many as one may have.
        PerAddress = "per_address",
        /// It had to come from a trusted proxy, and did not.
        ProxyPeer = "proxy_peer",
        /// It did not begin with a PROXY protocol header.
        ProxyHeader = "proxy_header",
        /// Its header did not come in time.
        ProxyTimeout = "proxy_timeout",
        /// It was served, until its visitor had broken off too many requests.
        Resets = "resets",
    }
);
label!(
    /// Why a portal did not answer a request.
    UpstreamFailure {
        /// No connection could be made.
        Unreachable = "unreachable",
        /// TLS failed.
        Tls = "tls",
        /// There were too many requests already.
        Busy = "busy",
        /// The answer did not begin in time.
        Timeout = "timeout",
        /// The connection or its bytes were not what HTTP asks for.
        Broken = "broken",
    }
);
label!(
    /// What becomes of links that break the glass.
    GlassEvent {
        /// Whoever runs this has made one.
        Made = "made",
        /// Somebody has opened one, and has a pass.
        Opened = "opened",
        /// Somebody has tried one that is not good.
        Refused = "refused",
        /// Whoever runs this has ended all of them, and what they opened.
        Ended = "ended",
    }
);
label!(
    /// How the glass was broken for a request.
    GlassWay {
        /// By a link.
        Link = "link",
        /// By the visitor's address.
        Network = "network",
    }
);
label!(
    /// In which part of a progressive switch a request was judged.
    Part {
        /// As everybody's will be.
        AzureOnly = "azure_only",
        /// As everybody's was.
        ReportOnly = "report_only",
    }
);
