//! Which portal a request is for (HOST-01).

use std::sync::Arc;

use anteport::gate::{Asked, Mode, Policy, RawTarget, Refusal};
use http::{HeaderMap, HeaderValue, Method};

use super::{HOST, policy};

/// The portal that a request is for, by its place.
fn portal(target: &str, hosts: &[&str]) -> Result<usize, Refusal> {
    let other = Policy { host: Arc::from("other.example:8443"), ..policy(Mode::AzureOnly) };
    let portals = [policy(Mode::AzureOnly), other];
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append("host", HeaderValue::from_str(host).unwrap());
    }
    let target = RawTarget::Line(target.to_owned().into());
    Asked::read(&portals, &Method::GET, &target, &headers).map(|asked| asked.portal())
}

#[test]
fn host_01_a_request_is_for_the_one_portal_that_it_names() {
    assert_eq!(portal("/", &[HOST]), Ok(0));
    assert_eq!(portal("/", &["other.example:8443"]), Ok(1));
    assert_eq!(portal(&format!("https://{HOST}/"), &[HOST]), Ok(0));
    assert_eq!(portal("https://OTHER.example:8443/", &["other.example:8443"]), Ok(1));
    assert_eq!(portal("/", &["nobody.example"]), Err(Refusal::UnknownHost));
    let nobody = "nobody.example";
    assert_eq!(portal(&format!("https://{nobody}/"), &[nobody]), Err(Refusal::UnknownHost));
    for (target, hosts) in [
        ("/", &[][..]),
        ("/", &[HOST, HOST]),
        ("/", &[""]),
        (&format!("https://{HOST}/"), &["other.example:8443"]),
        (&format!("https://{HOST}/"), &[nobody]),
        (&format!("https://{nobody}/"), &[HOST]),
        (&format!("https://a@{HOST}/"), &[HOST]),
        (&format!("https://a@{nobody}/"), &[nobody]),
        (&format!("https://{nobody}/"), &["a@nobody.example"]),
        ("https:///", &[HOST]),
    ] {
        assert_eq!(portal(target, hosts), Err(Refusal::Host), "{target} {hosts:?}");
    }
}

#[test]
fn host_01_what_no_host_is_written_with_is_none() {
    let longest = "a".repeat(260);
    for odd in [
        "members.example,other.example",
        "user@members.example",
        "members.example/x",
        "members.example ",
        "members%2eexample",
        "members.example\u{e9}",
        &format!("{longest}a"),
    ] {
        assert_eq!(portal("/", &[odd]), Err(Refusal::Host), "{odd}");
    }
    for plain in [longest.as_str(), "[::1]:8443", "under_score.example", "a-b.example:1"] {
        assert_eq!(portal("/", &[plain]), Err(Refusal::UnknownHost), "{plain}");
    }
}
