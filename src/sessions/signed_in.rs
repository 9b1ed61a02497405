//! A session in use: read, with the identity headers rendered for it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Renewing;
use crate::gate::identity::Envelope;
use crate::gate::{Session, Timestamp};

/// A session and the identity headers rendered for it. It is replaced as a whole when the provider
/// says something else of its member; what goes on then is in [`Lasting`].
#[derive(Debug)]
pub struct SignedIn {
    session: Session,
    envelope: ArcSwapOption<Envelope>,
    lasting: Arc<Lasting>,
}

/// What outlives a session's claims.
#[derive(Debug, Default)]
struct Lasting {
    renewing: Renewing,
}

impl SignedIn {
    pub(super) fn new(session: Session) -> Self {
        Self { session, envelope: ArcSwapOption::empty(), lasting: Arc::default() }
    }

    /// The same member, of whom the provider says something else now.
    pub(super) fn renewed(&self, session: Session) -> Self {
        let lasting = Arc::clone(&self.lasting);
        Self { session, envelope: ArcSwapOption::empty(), lasting }
    }

    /// Whether a request, a stream or a refresh has this in hand besides the table.
    pub(super) fn is_in_hand(this: &Arc<Self>) -> bool {
        Arc::strong_count(this) > 1 || Arc::strong_count(&this.lasting) > 1
    }

    /// Who asks the provider again about this member.
    #[must_use]
    pub fn renewing(&self) -> &Renewing {
        &self.lasting.renewing
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The rendered identity headers while they are fresh (ENV-02).
    #[must_use]
    pub fn envelope(&self, now: Timestamp) -> Option<Arc<Envelope>> {
        self.envelope.load_full().filter(|envelope| now < envelope.renew)
    }

    /// Keeps newly rendered headers for the requests to come.
    pub fn keep(&self, envelope: &Arc<Envelope>) {
        self.envelope.store(Some(Arc::clone(envelope)));
    }
}
