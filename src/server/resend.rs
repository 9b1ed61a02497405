//! A form that met an expired session is not lost: its member gets a page that holds it, sealed,
//! signs in beside it, and sends it once more. It then takes the whole way of a request again, as
//! if it came now. We keep nothing of it but that it was sent. Deliberately not here: which
//! requests are kept (`gate::KeptForm`).

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::account::{Account, Body};
use super::inspect::{self, InspectError};
use super::parameters::once;
use super::request::Visit;
use super::respond::{self, HOME};
use crate::gate::{
    Challenge, KeptForm, MemberMark, Purpose as Wanted, RawTarget, Refusal, ReturnTo, cookies,
    may_be_from_own_page, purpose,
};
use crate::pages::{self, Link};
use crate::sessions::{
    Purpose, Sessions, SignedIn, StoreError, cookie, member_mark, sealed_length,
};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::upstream::{BodyError, RequestBody};

/// The field of our page that holds a sealed form; no portal has one of that name.
const FIELD: &str = "anteport-form";

/// Why a form is not with the portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsent {
    /// Its session is over; the page has it.
    #[error("the session of the form's member is over; the page keeps it for them")]
    Kept,
    /// The same, and it is more than is kept.
    #[error("the session of the form's member is over, and the form is larger than what is kept")]
    TooLarge,
    /// Somebody else is signed in; the page has it still.
    #[error("another member is signed in than the one whose form it is")]
    OtherMember,
    /// It was posted by a page of another site.
    #[error("the form was not posted by a page of ours")]
    Elsewhere,
    /// We did not seal it, or not for here, or before we were started.
    #[error("the form was not sealed by us, for this portal, since we were started")]
    Unreadable,
    /// Its time is over.
    #[error("the form was kept for longer than {limit:?}", limit = KeptForm::LIMIT)]
    Expired,
    /// It is with the portal.
    #[error("the form was sent already")]
    Used,
}

impl Unsent {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Kept => "form-kept",
            Self::TooLarge => "form-too-large",
            Self::OtherMember => "form-other-member",
            Self::Elsewhere => "form-elsewhere",
            Self::Unreadable => "form-unreadable",
            Self::Expired => "form-expired",
            Self::Used => "form-used",
        }
    }
}

/// The name of a form that was sent again, by which it is spent.
pub(super) type FormId = [u8; 16];

/// A form as a request that is to be judged again; its head is in the place of the one that brought
/// it.
pub(super) struct Again {
    pub(super) id: FormId,
    pub(super) body: Bytes,
    pub(super) account: Account,
}

impl Visit<'_> {
    /// The cookie of who has signed in, where forms are kept for them. It is sealed, and opens
    /// nothing.
    pub(super) fn member_cookie(&self, mark: MemberMark) -> Option<HeaderValue> {
        self.policy.resend_forms?;
        let sealed = self.proxy.seal.seal(Purpose::Member, &self.policy.host, mark.bytes())?;
        cookie::member(sealed)
    }

    /// Who was signed in last in this browser, as far as we sealed it.
    fn last_member(&self) -> Option<MemberMark> {
        let sealed = cookies::member(self.head.headers.get_all(header::COOKIE))?;
        let record = self.proxy.seal.open(Purpose::Member, &self.policy.host, sealed)?;
        MemberMark::from_bytes(&record)
    }

    /// Keeps a form for its member, in the page that says so. Whatever cannot be kept is told that
    /// a sign-in is wanted, as ever.
    pub(super) async fn keep(mut self, target: String, body: RequestBody) -> Response<Body> {
        let (Some(limit), Some(member)) = (self.policy.resend_forms, self.last_member()) else {
            return self.refuse(Refusal::SignInRequired);
        };
        let stranger = self.proxy.stranger(self.visitor);
        let room = &self.proxy.form_room;
        let (body, share) = match inspect::whole(body, limit, stranger, room).await {
            Ok(read) => read,
            Err(InspectError::Busy) => return self.refuse(Refusal::SignInRequired),
            Err(InspectError::Body(BodyError::TooLarge)) => {
                return self.unsent_page(Unsent::TooLarge, None);
            }
            Err(error @ InspectError::Body(_)) => {
                return respond::uninspected(&error, self.asker, self.account);
            }
        };
        match self.sealed(target.clone(), body, member) {
            Some(sealed) => {
                self.account.holds(Some(share));
                self.unsent_page(Unsent::Kept, Some((&sealed, &target)))
            }
            None => self.refuse(Refusal::SignInRequired),
        }
    }

    fn sealed(&self, target: String, body: Bytes, member: MemberMark) -> Option<String> {
        let mut id = FormId::default();
        aws_lc_rs::rand::fill(&mut id).ok()?;
        let (asked, headers) = ((&self.head.method, target), &self.head.headers);
        let form = KeptForm::keep(asked, headers, body, member, id, self.now)?;
        self.proxy.seal.seal(Purpose::Form, &self.policy.host, &form.to_bytes()?)
    }

    /// A kept form comes back. That somebody has it shows that we made it, for this member, who
    /// alone can have it sent; and it is looked at in vain as often as somebody likes, but sent
    /// once.
    ///
    /// It comes to an address below ours that ends like its own. So a page that the portal answers
    /// with can name its pictures, links and forms as it does at home: they come here, and are sent
    /// onward.
    pub(super) async fn resend(
        mut self,
        place: Option<String>,
        body: RequestBody,
    ) -> Result<Again, Response<Body>> {
        self.account.decided(Verdict::Own, None);
        let Some(limit) = self.policy.resend_forms else {
            return Err(self.unknown());
        };
        let place = match place.map(|path| self.place(path)) {
            Some(None) => return Err(self.unknown()),
            Some(place) => place,
            None => None,
        };
        let longest = sealed_length(KeptForm::longest(limit)).saturating_add(FIELD.len() + 1);
        let text = match (&self.head.method, &place) {
            (&Method::POST, _) => match self.posted_form(body, longest).await {
                Ok((text, share)) => {
                    self.account.holds(share);
                    text
                }
                // No form of ours is so long.
                Err(InspectError::Body(BodyError::TooLarge)) if place.is_some() => String::new(),
                Err(error) => return Err(respond::uninspected(&error, self.asker, self.account)),
            },
            (_, Some(_)) => String::new(),
            (_, None) => return Err(self.only("POST")),
        };
        let has_form = url::form_urlencoded::parse(text.as_bytes()).any(|(name, _)| name == FIELD);
        if let (Some(place), false) = (&place, has_form) {
            return Err(respond::onward(place.as_str(), self.asker, self.account));
        }
        if !may_be_from_own_page(self.policy, &self.head.headers) {
            return Err(self.unsent(Unsent::Elsewhere));
        }
        let sealed = once(&text, FIELD).unwrap_or_default();
        let record = self.proxy.seal.open(Purpose::Form, &self.policy.host, &sealed);
        let Some(form) = record.and_then(KeptForm::from_bytes) else {
            return Err(self.unsent(Unsent::Unreadable));
        };
        if form.is_over(self.now) {
            return Err(self.unsent(Unsent::Expired));
        }
        match self.signed_in.as_deref().map(|member| self.is_of(&form, member)) {
            None => {
                return Err(self.unsent_page(Unsent::Kept, Some((&sealed, form.target()))));
            }
            Some(false) => {
                return Err(self.unsent_page(Unsent::OtherMember, Some((&sealed, form.target()))));
            }
            Some(true) => {}
        }
        let id = *form.id();
        let Some((method, target, body)) = form.restore(&mut self.head.headers) else {
            return Err(self.unsent(Unsent::Unreadable));
        };
        // It was for this portal, whatever version of HTTP it comes by now.
        self.head.headers.insert(header::HOST, self.portal.host.clone());
        self.head.target = RawTarget::Line(Bytes::from(target));
        self.account.is_of(&method);
        self.head.method = method;
        Ok(Again { id, body, account: self.account })
    }

    fn is_of(&self, form: &KeptForm, member: &SignedIn) -> bool {
        form.member() == member_mark(member.session().claims().subject())
    }

    /// Where the sign-in beside a kept form leads: the other page goes on. Whoever is not signed in
    /// begins here.
    pub(super) async fn signed_in_for_form(self) -> Response<Body> {
        if self.policy.resend_forms.is_none() {
            return self.unknown();
        }
        if self.head.method != Method::GET {
            return self.only("GET");
        }
        let Some(member) = self.signed_in.as_deref() else {
            return match purpose(&self.head.method, &self.head.headers) {
                Wanted::Page => {
                    let place = ReturnTo::to_kept_form(self.policy);
                    self.sign_in(Challenge::sign_in(place)).await
                }
                // A picture in somebody's page begins nothing, and leaves no cookie.
                Wanted::Background => {
                    respond::refuse(Refusal::SignInRequired, self.asker, self.account)
                }
            };
        };
        let page = pages::form_ready(
            &pages::FormReady {
                portal: &self.policy.host,
                name: member.session().claims().text("name"),
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }

    /// A form that is no more, or not for here: a code and a way on.
    fn unsent(self, why: Unsent) -> Response<Body> {
        respond::unsent(why, HOME, self.asker, self.account)
    }

    /// A place of the portal's below `resend/at`, with the query that came along.
    fn place(&self, path: String) -> Option<ReturnTo> {
        let target = match self.head.target.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        ReturnTo::parse(&target, self.policy)
    }

    /// A form that waits for its member, who signs in beside it: sealed, and where it is for. The
    /// latter was judged, and stands in the page as an address of ours.
    fn unsent_page(self, why: Unsent, form: Option<(&str, &str)>) -> Response<Body> {
        let place = ReturnTo::to_kept_form(self.policy);
        let (label, href) = match (&self.signed_in, why) {
            (Some(member), Unsent::OtherMember) => {
                let provider = member.session().provider();
                ("Use another account", self.another_account_link(provider, &place))
            }
            _ => (self.portal.button_label.as_str(), place.as_str().to_owned()),
        };
        let target = form.and_then(|(_, target)| ReturnTo::parse(target, self.policy));
        let action = match &target {
            Some(target) => format!("{}/resend/at{}", self.policy.own, target.as_str()),
            None => format!("{}/resend", self.policy.own),
        };
        let page = respond::UnsentPage {
            portal: &self.policy.host,
            sign_in: Link { label, href: &href },
            form: form.map(|(sealed, _)| pages::SealedForm {
                action: &action,
                name: FIELD,
                sealed,
            }),
        };
        respond::unsent_page(why, &page, self.asker, self.account)
    }
}

/// Spends a form on its way to the portal: true once. Whatever refuses it before has used nothing
/// up.
pub(super) async fn spend(
    sessions: &Sessions,
    form: &FormId,
    member: Option<&SignedIn>,
    audit: &Audit<'_>,
) -> Result<bool, StoreError> {
    let is_first = sessions.spend_form(form).await?;
    if is_first {
        let session = member.map(SignedIn::session);
        let key = session.map(|session| session.claims().subject().member_key());
        audit::write(
            Event::FormResent,
            &Audit {
                provider: session.map(crate::gate::Session::provider),
                member: key.as_deref(),
                session: session.map(crate::gate::Session::handle),
                ..*audit
            },
        );
    }
    Ok(is_first)
}
