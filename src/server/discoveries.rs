//! Where requests in `report_only` carried passwords, for `anteport discover`: portal, method, path
//! and names of fields, with a count. Never a value, and never more than fits (LIM-07, LOG-01).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use serde_json::{Value, json};

use crate::gate::{Clue, Note};

/// How many places are remembered; later ones are only counted.
const MOST: usize = 512;
/// The longest path that is remembered.
const LONGEST_PATH: usize = 256;

/// What has been seen since the start.
#[derive(Debug, Default)]
pub(super) struct Discoveries(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    places: BTreeMap<Place, u64>,
    /// Requests at places for which there was no room.
    beyond: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Its host: what was seen outlives a configuration.
    portal: Arc<str>,
    path: String,
    method: String,
    /// The name of the rule that would refuse it.
    rule: Option<Arc<str>>,
    clues: Vec<Clue>,
}

impl Discoveries {
    /// Writes down where a request that was noted went: to the portal of this host, with the name of
    /// the rule that would refuse it.
    pub(super) fn add(&self, host: &Arc<str>, rule: Option<&str>, method: &Method, note: &Note) {
        let place = Place {
            portal: Arc::clone(host),
            path: generalised(&note.path),
            method: method.as_str().to_owned(),
            rule: rule.map(Arc::from),
            clues: note.clues.clone(),
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = seen.places.len() < MOST && place.path.len() <= LONGEST_PATH;
        match seen.places.get_mut(&place) {
            Some(count) => *count += 1,
            None if has_room => {
                seen.places.insert(place, 1);
            }
            None => seen.beyond += 1,
        }
    }

    /// Everything as JSON, for the admin listener.
    pub(super) fn to_json(&self) -> Value {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = seen.places.iter().map(|(place, count)| {
            let fields = place.clues.iter().filter_map(|clue| match clue {
                Clue::Field(name) => Some(name.as_str()),
                Clue::Credentials => None,
            });
            json!({
                "portal": &*place.portal,
                "method": place.method,
                "path": place.path,
                "fields": fields.collect::<Vec<_>>(),
                "credentials": place.clues.contains(&Clue::Credentials),
                "refused_by": place.rule.as_deref(),
                "requests": count,
            })
        });
        json!({ "places": places.collect::<Vec<_>>(), "requests_beyond": seen.beyond })
    }
}

/// A path whose numbers and ids are `*`: they name somebody, and a rule is for everybody.
fn generalised(path: &str) -> String {
    let is_id = |segment: &str| {
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let is_hex = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        !segment.is_empty() && (digits == segment.len() || (is_hex && segment.len() >= 16))
    };
    let segments = path.split('/').map(|segment| if is_id(segment) { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(path: &str) -> Note {
        Note { rule: None, clues: vec![Clue::Field("pwd".into())], path: path.to_owned() }
    }

    #[test]
    fn ids_in_paths_are_stars() {
        assert_eq!(generalised("/users/12/password"), "/users/*/password");
        assert_eq!(generalised("/u/3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"), "/u/*");
        assert_eq!(generalised("/login/"), "/login/");
    }

    #[test]
    fn lim_07_visitors_cannot_make_the_list_grow_without_end() {
        let seen = Discoveries::default();
        let host: Arc<str> = "members.example".into();
        for number in 0..2 * MOST {
            seen.add(&host, None, &Method::POST, &note(&format!("/p{number}")));
        }
        let told = seen.to_json();
        assert_eq!(told["places"].as_array().unwrap().len(), MOST);
        assert_eq!(told["requests_beyond"], MOST as u64);
    }
}
