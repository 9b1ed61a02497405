//! What goes along of a member with a request that is permitted, and what happens where it cannot
//! be told. At a login that is found out before there is a session (HDR-09); one that began under
//! an earlier configuration may lack what the portal is told now. A page that is for everybody goes on
//! as nobody's, and everywhere else a sign-in mends it or says what is the matter: it comes to a
//! session only if all can be told, so that nobody is sent there and back for ever.

use std::sync::Arc;

use http::Response;

use super::account::Body;
use super::login::BY_HAND;
use super::request::Visit;
use super::{Portal, respond};
use crate::gate::identity::Envelope;
use crate::gate::{Access, Bearer, Challenge, Mode, Permit, ReturnTo, Timestamp, is_of_a_page};
use crate::identity::IdentityError;
use crate::pages::Link;
use crate::sessions::SignedIn;
use crate::telemetry::audit::Event;

impl Visit<'_> {
    /// What goes along of the member in whose name a request goes; nobody's is told nothing. A page
    /// that is for everybody is nobody's for a member of whom not all can be told; what they write or
    /// a script asks for would be taken for a stranger's, and what only could not be found out would
    /// be silently taken for "no" (GEN-03).
    ///
    /// # Errors
    /// What cannot be told, where it has to be.
    pub(super) fn tell(&mut self, permit: &Permit) -> Result<Option<Arc<Envelope>>, IdentityError> {
        let member = match (permit.bearer(), &self.signed_in) {
            (Bearer::Member, Some(member)) => member,
            (Bearer::Nobody, _) | (_, None) => {
                self.signed_in = None;
                return Ok(None);
            }
        };
        member.session().touch(self.now);
        if !self.portal.identity.tells(permit.passes().told) {
            return Ok(None);
        }
        match envelope(self.portal, member, self.now) {
            Ok(envelope) => Ok(Some(envelope)),
            Err(error)
                if error.is_lasting()
                    && self.is_for_everybody(permit)
                    && is_of_a_page(&self.head.method, &self.head.headers) =>
            {
                if member.is_first_passed_over() {
                    self.audit_untold(Event::MemberUntold, &error);
                }
                self.signed_in = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_for_everybody(&self, permit: &Permit) -> bool {
        let route = permit.route().and_then(|route| self.policy.routes.get(route));
        permit.mode() != Mode::AzureOnly
            || route.is_some_and(|route| matches!(route.access, Access::Public))
    }

    /// The portal has to be told of a member, and cannot be: off to a sign-in, which comes back
    /// with what is missing or says why it cannot. What is no page is told at once.
    pub(super) async fn untold(self, error: &IdentityError, permit: &Permit) -> Response<Body> {
        if error.is_ours() {
            return respond::identity(error, self.asker, self.account);
        }
        let root = ReturnTo::root();
        let provider = self.signed_in.as_ref().map(|member| member.session().provider().to_owned());
        if self.form.is_none() && !self.is_in_the_background() {
            let return_to = ReturnTo::parse(permit.target(), self.policy).unwrap_or(root);
            let challenge = Challenge::sign_in(return_to);
            return match provider.and_then(|name| self.provider(&name)) {
                Some(provider) => self.begin_login(provider, challenge).await,
                None => self.sign_in(challenge).await,
            };
        }
        self.audit_untold(Event::MemberRefused, error);
        let href = provider
            .filter(|name| self.provider(name).is_some())
            .map(|name| format!("{}&{BY_HAND}=1", self.login_link(&name, &root)));
        let again = href.as_deref().map(|href| Link { label: "Sign in again", href });
        respond::untold(error, again, self.asker, self.account)
    }
}

/// The member's identity headers, rendered anew when they have grown old.
fn envelope(
    portal: &Portal,
    member: &SignedIn,
    now: Timestamp,
) -> Result<Arc<Envelope>, IdentityError> {
    if let Some(envelope) = member.envelope(now, portal.identity.version()) {
        return Ok(envelope);
    }
    let envelope = Arc::new(portal.identity.render(member.session(), now)?);
    member.keep(&envelope);
    Ok(envelope)
}
