//! What each fuzz target asks of its bytes. A normal test runs the same over the corpus and over
//! numbers.

#[path = "../../src/server/proxy_protocol.rs"]
mod reader;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use anteport::gate::identity::{LocalCredentials, OwnedNames};
use anteport::gate::{
    Access, Asked, CanonicalPath, Conditions, Covers, Decision, Exception, Form, Mode, Pair,
    Passes, Policy, RawTarget, Refusal, Route, Rule, ValuePattern, cookies, decide,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use reader::{Conveyed, Reading};

use super::mapping;
use super::mutate::Case;
use super::portals::{NOON, PORTALS, Request, judge, policy};
use super::readers::{self, Pairs};
use super::sign_in;

/// A target's name, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

pub const ALL: &[Target] = &[
    ("target", target),
    ("host", host),
    ("cookies", cookies),
    ("decision", decision),
    ("form_rules", form_rules),
    ("proxy_protocol", proxy_protocol),
    ("callback", sign_in::callback),
    ("id_token", sign_in::id_token),
    ("mapping", mapping::mapping),
];

static PORTAL: LazyLock<[Policy; 1]> = LazyLock::new(|| {
    [Policy {
        routes: vec![Route {
            path: "/**".parse().unwrap(),
            covers: Covers::default(),
            conditions: Conditions::default(),
            access: Access::Public,
            passes: Passes::default(),
        }],
        ..policy("members.example:8443")
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

/// A form's door, by what the rule before it looks at.
struct Doors {
    form: Policy,
    query: Policy,
    unless_form: Policy,
    unless_query: Policy,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let pair = |value: &str| vec![Pair::new("action", vec![ValuePattern::Exactly(value.into())])];
    let form = |value| Conditions { form: pair(value), ..Conditions::default() };
    let query = |value| Conditions { query: pair(value), ..Conditions::default() };
    let at = |conditions, unless: Option<Conditions>| {
        let unless = unless.map(|conditions| Exception { conditions, ..Exception::default() });
        let rule = Rule {
            conditions,
            unless: unless.into_iter().collect(),
            ..Rule::at("/door".parse().unwrap())
        };
        Policy { password_routes: vec![rule], form_limit: 4096, ..PORTAL[0].clone() }
    };
    Doors {
        form: at(form("login"), None),
        query: at(query("login"), None),
        unless_form: at(Conditions::default(), Some(form("logout"))),
        unless_query: at(Conditions::default(), Some(query("logout"))),
    }
});

/// What was sent to a door: a type, a query and a cookie, a line each, and then the body.
struct Posted<'a> {
    kind: &'a str,
    query: &'a str,
    cookie: &'a str,
    body: &'a [u8],
}

impl<'a> Posted<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(lines.next()?).ok();
        let (kind, query, cookie) = (line()?, line()?, line()?);
        Some(Self { kind, query, cookie, body: lines.next()? })
    }

    fn headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("members.example:8443"));
        for (name, value) in [("content-type", self.kind), ("cookie", self.cookie)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).ok()?);
            }
        }
        Some(headers)
    }

    /// Every value that some simple server finds under `action`, each reading for itself.
    fn readings(&self) -> Vec<Vec<String>> {
        let body = String::from_utf8_lossy(self.body);
        let mut all = Vec::new();
        for in_query in readers::query(self.query) {
            for in_body in readers::body(self.kind, &body) {
                let parts: [&Pairs; 3] = [&in_query, &in_body, &readers::cookie(self.cookie)];
                let named = parts
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| name.eq_ignore_ascii_case("action"));
                all.push(named.map(|(_, value)| value.clone()).collect());
            }
        }
        all
    }

    /// The fields, if there are no others and nobody could read them in two ways.
    fn plain_fields(&self) -> Option<Pairs> {
        let form = "application/x-www-form-urlencoded";
        let text = std::str::from_utf8(self.body).ok()?;
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || b"=&".contains(&byte);
        let is_pair = |piece: &str| piece.matches('=').count() == 1 && !piece.starts_with('=');
        let is_plain = self.kind == form
            && self.query.is_empty()
            && self.cookie.is_empty()
            && text.bytes().all(is_plain)
            && text.split('&').all(is_pair);
        is_plain.then(|| readers::query(text)[0].clone())
    }
}

/// How a policy's decision ends: with the form, and whether it was needed.
fn end(policy: &Policy, posted: &Posted<'_>, headers: &HeaderMap) -> Option<Result<(), Refusal>> {
    let mode = |mode| Policy { mode, ..policy.clone() };
    let line = match posted.query {
        "" => "/door".to_owned(),
        query => format!("/door?{query}"),
    };
    let asked = || {
        let line = RawTarget::Line(Bytes::copy_from_slice(line.as_bytes()));
        Asked::read(std::slice::from_ref(policy), &Method::POST, &line, headers).ok()
    };
    let form = || Form::read(headers, posted.body);
    let end = |policy: &Policy, asked| match decide(policy, asked, None, NOON) {
        Decision::Forward(permit) => Some((Ok(()), permit.noted().and_then(|note| note.rule))),
        Decision::Refuse(refusal) => Some((Err(refusal), None)),
        Decision::Inspect(_) => None,
        other => panic!("{other:?}"),
    };
    let (with_form, _) = end(policy, asked()?.with_form(form())).unwrap();
    // Read twice, it says the same; and a body changes nothing that was settled without it.
    assert_eq!(end(policy, asked()?.with_form(form())).unwrap().0, with_form);
    if let Some((settled, _)) = end(policy, asked()?) {
        assert_eq!(settled, with_form);
    }
    // What is only reported is what would be refused.
    let reporting = mode(Mode::ReportOnly);
    let (reported, rule) = end(&reporting, asked()?.with_form(form())).unwrap();
    assert_eq!(reported, Ok(()));
    assert_eq!(rule.is_some(), with_form.is_err());
    Some(with_form)
}

/// Whatever a simple server finds in a form is found (PATH-12); what lifts a rule is there once, to
/// the letter; and plain forms go where their fields say.
pub fn form_rules(bytes: &[u8]) {
    let Some(posted) = Posted::of(bytes) else { return };
    let Some(headers) = posted.headers() else { return };
    let doors = &*DOORS;
    let ends = |policy| end(policy, &posted, &headers);
    let (Some(form), Some(query), Some(unless_form), Some(unless_query)) = (
        ends(&doors.form),
        ends(&doors.query),
        ends(&doors.unless_form),
        ends(&doors.unless_query),
    ) else {
        return;
    };
    let is_login = |value: &str| value.trim().eq_ignore_ascii_case("login");
    let readings = posted.readings();
    if readings.iter().flatten().any(|value| is_login(value)) {
        assert!(form.is_err(), "{readings:?}");
    }
    let in_query = readers::query(posted.query);
    let mut in_query = in_query.iter().flatten();
    if in_query.any(|(name, value)| name.eq_ignore_ascii_case("action") && is_login(value)) {
        assert!(query.is_err(), "{:?}", posted.query);
    }
    for lifted in [unless_form, unless_query] {
        if lifted.is_ok() {
            assert!(readings.iter().all(|values| values == &["logout"]), "{readings:?}");
        }
    }
    assert!(unless_query.is_err() || posted.query.contains("action=logout"));
    if let Some(fields) = posted.plain_fields() {
        let actions: Vec<&str> = fields
            .iter()
            .filter(|(name, _)| name == "action")
            .map(|(_, value)| value.as_str())
            .collect();
        // Two copies could be anything.
        assert_eq!(form.is_err(), actions == ["login"] || actions.len() > 1, "{fields:?}");
        assert_eq!(unless_form.is_ok(), actions == ["logout"], "{fields:?}");
    }
}

/// However the bytes are cut, the reading is the same; it takes nothing beyond the header, says
/// what the header says, and finds whatever a load balancer writes.
pub fn proxy_protocol(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(2 * reader::LONGEST)];
    let read = reader::read(bytes);
    for cut in 0..bytes.len() {
        match (reader::read(&bytes[..cut]), read) {
            (Ok(Reading::Incomplete), Ok(Reading::Whole { length, .. })) => assert!(cut < length),
            (Ok(Reading::Incomplete), _) => {}
            (part, _) => assert_eq!(part, read, "{cut}"),
        }
    }
    if let Ok(Reading::Whole { conveyed, length }) = read {
        assert!(length <= bytes.len() && length <= reader::LONGEST);
        let header = &bytes[..length];
        let said = match header.strip_suffix(b"\r\n") {
            Some(line) if header.starts_with(b"PROXY ") => said_in_text(line),
            _ => said_in_bytes(header),
        };
        assert_eq!(conveyed, said);
        if let Conveyed::Visitor(address) = conveyed {
            for again in written(address, IpAddr::V6(Ipv6Addr::LOCALHOST), 1, 65535) {
                let length = again.len();
                assert_eq!(reader::read(&again), Ok(Reading::Whole { conveyed, length }));
            }
        }
    } else if read == Ok(Reading::Incomplete) {
        assert!(bytes.len() < reader::LONGEST);
    }
    // The bytes as addresses, and as what follows.
    if let Some((block, rest)) = bytes.split_first_chunk::<20>() {
        let [a, b, c, d, ..] = *block;
        let from = u16::from_be_bytes([block[16], block[17]]);
        let to = u16::from_be_bytes([block[18], block[19]]);
        let six = IpAddr::from(*block.first_chunk::<16>().unwrap());
        for address in [IpAddr::from([a, b, c, d]), six] {
            for mut head in written(address, six, from, to) {
                let length = head.len();
                head.extend_from_slice(rest);
                let conveyed = Conveyed::Visitor(address.to_canonical());
                assert_eq!(reader::read(&head), Ok(Reading::Whole { conveyed, length }));
            }
        }
    }
}

/// A line of version 1, as the specification has it (section 2.1).
fn said_in_text(line: &[u8]) -> Conveyed {
    let line = std::str::from_utf8(line).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    if words[1] == "UNKNOWN" {
        return Conveyed::Nobody;
    }
    let [_, family, source, destination, from, to] = words[..] else { panic!("{line}") };
    let (from, to): (u16, u16) = (from.parse().unwrap(), to.parse().unwrap());
    let source = match family {
        "TCP4" => {
            let source: Ipv4Addr = source.parse().unwrap();
            let destination: Ipv4Addr = destination.parse().unwrap();
            // Of these there is one spelling.
            assert_eq!(line, format!("PROXY TCP4 {source} {destination} {from} {to}"));
            IpAddr::V4(source)
        }
        "TCP6" => {
            let _: Ipv6Addr = destination.parse().unwrap();
            IpAddr::V6(source.parse().unwrap())
        }
        _ => panic!("{line}"),
    };
    Conveyed::Visitor(source.to_canonical())
}

/// Version 2, as the specification has it (section 2.2).
fn said_in_bytes(header: &[u8]) -> Conveyed {
    let (fixed, block) = header.split_at(16);
    assert_eq!(&fixed[..12], b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(usize::from(fixed[14]) * 256 + usize::from(fixed[15]), block.len());
    let address: IpAddr = match (fixed[12], fixed[13]) {
        (0x20, _) | (0x21, 0x00) => return Conveyed::Nobody,
        (0x21, 0x11) => IpAddr::from(*block.first_chunk::<4>().unwrap()),
        (0x21, 0x21) => IpAddr::from(*block.first_chunk::<16>().unwrap()),
        (0x21, 0x31) => {
            assert!(block.len() >= 216);
            return Conveyed::Nobody;
        }
        (command, family) => panic!("{command} {family}"),
    };
    let mut more = &block[if address.is_ipv4() { 12 } else { 36 }..];
    while !more.is_empty() {
        more = &more[3 + usize::from(more[1]) * 256 + usize::from(more[2])..];
    }
    Conveyed::Visitor(address.to_canonical())
}

/// A header of each version, the destination's family being that of the source.
fn written(source: IpAddr, six: IpAddr, from: u16, to: u16) -> [Vec<u8>; 2] {
    let four = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    let (family, code, destination) = match source {
        IpAddr::V4(_) => ("TCP4", 0x11, four),
        IpAddr::V6(_) => ("TCP6", 0x21, six),
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let line = format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes();
    let block =
        [octets(source), octets(destination), [from.to_be_bytes(), to.to_be_bytes()].concat()];
    let block = block.concat();
    let fixed = [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[code, 0, block.len() as u8]].concat();
    [line, [fixed, block].concat()]
}
