//! What an ID token says, once it has been believed.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Timestamp;

/// The claims of an ID token that passed every check. The type is the proof.
#[derive(Clone, PartialEq)]
pub struct VerifiedClaims {
    subject: Subject,
    claims: Map<String, Value>,
    account: Option<AccountKind>,
    groups: GroupsKnown,
}

/// What an account is to the tenant that it signed in at (AZ-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// One of its own.
    Member,
    /// Invited from elsewhere.
    Guest,
    /// A personal Microsoft account, which is in no organisation's tenant.
    Personal,
}

impl AccountKind {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Personal => "personal",
        }
    }
}

/// How much is known of the groups that somebody is in. How it is written down began as a truth
/// value, and the first two are written as that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GroupsKnown {
    /// What the claims say.
    AsSaid,
    /// Nothing: they were to be asked for, and could not be.
    Unresolved,
    /// Which they are, and not what they are called.
    WithoutNames,
}

/// Why it is not known which groups somebody is in. It is never "in none" (AZ-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsUnknown {
    /// The provider left them out of the token, because there are too many.
    LeftOut,
    /// They were to be asked for, and could not be.
    Unresolved,
}

/// Claims that are about a token or the act of signing in.
const OF_TOKEN: [&str; 22] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "ver",
    "tfp",
    "acr",
    "acrs",
    "amr",
    "auth_time",
    "aio",
    "rh",
    "uti",
    "newUser",
];

/// Claims in which Azure AD B2C hands on a live token of the provider behind it, where its operator
/// wants that: it opens somebody's mailbox, and is nothing that is said of them.
pub const TOKENS_AS_CLAIMS: [&str; 3] =
    ["idp_access_token", "idp_refresh_token", "identityProviderAccessToken"];

/// What the names of claims begin with that the portal's directory of members has said, and no
/// provider.
pub const EXTENSION: &str = "ext.";
/// The one claim that holds all of that.
pub const EXTENSIONS: &str = "ext";
/// The claim with what groups are called, one beside each of `groups`. No token has it: Microsoft
/// Graph is asked for it.
const GROUP_NAMES: &str = "group_names";

impl VerifiedClaims {
    /// Asserts that `claims` were verified and are about `subject`. It has one caller,
    /// `relying_party::id_token`: search for this name to see where trust begins.
    #[must_use]
    pub fn assertion(subject: Subject, mut claims: Map<String, Value>) -> Self {
        // What a directory says of somebody is nothing that a provider can say.
        claims.retain(|name, _| name != EXTENSIONS && !name.starts_with(EXTENSION));
        Self::supposed(subject, claims)
    }

    /// Claims that nobody verified, of somebody who may not be there: for `explain` alone, which
    /// says what would be. No session that anybody has is made of these.
    #[must_use]
    pub fn supposed(subject: Subject, claims: Map<String, Value>) -> Self {
        Self::restored(subject, claims, None, GroupsKnown::AsSaid)
    }

    /// Claims that were verified when their session began, as its record has them.
    pub(super) fn restored(
        subject: Subject,
        mut claims: Map<String, Value>,
        account: Option<AccountKind>,
        groups: GroupsKnown,
    ) -> Self {
        for name in TOKENS_AS_CLAIMS {
            claims.remove(name);
        }
        Self { subject, claims, account, groups }
    }

    /// All claims as JSON.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(&self.claims).unwrap_or_default()
    }

    pub(super) const fn groups_known(&self) -> GroupsKnown {
        self.groups
    }

    /// The same with what kind of account it is. Without it, no kind is let in where one is asked
    /// for.
    #[must_use]
    pub fn of_account(self, kind: AccountKind) -> Self {
        Self { account: Some(kind), ..self }
    }

    /// The same with these groups instead of what the token says of them: `groups` has the ids, and
    /// `group_names` beside them the names that are known. Its one caller is the relying party,
    /// which asked the provider or chose among the token's.
    #[must_use]
    pub fn with_groups(mut self, groups: &[Group]) -> Self {
        self.forget_groups();
        let ids: Vec<Value> = groups.iter().map(|group| group.id.clone().into()).collect();
        self.claims.insert("groups".to_owned(), ids.into());
        if groups.iter().any(|group| group.name.is_some()) {
            // One beside each id; a group without a name is called by its id.
            let name = |group: &Group| group.name.clone().unwrap_or_else(|| group.id.clone());
            let names: Vec<Value> = groups.iter().map(|group| name(group).into()).collect();
            self.claims.insert(GROUP_NAMES.to_owned(), names.into());
        }
        self
    }

    /// The same without any groups, because they could not be asked for.
    #[must_use]
    pub fn with_groups_unresolved(mut self) -> Self {
        self.forget_groups();
        self.groups = GroupsKnown::Unresolved;
        self
    }

    /// The same, whose groups are known and not what they are called: the names were to be asked
    /// for, and could not be.
    #[must_use]
    pub fn with_group_names_unresolved(mut self) -> Self {
        self.claims.remove(GROUP_NAMES);
        if self.groups == GroupsKnown::AsSaid {
            self.groups = GroupsKnown::WithoutNames;
        }
        self
    }

    /// The same with the groups of earlier ones about the same member, if those were known.
    #[must_use]
    pub fn with_groups_of(mut self, earlier: &Self) -> Option<Self> {
        if earlier.groups_unknown().is_some() {
            return None;
        }
        self.forget_groups();
        for name in ["groups", GROUP_NAMES] {
            if let Some(value) = earlier.claims.get(name) {
                self.claims.insert(name.to_owned(), value.clone());
            }
        }
        self.groups = earlier.groups;
        Some(self)
    }

    /// The same with what the portal's directory of members says of them, under names that begin
    /// with [`EXTENSION`], instead of what it said before. Its one caller is the server, which has
    /// asked.
    #[must_use]
    pub fn with_extensions(mut self, said: Map<String, Value>) -> Self {
        self.claims.remove(EXTENSIONS);
        if !said.is_empty() {
            self.claims.insert(EXTENSIONS.to_owned(), said.into());
        }
        self
    }

    /// The same with what the directory said in earlier ones about the same member.
    #[must_use]
    pub(super) fn with_extensions_of(mut self, earlier: &Self) -> Self {
        self.claims.remove(EXTENSIONS);
        if let Some(said) = earlier.claims.get(EXTENSIONS) {
            self.claims.insert(EXTENSIONS.to_owned(), said.clone());
        }
        self
    }

    fn forget_groups(&mut self) {
        self.groups = GroupsKnown::AsSaid;
        for name in ["groups", GROUP_NAMES, "hasgroups"] {
            self.claims.remove(name);
        }
        match self.claims.get_mut("_claim_names") {
            Some(Value::Object(names)) => {
                names.remove("groups");
            }
            Some(_) => {
                self.claims.remove("_claim_names");
            }
            None => {}
        }
    }

    /// Why it is not known which groups they are in; `None` if it is, by `groups` or because there
    /// are none. A provider that has too many to list says so instead (azure.md, section 4.4), and
    /// what cannot be read as that or its absence is taken for it.
    #[must_use]
    pub fn groups_unknown(&self) -> Option<GroupsUnknown> {
        if self.groups == GroupsKnown::Unresolved {
            return Some(GroupsUnknown::Unresolved);
        }
        let elsewhere = match self.claims.get("_claim_names") {
            None => false,
            Some(Value::Object(names)) => names.contains_key("groups"),
            Some(_) => true,
        };
        let has_more = self.claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false));
        (elsewhere || has_more).then_some(GroupsUnknown::LeftOut)
    }

    /// Why it is not known what their groups are called; `None` if it is. Whoever is in groups that
    /// are not known has no names of theirs either.
    #[must_use]
    pub fn group_names_unknown(&self) -> Option<GroupsUnknown> {
        let unnamed =
            (self.groups == GroupsKnown::WithoutNames).then_some(GroupsUnknown::Unresolved);
        self.groups_unknown().or(unnamed)
    }

    /// Why nothing can be said of the claim of this name; `None` if it is about no groups, or these
    /// are known.
    #[must_use]
    pub fn unknown(&self, name: &str) -> Option<GroupsUnknown> {
        match name {
            "groups" => self.groups_unknown(),
            GROUP_NAMES => self.group_names_unknown(),
            _ => None,
        }
    }

    /// When the person proved who they are, if the provider says so (`auth_time`). What it says in
    /// a way that cannot be read was long ago.
    #[must_use]
    pub fn authenticated(&self) -> Option<Timestamp> {
        let time = self.claims.get("auth_time")?;
        Some(Timestamp::from_unix_seconds(time.as_i64().unwrap_or_default()))
    }

    /// When the token ends that said it, if it says so.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_unix_seconds)
    }

    /// What kind of account it is, where the provider has several kinds.
    #[must_use]
    pub const fn account(&self) -> Option<AccountKind> {
        self.account
    }

    /// These claims with what another token says anew of the same member. What is about a token and
    /// not about the person stays: by whom, for whom, when and in which way they were signed in.
    #[must_use]
    pub fn updated(&self, later: &Self) -> Self {
        let mut claims = self.claims.clone();
        let of_person = later.claims.iter().filter(|(name, _)| !OF_TOKEN.contains(&name.as_str()));
        claims.extend(of_person.map(|(name, value)| (name.clone(), value.clone())));
        let subject = self.subject.clone();
        Self { subject, claims, account: self.account, groups: self.groups }
    }

    /// These claims, and of earlier ones about the same member those of `names` that are missing.
    /// What makes a guest may be missing, too, so a later token makes none a member.
    #[must_use]
    pub fn completed_from(mut self, earlier: &Self, names: &[&str]) -> Self {
        for name in names {
            if let (None, Some(value)) = (self.claims.get(*name), earlier.claims.get(*name)) {
                self.claims.insert((*name).to_owned(), value.clone());
            }
        }
        if self.account != Some(AccountKind::Guest) {
            self.account = earlier.account;
        }
        self
    }

    /// Whom the claims are about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// One claim by its name, at the top level, or one that a directory has said, by `ext.` and its
    /// name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match name.strip_prefix(EXTENSION) {
            Some(own) => self.claims.get(EXTENSIONS)?.as_object()?.get(own),
            None => self.claims.get(name),
        }
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// All claims, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.claims.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Names only: what a member's claims say stays out of logs (LOG-01).
impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims").finish_non_exhaustive()
    }
}

/// A group that somebody is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its object id, or the name by which the provider lists groups.
    pub id: String,
    /// What it is called, for display only: names can be chosen, and are not unique.
    pub name: Option<String>,
}

/// Who somebody is: never an e-mail address or a name, which change and can be chosen (AZ-02).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A directory object: the tenant's and the object's GUID, from `tid` and `oid`.
    Directory {
        /// `tid`.
        tenant: String,
        /// `oid`.
        object: String,
    },
    /// Any other OpenID provider: `iss` and `sub`.
    Issuer {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
}

impl Subject {
    /// The tenant, where there are tenants.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Directory { tenant, .. } => Some(tenant),
            Self::Issuer { .. } => None,
        }
    }

    /// The stable key of this member, as the portal receives it in the assertion's `sub`:
    /// `tid.oid`, or `iss#sub`. Two members never share one: a GUID has no dot, an issuer no `#`.
    #[must_use]
    pub fn member_key(&self) -> String {
        match self {
            Self::Directory { tenant, object } => format!("{tenant}.{object}"),
            Self::Issuer { issuer, subject } => format!("{issuer}#{subject}"),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}
