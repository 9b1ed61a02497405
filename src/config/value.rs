//! Single values: text to what it means. Each says in words what is wrong and never quotes the
//! value, which its caller does where it may. Deliberately not here: what depends on another key.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::Tenant;
use super::kind::Unfit;
use crate::gate::{
    CanonicalPath, ClaimPath, ClaimPathError, EXTENSION, Oddity, PathPattern, Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn address(text: &str) -> Result<SocketAddr, Unfit> {
    text.parse().map_err(|_| Unfit::Kind)
}

pub(super) fn path(text: &str) -> Result<PathBuf, Unfit> {
    let is_path = !text.is_empty() && !text.chars().any(char::is_control);
    is_path.then(|| PathBuf::from(text)).ok_or(Unfit::Kind)
}

pub(super) fn text(text: &str) -> Result<String, Unfit> {
    Ok(text.to_owned())
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, Unfit> {
    text.parse().map_err(|_| Unfit::Kind)
}

/// A number with its unit, from `least` to `most`.
pub(super) fn duration(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Duration, Unfit> {
    move |text| {
        let span = any_duration(text).ok_or(Unfit::Kind)?;
        let fits = any_duration(least).is_none_or(|least| span >= least)
            && any_duration(most).is_none_or(|most| span <= most);
        if fits {
            return Ok(span);
        }
        Err(Unfit::Because(format!("must be from {least} to {most}")))
    }
}

/// A number with its unit.
pub(crate) fn any_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

/// Bytes with their unit; `none` is no limit.
pub(super) fn size_or_none(text: &str) -> Result<Option<u64>, Unfit> {
    if text == "none" {
        return Ok(None);
    }
    size(text).map(Some)
}

/// From 1 KiB to 16 MiB.
pub(super) fn form_limit(text: &str) -> Result<usize, Unfit> {
    let size = size(text)?;
    let fits = (1 << 10..=16 << 20).contains(&size);
    usize::try_from(size).ok().filter(|_| fits).ok_or(Unfit::Kind)
}

/// From 1 KiB to 1 MiB.
pub(super) fn resend_forms(text: &str) -> Result<usize, Unfit> {
    let size = size(text)?;
    let fits = (1 << 10..=1 << 20).contains(&size);
    usize::try_from(size).ok().filter(|_| fits).ok_or(Unfit::Kind)
}

/// 1 to 64 lower-case letters, digits and hyphens.
pub(super) fn slug(text: &str) -> Result<String, Unfit> {
    let is_slug = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    is_slug.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

pub(super) fn oddity(text: &str) -> Result<Oddity, Unfit> {
    let mut named = Oddity::NAMED.into_iter();
    named.find_map(|(name, oddity)| (name == text).then_some(oddity)).ok_or(Unfit::Kind)
}

/// Bytes with their unit.
pub(super) fn size(text: &str) -> Result<u64, Unfit> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(Unfit::Kind)?;
    let number: u64 = number.parse().map_err(|_| Unfit::Kind)?;
    let each = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(Unfit::Kind),
    };
    number.checked_mul(each).ok_or(Unfit::Kind)
}

pub(super) fn capacity(text: &str) -> Result<u64, Unfit> {
    let number = text.parse().ok().filter(|_| is_digits(text));
    number.filter(|number| (1..=100_000_000).contains(number)).ok_or(Unfit::Kind)
}

pub(super) fn connections(text: &str) -> Result<usize, Unfit> {
    let number = text.parse().ok().filter(|_| is_digits(text));
    number.filter(|number| (1..=1_000_000).contains(number)).ok_or(Unfit::Kind)
}

/// From 1 to `most`.
pub(super) fn number(most: u32) -> impl Fn(&str) -> Result<u32, Unfit> {
    move |text| {
        let number = text.parse().ok().filter(|_| is_digits(text));
        number.filter(|number| (1..=most).contains(number)).ok_or(Unfit::Kind)
    }
}

pub(super) fn server_name(text: &str) -> Result<ServerName<'static>, Unfit> {
    ServerName::try_from(text.to_owned()).map_err(|_| Unfit::Kind)
}

pub(super) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Scheme, host and port and nothing else. It is judged as it is written, because a URL parser
/// forgives much (`http:\\host`, `https:host`) that a person should mend.
pub(super) fn origin(text: &str) -> Result<Url, Unfit> {
    let (scheme, rest) = text.split_once("://").ok_or(Unfit::Kind)?;
    if !matches!(scheme, "http" | "https") {
        return Err("begins with `https://` or `http://`".into());
    }
    if rest.contains('@') {
        return Err("a URL here has no user name or password".into());
    }
    if rest.contains(['?', '#']) {
        return Err("a URL here has no query and no fragment".into());
    }
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains('/') {
        return Err("a URL here has no path, only scheme, host and port".into());
    }
    let is_odd = |character: char| {
        character.is_whitespace() || character.is_control() || matches!(character, '\\' | '%')
    };
    if host.is_empty() || host.contains(is_odd) || host.ends_with(['.', ':']) {
        return Err(Unfit::Kind);
    }
    let url = Url::parse(text).map_err(|_| Unfit::Kind)?;
    let has_odd_host = url.host_str().is_none_or(|host| host.is_empty() || host.ends_with('.'));
    if has_odd_host || url.port() == Some(0) {
        return Err(Unfit::Kind);
    }
    Ok(url)
}

/// Whether only this machine can be meant: 127.0.0.0/8, `::1` or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The host of an upstream as sockets want it: an IPv6 address without brackets.
pub(super) fn bare_host(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).to_string(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_string(),
        None => String::new(),
    }
}

pub(super) fn tenant(text: &str) -> Result<Tenant, Unfit> {
    let lower = text.to_ascii_lowercase();
    let several = || {
        Unfit::Because(format!(
            "`{lower}` lets in people of any tenant; name the one whose people may sign in, by \
             its GUID or a domain that it has verified, or several GUIDs in `tenants`"
        ))
    };
    match lower.as_str() {
        "common" | "organizations" => Err(several()),
        // The second is what Microsoft calls the first.
        "consumers" | "9188040d-6c67-4c5b-b112-36a304b66dad" => Err(
            "personal Microsoft accounts belong to nobody's tenant: `personal_accounts: true` lets \
             them in"
                .into(),
        ),
        _ if is_guid(&lower) => Ok(Tenant::Id(lower)),
        _ if is_domain(&lower) => Ok(Tenant::Domain(lower)),
        _ => Err(Unfit::Kind),
    }
}

/// A tenant by its GUID.
pub(super) fn tenant_id(text: &str) -> Result<String, Unfit> {
    match tenant(text)? {
        Tenant::Id(id) => Ok(id),
        Tenant::Domain(_) => Err(Unfit::Kind),
    }
}

/// Any tenant by its GUID, that of personal accounts among them.
pub(super) fn tenant_guid(text: &str) -> Result<String, Unfit> {
    is_guid(text).then(|| text.to_ascii_lowercase()).ok_or(Unfit::Kind)
}

/// A tenant of customers: its GUID, its first domain, or that one's first label.
pub(super) fn customer_tenant(text: &str) -> Result<Tenant, Unfit> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        _ if is_guid(&lower) => Ok(Tenant::Id(lower)),
        _ if is_label(&lower) || is_domain(&lower) => Ok(Tenant::Domain(lower)),
        _ => Err(Unfit::Kind),
    }
}

/// The name of a user flow or custom policy: it stands in URLs.
pub(super) fn policy(text: &str) -> Result<String, Unfit> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_policy = (1..=128).contains(&text.len()) && text.bytes().all(is_plain);
    let is_b2c = text.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("B2C_1_"))
        || text.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("B2C_1A_"));
    match is_policy && is_b2c {
        true => Ok(text.to_owned()),
        false => Err("the names of user flows begin with `B2C_1_`, those of custom policies with \
                      `B2C_1A_`"
            .into()),
    }
}

/// An issuer (OpenID Connect Core 1.0, section 2): a URL without query and fragment, kept as it is
/// written, because tokens are compared with it byte for byte.
pub(super) fn issuer(text: &str) -> Result<String, Unfit> {
    document(text)?;
    match text.contains('?') {
        true => Err("an issuer has no query".into()),
        false => Ok(text.to_owned()),
    }
}

/// The URL of a document.
pub(super) fn document(text: &str) -> Result<Url, Unfit> {
    let (scheme, rest) = text.split_once("://").ok_or(Unfit::Kind)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).ok_or(Unfit::Kind)?;
    origin(&format!("{scheme}://{host}"))?;
    if path.contains('#') {
        return Err("a URL here has no fragment".into());
    }
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\');
    if text.len() > 1024 || !path.bytes().all(is_plain) {
        return Err(Unfit::Kind);
    }
    let url = Url::parse(text).map_err(|_| Unfit::Kind)?;
    match url.as_str().trim_end_matches('/') == text.trim_end_matches('/') {
        true => Ok(url),
        false => Err(Unfit::Because(format!("the plain spelling of this URL is `{url}`"))),
    }
}

/// What a provider of any kind calls an application.
pub(super) fn any_client_id(text: &str) -> Result<String, Unfit> {
    let is_client_id =
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_client_id.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

pub(super) fn client_id(text: &str) -> Result<String, Unfit> {
    match is_guid(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Unfit::Found(instead_of_guid(text))),
    }
}

/// What stands where a GUID should. It may be a secret that was pasted into the wrong line, so nothing
/// of it is told (CFG-04).
fn instead_of_guid(text: &str) -> &'static str {
    let bare = text.trim_matches(|c: char| c.is_whitespace() || "{}()<>\"'".contains(c));
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match bare {
        "" => "nothing that could be one",
        _ if is_guid(bare) => "a GUID with something around it",
        _ if bare.len() == 32 && is_hex(bare) => "32 hex digits without their hyphens",
        // Microsoft's client secrets have one of these, and client ids do not.
        _ if bare.len() >= 30
            && bare.contains(['~', '_', '.'])
            && !bare.contains([' ', '/', '@']) =>
        {
            "what may be the value of a client secret: if it is one, make another, and write that into \
             the file of `secret`"
        }
        _ if bare.contains("://") => "a URL",
        _ if bare.contains('@') => "an address of somebody",
        _ => "a text that is not five groups of 8, 4, 4, 4 and 12 hex digits",
    }
}

/// 8-4-4-4-12 hex digits.
pub(crate) fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Labels (RFC 1123), two of them at least.
pub(super) fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Letters, digits and inner hyphens.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// RFC 6749, section 3.3.
pub(super) fn scope(text: &str) -> Result<String, Unfit> {
    let is_scope = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    is_scope.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// The end of a day in UTC: what expires on it may be used until then.
pub(super) fn end_of_day(text: &str) -> Result<Timestamp, Unfit> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        (part.len() == length && is_digits(part)).then(|| part.parse::<i64>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else {
        return Err(Unfit::Kind);
    };
    match Timestamp::from_utc_date(year, month, day) {
        Some(midnight) if parts.next().is_none() => Ok(midnight.after(DAY)),
        _ => Err(Unfit::Kind),
    }
}

/// Where our own pages are: one canonical spelling, and below the root.
pub(super) fn own_path(text: &str) -> Result<CanonicalPath, Unfit> {
    let path = plain_path(text)?;
    if text.ends_with('/') || text.contains('*') {
        return Err("our own pages are below a path, without `/` at its end and without `*`".into());
    }
    Ok(path)
}

/// A path in its canonical spelling.
pub(super) fn plain_path(text: &str) -> Result<CanonicalPath, Unfit> {
    let path = CanonicalPath::parse(text).map_err(|error| Unfit::Because(format!("{error}")))?;
    match path.as_str() == text {
        true => Ok(path),
        false => Err(Unfit::Because(format!("the canonical spelling of this path is `{path}`"))),
    }
}

pub(super) fn pattern(text: &str) -> Result<PathPattern, Unfit> {
    text.parse().map_err(|error| Unfit::Because(format!("{error}")))
}

/// The value of a request's parameter: visible, on one line.
pub(super) fn parameter(text: &str) -> Result<String, Unfit> {
    let fits = (1..=512).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// A language tag such as `de` or `pt-BR` (RFC 5646), of letters, digits and hyphens.
pub(super) fn language(text: &str) -> Result<String, Unfit> {
    let is_subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let fits = text.len() <= 35 && text.split('-').all(is_subtag);
    let begins = text.split('-').next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    (fits && begins).then(|| text.to_owned()).ok_or(Unfit::Kind)
}

pub(super) fn label(text: &str) -> Result<String, Unfit> {
    let is_label = !text.trim().is_empty()
        && text.chars().count() <= 80
        && !text.chars().any(char::is_control);
    is_label.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

pub(super) fn audience(text: &str) -> Result<String, Unfit> {
    let is_audience =
        (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_audience.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// Where in the claims a value stands.
pub(super) fn claim_path(text: &str) -> Result<ClaimPath, Unfit> {
    text.parse().map_err(|error: ClaimPathError| Unfit::Because(error.to_string()))
}

/// A claim at the top level, as a whole.
pub(super) fn claim(text: &str) -> Result<String, Unfit> {
    let is_name =
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name {
        return Err(Unfit::Kind);
    }
    // A claim whose name is a URL has dots of its own.
    let is_url = text.contains("://");
    // What a directory of members says has a dot in front of its own name.
    let own = text.strip_prefix(EXTENSION).unwrap_or(text);
    if own.is_empty() {
        return Err(Unfit::Kind);
    }
    if own.contains(['[', ']', '*', '$', '{']) || (own.contains('.') && !is_url) {
        return Err("here a claim is named as a whole: what is inside of one cannot be".into());
    }
    Ok(text.to_owned())
}
