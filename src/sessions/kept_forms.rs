//! Forms that met an expired session: whose they are, and that each is sent once. Deliberately not
//! here: the forms, which their members' browsers keep (`gate::KeptForm`).

use super::{Digest, Sessions};
use crate::gate::{MemberMark, Subject};

/// The most forms that were sent which are remembered. Only members come by one, and by none but their
/// own.
pub(super) const SPENT: u64 = 100_000;

impl Sessions {
    /// Spends a kept form by its id: true once, also when it is sent twice at the same moment.
    #[must_use]
    pub fn spend_form(&self, id: &[u8; 16]) -> bool {
        self.spent_forms.entry(Digest::of(id)).or_insert(()).is_fresh()
    }

    /// Gives a form back to whoever has just spent it, and could not send anything of it.
    pub fn give_back_form(&self, id: &[u8; 16]) {
        self.spent_forms.invalidate(&Digest::of(id));
    }
}

/// What a browser remembers of whom it was signed in as: a digest, so that it can be compared and not
/// be read.
#[must_use]
pub fn member_mark(subject: &Subject) -> MemberMark {
    let Digest(digest) = Digest::of(format!("member\n{}", subject.member_key()).as_bytes());
    MemberMark::new(digest)
}
