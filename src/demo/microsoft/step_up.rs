//! What an application asks of the sign-in besides who it is: how long ago (`max_age`), and in
//! which authentication context (`claims`), as Conditional Access has it (azure.md, sections 2.4
//! and 9).

use serde_json::Value;

use super::errors::AadError;
use super::{Microsoft, Parameters};
use crate::gate::Timestamp;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    max_age: Option<i64>,
    contexts: Vec<String>,
}

impl Asked {
    /// Reads it from an authorization request.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, AadError> {
        let invalid = |name: &str| {
            let text = format!("The provided value for the input parameter '{name}' is not valid.");
            AadError::new(90023, "invalid_request", text)
        };
        let max_age = match parameters.get("max_age") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| invalid("max_age"))?),
        };
        let contexts = match parameters.get("claims") {
            None => Vec::new(),
            Some(text) => contexts(text).ok_or_else(|| invalid("claims"))?,
        };
        Ok(Self { max_age, contexts })
    }

    /// Whether somebody who signed in then has to do it again.
    pub(super) fn is_too_old(&self, authenticated: Timestamp, now: Timestamp) -> bool {
        let age = now.unix_seconds().saturating_sub(authenticated.unix_seconds());
        self.max_age.is_some_and(|most| age > most)
    }

    /// The contexts that the sign-in satisfies: where a tenant has no policy for one, it is said to
    /// be satisfied all the same.
    pub(super) fn satisfied(&self, microsoft: &Microsoft) -> Vec<String> {
        let refused = microsoft.state().refused_contexts.clone();
        self.contexts.iter().filter(|context| !refused.contains(context)).cloned().collect()
    }
}

/// `{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`, or several `values`.
fn contexts(text: &str) -> Option<Vec<String>> {
    let claims: Value = serde_json::from_str(text).ok()?;
    let acrs = claims.as_object()?.get("id_token").and_then(|token| token.get("acrs"));
    let Some(acrs) = acrs else {
        return Some(Vec::new());
    };
    let one = acrs.get("value").and_then(Value::as_str);
    let several = acrs.get("values").and_then(Value::as_array).into_iter().flatten();
    let all = one.into_iter().chain(several.filter_map(Value::as_str));
    Some(all.map(str::to_owned).collect())
}

impl Microsoft {
    /// Sign-ins come back without this authentication context, though it was asked for.
    pub fn refuse_context(&self, context: &str) {
        self.grant_context(context);
        self.state().refused_contexts.push(context.to_owned());
    }

    /// Sign-ins come back with it again.
    pub fn grant_context(&self, context: &str) {
        self.state().refused_contexts.retain(|refused| refused != context);
    }
}
