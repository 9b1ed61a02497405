//! What is known of a session without its being used: for what is open in its name, and for whoever
//! lists it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Remote;
use crate::gate::Timestamp;
use crate::sessions::open::Standing;
use crate::sessions::{Digest, SignedIn};

impl Remote {
    /// How it stands with a session in whose name something is open. The store is asked if what is
    /// known here is not certain, and it can be: ten thousand are not told one after the other that
    /// it cannot.
    pub(in crate::sessions) async fn standing(&self, key: &Digest, now: Timestamp) -> Standing {
        if let Some(member) = self.certain(key, now) {
            return Standing::Lasts(self.lasts_until(member.session()));
        }
        let is_asked = self.is_up();
        if is_asked {
            match self.look(key, now).await {
                Ok(Some(member)) => return Standing::Lasts(self.lasts_until(member.session())),
                Ok(None) => return Standing::Over,
                Err(_) => {}
            }
        }
        match self.for_want_of_better(key, now) {
            Some(_) => Standing::InGrace,
            None if is_asked => Standing::Unanswered,
            None => Standing::Unknown,
        }
    }

    /// A live session of which the store would say nothing else than is known here.
    pub(super) fn certain(&self, key: &Digest, now: Timestamp) -> Option<Arc<SignedIn>> {
        let heard = &self.heard;
        if heard.read.load(Ordering::Acquire) != heard.said.load(Ordering::Acquire) {
            return None;
        }
        let found = self.known.table.peek_found(key).filter(|found| {
            heard.copies.are_certain(found.epoch) && self.is_valid(found.signed_in.session(), now)
        });
        found.map(|found| found.signed_in)
    }

    /// A live session by what is known here, while the store does not answer and the grace is not
    /// over.
    pub(super) fn for_want_of_better(&self, key: &Digest, now: Timestamp) -> Option<Arc<SignedIn>> {
        let kept = self.known.table.find(key).filter(|found| {
            self.heard.copies.may_do(found.epoch, self.grace, now)
                && self.is_valid(found.signed_in.session(), now)
        });
        // Somebody may have ended it meanwhile.
        kept.filter(|_| !self.is_owed(key)).map(|found| found.signed_in)
    }
}
