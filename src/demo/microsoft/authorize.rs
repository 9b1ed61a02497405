//! The authorization endpoint: checks in Microsoft's order, the sign-in form, and the way back.
//! What is wrong with the client or its redirect URI is told to the visitor; everything else is
//! told to the redirect URI.

use http::header::{HeaderMap, SET_COOKIE};
use url::Url;

use super::accounts::{Account, PASSWORD};
use super::errors::AadError;
use super::faults::AuthorizeError;
use super::state::{Grant, IssuedCode, PkceChallenge, Sso};
use super::tenants::{self, Place, Product};
use super::{CLIENT_ID, Call, Microsoft, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::{self, Parameters};
use crate::demo::random;
use crate::demo::story::{Narrator, shortened};
use crate::gate::Secret;

/// The cookie of single sign-on.
const COOKIE_NAME: &str = "ESTSAUTH";
/// The longest query that is read.
const LONGEST_QUERY: usize = 8 * 1024;

/// An authorization request that is in order.
pub(super) struct Asked {
    pub(super) reply: Reply,
    pub(super) wish: Wish,
}

/// What an application asks for.
pub(super) struct Wish {
    pub(super) login_hint: Option<String>,
    pub(super) place: Place,
    redirect_uri: String,
    scope: String,
    nonce: Option<String>,
    challenge: Option<PkceChallenge>,
    prompt: Option<Prompt>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompt {
    None,
    Login,
    SelectAccount,
    Consent,
}

/// How the answer goes back.
pub(super) struct Reply {
    pub(super) uri: Url,
    mode: Mode,
    state: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Who is told that a request is not in order.
enum Refused {
    Visitor(AadError),
    Application(Box<Reply>, AadError),
}

/// Answers an authorization request.
pub(super) fn begin(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.authorize.up();
    let parameters = call.parameters();
    let asked = match read(microsoft, place, parameters, call.query_length) {
        Ok(asked) => asked,
        Err(refused) => return refuse(microsoft, refused),
    };
    tell_request(microsoft, parameters);
    let planned = microsoft.state().authorize_errors.pop_front();
    if let Some(planned) = planned {
        return deny(microsoft, &asked.reply, planned);
    }
    let sso = signed_in(microsoft, &call.headers).filter(|sso| place.admits(sso.account));
    let action = action(call);
    match (asked.wish.prompt, sso) {
        (None | Some(Prompt::None | Prompt::Consent), Some(sso)) => issue(microsoft, &asked, &sso),
        (Some(Prompt::None), None) => {
            let error = AadError::new(
                50058,
                "login_required",
                "A silent sign-in request was sent but no user is signed in.",
            );
            refuse(microsoft, Refused::Application(Box::new(asked.reply), error))
        }
        (Some(Prompt::SelectAccount), Some(sso)) => {
            pages::sign_in(&action, &asked, Some(sso.account), None)
        }
        (_, _) => pages::sign_in(&action, &asked, None, None),
    }
}

/// Answers the sign-in form, whose URL carries the authorization request.
pub(super) fn submit(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    let asked = match read(microsoft, place, &call.query, call.query_length) {
        Ok(asked) => asked,
        Err(refused) => return refuse(microsoft, refused),
    };
    if call.form.get("cancel").is_some() {
        let cancelled = AuthorizeError {
            error: "access_denied".to_owned(),
            subcode: Some("cancel".to_owned()),
            description: None,
        };
        return deny(microsoft, &asked.reply, cancelled);
    }
    let before = signed_in(microsoft, &call.headers).filter(|sso| place.admits(sso.account));
    if let (Some(_), Some(sso)) = (call.form.get("continue"), before) {
        return issue(microsoft, &asked, &sso);
    }
    let username = call.form.get("username").unwrap_or_default();
    let password = call.form.get("password").unwrap_or_default();
    let account = Account::named(username).filter(|_| password == PASSWORD);
    let Some(account) = account.filter(|account| place.admits(account)) else {
        let wrong = "Your account or password is incorrect. (AADSTS50126)";
        return pages::sign_in(&action(call), &asked, None, Some((username, wrong)));
    };
    let sso = Sso { cookie: Secret::new(random::token(32)), account, sid: random::guid() };
    microsoft.state().keep_sso(sso.clone());
    if let Some(story) = microsoft.story() {
        let details = vec![("account".to_owned(), account.username.to_owned())];
        let title = format!("{} signed in with name and password", account.name);
        story.tell(Narrator::Microsoft, title, details);
    }
    let answer = issue(microsoft, &asked, &sso);
    with_cookie(answer, sso.cookie.expose(), "")
}

/// Where the sign-in form goes: beside the authorization request, with all of it.
fn action(call: &Call) -> String {
    let parameters = call.parameters();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters.iter())
        .finish();
    format!("{}?{query}", tenants::beside(&call.uri, "login"))
}

fn read(
    microsoft: &Microsoft,
    place: Place,
    parameters: &Parameters,
    query_length: usize,
) -> Result<Asked, Refused> {
    let reply = read_reply(microsoft, parameters, query_length).map_err(Refused::Visitor)?;
    match read_wish(place, parameters) {
        Ok(wish) => Ok(Asked { reply, wish }),
        Err(error) => Err(Refused::Application(Box::new(reply), error)),
    }
}

/// What has to be in order before anything may be sent to the redirect URI.
fn read_reply(
    microsoft: &Microsoft,
    parameters: &Parameters,
    query_length: usize,
) -> Result<Reply, AadError> {
    if query_length > LONGEST_QUERY {
        let text = "The query string is too long.";
        return Err(AadError::new(90015, "invalid_request", text));
    }
    if let Some(name) = parameters.repeated() {
        return Err(AadError::repeated(name));
    }
    let client_id = parameters.get("client_id").ok_or_else(|| AadError::missing("client_id"))?;
    if !client_id.eq_ignore_ascii_case(CLIENT_ID) {
        return Err(AadError::new(
            700_016,
            "unauthorized_client",
            format!("Application with identifier '{client_id}' was not found in the directory."),
        ));
    }
    let registered = microsoft.options.redirect_uris.iter();
    let uri = match parameters.get("redirect_uri") {
        Some(asked) => registered.into_iter().find(|known| *known == asked),
        None => registered.into_iter().next(),
    };
    // What is registered parses, unless whoever made the emulator mistyped it.
    uri.and_then(|uri| Url::parse(uri).ok())
        .map(|uri| Reply {
            uri,
            mode: match parameters.get("response_mode") {
                Some("form_post") => Mode::FormPost,
                Some("fragment") => Mode::Fragment,
                _ => Mode::Query,
            },
            state: parameters.get("state").map(str::to_owned),
        })
        .ok_or_else(|| {
            let asked = parameters.get("redirect_uri").unwrap_or_default();
            let text = format!(
                "The redirect URI '{asked}' specified in the request does not match the redirect \
                 URIs configured for the application '{CLIENT_ID}'."
            );
            AadError::new(50011, "invalid_request", text)
        })
}

fn read_wish(place: Place, parameters: &Parameters) -> Result<Wish, AadError> {
    let response_type =
        parameters.get("response_type").ok_or_else(|| AadError::missing("response_type"))?;
    match response_type {
        "code" => {}
        with_token if with_token.split(' ').any(|part| part == "id_token") => {
            let text = "response_type 'id_token' is not enabled for the application.";
            return Err(AadError::new(700_054, "unsupported_response_type", text));
        }
        _ => {
            let text = "The provided value for the input parameter 'response_type' is not valid.";
            return Err(AadError::new(70005, "unsupported_response_type", text));
        }
    }
    if !matches!(parameters.get("response_mode"), None | Some("query" | "fragment" | "form_post")) {
        let text = "The provided value for the input parameter 'response_mode' is not valid.";
        return Err(AadError::new(70007, "invalid_request", text));
    }
    let scope = parameters.get("scope").ok_or_else(|| AadError::missing("scope"))?;
    let prompt = match parameters.get("prompt") {
        None => None,
        Some("none") => Some(Prompt::None),
        Some("login") => Some(Prompt::Login),
        Some("select_account") => Some(Prompt::SelectAccount),
        Some("consent") => Some(Prompt::Consent),
        Some(_) => {
            let text = "The provided value for the input parameter 'prompt' is not valid.";
            return Err(AadError::new(90023, "invalid_request", text));
        }
    };
    let redirect_uri = parameters.get("redirect_uri").unwrap_or_default();
    Ok(Wish {
        login_hint: parameters.get("login_hint").map(str::to_owned),
        place,
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.to_owned(),
        nonce: parameters.get("nonce").map(str::to_owned),
        challenge: read_challenge(parameters)?,
        prompt,
    })
}

/// RFC 7636, section 4.3: without a method it is `plain`.
fn read_challenge(parameters: &Parameters) -> Result<Option<PkceChallenge>, AadError> {
    let hashed = match parameters.get("code_challenge_method") {
        None | Some("plain") => false,
        Some("S256") => true,
        Some(_) => {
            let text = "The code challenge method is not valid: use 'S256' or 'plain'.";
            return Err(AadError::new(501_491, "invalid_request", text));
        }
    };
    let Some(value) = parameters.get("code_challenge") else {
        return Ok(None);
    };
    if !(43..=128).contains(&value.len()) {
        let text = "The size of the code_challenge parameter is not between 43 and 128.";
        return Err(AadError::new(50147, "invalid_request", text));
    }
    Ok(Some(PkceChallenge { value: value.to_owned(), hashed }))
}

fn refuse(microsoft: &Microsoft, refused: Refused) -> Answer {
    match refused {
        Refused::Visitor(error) => pages::error(microsoft, &error),
        Refused::Application(reply, error) => {
            let told = error.told(microsoft.now());
            let error = AuthorizeError {
                error: error.error.to_owned(),
                subcode: None,
                description: Some(told.description),
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

/// Makes a code and sends it back.
fn issue(microsoft: &Microsoft, asked: &Asked, sso: &Sso) -> Answer {
    // As long as Microsoft's: nothing on the way may have a limit below that.
    let code = match asked.wish.place.product() {
        Product::AzureAdB2c => format!("eyJraWQiOi{}", random::token(1850)),
        _ => format!("1.AXYA{}", random::token(745)),
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
    microsoft.state().keep_code(IssuedCode {
        code: Secret::new(code.clone()),
        grant: Grant {
            account: sso.account,
            place: asked.wish.place,
            sid: sso.sid.clone(),
            scope: asked.wish.scope.clone(),
            nonce: asked.wish.nonce.clone(),
        },
        redirect_uri: asked.wish.redirect_uri.clone(),
        challenge: asked.wish.challenge.clone(),
        issued: microsoft.now(),
        redeemed: false,
    });
    let mut fields = vec![("code", code)];
    if asked.wish.place.product() != Product::AzureAdB2c {
        fields.push(("session_state", sso.sid.clone()));
    }
    asked.reply.send(fields)
}

impl Reply {
    /// Goes back with `fields` and the `state` of the request, unchanged.
    fn send(&self, mut fields: Vec<(&'static str, String)>) -> Answer {
        if let Some(state) = &self.state {
            let place = fields.len().min(1);
            fields.insert(place, ("state", state.clone()));
        }
        let mut uri = self.uri.clone();
        match self.mode {
            Mode::FormPost => pages::form_post(&uri, &fields),
            Mode::Query => {
                uri.query_pairs_mut().extend_pairs(fields);
                answer::redirect(uri.as_str())
            }
            Mode::Fragment => {
                let fragment = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(fields)
                    .finish();
                uri.set_fragment(Some(&fragment));
                answer::redirect(uri.as_str())
            }
        }
    }
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
pub(super) fn with_cookie(mut answer: Answer, value: &str, attributes: &str) -> Answer {
    for path in tenants::cookie_paths() {
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
