//! A login of which no session comes: all the way to the provider and back, and then a page with
//! what would have been told to the portal, and where its member could go. It is for who sets a
//! portal up, and there only where the configuration says so; whoever signs in sees what is said of
//! themselves, and whom the portal would let in what its routes ask for. The assertion and the
//! tokens of presets are shown by their claims, never as they are; of the provider's tokens it is
//! shown only whether there are any.

use http::{HeaderName, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::account::Body;
use super::login::{ACCOUNT, ANOTHER};
use super::request::Visit;
use super::respond;
use crate::gate::identity::{ASSERTION, Envelope};
use crate::gate::{Access, Lack, Refusal, Session, Verdict};
use crate::identity::{IdentityError, token_claims};
use crate::members::decision::Step;
use crate::members::{Foreseen, Members, MembersError};
use crate::pages::{self, Fact, Link, Tone};
use crate::sessions::StoreError;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;

/// What has come of a login of which no session comes.
pub(super) struct Tested {
    /// The session that would have begun.
    pub(super) session: Session,
    /// What the portal's members would do; `None` where nobody is asked.
    pub(super) members: Option<Result<Foreseen, MembersError>>,
}

impl Tested {
    /// Whether it is somebody whom the portal's directory would have to take up first: what it then
    /// says of them is not known.
    fn is_new(&self) -> bool {
        let step = self.members.as_ref().and_then(|members| members.as_ref().ok());
        step.is_some_and(|foreseen| matches!(foreseen.step, Step::Create | Step::Link))
    }

    /// What a login would have failed for, by its code, and with more for the log.
    fn failure(
        &self,
        untold: Option<&IdentityError>,
        size: Option<Result<(), StoreError>>,
    ) -> Option<(&'static str, Option<String>)> {
        let of_members = self.members.as_ref().and_then(|members| match members {
            Ok(Foreseen { step: Step::Refuse(why), .. }) => Some((why.code(), None)),
            Ok(_) => None,
            Err(error) => Some((error.code(), Some(causes(error)))),
        });
        let untold = untold.map(|error| (error.code(), Some(causes(error))));
        let too_large = size.and_then(Result::err).map(|error| (error.code(), None));
        of_members.or(untold).or(too_large)
    }
}

impl Visit<'_> {
    /// What there is to try, with whom.
    pub(super) fn test_page(self) -> Response<Body> {
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let parties = self.portal.providers.iter();
        let parties = parties.filter_map(|index| self.proxy.relying_parties.get(*index));
        let buttons: Vec<(String, String)> = parties
            .map(|party| {
                let label = party.label().unwrap_or_else(|| party.name());
                let href = format!("{}/test/{}", self.policy.own, party.name());
                (format!("Try a sign-in with {label}"), href)
            })
            .collect();
        let buttons: Vec<Link<'_>> =
            buttons.iter().map(|(label, href)| Link { label, href }).collect();
        let page = pages::test(
            &pages::Test {
                portal: &self.policy.host,
                buttons: &buttons,
                asks_members: self.portal.members.as_deref().is_some_and(Members::ask),
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }

    /// Off to the provider, for nothing but the page that [`Visit::tested`] makes.
    pub(super) async fn test_login(self, provider: &str) -> Response<Body> {
        let Some(provider) = self.provider(provider) else {
            return self.unknown();
        };
        if self.head.method != Method::GET {
            return self.only("GET");
        }
        if self.is_in_the_background() {
            return respond::refuse(Refusal::SignInRequired, self.asker, self.account);
        }
        let Some(mut challenge) = self.asked_journey(provider) else {
            return self.unknown();
        };
        challenge.demands.is_test = true;
        self.begin_login_by_hand(provider, challenge).await
    }

    /// The button of a page that says why a test failed.
    pub(super) fn another_test(
        &self,
        provider: &str,
        with_another_account: bool,
    ) -> (&'static str, String) {
        let href = format!("{}/test/{provider}", self.policy.own);
        match with_another_account {
            true => ("Try another account", format!("{href}?{ACCOUNT}={ANOTHER}")),
            false => ("Try again", href),
        }
    }

    /// What would have come of a login: this session, which nobody has.
    pub(super) fn tested(self, tested: &Tested) -> Response<Body> {
        let session = &tested.session;
        let claims = session.claims();
        let member = claims.subject().member_key();
        let envelope = match tested.is_new() {
            true => self.portal.identity.foresee(session, self.now),
            false => self.portal.identity.render(session, self.now),
        };
        let size = self.proxy.sessions.foresee(session);
        let failure = tested.failure(envelope.as_ref().err(), size);
        let (code, cause) = failure.unzip();
        audit::write(
            Event::LoginTested,
            &Audit {
                provider: Some(session.provider()),
                member: Some(&member),
                code,
                cause: cause.flatten().as_deref(),
                ..self.audit()
            },
        );
        let account = claims.account().map_or("", |kind| kind.name());
        let who =
            [("member", member.as_str()), ("provider", session.provider()), ("account", account)];
        let who: Vec<Fact> = who
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| Fact::new(name, value))
            .collect();
        let said: Vec<Fact> =
            claims.iter().map(|(name, value)| Fact::new(name, &written(value))).collect();
        let (headers, assertion) = match &envelope {
            Ok(envelope) => self.told(envelope, tested.is_new()),
            Err(error) => {
                let fault = Fact::new(error.code(), &error.to_string()).toned(Tone::Bad);
                (vec![fault], Vec::new())
            }
        };
        let mut becomes: Vec<Fact> = tested.members.iter().map(foreseen).collect();
        becomes.extend(size.map(kept));
        let is_in = code.is_none() && self.lets_in(tested);
        let routes = is_in.then(|| self.judged(session, tested.is_new()));
        let page = pages::tested(
            &pages::Tested {
                portal: &self.policy.host,
                who: &who,
                is_refused: code.is_some(),
                claims: &said,
                headers: &headers,
                assertion: &assertion,
                asked_members: tested.members.is_some(),
                becomes: &becomes,
                routes: routes.as_deref(),
                again: Link { label: "Try again", href: &format!("{}/test", self.policy.own) },
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }

    /// Whether the portal would let somebody in: others are not shown what its routes ask for.
    fn lets_in(&self, tested: &Tested) -> bool {
        let is_admitted = match &tested.members {
            None => true,
            Some(Ok(foreseen)) => !matches!(foreseen.step, Step::Refuse(_)),
            Some(Err(_)) => false,
        };
        is_admitted && self.policy.could_let_in(tested.session.claims())
    }

    /// The plain headers and the assertion's claims, as the portal would get them. What its directory
    /// says of somebody new is not known before they are there.
    fn told(&self, envelope: &Envelope, is_new: bool) -> (Vec<Fact>, Vec<Fact>) {
        let (mut headers, mut assertion) = (Vec::new(), Vec::new());
        for (name, value) in &envelope.headers {
            if value.is_sensitive() {
                headers.push(Fact::new(name.as_str(), "a token of the provider's, not shown"));
                continue;
            }
            let value = value.to_str().unwrap_or_default();
            let mut mapped = self.portal.identity.mapped();
            let mapping = mapped.find(|(known, _)| *known == name).map(|(_, mapping)| mapping);
            match token_claims(value) {
                Some(claims) if name.as_str() == ASSERTION => {
                    let said = claims.iter().map(|(name, value)| Fact::new(name, &written(value)));
                    assertion = said.collect();
                }
                Some(claims) if mapping.is_none() => {
                    let claims = Value::Object(claims).to_string();
                    headers.push(Fact::new(name.as_str(), &format!("a token that says {claims}")));
                }
                Some(_) | None => {
                    let fact = Fact::new(name.as_str(), value);
                    let fact = match percent_decode_str(value).decode_utf8_lossy() {
                        read if read != value => fact.reading(&format!("reads {read}")),
                        _ => fact,
                    };
                    headers.push(match mapping {
                        Some(mapping) => fact.made_of(&format!("of {}", mapping.in_words())),
                        None => fact,
                    });
                }
            }
        }
        let unforeseen = self.portal.identity.unforeseen().filter(|_| is_new);
        let unforeseen: Vec<Option<&HeaderName>> = unforeseen.collect();
        headers.extend(unforeseen.iter().map(|name| {
            let name = name.map_or("headers of presets", HeaderName::as_str);
            let words = "not known: it depends on what the directory says of a new member; if it \
                         says nothing that fits, the sign-in is refused where this is required";
            Fact::new(name, words)
        }));
        let is_sent = |name| envelope.headers.iter().any(|(sent, _)| sent == name);
        let absent = self.portal.identity.mapped();
        let absent =
            absent.filter(|(name, _)| !is_sent(*name) && !unforeseen.contains(&Some(*name)));
        headers.extend(absent.map(|(name, mapping)| {
            let fact = Fact::new(name.as_str(), "is not sent: there is nothing to say");
            fact.made_of(&format!("of {}", mapping.in_words()))
        }));
        for name in self.portal.identity.token_headers() {
            if !envelope.headers.iter().any(|(known, _)| known == name) {
                let none = "no token: the provider gave none, or did not say how long it lasts";
                headers.push(Fact::new(name.as_str(), none).toned(Tone::Bad));
            }
        }
        (headers, assertion)
    }

    /// Each line of `routes` by itself, in its order.
    fn judged(&self, session: &Session, is_new: bool) -> Vec<Fact> {
        let judged = self.policy.routes.iter().map(|route| {
            let (words, tone) = match &route.access {
                Access::Public => ("public: everybody passes".to_owned(), Tone::Plain),
                Access::SignedIn(requires) if requires.is_nothing() => {
                    ("signed in: this member passes".to_owned(), Tone::Good)
                }
                Access::SignedIn(requires) => {
                    let words = requires.in_words();
                    match requires.verdict(session, self.now) {
                        Verdict::Passes => (format!("{words}: this member passes"), Tone::Good),
                        Verdict::Lacks(Lack::Claim)
                            if is_new && requires.could_be_met(session.claims()) =>
                        {
                            let said = "not known: it depends on what the directory says of a new \
                                        member";
                            (format!("{words}: {said}"), Tone::Plain)
                        }
                        Verdict::Lacks(lack) => (
                            format!("{words}: this member {} ({})", lack.says(), lack.code()),
                            Tone::Bad,
                        ),
                        Verdict::SignsInAgain => {
                            (format!("{words}: this member signs in once more first"), Tone::Bad)
                        }
                    }
                }
            };
            Fact::new(&route.path.to_string(), &words).toned(tone)
        });
        judged.collect()
    }
}

/// What the portal's members would do.
fn foreseen(members: &Result<Foreseen, MembersError>) -> Fact {
    let (words, tone) = match members {
        Ok(foreseen) => {
            let said = foreseen.message.as_deref().map(|message| format!(": {message}"));
            let said = said.unwrap_or_default();
            match foreseen.step {
                Step::Admit => ("known: this member comes in".to_owned(), Tone::Good),
                Step::AdmitUnknown => {
                    ("not known: this member comes in all the same".to_owned(), Tone::Good)
                }
                Step::Create => ("not known: an account would be made".to_owned(), Tone::Good),
                Step::Link => (
                    "not known: the account of this address would be linked".to_owned(),
                    Tone::Good,
                ),
                Step::Refuse(why) => (format!("refused ({}){said}", why.code()), Tone::Bad),
            }
        }
        // What is the matter with it is for whoever reads the log.
        Err(error) => (
            format!("cannot be asked ({}); the audit event of this test says why", error.code()),
            Tone::Bad,
        ),
    };
    Fact::new("directory", &words).toned(tone)
}

/// Whether the browser could keep the session (SESS-05).
fn kept(size: Result<(), StoreError>) -> Fact {
    let (words, tone) = match size {
        Ok(()) => ("fits into the cookies that a browser keeps".to_owned(), Tone::Good),
        Err(error) => (format!("{error} ({})", error.code()), Tone::Bad),
    };
    Fact::new("session", &words).toned(tone)
}

/// A text as it is, and anything else as JSON has it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
