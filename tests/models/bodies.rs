//! What each fuzz target asks of its bytes. A normal test runs the same over the corpus and over
//! numbers. Two are not here yet, for want of what they would read: conditions on forms, and the
//! PROXY protocol's head.

use std::sync::LazyLock;

use anteport::gate::identity::{LocalCredentials, OwnedNames};
use anteport::gate::{
    Access, Asked, CanonicalPath, Conditions, Covers, Mode, Passes, Policy, PortalCookies,
    RawTarget, Refusal, Route, Spelling, cookies,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::mutate::Case;
use super::portals::{PORTALS, Request, judge};

/// A target's name, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

pub const ALL: &[Target] =
    &[("target", target), ("host", host), ("cookies", cookies), ("decision", decision)];

static PORTAL: LazyLock<[Policy; 1]> = LazyLock::new(|| {
    [Policy {
        host: "members.example:8443".into(),
        secure: true,
        mode: Mode::AzureOnly,
        own: CanonicalPath::parse("/.auth").unwrap(),
        spelling: Spelling::default(),
        login_pages: Vec::new(),
        password_routes: Vec::new(),
        portal_cookies: PortalCookies::default(),
        form_limit: 0,
        routes: vec![Route {
            path: "/**".parse().unwrap(),
            covers: Covers::default(),
            conditions: Conditions::default(),
            access: Access::Public,
            passes: Passes::default(),
        }],
    }]
});

/// A target that is accepted is read the same a second time, hides nothing, and keeps its query;
/// what a portal gets is that target.
pub fn target(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("members.example:8443"));
    let read = |bytes: &[u8]| -> Result<(String, String, Option<String>), Refusal> {
        let line = RawTarget::Line(Bytes::copy_from_slice(bytes));
        let asked = Asked::read(&*PORTAL, &Method::GET, &line, &headers)?;
        Ok((asked.target().to_owned(), asked.path().to_owned(), asked.query().map(str::to_owned)))
    };
    let Ok((sent, path, query)) = read(bytes) else { return };
    assert_eq!(read(sent.as_bytes()), Ok((sent.clone(), path.clone(), query.clone())));
    assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{sent}");
    let raw_query = bytes.iter().position(|byte| *byte == b'?').map(|at| &bytes[at + 1..]);
    assert_eq!(query.as_deref().map(str::as_bytes), raw_query);
    let decoded = percent_encoding::percent_decode_str(&path).decode_utf8().unwrap();
    assert!(!decoded.contains(['\\', ';', '%', '?', '#']) && !decoded.contains("//"), "{sent}");
    assert!(!decoded.chars().any(char::is_control), "{sent}");
    assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."), "{sent}");
    assert_eq!(decoded.matches('/').count(), path.matches('/').count());
    let parsed = CanonicalPath::parse(&path).unwrap();
    assert_eq!(parsed.as_str(), path);
    // Another parser, where it takes the query's characters, agrees about where the path ends.
    if let Ok(uri) = sent.parse::<http::Uri>() {
        assert_eq!((uri.path(), uri.query()), (path.as_str(), query.as_deref()));
        assert!(uri.authority().is_none());
    }
    // Every portal gets what was judged.
    for portal in PORTALS {
        let request = Request {
            method: "GET".into(),
            target: bytes.to_vec(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        if let Some(permitted) = judge(portal, &request, true) {
            assert_eq!(permitted.target, sent);
        }
    }
}

/// A host that is accepted is ours, letter for letter but for case; with an absolute target both
/// must be.
pub fn host(bytes: &[u8]) {
    let is_ours = |host: &[u8]| host.eq_ignore_ascii_case(b"members.example:8443");
    let (first, second) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let Ok(value) = HeaderValue::from_bytes(first) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("host", value);
    let mut line = second.map(|second| [b"https://", second].concat()).unwrap_or_default();
    line.extend_from_slice(b"/");
    let accepted =
        Asked::read(&*PORTAL, &Method::GET, &RawTarget::Line(line.into()), &headers).is_ok();
    if accepted {
        assert!(is_ours(first.trim_ascii()));
        let authority =
            second.map(|second| second.split(|byte| b"/?".contains(byte)).next().unwrap());
        assert!(authority.is_none_or(is_ours));
    } else if second.is_none() {
        assert!(!is_ours(first));
    }
}

/// None of our cookies is left, the portal's are as they were, and only a cookie that is there
/// once is a session's. Line breaks separate fields.
pub fn cookies(bytes: &[u8]) {
    let fields: Vec<HeaderValue> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|field| HeaderValue::from_bytes(field).ok())
        .collect();
    let mut headers = HeaderMap::new();
    for field in &fields {
        headers.append("cookie", field.clone());
    }
    let reading = cookies::read(&fields);
    let pairs_of = |fields: &[HeaderValue]| -> Vec<Vec<u8>> {
        let pairs = fields.iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
        pairs.map(|pair| pair.trim_ascii().to_vec()).filter(|pair| !pair.is_empty()).collect()
    };
    // Wherever our name stands in a pair, some server could find our cookie in it.
    let is_ours = |pair: &[u8]| {
        let own = b"__host-anteport";
        let text = pair.to_ascii_lowercase();
        let ends = |at: usize| text.get(at + own.len()).is_none_or(|b| !b.is_ascii_alphanumeric());
        (0..text.len()).any(|at| {
            text[at..].starts_with(own) && ends(at) && text.get(at + own.len()) != Some(&b'_')
        })
    };
    let before = pairs_of(&fields);
    assert_eq!(reading.any_own, before.iter().any(|pair| is_ours(pair)));
    OwnedNames::with([]).cleanse(&mut headers, reading.any_own, LocalCredentials::Pass);
    let left: Vec<HeaderValue> = headers.get_all("cookie").iter().cloned().collect();
    assert!(left.len() <= 1);
    let theirs: Vec<Vec<u8>> = before.iter().filter(|pair| !is_ours(pair)).cloned().collect();
    assert_eq!(pairs_of(&left), theirs);
    assert!(!cookies::read(&left).any_own);
    let sessions = before.iter().filter(|pair| {
        pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
            == b"__Host-anteport"
    });
    let count = sessions.count();
    assert!(reading.session.is_none() || count == 1, "{count} sessions");
    for (name, _) in cookies::logins(&fields) {
        let copies = before.iter().filter(|pair| {
            pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
                == name.as_bytes()
        });
        assert_eq!(copies.count(), 1, "{name}");
    }
}

/// What the gate forwards reaches no shut handler in any model (PATH-20), but for the holes that
/// are listed.
pub fn decision(bytes: &[u8]) {
    let Some(mut case) = Case::from_bytes(bytes) else { return };
    if case.breach().0.is_none() {
        return;
    }
    let Some(breach) = case.shrink() else { return };
    assert!(case.known_hole(&breach).is_some(), "{}", case.report(&breach));
}
