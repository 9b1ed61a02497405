//! `traces`: where spans go, and of which requests there are any. Without it there are none, and no
//! request pays for them.

use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use url::Url;

use super::context::{Context, Located};
use super::file::{SecretFile, bare, secret};
use super::kind::Unfit;
use super::section::Section;
use super::value::{self, is_loopback};
use super::{secrets, tls};
use crate::gate::Secret;

/// Where spans go, and of which requests there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where the collector takes OTLP over HTTP.
    pub endpoint: Url,
    /// What it asks for besides.
    pub headers: Vec<(HeaderName, Secret<HeaderValue>)>,
    /// Certificates to trust instead of the system's.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
    /// The part of the requests that are traced, where nobody has decided whom we believe.
    pub sample: Share,
    /// What the collector calls this service.
    pub service: String,
}

/// A part of all there is, from none of it to all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1.0);
    /// None of it.
    pub const NONE: Self = Self(0.0);

    /// From 0 to 1, written with digits and at most one point.
    fn parse(text: &str) -> Result<Self, Unfit> {
        let is_plain = text.len() <= 16
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && text.bytes().any(|byte| byte.is_ascii_digit());
        let number = text.parse::<f64>().ok().filter(|_| is_plain);
        number.filter(|number| (0.0..=1.0).contains(number)).map(Self).ok_or(Unfit::Kind)
    }

    /// Whether it takes in a number that may be any of its kind.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact to 2^-53")]
    pub fn takes(self, number: u64) -> bool {
        // Below 1 for each but the last few, which all of it takes too.
        self.0 >= 1.0 || (number as f64) < self.0 * (u64::MAX as f64)
    }
}

/// What an operator wrote at `traces`.
pub(super) struct TracesFile {
    endpoint: Option<Located<Url>>,
    headers: Vec<(Located<String>, Option<SecretFile>)>,
    /// Outside `None` if it was reported, inside if the key is not there.
    ca: Option<Option<Vec<Located<PathBuf>>>>,
    sample: Option<Share>,
    service: Option<String>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> TracesFile {
    let headers = section.named_sections("headers").into_iter();
    TracesFile {
        endpoint: section.value("endpoint", value::document),
        headers: headers
            .map(|(name, section)| (name, section.map(|section| secret(&section))))
            .collect(),
        ca: section.if_there("ca", |key| section.values(key, value::path)),
        sample: bare(section.value("sample", Share::parse)),
        service: bare(section.value("service", service)),
    }
}

fn service(text: &str) -> Result<String, Unfit> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// Resolves the section; `None` if something was reported.
pub(super) fn resolve(context: &Context<'_>, file: &TracesFile, folder: &Path) -> Option<Traces> {
    let mut headers = Some(Vec::new());
    for (name, source) in &file.headers {
        let header = source.as_ref().and_then(|source| header(context, folder, name, source));
        headers = headers.zip(header).map(|(mut headers, header)| {
            headers.push(header);
            headers
        });
    }
    if let Some(endpoint) = &file.endpoint
        && endpoint.value.scheme() == "http"
        && !file.headers.is_empty()
        && !is_loopback(&endpoint.value)
    {
        let message = "its headers go over the network as they are; write `https`";
        context.warn(&endpoint.spot, message);
    }
    let trusted = match &file.ca {
        Some(Some(files)) => tls::trusted(context, folder, files).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    Some(Traces {
        endpoint: file.endpoint.as_ref()?.value.clone(),
        headers: headers?,
        trusted: trusted?,
        sample: file.sample?,
        service: file.service.clone()?,
    })
}

/// One that says how the request is sent is ours to write.
fn header(
    context: &Context<'_>,
    folder: &Path,
    name: &Located<String>,
    source: &SecretFile,
) -> Option<(HeaderName, Secret<HeaderValue>)> {
    const OURS: [&str; 7] = [
        "host",
        "content-type",
        "content-length",
        "transfer-encoding",
        "connection",
        "accept",
        "user-agent",
    ];
    let known = HeaderName::from_bytes(name.value.as_bytes()).ok();
    let Some(header) = known.filter(|header| !OURS.contains(&header.as_str())) else {
        let message = "this is no header's name, or one that says how a request is sent";
        context.error(&name.spot, message);
        return None;
    };
    let value = secrets::password(context, folder, source)?;
    let Ok(mut value) = HeaderValue::try_from(value.expose()) else {
        let message = "a header's value is visible ASCII";
        context.error(&source.spot, message);
        return None;
    };
    value.set_sensitive(true);
    Some((header, Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_its_part() {
        let share = |text: &str| Share::parse(text).ok();
        for odd in ["", ".", "-0.1", "1.1", "nan", "inf", "1e-3", "0,1", "1/10", "0.1.2", " 1"] {
            assert_eq!(share(odd), None, "{odd}");
        }
        let taken = |text: &str| {
            let share = share(text).unwrap();
            let numbers = (0..1000_u64).map(|number| number * (u64::MAX / 1000));
            numbers.filter(|number| share.takes(*number)).count()
        };
        assert_eq!(["0", "0.0", ".25", "0.5", "1", "1.0"].map(taken), [0, 0, 250, 500, 1000, 1000]);
        assert!(share("1").unwrap().takes(u64::MAX) && !share("0").unwrap().takes(0));
    }
}
