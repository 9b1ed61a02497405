//! A directory that speaks SCIM 2.0 (RFC 7643, RFC 7644). Members are found by `externalId`, which
//! is their member key; somebody who is not there by that may have an account that waits for them,
//! by their verified address, which is linked by writing the key into it.
//!
//! SCIM has no idempotency key. So what was sent and not answered is not sent again before the
//! directory has been asked for it, and what the directory calls a conflict (409) may be that
//! somebody was faster, which is looked for as well. What a server answers is compared with what it
//! was asked: one that does not filter would make everybody the first of its members.

mod account;
mod filter;
mod written;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;

pub(super) use self::account::Account;
use self::account::{Accounts, Counted, error_kind};
use super::calls::{Again, Asked, Call, Calls, Failed};
use super::decision::Found;
use super::error::{DirectoryError, Refused};
use super::patience::Patience;
use super::profile::profile;
use super::{Arrival, Ask, Looked, Written};
use crate::config;
use crate::gate::Secret;

/// RFC 7644, section 3.1.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");
/// Some servers know the plain type alone.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/scim+json, application/json");
/// How many accounts are asked for, where more than one is too many already.
const COUNT: usize = 10;

/// A SCIM server.
pub(super) struct Scim {
    calls: Calls,
    token: Secret<String>,
}

impl Scim {
    pub(super) fn new(calls: Calls, token: Secret<String>) -> Self {
        Self { calls, token }
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.calls.deadline()
    }

    /// Asks for a member by their key, and then by their verified address.
    pub(super) async fn look(
        &self,
        key: &str,
        address: Option<&str>,
        patience: &mut Patience,
    ) -> Result<Looked, DirectoryError> {
        if let Some(account) = self.of_key(key, patience).await? {
            return Ok(known(account));
        }
        let nobody = Looked {
            found: Found::Nobody { is_invited: false },
            said: Map::new(),
            message: None,
            account: None,
        };
        let Some(address) = address else {
            return Ok(nobody);
        };
        Ok(match self.of_address(address, patience).await? {
            Some(account) if account.external_id.is_some() => nobody,
            // Somebody has switched off whoever is meant to come in by it.
            Some(account) if !account.is_active => Looked { found: Found::Inactive, ..nobody },
            Some(account) => Looked { found: Found::Unlinked, account: Some(account), ..nobody },
            None => nobody,
        })
    }

    /// Has somebody created or linked.
    pub(super) async fn write(
        &self,
        ask: Ask,
        account: Option<Account>,
        settings: &config::Members,
        arrival: Arrival<'_>,
        patience: &mut Patience,
    ) -> Result<Written, DirectoryError> {
        let key = arrival.claims.subject().member_key();
        let mut told = profile(&settings.first_login, arrival);
        told.extend(profile(&settings.every_login, arrival));
        let asked = match (ask, &account) {
            (Ask::Create, _) => {
                let body = written::created(&key, &told);
                self.asked((Call::Create, Method::POST), self.users(), Some(&body), None)?
            }
            (Ask::Link, Some(account)) => {
                let body = written::linked(&key, account, &told);
                let url = self.user(account);
                let version = account.version.as_deref();
                self.asked((Call::Link, Method::PATCH), url, Some(&body), version)?
            }
            (Ask::Link, None) => return Err(DirectoryError::Answer("has no account to link")),
        };
        // A try without an answer may have done it all the same.
        let mut is_unanswered = false;
        loop {
            match self.calls.once(&asked, patience).await {
                Ok(answer) if answer.status.is_success() => {
                    // What is there counts, and not what was sent.
                    let account = match Account::read(&answer.body) {
                        Some(account) if account.is_of(&key) => account,
                        Some(_) | None => self
                            .of_key(&key, patience)
                            .await?
                            .ok_or(DirectoryError::Answer("has not what was just written"))?,
                    };
                    return Ok(member(account, true));
                }
                // Somebody was faster, or stands in the way.
                Ok(answer) if answer.status == StatusCode::CONFLICT => {
                    return Ok(match self.of_key(&key, patience).await? {
                        Some(account) => member(account, is_unanswered),
                        None => Written::Refused { why: Refused::Conflict, message: None },
                    });
                }
                // The account that was to be linked has changed meanwhile, or is gone: it may be
                // somebody's now.
                Ok(answer)
                    if ask == Ask::Link
                        && matches!(
                            answer.status,
                            StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND
                        ) =>
                {
                    return match self.of_key(&key, patience).await? {
                        Some(account) => Ok(member(account, is_unanswered)),
                        None => Err(DirectoryError::Busy(answer.status)),
                    };
                }
                Ok(answer) => return Err(refused(answer.status, &answer.body)),
                Err(Failed { error, again: None }) => return Err(error),
                Err(Failed { error, again: Some(Again(pause)) }) => {
                    is_unanswered = true;
                    if !patience.again(pause).await {
                        return Err(error);
                    }
                    if let Some(account) = self.of_key(&key, patience).await? {
                        return Ok(member(account, is_unanswered));
                    }
                    if let (Ask::Link, Some(account)) = (ask, &account)
                        && !self.is_nobodys(account, patience).await?
                    {
                        return Ok(Written::Refused { why: Refused::Conflict, message: None });
                    }
                }
            }
        }
    }

    /// Whether an account that was nobody's still is: not every server has versions, so that a link
    /// that is sent again could take it from whoever has it now (AZ-02).
    async fn is_nobodys(
        &self,
        account: &Account,
        patience: &mut Patience,
    ) -> Result<bool, DirectoryError> {
        let asked = self.asked((Call::Look, Method::GET), self.user(account), None, None)?;
        let answer = self.calls.answer(&asked, patience).await?;
        match answer.status {
            StatusCode::OK => match Account::read(&answer.body) {
                Some(now) if now.id == account.id => Ok(now.external_id.is_none() && now.is_active),
                Some(_) | None => {
                    Err(DirectoryError::Answer("has another account than was asked for"))
                }
            },
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(refused(status, &answer.body)),
        }
    }

    /// Brings an account up to date. That somebody is a member is decided already, so what does not
    /// succeed is said in the log and costs nobody a sign-in.
    pub(super) async fn update(
        &self,
        account: &Account,
        settings: &config::Members,
        arrival: Arrival<'_>,
        patience: &Patience,
    ) {
        let told = profile(&settings.every_login, arrival);
        let Some(body) = written::changed(account, &told) else {
            return;
        };
        let (url, version) = (self.user(account), account.version.as_deref());
        let asked = self.asked((Call::Update, Method::PATCH), url, Some(&body), version);
        let done = match asked {
            // Once, and no longer than one try takes: somebody waits for it.
            Ok(asked) => self.calls.once(&asked, patience).await.map_err(|failed| failed.error),
            Err(error) => Err(error),
        };
        let error = match done {
            Ok(answer) if answer.status.is_success() => return,
            Ok(answer) => refused(answer.status, &answer.body),
            Err(error) => error,
        };
        tracing::warn!(
            reason = error.code(),
            error = &error as &dyn std::error::Error,
            "a member's account in the directory could not be brought up to date"
        );
    }

    /// The account of a member key.
    async fn of_key(
        &self,
        key: &str,
        patience: &mut Patience,
    ) -> Result<Option<Account>, DirectoryError> {
        let found = self.filtered(&filter::equals("externalId", key), patience).await?;
        if !found.accounts.iter().all(|account| account.is_of(key)) {
            return Err(DirectoryError::Answer("has accounts of others than were asked for"));
        }
        match found.counted().map_err(DirectoryError::Answer)? {
            Counted::Nobody => Ok(None),
            Counted::One(account) => Ok(Some(account)),
            Counted::Several => Err(DirectoryError::Ambiguous),
        }
    }

    /// The one account that has an address; `None` if there is none, or several.
    async fn of_address(
        &self,
        address: &str,
        patience: &mut Patience,
    ) -> Result<Option<Account>, DirectoryError> {
        let mut only: Option<Account> = None;
        for attribute in ["emails.value", "userName"] {
            let found = self.filtered(&filter::equals(attribute, address), patience).await?;
            if !found.accounts.iter().all(|account| account.has_address(address)) {
                return Err(DirectoryError::Answer("has accounts of others than were asked for"));
            }
            match (found.counted().map_err(DirectoryError::Answer)?, &only) {
                (Counted::Nobody, _) => {}
                (Counted::One(account), None) => only = Some(account),
                (Counted::One(account), Some(known)) if account.id == known.id => {}
                (Counted::One(_), Some(_)) | (Counted::Several, _) => return Ok(None),
            }
        }
        Ok(only)
    }

    async fn filtered(
        &self,
        filter: &str,
        patience: &mut Patience,
    ) -> Result<Accounts, DirectoryError> {
        let mut url = self.users();
        url.set_query(Some(&format!("filter={}&count={COUNT}", filter::in_query(filter))));
        let asked = self.asked((Call::Look, Method::GET), url, None, None)?;
        let answer = self.calls.answer(&asked, patience).await?;
        match answer.status {
            StatusCode::OK => Accounts::read(&answer.body).map_err(DirectoryError::Answer),
            status => Err(refused(status, &answer.body)),
        }
    }

    /// Where accounts are.
    fn users(&self) -> Url {
        let mut url = self.calls.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("Users");
        }
        url
    }

    /// Where one is. Its own word about that, `meta.location`, is not followed.
    fn user(&self, account: &Account) -> Url {
        let mut url = self.users();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&account.id);
        }
        url
    }

    fn asked(
        &self,
        (call, method): (Call, Method),
        url: Url,
        body: Option<&Value>,
        version: Option<&str>,
    ) -> Result<Asked, DirectoryError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .map_err(|_| DirectoryError::Answer("needs an odd header"))?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert(header::ACCEPT, ACCEPTED);
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        }
        // RFC 7644, section 3.14: another version than was looked at is left alone.
        if let Some(version) = version.and_then(|version| HeaderValue::try_from(version).ok()) {
            headers.insert(header::IF_MATCH, version);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        Ok(Asked { call, method, url, headers, body: Bytes::from(body), busy: &[] })
    }
}

fn known(account: Account) -> Looked {
    let found = if account.is_active { Found::Known } else { Found::Inactive };
    Looked { found, said: account.said(), message: None, account: Some(account) }
}

/// What was written is a member, unless the directory has them wait for somebody.
fn member(account: Account, is_new: bool) -> Written {
    match account.is_active {
        true => Written::Member { is_new, said: account.said() },
        false => Written::Refused { why: Refused::Inactive, message: None },
    }
}

fn refused(status: StatusCode, body: &[u8]) -> DirectoryError {
    DirectoryError::Refused { status, kind: error_kind(body) }
}
