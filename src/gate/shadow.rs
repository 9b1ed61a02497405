//! Lines of which an earlier one leaves nothing: they never decide. What is said here is so; a line
//! of which nothing is said may be idle all the same. For warnings, and nothing here decides.

use super::pattern::{PathPattern, includes};
use super::route::{Access, Route};
use super::rule::{Covers, Rule};

impl Route {
    /// Whether a later line has no effect on any request, because this one comes before it.
    #[must_use]
    pub fn leaves_nothing_for(&self, later: &Self) -> bool {
        if !self.conditions.is_empty() {
            return false;
        }
        if self.path.as_str() == "/**" {
            return true;
        }
        let names = names_all_of(&self.path, &later.path);
        match (&self.access, &later.access) {
            (Access::Public, Access::Public) => names,
            // Other spellings than the one that is named stay for a line that asks for a sign-in.
            (Access::Public, Access::SignedIn(_)) => false,
            // A segment of blanks is one to the letter, and none where it is folded.
            (Access::SignedIn(_), Access::Public) => names && !has_wildcard(&self.path),
            // What a later line requires counts in every spelling that this one does not name.
            (Access::SignedIn(_), Access::SignedIn(_)) => {
                names
                    && !later.access.requires()
                    && could_be_all_of((&self.path, self.covers), (&later.path, later.covers))
            }
        }
    }
}

impl Rule {
    /// Whether a later rule never holds first, because this one comes before it.
    #[must_use]
    pub fn leaves_nothing_for(&self, later: &Self) -> bool {
        let takes_methods = match (&self.methods, &later.methods) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs.iter().all(|method| mine.contains(method)),
        };
        takes_methods
            && self.conditions.is_empty()
            && self.unless.is_empty()
            && could_be_all_of((&self.path, self.covers), (&later.path, later.covers))
    }
}

/// Whether every path that `narrow` is exactly, `wide` is exactly too.
fn names_all_of(wide: &PathPattern, narrow: &PathPattern) -> bool {
    includes(wide.as_str(), narrow.as_str())
}

/// Whether every path that could be `narrow`'s could be `wide`'s, too. An escape may be folded to
/// what means something in a pattern, so that of one nothing is said.
fn could_be_all_of(wide: (&PathPattern, Covers), narrow: (&PathPattern, Covers)) -> bool {
    let is_plain = !wide.0.as_str().contains('%');
    is_plain && includes(wide.0.folded(), narrow.0.folded()) && wide.1.includes(narrow.1)
}

fn has_wildcard(pattern: &PathPattern) -> bool {
    pattern.as_str().split('/').any(|segment| segment == "*")
}

impl Covers {
    /// Whether it stands for all that the other one stands for.
    const fn includes(self, other: Self) -> bool {
        (self.extensions || !other.extensions)
            && (self.path_info || !other.path_info)
            && (self.language_prefix || !other.language_prefix)
            && (self.suffixes || !other.suffixes)
            && (self.anywhere || !other.anywhere)
    }
}
