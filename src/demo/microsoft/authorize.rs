//! The authorization endpoint: the sign-in form, what comes of it, and single sign-on. Deliberately
//! not here: how a request is read and how its answer goes back (`asked.rs`).

use http::header::{HeaderMap, SET_COOKIE};

use super::accounts::PASSWORD;
use super::asked::{Asked, Prompt, Refused, Reply, read};
use super::errors::AadError;
use super::faults::AuthorizeError;
use super::state::{Grant, IssuedCode, Sso};
use super::tenants::{self, Place, Product};
use super::{Call, Microsoft, id_token, journeys, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::{self, Parameters};
use crate::demo::random;
use crate::demo::story::{Narrator, shortened};
use crate::gate::Secret;
use crate::gate::login::Journey;

/// The cookie of single sign-on.
const COOKIE_NAME: &str = "ESTSAUTH";
/// Answers an authorization request.
pub(super) async fn begin(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.authorize.up();
    let parameters = call.parameters();
    let asked = match read(microsoft, place, parameters, call.query_length) {
        Ok(asked) => asked,
        Err(refused) => return refuse(microsoft, place, refused),
    };
    tell_request(microsoft, parameters);
    let planned = microsoft.state().page_errors.pop_front();
    if let Some(number) = planned {
        return pages::error(microsoft, &AadError::planned(number));
    }
    let planned = microsoft.state().authorize_errors.pop_front();
    if let Some(planned) = planned {
        return deny(microsoft, &asked.reply, planned);
    }
    let sso = signed_in(microsoft, &call.headers).filter(|sso| place.admits(sso.account));
    let now = microsoft.now();
    let sso = sso.filter(|sso| !asked.wish.step_up.is_too_old(sso.authenticated, now));
    let action = action(call, parameters);
    match (journeys::of(place), &sso) {
        (Journey::PasswordReset, _) => return pages::new_password(&action, &asked, None),
        (Journey::ProfileEdit, Some(sso)) => {
            return pages::profile(microsoft, &action, &asked, sso.account);
        }
        (Journey::ProfileEdit, None) | (Journey::SignIn | Journey::SignUp, _) => {}
    }
    match (asked.wish.prompt, sso) {
        (Some(Prompt::Consent), Some(sso)) => pages::consent(&action, &asked, sso.account),
        (None | Some(Prompt::None), Some(sso)) => issue(microsoft, &asked, &sso).await,
        (Some(Prompt::None), None) => {
            let error = AadError::nobody_is_signed_in(place.product());
            refuse(microsoft, place, Refused::Application(Box::new(asked.reply), error))
        }
        (Some(Prompt::SelectAccount), Some(sso)) => {
            pages::sign_in(microsoft, &action, &asked, Some(sso.account), None)
        }
        (_, _) => pages::sign_in(microsoft, &action, &asked, None, None),
    }
}

/// Answers the sign-in form, whose URL carries the authorization request.
pub(super) async fn submit(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    let mut asked = match read(microsoft, place, &call.query, call.query_length) {
        Ok(asked) => asked,
        Err(refused) => return refuse(microsoft, place, refused),
    };
    let action = action(call, &call.query);
    if let (Some(_), Some(error)) = (call.form.get("cancel"), journeys::cancelled(place)) {
        return refuse(microsoft, place, Refused::Application(Box::new(asked.reply), error));
    }
    if call.form.get("cancel").is_some() {
        let cancelled = AuthorizeError {
            error: "access_denied".to_owned(),
            subcode: Some("cancel".to_owned()),
            description: None,
        };
        return deny(microsoft, &asked.reply, cancelled);
    }
    if call.form.get("decline").is_some() {
        let error = AadError::declined();
        return refuse(microsoft, place, Refused::Application(Box::new(asked.reply), error));
    }
    let before = signed_in(microsoft, &call.headers).filter(|sso| place.admits(sso.account));
    if let (Some(_), Some(sso)) = (call.form.get("continue"), &before) {
        return issue(microsoft, &asked, sso).await;
    }
    if call.form.get("forgot").is_some() && place.product() == Product::AzureAdB2c {
        if microsoft.switches().b2c.resets_within {
            return pages::new_password(&action, &asked, None);
        }
        let error = journeys::forgotten();
        return refuse(microsoft, place, Refused::Application(Box::new(asked.reply), error));
    }
    if let (Some(name), Some(sso), Journey::ProfileEdit) =
        (call.form.get("display_name"), before, journeys::of(place))
    {
        microsoft.rename(sso.account, name);
        return issue(microsoft, &asked, &sso).await;
    }
    let username = call.form.get("username").unwrap_or_default();
    let is_new = call.form.get("new_password").is_some_and(|password| !password.is_empty())
        && (journeys::of(place) == Journey::PasswordReset
            || microsoft.switches().b2c.resets_within);
    let is_known = is_new || call.form.get("password") == Some(PASSWORD);
    let account = microsoft.options.directory.account(username).filter(|_| is_known);
    let Some(account) = account.filter(|account| place.admits(account)) else {
        if call.form.get("new_password").is_some() {
            let wrong = "Name an account and a new password.";
            return pages::new_password(&action, &asked, Some((username, wrong)));
        }
        let wrong = "Your account or password is incorrect. (AADSTS50126)";
        return pages::sign_in(microsoft, &action, &asked, None, Some((username, wrong)));
    };
    if microsoft.state().disabled.contains(account.oid) {
        return pages::error(microsoft, &AadError::account_disabled());
    }
    let sso = Sso {
        cookie: Secret::new(random::token(32)),
        account,
        sid: random::guid(),
        authenticated: microsoft.now(),
    };
    microsoft.state().keep_sso(sso.clone());
    if let Some(story) = microsoft.story() {
        let details = vec![("account".to_owned(), account.username.to_owned())];
        let title = format!("{} signed in with name and password", account.name);
        story.tell(Narrator::Microsoft, title, details);
    }
    asked.wish.forgot = is_new && journeys::of(place) == Journey::SignIn;
    let answer = match asked.wish.prompt {
        _ if journeys::of(place) == Journey::ProfileEdit => {
            pages::profile(microsoft, &action, &asked, account)
        }
        Some(Prompt::Consent) => pages::consent(&action, &asked, account),
        _ => issue(microsoft, &asked, &sso).await,
    };
    with_cookie(microsoft, answer, sso.cookie.expose(), "")
}

/// Where the sign-in form goes: beside the authorization request, with all of it.
fn action(call: &Call, parameters: &Parameters) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters.iter())
        .finish();
    format!("{}?{query}", tenants::beside(&call.uri, "login"))
}

fn refuse(microsoft: &Microsoft, place: Place, refused: Refused) -> Answer {
    match refused {
        Refused::Visitor(error) => pages::error(microsoft, &error),
        Refused::Application(reply, error) => {
            let error = AuthorizeError {
                error: error.error.to_owned(),
                subcode: None,
                description: Some(error.description(place.product(), microsoft.now())),
            };
            deny(microsoft, &reply, error)
        }
    }
}

fn deny(microsoft: &Microsoft, reply: &Reply, error: AuthorizeError) -> Answer {
    if let Some(story) = microsoft.story() {
        let details = vec![
            ("to".to_owned(), reply.uri.to_string()),
            ("error".to_owned(), error.error.clone()),
        ];
        story.tell(Narrator::Browser, "Sent back with an error", details);
    }
    let mut fields = vec![("error", error.error)];
    fields.extend(error.subcode.map(|text| ("error_subcode", text)));
    fields.extend(error.description.map(|text| ("error_description", text)));
    reply.send(fields)
}

/// Makes what was asked for and sends it back.
async fn issue(microsoft: &Microsoft, asked: &Asked, sso: &Sso) -> Answer {
    let grant = Grant {
        client_id: asked.wish.client_id.clone(),
        account: sso.account,
        place: asked.wish.place,
        sid: sso.sid.clone(),
        scope: asked.wish.scope.clone(),
        nonce: asked.wish.nonce.clone(),
        authenticated: sso.authenticated,
        contexts: asked.wish.step_up.satisfied(microsoft),
        forgot: asked.wish.forgot,
    };
    let mut fields = Vec::new();
    let mut code = None;
    if asked.wish.answers.code {
        let made = new_code(microsoft, asked, grant.clone());
        fields.push(("code", made.clone()));
        code = Some(made);
    }
    if asked.wish.answers.id_token {
        let way = id_token::Way::Front { code: code.as_deref() };
        let token = id_token::make(microsoft, &grant, way).await;
        fields.push(("id_token", token.jwt));
    }
    if asked.wish.place.product() != Product::AzureAdB2c {
        fields.push(("session_state", sso.sid.clone()));
    }
    asked.reply.send(fields)
}

/// Makes a code and remembers what it is for.
fn new_code(microsoft: &Microsoft, asked: &Asked, grant: Grant) -> String {
    // As long as Microsoft's: nothing on the way may have a limit below that.
    let long = microsoft.switches().long_codes;
    let code = match asked.wish.place.product() {
        Product::AzureAdB2c => {
            format!("eyJraWQiOi{}", random::token(if long { 4492 } else { 1850 }))
        }
        _ => format!("1.AXYA{}", random::token(if long { 4495 } else { 745 })),
    };
    if let Some(story) = microsoft.story() {
        let mut details = vec![
            ("to".to_owned(), asked.reply.uri.to_string()),
            ("code".to_owned(), shortened(&code)),
        ];
        details.extend(
            asked.reply.state.as_deref().map(|state| ("state".to_owned(), shortened(state))),
        );
        story.tell(Narrator::Browser, "Sent back to the proxy with a code", details);
    }
    let issued = microsoft.now();
    microsoft.state().keep_code(IssuedCode {
        code: Secret::new(code.clone()),
        grant,
        redirect_uri: asked.wish.redirect_uri.clone(),
        challenge: asked.wish.challenge.clone(),
        issued,
        redeemed: false,
    });
    code
}

/// Who is signed in at Microsoft in this browser.
pub(super) fn signed_in(microsoft: &Microsoft, headers: &HeaderMap) -> Option<Sso> {
    let value = parameters::cookie(headers, COOKIE_NAME)?;
    let state = microsoft.state();
    let mut sessions = state.sso.iter();
    sessions.find(|sso| sso.cookie.matches(value)).cloned()
}

/// Sets the cookie of single sign-on, below the tenant's names only: cookies do not know ports,
/// and the proxy and the portal share the host of this emulator.
pub(super) fn with_cookie(
    microsoft: &Microsoft,
    mut answer: Answer,
    value: &str,
    attributes: &str,
) -> Answer {
    for path in tenants::cookie_paths(&microsoft.options.directory) {
        let cookie =
            format!("{COOKIE_NAME}={value}; Path=/{path}; HttpOnly; SameSite=Lax{attributes}");
        answer = answer::and(answer, SET_COOKIE, &cookie);
    }
    answer
}

fn tell_request(microsoft: &Microsoft, parameters: &Parameters) {
    let Some(story) = microsoft.story() else {
        return;
    };
    let details = parameters.iter().map(|(name, value)| {
        let shown = match name {
            "state" | "nonce" | "code_challenge" | "login_hint" => shortened(value),
            _ => value.to_owned(),
        };
        (name.to_owned(), shown)
    });
    let title = "The proxy sent the browser here to sign in";
    story.open(Narrator::Microsoft, title, details.collect());
}
