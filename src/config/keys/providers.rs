//! What an operator may write about an identity provider, of each kind.

use super::super::kind::{Key, Kind};
use super::{
    DURATION, GUID, PATH, SECRET, URL_PATTERN, YES_OR_NO, default, defaults, one_of, optional,
    required, word,
};

/// The kinds, each with its keys.
pub(super) const PROVIDER: Kind = Kind::Variants {
    key: "kind",
    of: &[
        ("entra_id", ENTRA_ID),
        ("azure_ad_b2c", AZURE_AD_B2C),
        ("external_id", EXTERNAL_ID),
        ("oidc", OIDC),
    ],
};

const KIND: Key = required(
    "kind",
    word(&["entra_id", "azure_ad_b2c", "external_id", "oidc"]),
    "what it is: `entra_id`, `azure_ad_b2c`, `external_id` or `oidc`",
);
const ORIGIN: Kind =
    Kind::Formed { what: "a URL such as `https://login.example.org`", pattern: URL_PATTERN };
const APPLICATION_ID: Kind =
    Kind::Private("the GUID that Azure shows as \"Application (client) ID\"");
const CLIENT_ID: Key = required(
    "client_id",
    APPLICATION_ID,
    "the GUID that Azure shows as \"Application (client) ID\"",
);
const LABEL: Key = optional(
    "label",
    Kind::Value("a text of 1 to 80 characters on one line"),
    "what its button says on the page of a portal that has several",
);
const CREDENTIALS: Key = optional(
    "credentials",
    Kind::List(&Kind::Section(CREDENTIAL)),
    "at least one client credential, such as `[{ secret: { file: /run/secrets/client_secret } }]`; \
     none where `response_type` is `id_token`",
);
const SCOPES: Key = default(
    "scopes",
    "[openid, profile, email, offline_access]",
    Kind::List(&Kind::Value("a scope, such as `profile`")),
    "the scopes to ask for; `openid` is one of them",
);
const PLAIN_SCOPES: Key = default(
    "scopes",
    "[openid, profile, email]",
    Kind::List(&Kind::Value("a scope, such as `profile`")),
    "the scopes to ask for; `openid` is one of them",
);
const CLOCK_SKEW: Key = default(
    "clock_skew",
    "60s",
    DURATION,
    "by how much the provider's clock and ours may differ, at most 5m",
);
const CA: Key = optional(
    "ca",
    Kind::List(&PATH),
    "PEM files with the certificates to trust instead of the system's",
);
const CLOUD: Key = default(
    "cloud",
    "public",
    word(&["public", "us_government", "us_government_dod", "china"]),
    "the national cloud that the tenant is in",
);
const POLICY: Kind =
    Kind::Value("the name of a user flow or custom policy, such as `B2C_1_signupsignin`");
const CUSTOMER_TENANT: Key = required(
    "tenant",
    Kind::Value("the name of a tenant (`contoso` or `contoso.onmicrosoft.com`) or its GUID"),
    "the tenant by its name, such as `contoso`, or by its GUID",
);
const VALID_ISSUERS: Key = optional(
    "valid_issuers",
    Kind::List(&Kind::Formed {
        what: "an issuer, such as `https://login.example.org/<tenant>/v2.0/`",
        pattern: URL_PATTERN,
    }),
    "issuers that tokens may have besides, to the letter",
);

const GROUPS_KEY: Key =
    defaults("groups", GROUPS, "where the groups of members are known from, and which are kept");

const GROUPS: &[Key] = &[
    default(
        "source",
        "token",
        word(&["token", "graph"]),
        "`token`, or `graph` to ask Microsoft Graph where the token has no list of groups",
    ),
    default(
        "names",
        "false",
        YES_OR_NO,
        "whether Graph is asked for names too, which become the claim `group_names`",
    ),
    optional(
        "keep",
        Kind::List(&Kind::Value("the id of a group, or `all`")),
        "groups to keep besides those that routes require, to tell the portal; or `all`",
    ),
];

const CALLBACK_PATH: Key = optional(
    "callback_path",
    Kind::Formed { what: "a path such as `/signin-oidc`", pattern: "^/" },
    "the path of the redirect URI that is registered already, such as `/signin-oidc`, if it is not \
     ours",
);
const REQUEST: Key = defaults("request", REQUEST_KEYS, "what is asked for besides a sign-in");

const REQUEST_KEYS: &[Key] = &[
    optional(
        "response_mode",
        word(&["query", "form_post"]),
        "how the answer comes back: in the URL (`query`, which holds unless another is named), or \
         posted by a form, so that no code is in a URL",
    ),
    default(
        "response_type",
        "code",
        word(&["code", "id_token"]),
        "`code`; or `id_token`, for old registrations that have no secret (legacy)",
    ),
    optional(
        "prompt",
        word(&["login", "select_account", "consent"]),
        "what people are shown even if they are signed in at the provider",
    ),
    optional(
        "max_age",
        DURATION,
        "how long ago people may have signed in at the provider; tokens have to name `auth_time`",
    ),
    optional(
        "domain_hint",
        PARAMETER,
        "whose sign-in page comes first, such as `contoso.com`, `google.com` or `organizations`",
    ),
    optional(
        "acr_values",
        Kind::List(&PARAMETER),
        "which ways of signing in are asked for, the preferred one first",
    ),
    optional(
        "claims",
        Kind::Value("a JSON object in quotes"),
        "`claims` of OpenID Connect, such as `'{\"id_token\":{\"acrs\":{\"value\":\"c1\"}}}'`",
    ),
    optional(
        "ui_locales",
        Kind::List(&Kind::Value("a language such as `de` or `pt-BR`")),
        "the languages of the provider's pages: the one that the visitor's browser likes best",
    ),
    optional(
        "parameters",
        Kind::Named { name: "names, each with its value", of: &PARAMETER },
        "further parameters, such as those that a custom policy reads",
    ),
    optional(
        "from_visitor",
        Kind::Named {
            name: "names, each with the values that it may have, perhaps with `*` at one end",
            of: &Kind::List(&PATTERN),
        },
        "parameters that a link to the sign-in may set, such as `login_hint`, and to what",
    ),
];

const PARAMETER: Kind = Kind::Value("a text of 1 to 512 characters on one line");
const PATTERN: Kind = Kind::Value("a text, perhaps with `*` at one end");
const GRAPH: Key = optional(
    "graph",
    Kind::Formed { what: "a URL such as `https://graph.microsoft.com`", pattern: URL_PATTERN },
    "where Microsoft Graph is, if there is an `authority` and Graph is not the cloud's own",
);
const CREDENTIAL_EXPIRY: Key = default(
    "credential_expiry",
    "declared",
    word(&["declared", "graph"]),
    "from where it is known when credentials end: `expires` and the certificates, or Graph as well",
);

const ENTRA_ID: &[Key] = &[
    KIND,
    CLOUD,
    optional("authority", ORIGIN, "the login host, if it is not the cloud's own"),
    one_of(
        "tenant",
        "exactly one of `tenant` and `tenants`",
        Kind::Value("the GUID of a tenant or a domain that it has verified"),
        "the tenant whose people may sign in: its GUID or a verified domain",
    ),
    one_of(
        "tenants",
        "exactly one of `tenant` and `tenants`",
        Kind::List(&GUID),
        "instead of `tenant`, several by their GUIDs: the people of these and of no other",
    ),
    default(
        "personal_accounts",
        "false",
        YES_OR_NO,
        "whether everybody with a personal Microsoft account may sign in, besides `tenants`",
    ),
    default(
        "guests",
        "false",
        YES_OR_NO,
        "whether people whom the tenant has invited from elsewhere may sign in",
    ),
    CLIENT_ID,
    LABEL,
    CREDENTIALS,
    CREDENTIAL_EXPIRY,
    GRAPH,
    CALLBACK_PATH,
    REQUEST,
    SCOPES,
    GROUPS_KEY,
    CLOCK_SKEW,
    CA,
];

const AZURE_AD_B2C: &[Key] = &[
    KIND,
    CLOUD,
    optional(
        "authority",
        ORIGIN,
        "the login host, if it is not `https://<tenant>.b2clogin.com`: a custom domain",
    ),
    CUSTOMER_TENANT,
    required(
        "policy",
        POLICY,
        "the user flow or custom policy that people sign in with, such as `B2C_1_signupsignin`",
    ),
    optional("sign_up_policy", POLICY, "the one to make an account with (`flow=sign_up`)"),
    optional(
        "password_reset_policy",
        POLICY,
        "the one to choose a new password with (`flow=password_reset`, and «Forgot your password?»)",
    ),
    optional(
        "profile_edit_policy",
        POLICY,
        "the one to change a profile with (`flow=profile_edit`)",
    ),
    default(
        "policy_in",
        "path",
        word(&["path", "query"]),
        "where the policy stands in the provider's URLs: in the path, or as `?p=`",
    ),
    default(
        "issuer",
        "default",
        word(&["default", "tfp"]),
        "what \"Token compatibility\" says of the issuer: without the policy, or `tfp` with it",
    ),
    default(
        "local_accounts_only",
        "false",
        YES_OR_NO,
        "every account of this user flow is a local one, and its address is verified by e-mail: \
         `members.link_by_email` may link by it",
    ),
    VALID_ISSUERS,
    CLIENT_ID,
    LABEL,
    CREDENTIALS,
    CALLBACK_PATH,
    REQUEST,
    default(
        "scopes",
        "[openid, offline_access]",
        Kind::List(&Kind::Value("a scope, such as `offline_access`")),
        "the scopes to ask for; `openid` is one of them",
    ),
    CLOCK_SKEW,
    CA,
];

const EXTERNAL_ID: &[Key] = &[
    KIND,
    optional(
        "authority",
        ORIGIN,
        "the login host, if it is not `https://<tenant>.ciamlogin.com`: a custom domain",
    ),
    CUSTOMER_TENANT,
    VALID_ISSUERS,
    CLIENT_ID,
    LABEL,
    CREDENTIALS,
    CALLBACK_PATH,
    REQUEST,
    SCOPES,
    GROUPS_KEY,
    GRAPH,
    CLOCK_SKEW,
    CA,
];

const OIDC: &[Key] = &[
    KIND,
    required(
        "issuer",
        Kind::Formed {
            what: "an issuer, such as `https://accounts.example.org`",
            pattern: URL_PATTERN,
        },
        "the provider's issuer, to the letter, such as `https://accounts.example.org`",
    ),
    optional(
        "metadata_url",
        Kind::Formed {
            what: "a URL such as `https://accounts.example.org/.well-known/openid-configuration`",
            pattern: URL_PATTERN,
        },
        "where its metadata is, if not at `/.well-known/openid-configuration` below the issuer",
    ),
    required(
        "client_id",
        Kind::Private("the client id"),
        "the client id, as the provider shows it",
    ),
    LABEL,
    CREDENTIALS,
    CALLBACK_PATH,
    REQUEST,
    PLAIN_SCOPES,
    CLOCK_SKEW,
    CA,
];

const CREDENTIAL: &[Key] = &[
    optional("secret", Kind::Section(SECRET), "a client secret: `{ file: … }` or `{ env: … }`"),
    optional(
        "certificate",
        Kind::Section(CERTIFICATE),
        "a certificate and its key, which sign an assertion for each request",
    ),
    optional(
        "federated",
        Kind::Section(FEDERATED),
        "the token of another issuer that the app registration trusts, as in Kubernetes",
    ),
    optional(
        "managed_identity",
        Kind::Section(MANAGED_IDENTITY),
        "a managed identity that the app registration trusts, on a machine of Azure's",
    ),
    default(
        "method",
        "post",
        word(&["post", "basic"]),
        "how a secret is sent: in the form, or in an `Authorization: Basic` header",
    ),
    optional(
        "expires",
        Kind::Formed {
            what: "a date such as `2027-03-01`",
            pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        },
        "the day on which Azure stops accepting it: there are warnings from 30 days before",
    ),
];

const CERTIFICATE: &[Key] = &[
    required("file", PATH, "the certificate, as PEM"),
    required("key", Kind::Section(PRIVATE_KEY), "its private key: `{ file: … }` or `{ env: … }`"),
    default(
        "algorithm",
        "PS256",
        word(&["PS256", "RS256"]),
        "how assertions are signed; `RS256` for servers that know certificates by SHA-1 alone",
    ),
];

/// Where a private key comes from: exactly one of these.
const PRIVATE_KEY: &[Key] = &[
    optional("file", PATH, "the path of a PEM file that others cannot read"),
    optional(
        "env",
        Kind::Private("the name of an environment variable"),
        "the name of an environment variable that holds the PEM",
    ),
];

const FEDERATED: &[Key] = &[optional(
    "token_file",
    PATH,
    "the file with the token, read anew for each request; else the environment's \
     `AZURE_FEDERATED_TOKEN_FILE`",
)];

const MANAGED_IDENTITY: &[Key] = &[
    required(
        "client_id",
        Kind::Private("the GUID that Azure shows as the identity's \"Client ID\""),
        "the GUID that Azure shows as the identity's \"Client ID\"",
    ),
    optional(
        "endpoint",
        Kind::Formed { what: "a URL such as `http://169.254.169.254`", pattern: URL_PATTERN },
        "the instance metadata service, if it is not Azure's own or the environment's",
    ),
];
