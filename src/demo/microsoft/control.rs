//! How one tells the emulator, while it runs, what to do next: words that the command line and
//! `/_emulator/…` share, each with what it does. Loopback alone can ask, and no page of another
//! site (CFG-03). Deliberately not here: what the words make happen, which the rest does.

use http::header::{HOST, ORIGIN};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::graph::GraphAnswer;
use super::{Call, Fault, Microsoft, Switches, TokenAnswer, Trouble};
use crate::config::any_duration;
use crate::demo::answer::{self, Answer};

/// What it is.
pub(super) const PATH: &str = "/_emulator";
/// What can be asked of it.
pub(super) const BELOW: &str = "/_emulator/";
/// For how long `slow` makes somebody wait, and `throttled` asks them to.
const USUAL_DELAY: &str = "3s";

/// A word, the values that it takes, and what it does.
pub type Word = (&'static str, &'static str, &'static str);

/// What can happen once, to the next who comes.
pub const NEXT: &[Word] = &[
    (
        "token",
        "wrong_nonce, wrong_audience, wrong_issuer, other_tenant, other_policy, missing_oid, \
         expired, not_yet_valid, alg_none, hs256, unknown_key, personal_key, bad_signature, \
         long_ago, guest",
        "the next ID token has this fault",
    ),
    ("claims", "a JSON object", "the next ID token says this; `null` takes a claim away"),
    (
        "answer",
        "secret_expired, AADSTS…, no_access_token, no_id_token, server_error, unavailable, \
         throttled, reset, truncated, html, wrong_type, slow; throttled:10s, slow:10s",
        "what the token endpoint does with its next call",
    ),
    (
        "document",
        "server_error, unavailable, throttled, reset, truncated, html, wrong_type, slow",
        "how the next metadata document or key set is answered",
    ),
    (
        "redirect",
        "cancel, AADSTS…, AADB2C…, or an OAuth error such as server_error",
        "the next sign-in comes back with this error",
    ),
    (
        "graph",
        "denied, foreign_link, endless_link, server_error, unavailable, throttled, reset, truncated, \
         html, wrong_type, slow",
        "what Graph does with its next call",
    ),
    ("page", "AADSTS…", "the next sign-in ends on a page of Microsoft's with this error"),
];

/// What stays so until it is set back, or happens at once.
pub const SET: &[Word] = &[
    ("clock", "such as +5m or -90s; 0 sets it back", "its clock is so much ahead or behind"),
    (
        "keys",
        "publish_next, rotate, replace",
        "new signing keys; replace withdraws the old at once",
    ),
    ("key_sets", "as for the next document, or usual", "how every key set is answered"),
    ("issuer", "default, tfp", "\"Token compatibility\" of user flows"),
    ("numbers", "json, text", "how B2C's token endpoint writes numbers"),
    (
        "reset",
        "application, within",
        "whether B2C tells the application that a password was forgotten (AADB2C90118)",
    ),
    ("id_tokens", "on, off", "whether the registration issues ID tokens without a code"),
    ("own_key", "on, off", "whether the application has a signing key of its own (`?appid=`)"),
    ("long_codes", "on, off", "codes of 6,000 characters"),
    ("graph", "as for the next one, or usual", "what Graph does with every call"),
    (
        "context",
        "-c<number>, +c<number>",
        "whether sign-ins come back without the context, or with it",
    ),
    ("outage", "on, off", "every request is answered with 503"),
    ("disable", "an account", "the account is disabled"),
    ("enable", "an account", "the account is enabled again"),
    ("revoke", "an account", "what the account was given before is worth nothing"),
    ("sign_out", "everybody", "nobody is signed in at the emulator any more"),
];

/// Why the emulator does not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such word.
    #[error("there is no `{0}`; there are {1}")]
    Word(String, String),
    /// The word does not take this value.
    #[error("`{word}` takes {takes}")]
    Value {
        /// Which word.
        word: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// Nobody of that name.
    #[error("there is no account `{0}`")]
    NoAccount(String),
}

impl Microsoft {
    /// Makes something happen to the next who comes: `word` is one of [`NEXT`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn plan(&self, word: &str, value: &str) -> Result<(), ControlError> {
        let (word, unfit) = known(NEXT, word)?;
        match word {
            "token" => self.next_token(fault(value).ok_or(unfit)?),
            "claims" => {
                let claims: Map<String, Value> = serde_json::from_str(value).map_err(|_| unfit)?;
                self.next_claims(claims);
            }
            "answer" => self.next_token_answer(token_answer(value).ok_or(unfit)?),
            "document" => self.next_document(trouble(value).ok_or(unfit)?),
            "graph" => self.next_graph_answer(graph_answer(value).ok_or(unfit)?),
            "redirect" => self.plan_redirect(value).ok_or(unfit)?,
            _ => self.page_error(number(value, "AADSTS").ok_or(unfit)?),
        }
        Ok(())
    }

    fn plan_redirect(&self, value: &str) -> Option<()> {
        let say = "The emulator was told to answer with this.";
        if value == "cancel" {
            self.authorize_error("access_denied", Some("cancel"), None);
        } else if let Some(number) = number(value, "AADSTS") {
            let error = super::errors::AadError::planned(number);
            let description = error.told(self.now()).description;
            self.authorize_error(error.error, None, Some(&description));
        } else if let Some(number) = number(value, "AADB2C") {
            let error = match number {
                90118 | 90091 => "access_denied",
                90077 => "interaction_required",
                90006 => "redirect_uri_mismatch",
                _ => "server_error",
            };
            let description = format!("AADB2C{number}: {say}\r\n");
            self.authorize_error(error, None, Some(&description));
        } else {
            let is_word = value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            (is_word && !value.is_empty()).then(|| self.authorize_error(value, None, Some(say)))?;
        }
        Some(())
    }

    /// Changes something until it is changed back: `word` is one of [`SET`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set(&self, word: &str, value: &str) -> Result<(), ControlError> {
        let (word, unfit) = known(SET, word)?;
        let on = |change: fn(&mut Switches, bool)| {
            let on = match value {
                "on" => true,
                "off" => false,
                _ => return Err(unfit.clone()),
            };
            self.switch(|switches| change(switches, on));
            Ok(())
        };
        match (word, value) {
            ("clock", value) => {
                let ahead = ahead(value).ok_or(unfit)?;
                self.switch(|switches| switches.clock_ahead = ahead);
            }
            ("keys", "publish_next") => self.publish_next_keys(),
            ("keys", "rotate") => self.rotate_keys(),
            ("keys", "replace") => self.replace_keys(),
            ("key_sets", value) => {
                let trouble = match value {
                    "usual" => None,
                    other => Some(trouble(other).ok_or(unfit)?),
                };
                self.switch(|switches| switches.key_sets = trouble);
            }
            ("issuer", "default" | "tfp") => {
                self.switch(|switches| switches.b2c.names_policy = value == "tfp");
            }
            ("numbers", "json" | "text") => {
                self.switch(|switches| switches.b2c.numbers_are_text = value == "text");
            }
            ("reset", "application" | "within") => {
                self.switch(|switches| switches.b2c.resets_within = value == "within");
            }
            ("id_tokens", _) => on(|switches, on| switches.id_tokens = on)?,
            ("own_key", _) => on(|switches, on| switches.own_key = on)?,
            ("long_codes", _) => on(|switches, on| switches.long_codes = on)?,
            ("graph", "usual") => self.set_graph(None),
            ("graph", value) => self.set_graph(Some(graph_answer(value).ok_or(unfit)?)),
            ("context", value) => match value.split_at_checked(1) {
                Some(("-", context)) => self.refuse_context(context),
                Some(("+", context)) => self.grant_context(context),
                _ => return Err(unfit),
            },
            ("outage", _) => on(|switches, on| switches.outage = on)?,
            ("disable", account) => self.set_disabled(account, true)?,
            ("enable", account) => self.set_disabled(account, false)?,
            ("revoke", account) => self.revoke_sessions(account)?,
            ("sign_out", "everybody") => self.end_all_sessions(),
            _ => return Err(unfit),
        }
        Ok(())
    }
}

/// The word, and what to say if its value does not fit.
fn known(
    words: &'static [Word],
    wanted: &str,
) -> Result<(&'static str, ControlError), ControlError> {
    match words.iter().find(|(word, ..)| *word == wanted) {
        Some((word, takes, _)) => Ok((word, ControlError::Value { word, takes })),
        None => {
            let all: Vec<_> = words.iter().map(|(word, ..)| *word).collect();
            Err(ControlError::Word(wanted.chars().take(60).collect(), all.join(", ")))
        }
    }
}

fn fault(value: &str) -> Option<Fault> {
    Some(match value {
        "wrong_nonce" => Fault::WrongNonce,
        "wrong_audience" => Fault::WrongAudience,
        "wrong_issuer" => Fault::WrongIssuer,
        "other_tenant" => Fault::OtherTenant,
        "other_policy" => Fault::OtherPolicy,
        "missing_oid" => Fault::MissingOid,
        "expired" => Fault::Expired,
        "not_yet_valid" => Fault::NotYetValid,
        "alg_none" => Fault::AlgNone,
        "hs256" => Fault::Hs256WithPublicKey,
        "unknown_key" => Fault::UnknownKey,
        "personal_key" => Fault::PersonalKey,
        "bad_signature" => Fault::BadSignature,
        "long_ago" => Fault::AuthenticatedLongAgo,
        "guest" => Fault::Guest,
        _ => return None,
    })
}

fn token_answer(value: &str) -> Option<TokenAnswer> {
    Some(match value {
        "secret_expired" => TokenAnswer::SecretExpired,
        "no_access_token" => TokenAnswer::NoAccessToken,
        "no_id_token" => TokenAnswer::NoIdToken,
        other => match number(other, "AADSTS") {
            Some(number) => TokenAnswer::Refused(number),
            None => TokenAnswer::Trouble(trouble(other)?),
        },
    })
}

fn graph_answer(value: &str) -> Option<GraphAnswer> {
    Some(match value {
        "denied" => GraphAnswer::Denied,
        "foreign_link" => GraphAnswer::ForeignLink,
        "endless_link" => GraphAnswer::EndlessLink,
        other => GraphAnswer::Trouble(trouble(other)?),
    })
}

fn trouble(value: &str) -> Option<Trouble> {
    let (word, delay) = value.split_once(':').unwrap_or((value, USUAL_DELAY));
    let delay = any_duration(delay)?;
    Some(match word {
        "throttled" => Trouble::Throttled(u32::try_from(delay.as_secs()).ok()?),
        "slow" => Trouble::Slow(delay),
        _ if value.contains(':') => return None,
        "server_error" => Trouble::ServerError,
        "unavailable" => Trouble::Unavailable,
        "reset" => Trouble::Reset,
        "truncated" => Trouble::Truncated,
        "html" => Trouble::Html,
        "wrong_type" => Trouble::WrongType,
        _ => return None,
    })
}

/// The number behind the name of a family of errors.
fn number(value: &str, family: &str) -> Option<u32> {
    let digits = value.strip_prefix(family)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn ahead(value: &str) -> Option<i64> {
    let millis = |text| i64::try_from(any_duration(text)?.as_millis()).ok();
    match value.split_at_checked(1)? {
        ("0", "") => Some(0),
        ("+", rest) => millis(rest),
        ("-", rest) => millis(rest).map(|millis| -millis),
        _ => None,
    }
}

/// Answers what is asked below [`PATH`].
pub(super) fn answer(microsoft: &Microsoft, path: &str, call: &Call) -> Answer {
    if !is_from_here(call) {
        return refuse(StatusCode::FORBIDDEN, "only programs on this machine may ask that");
    }
    let tell = |words: fn(&Microsoft, &str, &str) -> Result<(), ControlError>| {
        let pairs: Vec<_> = call.query.iter().chain(call.form.iter()).collect();
        if call.method != Method::POST || pairs.is_empty() {
            let say = "this takes POST with a form such as `word=value`";
            return refuse(StatusCode::BAD_REQUEST, say);
        }
        for (word, value) in &pairs {
            if let Err(error) = words(microsoft, word, value) {
                return refuse(StatusCode::BAD_REQUEST, &error.to_string());
            }
        }
        answer::json(StatusCode::OK, &json!({ "done": pairs.len() }))
    };
    match path {
        "/_emulator/next" => tell(Microsoft::plan),
        "/_emulator/set" => tell(Microsoft::set),
        "/_emulator/log" => answer::json(StatusCode::OK, &log(microsoft)),
        PATH | BELOW => answer::json(StatusCode::OK, &overview(microsoft)),
        _ => refuse(StatusCode::NOT_FOUND, "there are /_emulator, …/next, …/set and …/log"),
    }
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    answer::json(status, &json!({ "error": why }))
}

/// A program names us by a loopback address, and a page of another site says where it is from.
fn is_from_here(call: &Call) -> bool {
    let text =
        |name| call.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let host = text(HOST).and_then(|host| Url::parse(&format!("http://{host}")).ok());
    let is_loopback = host.is_some_and(|url| crate::config::is_loopback(&url));
    let site = call.headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    let is_one = call.headers.get_all(HOST).iter().count() == 1;
    let is_own = matches!(site, None | Some(b"none" | b"same-origin"));
    is_loopback && is_one && is_own && !call.headers.contains_key(ORIGIN)
}

fn log(microsoft: &Microsoft) -> Value {
    let entries = microsoft.log().into_iter().map(|entry| {
        let parameters: Map<String, Value> =
            entry.parameters.into_iter().map(|(name, value)| (name, value.into())).collect();
        json!({
            "at": entry.at.unix_seconds(),
            "method": entry.method.as_str(),
            "path": entry.path,
            "parameters": parameters,
            "status": entry.status.as_u16(),
        })
    });
    entries.collect()
}

fn overview(microsoft: &Microsoft) -> Value {
    let options = &microsoft.options;
    let accounts = options.directory.accounts().iter().map(|account| {
        json!({
            "username": account.username,
            "name": account.name,
            "tenant": account.tenant.domain,
            "oid": account.oid,
            "persona": account.persona.summary(),
        })
    });
    let tenants = options.directory.tenants().iter().map(
        |tenant| json!({ "id": tenant.id, "domain": tenant.domain, "policies": tenant.policies }),
    );
    json!({
        "emulator": "not Microsoft",
        "authority": microsoft.base,
        "password": super::PASSWORD,
        "client_ids": options.client_ids,
        "redirect_uris": options.redirect_uris,
        "tenants": tenants.collect::<Value>(),
        "accounts": accounts.collect::<Value>(),
    })
}
