//! Forms that met an expired session: whose they are, and that each is sent once. Deliberately not
//! here: the forms, which their members' browsers keep (`gate::KeptForm`).

use super::marks::Once;
use super::{Digest, Sessions, StoreError};
use crate::gate::{MemberMark, Subject};

impl Sessions {
    /// Spends a kept form by its id: true once, also when it is sent twice at the same moment.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn spend_form(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        self.spend(Once::Form, Digest::of(id)).await
    }

    /// Gives a form back to whoever has just spent it, and could not send anything of it.
    pub async fn give_back_form(&self, id: &[u8; 16]) {
        self.give_back_spent(Once::Form, &Digest::of(id)).await;
    }
}

/// What a browser remembers of whom it was signed in as: a digest, so that it can be compared and
/// not be read.
#[must_use]
pub fn member_mark(subject: &Subject) -> MemberMark {
    let digest = Digest::of(format!("member\n{}", subject.member_key()).as_bytes());
    MemberMark::new(digest.into_bytes())
}
