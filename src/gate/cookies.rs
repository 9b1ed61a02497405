//! Our cookies within a visitor's `Cookie` headers: which they are, what they say, and the headers
//! without them. Deliberately not here: how they are made (`sessions::cookie`).

use http::HeaderValue;

use super::{Secret, SessionId, Ticket};

/// The session cookie. Its prefix binds it to one host, `Path=/` and TLS (RFC 6265bis, 4.1.3.2).
pub const SESSION: &str = "__Host-anteport";
/// Before the number of a further part of a session that is in the browser itself.
pub const PART_PREFIX: &str = "__Host-anteport-part-";
/// How many parts such a session has at most, the first among them.
pub const MOST_PARTS: usize = 4;
/// Before the number of a login under way.
pub const LOGIN_PREFIX: &str = "__Host-anteport-login-";
/// Who was signed in last, sealed: whose a form is that meets an expired session.
pub const MEMBER: &str = "__Host-anteport-member";
/// The pass of whoever has broken the glass, sealed.
pub const BREAK_GLASS: &str = "__Host-anteport-break-glass";
/// The visitor's lot in a progressive switch.
pub const LOT: &str = "__Host-anteport-lot";

/// Before the short name of a cookie of the portal's that was set during a session (PATH-18).
pub const PROOF_PREFIX: &str = "__Host-anteport-set-";

/// What `Cookie` headers say to us.
#[derive(Debug, Default)]
pub struct CookieReading {
    /// What stands for a session, if it is there exactly once, has the right form, and no other
    /// reader could find another (COOK-02, COOK-03).
    pub session: Option<Ticket>,
    /// Whether any cookie has a name of ours.
    pub any_own: bool,
}

/// Reads all `Cookie` fields of a request; HTTP/2 may bring several (RFC 9113, 8.2.3).
pub fn read<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>) -> CookieReading {
    let mut reading = CookieReading::default();
    let mut first: &[u8] = &[];
    let mut parts = Parts::default();
    let mut copies = 0;
    let mut is_ambiguous = false;
    // Most fields do not have our name in them, and need not be taken apart.
    let fields = fields.into_iter().map(HeaderValue::as_bytes).filter(|field| has_own(field));
    for pair in fields.flat_map(pairs).filter(|pair| has_own(pair)) {
        reading.any_own = true;
        let Some((name, value)) = own_name_and_value(pair) else {
            // Our name where a name does not stand: another reader may take it for one.
            is_ambiguous = true;
            continue;
        };
        if name == SESSION.as_bytes() {
            copies += 1;
            first = value;
        } else if let Some(number) = name.strip_prefix(PART_PREFIX.as_bytes()) {
            parts.note(number, value);
        }
    }
    if copies == 1 && !is_ambiguous {
        reading.session = ticket(first, &parts);
    }
    reading
}

/// The further parts of a session, from the second on.
#[derive(Default)]
struct Parts<'a> {
    texts: [Option<&'a [u8]>; MOST_PARTS - 1],
    /// One of them came twice.
    are_doubled: bool,
}

impl<'a> Parts<'a> {
    fn note(&mut self, number: &[u8], value: &'a [u8]) {
        let index = match number {
            [digit @ b'2'..=b'9'] => usize::from(digit - b'2'),
            _ => return,
        };
        if let Some(place) = self.texts.get_mut(index) {
            self.are_doubled |= place.replace(value).is_some();
        }
    }
}

/// An id as it is; or the number of parts, a dot, and the first of them.
fn ticket(first: &[u8], parts: &Parts<'_>) -> Option<Ticket> {
    let first = std::str::from_utf8(first).ok()?;
    let Some((count, text)) = first.split_once('.') else {
        return SessionId::parse(first).map(Ticket::Id);
    };
    let count = match count.as_bytes() {
        [digit @ b'1'..=b'9'] => usize::from(digit - b'0'),
        _ => return None,
    };
    if count > MOST_PARTS {
        return None;
    }
    if parts.are_doubled {
        return None;
    }
    let mut whole = text.to_owned();
    // What is there beyond them is left of a longer one.
    for part in parts.texts.iter().take(count - 1) {
        whole.push_str(std::str::from_utf8((*part)?).ok()?);
    }
    Some(Ticket::Sealed(Secret::new(whole)))
}

/// Which further parts of a session came with a request, by their whole names.
pub fn parts<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<&'a str> {
    own_with(PART_PREFIX, fields).into_iter().map(|(name, _)| name).collect()
}

/// All cookies, as name and value.
pub(super) fn all<'a>(
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    fields.into_iter().flat_map(|field| pairs(field.as_bytes())).map(name_and_value)
}

/// All cookies, and whatever a reader could take for one who ends them at a comma or a blank too
/// (RFC 2109, ASP.NET Core, older Python), as name and value.
pub(super) fn readings<'a>(
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let pairs = fields.into_iter().flat_map(|field| pairs(field.as_bytes()));
    pairs.flat_map(|pair| std::iter::once(name_and_value(pair)).chain(hidden(pair)))
}

/// What such a reader finds in a pair besides what everybody does: whatever stands before an `=`.
fn hidden(pair: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let is_end = |byte: &u8| matches!(byte, b',' | b' ' | b'\t' | b'"' | b'=');
    let pair = pair.trim_ascii();
    let may_hide = pair.iter().any(|byte| matches!(byte, b',' | b' ' | b'\t' | b'"'));
    let ends = may_hide.then(|| memchr::memchr_iter(b'=', pair));
    ends.into_iter().flatten().filter_map(move |at| {
        let (before, after) = pair.split_at_checked(at)?;
        let before = before.trim_ascii_end();
        let begin = before.iter().rposition(is_end).map_or(0, |end| end + 1);
        let value = after.get(1..)?.split(is_end).next()?;
        Some((before.get(begin..)?, value))
    })
}

/// How many cookies of one kind are read: several times as many as we leave in a browser.
const MOST_READ: usize = 64;

/// The cookies of logins under way, as name and value; a name that comes twice is nobody's.
pub fn logins<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<(&'a str, &'a str)> {
    own_with(LOGIN_PREFIX, fields)
}

/// Our cookies whose names begin like this, as name and value; a name that comes twice is nobody's.
pub fn own_with<'a>(
    prefix: &str,
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> Vec<(&'a str, &'a str)> {
    let mut found: Vec<(&[u8], &[u8])> = Vec::new();
    let mut doubled: Vec<&[u8]> = Vec::new();
    for (name, value) in all(fields) {
        if !name.starts_with(prefix.as_bytes()) {
            continue;
        }
        // No browser has so many of us.
        if found.len() >= MOST_READ {
            break;
        }
        if found.iter().any(|(known, _)| *known == name) {
            doubled.push(name);
        } else {
            found.push((name, value));
        }
    }
    found.retain(|(name, _)| !doubled.contains(name));
    let text = |bytes| std::str::from_utf8(bytes).ok();
    found.into_iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

/// The sealed cookie of who was signed in last, if it is there exactly once (COOK-03).
pub fn member<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>) -> Option<&'a str> {
    once(MEMBER, fields)
}

/// The value of a cookie of ours, if it is there exactly once (COOK-03).
pub fn once<'a>(
    wanted: &str,
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> Option<&'a str> {
    let mut found = all(fields).filter(|(name, _)| *name == wanted.as_bytes());
    let (_, value) = found.next()?;
    let text = std::str::from_utf8(value).ok()?;
    found.next().is_none().then_some(text)
}

/// One field without our cookies; the portal's stay byte for byte (COOK-01). `None` if nothing is
/// left.
#[must_use]
pub fn without_own(field: &HeaderValue) -> Option<HeaderValue> {
    // Wherever in it our name stands: what cannot be read in one way is not passed on (COOK-02).
    without_pairs(field, has_own)
}

/// One field without the cookies that go, by name and value, and without those in which a name that
/// goes is hidden. `None` if nothing is left.
pub(super) fn without(
    field: &HeaderValue,
    goes: impl Fn(&[u8], &[u8]) -> bool,
    goes_hidden: impl Fn(&[u8]) -> bool,
) -> Option<HeaderValue> {
    without_pairs(field, |pair| {
        let whole = name_and_value(pair);
        goes(whole.0, whole.1) || hidden(pair).any(|piece| piece != whole && goes_hidden(piece.0))
    })
}

fn without_pairs(field: &HeaderValue, goes: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(field.len());
    for pair in pairs(field.as_bytes()).filter(|pair| !goes(pair)) {
        if !kept.is_empty() {
            kept.push(b';');
        }
        kept.extend_from_slice(if kept.is_empty() { pair.trim_ascii_start() } else { pair });
    }
    if kept.trim_ascii().is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&kept).ok()
}

/// Name and value of the cookie that a `Set-Cookie` sets.
pub(super) fn first(field: &HeaderValue) -> (&[u8], &[u8]) {
    name_and_value(pairs(field.as_bytes()).next().unwrap_or_default())
}

/// Whether a cookie name is ours, in any case: some servers fold it.
#[must_use]
pub fn is_own(name: &[u8]) -> bool {
    let own = SESSION.as_bytes();
    name.get(..own.len()).is_some_and(|head| head.eq_ignore_ascii_case(own))
        && matches!(name.get(own.len()), None | Some(b'-'))
}

/// Whether a `Set-Cookie` could be taken for one of ours, be it by a browser that knows cookies
/// without a name: `=__Host-anteport=x` is sent back as `__Host-anteport=x`.
#[must_use]
pub fn sets_own(field: &HeaderValue) -> bool {
    let pair = pairs(field.as_bytes()).next().unwrap_or_default();
    has_own(pair)
}

/// Whether a name of ours stands anywhere in a text, in any case.
fn has_own(text: &[u8]) -> bool {
    memchr::memchr_iter(b'_', text).any(|at| {
        let own = SESSION.as_bytes();
        let found = text.get(at..).unwrap_or_default();
        found.get(..own.len()).is_some_and(|head| head.eq_ignore_ascii_case(own))
            && !found
                .get(own.len())
                .is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
    })
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', field).chain([field.len()]);
    ends.scan(0, |from, end| Some(field.get(std::mem::replace(from, end + 1)..end).unwrap_or(&[])))
}

/// A pair of ours. Most are not, and their first byte says so.
fn own_name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let pair = pair.trim_ascii_start();
    if pair.first() != Some(&b'_') {
        return None;
    }
    let (name, value) = name_and_value(pair);
    is_own(name).then_some((name, value))
}

fn name_and_value(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let (name, value) = pair.split_at(at);
            (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (pair.trim_ascii(), &[]),
    }
}
