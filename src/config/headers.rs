//! The names of headers that may carry a claim, or a token (HDR-08). Deliberately not here: which of a
//! visitor's headers are taken away, which is `gate::identity`'s.

use http::HeaderName;

use crate::gate::identity::Meaning;

/// The longest name. It is less than what `gate::identity` folds when it looks for spellings of
/// one: a longer name would be set by us and not taken from visitors.
const LONGEST: usize = 60;

/// Names that mean something to an HTTP server, folded, with why they cannot carry a claim. What
/// visitors may not send for another reason than its identity is `gate::identity`'s to know.
const TAKEN: &[(&str, &[&str])] = &[
    (
        "frames the request or belongs to one connection",
        &[
            "connection",
            "contentencoding",
            "contentlength",
            "contentrange",
            "contenttype",
            "expect",
            "http2settings",
            "keepalive",
            "te",
            "trailer",
            "trailers",
            "transferencoding",
            "upgrade",
        ],
    ),
    (
        "holds credentials or cookies",
        &[
            "apikey",
            "authorization",
            "cookie",
            "setcookie",
            "setcookie2",
            "wwwauthenticate",
            "authenticationinfo",
            "xapikey",
            "xcsrftoken",
            "xxsrftoken",
        ],
    ),
    ("says which portal a request is for", &["host"]),
    (
        "has a meaning of its own in HTTP",
        &[
            "accept",
            "acceptcharset",
            "acceptencoding",
            "acceptlanguage",
            "cachecontrol",
            "contentdigest",
            "date",
            "dnt",
            "etag",
            "from",
            "ifmatch",
            "ifmodifiedsince",
            "ifnonematch",
            "ifrange",
            "ifunmodifiedsince",
            "lastmodified",
            "location",
            "maxforwards",
            "origin",
            "pragma",
            "priority",
            "range",
            "referer",
            "signature",
            "signatureinput",
            "traceparent",
            "tracestate",
            "baggage",
            "useragent",
            "vary",
            "warning",
            "xrequestedwith",
        ],
    ),
];

/// Families of names, folded, with why they cannot carry a claim. They take a few innocent names
/// with them (`Section`), which is better than one that some server reads as `Sec-…`.
const TAKEN_FAMILIES: &[(&str, &str)] = &[
    ("xanteport", "is for Anteport itself"),
    ("proxy", "belongs to one connection"),
    ("sec", "is the browser's own"),
    ("websocket", "belongs to one connection"),
    ("accesscontrol", "has a meaning of its own in HTTP"),
];

/// Reads the name of a header that carries a claim.
///
/// # Errors
/// Says why it cannot carry one.
pub(super) fn name(written: &str) -> Result<HeaderName, String> {
    match Meaning::of(written) {
        Meaning::Token => Err("this header hands on a token of the provider's, which \
                               `identity.tokens` does, so it cannot carry a claim"
            .to_owned()),
        Meaning::None | Meaning::Identity | Meaning::Foreign => free(written, "a claim"),
    }
}

/// The same of one that carries a token of the provider's.
pub(super) fn name_for_token(written: &str) -> Result<HeaderName, String> {
    free(written, "a token")
}

fn free(written: &str, what: &str) -> Result<HeaderName, String> {
    let begins_well = written.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let is_plain = begins_well
        && !written.ends_with('-')
        && written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_plain {
        return Err(
            "a header's name has letters, digits and `-` between them; in another spelling a \
             visitor could send it too"
                .to_owned(),
        );
    }
    if written.len() > LONGEST {
        return Err(format!("a header's name has at most {LONGEST} characters"));
    }
    if let Some(why) = why_taken(written) {
        return Err(format!("this header {why}, so it cannot carry {what}"));
    }
    HeaderName::from_bytes(written.as_bytes()).map_err(|error| error.to_string())
}

fn why_taken(written: &str) -> Option<&'static str> {
    let folded = folded(written);
    let family = TAKEN_FAMILIES.iter().find(|(family, _)| folded.starts_with(family));
    let name = || TAKEN.iter().find(|(_, names)| names.contains(&folded.as_str()));
    let known = family.map(|(_, why)| *why).or_else(|| name().map(|(why, _)| *why));
    match Meaning::of(written) {
        Meaning::Identity | Meaning::None | Meaning::Token => known,
        Meaning::Foreign => known.or(Some(
            "says where a request comes from or what it asks for, or is another gate's own",
        )),
    }
}

/// A name as the sloppiest reader compares it: without case and without separators.
pub(super) fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::identity::known_names;

    #[test]
    fn hdr_08_a_claim_has_the_names_that_say_who_is_asking_and_a_token_its_own_besides() {
        for (meaning, known) in known_names() {
            for spelling in [known.to_owned(), known.to_uppercase(), known.replace('-', "")] {
                let (of_claim, of_token) = (name(&spelling), name_for_token(&spelling));
                match meaning {
                    Meaning::Identity => assert!(of_claim.is_ok(), "{spelling}: {of_claim:?}"),
                    Meaning::Token => {
                        assert!(of_claim.is_err(), "{spelling}");
                        assert!(of_token.is_ok(), "{spelling}: {of_token:?}");
                    }
                    Meaning::Foreign | Meaning::None => {
                        assert!(of_claim.is_err() && of_token.is_err(), "{spelling}");
                    }
                }
            }
        }
    }
}
