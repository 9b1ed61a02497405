//! A member's claims as one header value. What cannot be told refuses the login: nothing is cut
//! short, guessed at or sent half (HDR-09). Deliberately not here: how a mapping is written, which
//! is `config::mapping`'s.

use serde_json::Value;

use super::plain::{Marks, encode};
use super::transform;
use crate::config::{
    ClaimMapping, Join, Mapping, Otherwise, Piece, Template, Transform, Unmapped, Words,
};
use crate::gate::{ClaimPath, VerifiedClaims, is_one_word};

/// Why there is no value: the claim that is in the way, by its path, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) claim: String,
    pub(super) kind: FaultKind,
}

/// What is wrong with a claim. None of it says what is in it (LOG-01).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It is no text, number, truth value or list of them, or leads to nothing of that kind.
    Form,
    /// It is not there, and has to be.
    Missing,
    /// This does not apply to it.
    Transform(Transform),
    /// It has a value for which there is no word, or one that passes for another's.
    Unmapped,
}

/// What a header carries of a member; `None` if it is not sent.
pub(super) fn value(mapping: &Mapping, claims: &VerifiedClaims) -> Result<Option<String>, Fault> {
    match mapping {
        Mapping::Constant(text) => Ok(Some(encode(text, Marks::NONE))),
        Mapping::Claim(mapping) => {
            let marks = match mapping.join {
                Join::One => Marks::NONE,
                Join::By(separator) => Marks::of([separator]),
            };
            match of_claim(mapping, claims, marks)? {
                Some(value) => Ok(Some(value)),
                None => otherwise(&mapping.otherwise, &mapping.path, marks),
            }
        }
        Mapping::Template { template, transforms, otherwise: without } => {
            match filled(template, transforms, claims)? {
                Ok(value) => Ok(Some(value)),
                Err(absent) => otherwise(without, absent, Marks::NONE),
            }
        }
    }
}

/// Whether a header would carry something of these claims. An error names the claim that is in the
/// way, and whether that is so because it is not there.
///
/// # Errors
/// When nobody with these claims could sign in.
pub(crate) fn is_told(mapping: &Mapping, claims: &VerifiedClaims) -> Result<bool, (String, bool)> {
    let told = value(mapping, claims).map(|value| value.is_some());
    told.map_err(|fault| (fault.claim, fault.kind == FaultKind::Missing))
}

fn otherwise(
    otherwise: &Otherwise,
    path: &ClaimPath,
    marks: Marks,
) -> Result<Option<String>, Fault> {
    match otherwise {
        Otherwise::Nothing => Ok(None),
        Otherwise::Default(text) => Ok(Some(encode(text, marks))),
        Otherwise::Refuse => Err(fault(path, FaultKind::Missing)),
    }
}

fn fault(path: &ClaimPath, kind: FaultKind) -> Fault {
    Fault { claim: path.to_string(), kind }
}

/// The values of a claim, in its order, with what stands between them; `None` if there are none.
fn of_claim(
    mapping: &ClaimMapping,
    claims: &VerifiedClaims,
    marks: Marks,
) -> Result<Option<String>, Fault> {
    let path = &mapping.path;
    let found = claims.at(path).map_err(|_| fault(path, FaultKind::Form))?;
    let (values, separator) = match (found, mapping.join) {
        (None, _) => return Ok(None),
        (Some(Value::Array(_)), Join::One) => return Err(fault(path, FaultKind::Form)),
        (Some(Value::Array(elements)), Join::By(separator)) => (elements.as_slice(), separator),
        (Some(value), Join::By(separator)) => (std::slice::from_ref(value), separator),
        (Some(value), Join::One) => (std::slice::from_ref(value), ','),
    };
    let mut told: Vec<String> = Vec::with_capacity(values.len());
    for value in values {
        let text = text_after(value, &mapping.transforms).map_err(|kind| fault(path, kind))?;
        match &mapping.words {
            None => told.push(text),
            // Several values may have one word, which is said once.
            Some(words) => match word(words, text).map_err(|kind| fault(path, kind))? {
                Some(word) if !told.contains(&word) => told.push(word),
                Some(_) | None => {}
            },
        }
    }
    // HTTP drops spaces at the ends, and with them an empty element there.
    if separator == ' ' && told.len() > 1 && told.iter().any(String::is_empty) {
        return Err(fault(path, FaultKind::Form));
    }
    let encoded: Vec<String> = told.iter().map(|text| encode(text, marks)).collect();
    Ok((!encoded.is_empty()).then(|| encoded.join(separator.encode_utf8(&mut [0; 4]))))
}

fn word(words: &Words, value: String) -> Result<Option<String>, FaultKind> {
    if let Some(word) = words.known.get(&value) {
        return Ok(Some(word.clone()));
    }
    match words.unmapped {
        Unmapped::Drop => Ok(None),
        // A group that somebody called like a role of the portal's is not that role, and portals
        // fold what they compare.
        Unmapped::Keep if words.known.values().any(|word| is_one_word(word, &value)) => {
            Err(FaultKind::Unmapped)
        }
        Unmapped::Keep => Ok(Some(value)),
        Unmapped::Refuse => Err(FaultKind::Unmapped),
    }
}

/// A template with its values, each encoded so that it has none of the borders between them; or
/// the first claim that is not there. An empty text is not there either: HTTP would drop a space
/// beside it, and half a name is none.
fn filled<'t>(
    template: &'t Template,
    transforms: &[Transform],
    claims: &VerifiedClaims,
) -> Result<Result<String, &'t ClaimPath>, Fault> {
    let marks = Marks::of(template.borders());
    let mut made = String::new();
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => made.push_str(&fixed(text)),
            Piece::Claim(path) => {
                let found = claims.at(path).map_err(|_| fault(path, FaultKind::Form))?;
                let found = found.filter(|value| value.as_str() != Some(""));
                let Some(value) = found else {
                    return Ok(Err(path));
                };
                let text = text_after(value, transforms).map_err(|kind| fault(path, kind))?;
                made.push_str(&encode(&text, marks));
            }
        }
    }
    Ok(Ok(made))
}

/// The operator's own text, whose spaces are none of the value's ends.
fn fixed(text: &str) -> String {
    let inner = text.trim_matches(' ');
    text.replacen(inner, &encode(inner, Marks::NONE), usize::from(!inner.is_empty()))
}

fn text_after(value: &Value, steps: &[Transform]) -> Result<String, FaultKind> {
    match (value, steps) {
        (Value::String(text), steps) => {
            transform::apply(steps, text).map_err(|step| FaultKind::Transform(step.clone()))
        }
        (_, []) => scalar(value).ok_or(FaultKind::Form),
        (_, [step, ..]) => Err(FaultKind::Transform(step.clone())),
    }
}

/// A number or truth value as JSON writes it; `None` if it is none, or one whose digits could be
/// others.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) if number.is_f64() => exact(&number.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether all numbers in a value, however deep, are the ones that the provider wrote: what is sent
/// as JSON has them as they were read, and two member numbers must not become one. Fractions that
/// differ where no reader of JSON sees it (RFC 8259, section 6) are one.
pub(super) fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(_) => scalar(value).is_some(),
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::String(_) | Value::Bool(_) | Value::Null => true,
    }
}

/// A number that is not whole, or is too large to be kept as a whole one, has fifteen digits that
/// are certain (IEEE 754): beyond, two member numbers would be one.
fn exact(number: &str) -> Option<String> {
    let is_certain = number.bytes().filter(u8::is_ascii_digit).count() <= 15
        && number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    is_certain.then(|| number.to_owned())
}

#[cfg(test)]
mod tests;
