//! `discover`: rules for the portal's own doors, proposed from what a running Anteport has seen in
//! `report_only`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::admin_client::{self, NotDone, Question};
use super::{REFUSED, say};

/// For the whole answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; 512 places fit in.
const MOST: u64 = 4 * 1024 * 1024;

#[derive(Debug, Deserialize)]
struct Discoveries {
    places: Vec<Place>,
    requests_beyond: u64,
}

#[derive(Debug, Deserialize)]
struct Place {
    portal: String,
    method: String,
    path: String,
    fields: Vec<String>,
    credentials: bool,
    refused_by: Option<String>,
    requests: u64,
}

/// Asks the Anteport of the configuration at `path`, and prints what it proposes.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    let address = match admin_client::address_of(path, REFUSED) {
        Ok(address) => address,
        Err(code) => return code,
    };
    admin_client::ended(ask(&address).map(|discoveries| say(&proposal(&discoveries))))
}

fn ask(address: &str) -> Result<Discoveries, NotDone> {
    let question = Question { target: "/-/discoveries", posted: None, most: MOST, limit: LIMIT };
    let answer = admin_client::ask(address, question)?;
    serde_json::from_slice(answer.body()).map_err(NotDone::Answer)
}

fn proposal(discoveries: &Discoveries) -> String {
    let mut lines = Vec::new();
    let mut portals: Vec<&str> = discoveries.places.iter().map(|p| p.portal.as_str()).collect();
    portals.sort_unstable();
    portals.dedup();
    if portals.is_empty() {
        lines.push("# No request has carried a password since the start.".to_owned());
        lines.push("# This looks at portals in mode `report_only`.".to_owned());
    }
    for portal in portals {
        let of_portal = || discoveries.places.iter().filter(|place| place.portal == portal);
        lines.push(format!("# {portal}"));
        let open: Vec<&Place> = of_portal().filter(|place| place.refused_by.is_none()).collect();
        if !open.is_empty() {
            lines.push("local_login:".to_owned());
            lines.push("  password_routes:".to_owned());
            for place in open {
                lines.extend(rules(place));
            }
        }
        for place in of_portal() {
            if let Some(rule) = &place.refused_by {
                let (method, path, count) = (&place.method, &place.path, requests(place));
                lines.push(format!("# `{rule}` would refuse {method} {path} ({count})"));
            }
        }
    }
    if discoveries.requests_beyond > 0 {
        let more = discoveries.requests_beyond;
        lines.push(format!("# {more} more requests carried passwords at places not listed here."));
    }
    lines.join("\n")
}

fn requests(place: &Place) -> String {
    match place.requests {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    }
}

/// A rule for each thing that showed a password: conditions of one rule would all have to hold.
fn rules(place: &Place) -> Vec<String> {
    let mut lines = vec![format!("    # {}", requests(place))];
    // A path from a visitor is canonical: in quotes nothing in it means anything to YAML.
    let (path, method) = (&place.path, &place.method);
    for field in &place.fields {
        lines.push(format!(
            "    - {{ path: \"{path}\", methods: [{method}], form: {{ \"{field}\": \"*\" }} }}"
        ));
    }
    if place.credentials {
        for scheme in ["Basic *", "Digest *"] {
            lines.push(format!(
                "    - {{ path: \"{path}\", headers: {{ Authorization: \"{scheme}\" }} }}"
            ));
        }
    }
    lines
}
