//! What the page about identity headers shows is what is sent, and what it shows can be pasted.

use anteport::gate::{Subject, VerifiedClaims};
use anteport::identity::told;
use serde_json::{Map, Value};

use super::{MINIMAL, parse};

const PAGE: &str = include_str!("../../docs/identity-headers.md");

/// What a mapping makes of claims, as the page writes it.
fn sent(headers: &str, claims: Map<String, Value>) -> String {
    let text = format!("{MINIMAL}    identity:\n      headers:\n        {headers}\n");
    let loaded = parse(&text).unwrap_or_else(|problems| panic!("{headers}: {problems}"));
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::supposed(subject, claims);
    match told(&loaded.config.portals[0].identity.headers, &claims) {
        Ok(headers) => match headers.as_slice() {
            [] => "nothing".to_owned(),
            [(_, value)] => format!("`X: {}`", value.to_str().unwrap()),
            several => panic!("{several:?}"),
        },
        Err(error) => format!("refused: {}", error.code()),
    }
}

#[test]
fn hdr_09_the_table_of_what_is_sent_is_right() {
    let table = PAGE.split("| headers | claims | what is sent |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let mut tried = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [headers, claims, shown] = cells[..] else { panic!("{row}") };
        let claims = serde_json::from_str(claims.trim_matches('`')).unwrap();
        assert_eq!(sent(headers.trim_matches('`'), claims), shown, "{row}");
        tried += 1;
    }
    assert_eq!(tried, 19);
}

#[test]
fn the_paths_of_the_page_are_paths() {
    let table = PAGE.split("| path | what it names |").nth(1).unwrap();
    let mut tried = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with("| ")) {
        for path in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
            sent(&format!("X: {path}"), Map::new());
            tried += 1;
        }
    }
    assert_eq!(tried, 7);
}

#[test]
fn what_the_page_shows_can_be_pasted() {
    let blocks: Vec<&str> =
        PAGE.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [headers, routes, tokens] = blocks[..] else { panic!("{blocks:?}") };
    let portal = format!("{MINIMAL}    local_login: {{}}\n");
    let loaded = parse(&format!("{portal}{tokens}")).unwrap();
    assert_eq!(loaded.config.portals[0].identity.tokens.len(), 2);
    let loaded = parse(&format!("{portal}{headers}{routes}")).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.portals[0].identity.headers.len(), 7);
    assert_eq!(loaded.config.portals[0].identity.parts.len(), 3);
}
