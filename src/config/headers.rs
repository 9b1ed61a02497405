//! The names of headers that may carry a claim (HDR-08). Deliberately not here: which of a
//! visitor's headers are taken away, which is `gate::identity`'s.

use http::HeaderName;

/// The longest name. It is less than what `gate::identity` folds when it looks for spellings of
/// one: a longer name would be set by us and not taken from visitors.
const LONGEST: usize = 60;

/// Names that mean something to an HTTP server, folded, with why they cannot carry a claim.
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
            "cookie2",
            "setcookie",
            "setcookie2",
            "wwwauthenticate",
            "authenticationinfo",
            "xapikey",
            "xcsrftoken",
            "xxsrftoken",
        ],
    ),
    (
        "says where a request comes from or what it asks for",
        &[
            "host",
            "forwarded",
            "via",
            "xforwarded",
            "xforwardedby",
            "xforwardedclientcert",
            "xforwardedfor",
            "xforwardedhost",
            "xforwardedmethod",
            "xforwardedpath",
            "xforwardedport",
            "xforwardedprefix",
            "xforwardedproto",
            "xforwardedprotocol",
            "xforwardedscheme",
            "xforwardedserver",
            "xforwardedssl",
            "xforwardeduri",
            "frontendhttps",
            "cfconnectingip",
            "clientip",
            "fastlyclientip",
            "remoteaddr",
            "trueclientip",
            "xclientip",
            "xclusterclientip",
            "xenvoyexternaladdress",
            "xhost",
            "xhttpmethod",
            "xhttpmethodoverride",
            "xmethodoverride",
            "xmiddlewarerewrite",
            "xmiddlewaresubrequest",
            "xoriginalforwardedfor",
            "xoriginalhost",
            "xoriginalmethod",
            "xoriginaluri",
            "xoriginalurl",
            "xoriginatingip",
            "xproxyuserip",
            "xrealip",
            "xremoteaddr",
            "xremoteip",
            "xrequestid",
            "xrewriteurl",
            "xscheme",
            "xurlscheme",
            "xwawsunencodedurl",
            "xaccelredirect",
            "xsendfile",
        ],
    ),
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

/// Reads a name.
///
/// # Errors
/// Says why it cannot carry a claim.
pub(super) fn name(written: &str) -> Result<HeaderName, String> {
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
    if let Some(why) = why_taken(&folded(written)) {
        return Err(format!("this header {why}, so it cannot carry a claim"));
    }
    HeaderName::from_bytes(written.as_bytes()).map_err(|error| error.to_string())
}

fn why_taken(folded: &str) -> Option<&'static str> {
    let family = TAKEN_FAMILIES.iter().find(|(family, _)| folded.starts_with(family));
    if let Some((_, why)) = family {
        return Some(why);
    }
    let group = TAKEN.iter().find(|(_, names)| names.contains(&folded));
    group.map(|(why, _)| *why)
}

/// A name as the sloppiest reader compares it: without case and without separators.
pub(super) fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect()
}
