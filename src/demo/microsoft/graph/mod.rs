//! Microsoft Graph as far as a web application asks it about the person who signed in: who they
//! are, and which groups they are in, page by page (azure.md, section 4.4). It knows whose access
//! token it is, and for which scopes. Deliberately not here: applications, and every other
//! directory object.

mod membership;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::accounts::Account;
use super::state::Grant;
use super::{Call, Microsoft, Trouble, trouble};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::gate::{Secret, Timestamp};

pub(super) use membership::tell;
pub use membership::{PEOPLE, group_id, group_name};

/// What its addresses begin with.
pub(super) const PATH: &str = "/graph/";
/// How long an access token is good.
const LIFETIME: Duration = Duration::from_secs(4211);
/// How many access tokens are kept.
const KEPT: usize = 4096;
/// How many groups a page has, unless it is asked for more.
const USUAL_PAGE: usize = 100;
/// How many it can be asked for.
const LARGEST_PAGE: usize = 999;

/// What Graph does with a call instead of answering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphAnswer {
    /// 403 `Authorization_RequestDenied`.
    Denied,
    /// The page, and its `@odata.nextLink` leads to another host.
    ForeignLink,
    /// The page, and its `@odata.nextLink` leads to itself.
    EndlessLink,
    /// What every server can do.
    Trouble(Trouble),
}

/// What Graph remembers.
#[derive(Debug, Default)]
pub(super) struct Graph(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tokens: VecDeque<AccessToken>,
    next: VecDeque<GraphAnswer>,
    always: Option<GraphAnswer>,
}

/// In whose name somebody may ask, and for what.
#[derive(Clone, Debug)]
struct AccessToken {
    token: Secret<String>,
    account: &'static Account,
    scope: String,
    expires: Timestamp,
}

impl AccessToken {
    fn is_for(&self, name: &str) -> bool {
        self.scope.split(' ').any(|scope| scope.rsplit('/').next() == Some(name))
    }
}

impl Graph {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new access token: opaque to everybody else, and bound to the account.
    pub(super) fn issue(&self, grant: &Grant, now: Timestamp) -> String {
        let token = format!("eyJ0.{}", random::token(900));
        let mut state = self.state();
        if state.tokens.len() >= KEPT {
            state.tokens.pop_front();
        }
        state.tokens.push_back(AccessToken {
            token: Secret::new(token.clone()),
            account: grant.account,
            scope: grant.scope.clone(),
            expires: now.after(LIFETIME),
        });
        token
    }

    fn token(&self, call: &Call, now: Timestamp) -> Option<AccessToken> {
        let field = call.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let bearer = field.strip_prefix("Bearer ")?;
        let state = self.state();
        let mut known = state.tokens.iter();
        known.find(|known| known.token.matches(bearer) && now < known.expires).cloned()
    }
}

impl Microsoft {
    /// Graph treats its next call so. Calls queue up.
    pub fn next_graph_answer(&self, answer: GraphAnswer) {
        self.graph.state().next.push_back(answer);
    }

    /// Graph treats every call so, until it is told otherwise.
    pub fn set_graph(&self, answer: Option<GraphAnswer>) {
        self.graph.state().always = answer;
    }
}

/// Answers a call of Graph; `path` is below [`PATH`].
pub(super) async fn answer(microsoft: &Microsoft, path: &str, call: &Call) -> Answer {
    microsoft.counts.graph.up();
    let planned = {
        let mut state = microsoft.graph.state();
        let next = state.next.pop_front();
        next.or(state.always)
    };
    match planned {
        Some(GraphAnswer::Denied) => denied(),
        Some(GraphAnswer::Trouble(Trouble::Throttled(seconds))) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let answer = error(status, "TooManyRequests", "Too many requests.");
            answer::with(answer, RETRY_AFTER, &seconds.to_string())
        }
        Some(GraphAnswer::Trouble(Trouble::ServerError)) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            error(status, "InternalServerError", "An error has occurred.")
        }
        Some(GraphAnswer::Trouble(kind)) => {
            trouble::afflict(kind, resource(microsoft, path, call, None)).await
        }
        Some(GraphAnswer::ForeignLink | GraphAnswer::EndlessLink) | None => {
            resource(microsoft, path, call, planned)
        }
    }
}

fn resource(
    microsoft: &Microsoft,
    path: &str,
    call: &Call,
    planned: Option<GraphAnswer>,
) -> Answer {
    let Some(token) = microsoft.graph.token(call, microsoft.now()) else {
        let text = "Access token is empty or is not valid.";
        return error(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", text);
    };
    match (path, &call.method) {
        ("v1.0/me", &Method::GET) => me(&token),
        ("v1.0/me/transitiveMemberOf", &Method::GET) => page(microsoft, call, &token, planned),
        ("v1.0/me/transitiveMemberOf/microsoft.graph.group", &Method::GET) => {
            let is_eventual = call
                .headers
                .get("consistencylevel")
                .is_some_and(|level| level.as_bytes().eq_ignore_ascii_case(b"eventual"));
            match is_eventual && call.query.get("$count") == Some("true") {
                true => page(microsoft, call, &token, planned),
                false => {
                    let text = "Request with $count and an OData cast needs ConsistencyLevel.";
                    error(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", text)
                }
            }
        }
        ("v1.0/me/getMemberObjects", &Method::POST) => {
            let count = membership::count(token.account);
            let ids: Vec<String> = (1..=count).map(group_id).collect();
            let context = format!("{}/graph/v1.0/$metadata#Collection(Edm.String)", microsoft.base);
            answer::json(StatusCode::OK, &json!({ "@odata.context": context, "value": ids }))
        }
        _ => error(StatusCode::NOT_FOUND, "Request_ResourceNotFound", "There is no such resource."),
    }
}

fn me(token: &AccessToken) -> Answer {
    let account = token.account;
    answer::json(
        StatusCode::OK,
        &json!({
            "id": account.oid,
            "displayName": account.name,
            "mail": account.username,
            "userPrincipalName": account.username,
        }),
    )
}

/// A page of groups, and where the next one is.
fn page(
    microsoft: &Microsoft,
    call: &Call,
    token: &AccessToken,
    planned: Option<GraphAnswer>,
) -> Answer {
    let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("$top").unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
    let before = number("$skiptoken").unwrap_or_default();
    let all = membership::count(token.account);
    let last = all.min(before.saturating_add(size));
    let fields = call.query.get("$select").unwrap_or("id,displayName,securityEnabled");
    // Whoever may not read groups is told their ids and nothing else of them.
    let has_names = token.is_for("GroupMember.Read.All");
    let is_cast = call.uri.path().ends_with("microsoft.graph.group");
    let group = |number: usize| {
        let mut group = serde_json::Map::new();
        if !is_cast {
            group.insert("@odata.type".to_owned(), "#microsoft.graph.group".into());
        }
        for field in fields.split(',') {
            let value = match field {
                "id" => group_id(number).into(),
                "displayName" if has_names => group_name(number).into(),
                "securityEnabled" if has_names => true.into(),
                _ => Value::Null,
            };
            group.insert(field.to_owned(), value);
        }
        Value::Object(group)
    };
    let mut value: Vec<Value> = (before + 1..=last).map(group).collect();
    if !is_cast && last == all {
        let id = "f28a1f50-f6e7-4571-818b-6a12f2af6b6c";
        value.push(json!({ "@odata.type": "#microsoft.graph.directoryRole", "id": id }));
    }
    let mut body = json!({
        "@odata.context": format!("{}/graph/v1.0/$metadata#groups({fields})", microsoft.base),
        "@odata.count": all,
        "value": value,
    });
    let link = |base: &str, before: usize| {
        let path = call.uri.path();
        let query = format!("$select={fields}&$top={size}&$count=true&$skiptoken={before}");
        format!("{base}{path}?{query}")
    };
    let next = match planned {
        Some(GraphAnswer::ForeignLink) => Some(link("http://127.0.0.1:1", last)),
        Some(GraphAnswer::EndlessLink) => Some(link(&microsoft.base, before)),
        _ if last < all => Some(link(&microsoft.base, last)),
        _ => None,
    };
    if let (Some(body), Some(next)) = (body.as_object_mut(), next) {
        body.insert("@odata.nextLink".to_owned(), next.into());
    }
    answer::json(StatusCode::OK, &body)
}

fn denied() -> Answer {
    let text = "Insufficient privileges to complete the operation.";
    error(StatusCode::FORBIDDEN, "Authorization_RequestDenied", text)
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let id = random::guid();
    let inner = json!({ "request-id": id, "client-request-id": id });
    let error = json!({ "code": code, "message": message, "innerError": inner });
    let answer = answer::json(status, &json!({ "error": error }));
    answer::with(answer, HeaderName::from_static("request-id"), &id)
}
