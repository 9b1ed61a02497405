//! What the fuzz target of identity headers asks of its bytes: a path or a template, a line break,
//! and claims as JSON.

use anteport::config::{Mapping, Otherwise, Piece, Template};
use anteport::gate::{ClaimPath, Subject, VerifiedClaims};
use anteport::identity::{Marks, encode, told};
use http::HeaderName;
use serde_json::{Map, Value};

/// What is read means one thing and is shown so; what is sent is visible ASCII, and decodes to what
/// the claims say.
pub fn mapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (written, claims) = text.split_once('\n').unwrap_or((text, "{}"));
    let claims: Map<String, Value> = serde_json::from_str(claims).unwrap_or_default();
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::supposed(subject, claims);
    if let Ok(path) = written.parse::<ClaimPath>() {
        assert_eq!(path.to_string().parse(), Ok(path.clone()));
        if let Some(value) = sent(Mapping::claim(path.clone()), &claims) {
            // A claim that is one text is not split, and all others are.
            let is_split = matches!(
                Mapping::claim(path.clone()),
                Mapping::Claim(claim) if claim.join != anteport::config::Join::One
            );
            let read: Vec<String> = match is_split {
                true => value.split(',').map(decoded).collect(),
                false => vec![decoded(&value)],
            };
            let said = match claims.at(&path).unwrap().unwrap() {
                Value::Array(elements) => elements.iter().map(text_of).collect(),
                one => vec![text_of(one)],
            };
            assert_eq!(read, said, "{path}");
        }
    }
    if let Ok(template) = written.parse::<Template>() {
        let mapping = Mapping::Template {
            template: template.clone(),
            transforms: Vec::new(),
            otherwise: Otherwise::Nothing,
        };
        if let Some(value) = sent(mapping, &claims) {
            take_apart(&template, &value, &claims);
        }
    }
}

fn sent(mapping: Mapping, claims: &VerifiedClaims) -> Option<String> {
    let headers = [(HeaderName::from_static("x-fuzzed"), mapping)];
    let told = told(&headers, claims).ok()?;
    let value = told.first()?.1.to_str().unwrap().to_owned();
    assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value}");
    assert_eq!(value.trim(), value, "HTTP drops nothing of it");
    Some(value)
}

/// As a reader would who knows nothing but the template.
fn take_apart(template: &Template, value: &str, claims: &VerifiedClaims) {
    let mut rest = value;
    let pieces = template.pieces();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => rest = rest.strip_prefix(&fixed(text)).unwrap(),
            Piece::Claim(path) => {
                let end = match (pieces.get(at + 1), pieces.get(at + 2)) {
                    (Some(Piece::Text(text)), Some(_)) => rest.find(&text[..1]).unwrap(),
                    (Some(Piece::Text(text)), None) => rest.len() - fixed(text).len(),
                    _ => rest.len(),
                };
                let said = text_of(claims.at(path).unwrap().unwrap());
                assert_eq!(decoded(&rest[..end]), said, "{value}");
                rest = &rest[end..];
            }
        }
    }
    assert_eq!(rest, "", "{value}");
}

fn fixed(text: &str) -> String {
    let inner = text.trim_matches(' ');
    let (before, _) = text.split_at(text.len() - text.trim_start_matches(' ').len());
    let after = &text[before.len() + inner.len()..];
    format!("{before}{}{after}", encode(inner, Marks::NONE))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
