//! An authorization request, read in Microsoft's order of checks, and the way back for its answer.
//! What is wrong with the client or its redirect URI is told to the visitor; everything else is
//! told to the redirect URI. Deliberately not here: what becomes of it, which `authorize.rs`
//! decides.

use url::Url;

use super::errors::AadError;
use super::state::PkceChallenge;
use super::tenants::Place;
use super::{Microsoft, pages, step_up};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;

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
    pub(super) client_id: String,
    pub(super) answers: Answers,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<PkceChallenge>,
    pub(super) prompt: Option<Prompt>,
    pub(super) step_up: step_up::Asked,
    /// Whether a new password was chosen on the way.
    pub(super) forgot: bool,
}

/// What the application wants in return.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) code: bool,
    pub(super) id_token: bool,
}

/// Whether the visitor is asked, and what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    None,
    Login,
    SelectAccount,
    Consent,
}

/// How the answer goes back.
pub(super) struct Reply {
    pub(super) uri: Url,
    mode: Mode,
    pub(super) state: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Who is told that a request is not in order.
pub(super) enum Refused {
    Visitor(AadError),
    Application(Box<Reply>, AadError),
}

/// Reads it, or says who is to be told why not.
pub(super) fn read(
    microsoft: &Microsoft,
    place: Place,
    parameters: &Parameters,
    query_length: usize,
) -> Result<Asked, Refused> {
    let reply = read_reply(microsoft, parameters, query_length).map_err(Refused::Visitor)?;
    match read_wish(microsoft, place, parameters) {
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
    if !microsoft.knows_client(client_id) {
        return Err(AadError::unknown_client(client_id));
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
                // Tokens never stand in a query, not even those of an error.
                None if asks_for_token(parameters) => Mode::Fragment,
                _ => Mode::Query,
            },
            state: parameters.get("state").map(str::to_owned),
        })
        .ok_or_else(|| {
            let asked = parameters.get("redirect_uri").unwrap_or_default();
            let text = format!(
                "The redirect URI '{asked}' specified in the request does not match the redirect \
                 URIs configured for the application '{client_id}'."
            );
            AadError::new(50011, "invalid_request", text)
        })
}

fn asks_for_token(parameters: &Parameters) -> bool {
    let kinds = parameters.get("response_type").unwrap_or_default();
    kinds.split(' ').any(|kind| kind == "id_token")
}

/// What the application wants in return, and whether that may go back in this way.
fn read_answers(microsoft: &Microsoft, parameters: &Parameters) -> Result<Answers, AadError> {
    let response_type =
        parameters.get("response_type").ok_or_else(|| AadError::missing("response_type"))?;
    let answers = match response_type {
        "code" => Answers { code: true, id_token: false },
        with_token if with_token.split(' ').any(|part| part == "id_token") => {
            if !microsoft.switches().id_tokens {
                let text = "response_type 'id_token' is not enabled for the application.";
                return Err(AadError::new(700_054, "unsupported_response_type", text));
            }
            Answers { code: with_token.split(' ').any(|part| part == "code"), id_token: true }
        }
        _ => {
            let text = "The provided value for the input parameter 'response_type' is not valid.";
            return Err(AadError::new(70005, "unsupported_response_type", text));
        }
    };
    match parameters.get("response_mode") {
        Some("query") if answers.id_token => {
            let text =
                "'query' is not a supported value of 'response_mode' when requesting a token.";
            Err(AadError::new(70007, "invalid_request", text))
        }
        None | Some("query" | "fragment" | "form_post") => Ok(answers),
        Some(_) => {
            let text = "The provided value for the input parameter 'response_mode' is not valid.";
            Err(AadError::new(70007, "invalid_request", text))
        }
    }
}

fn read_wish(
    microsoft: &Microsoft,
    place: Place,
    parameters: &Parameters,
) -> Result<Wish, AadError> {
    let answers = read_answers(microsoft, parameters)?;
    if answers.id_token && parameters.get("nonce").is_none() {
        return Err(AadError::missing("nonce"));
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
        client_id: parameters.get("client_id").unwrap_or_default().to_ascii_lowercase(),
        answers,
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.to_owned(),
        nonce: parameters.get("nonce").map(str::to_owned),
        challenge: read_challenge(parameters)?,
        prompt,
        step_up: step_up::Asked::read(parameters)?,
        forgot: false,
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

impl Reply {
    /// Goes back with `fields` and the `state` of the request, unchanged.
    pub(super) fn send(&self, mut fields: Vec<(&'static str, String)>) -> Answer {
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
