//! What we sign, read by the crate `httpsig`, with the checks that a portal makes besides; and that
//! no two requests are signed alike.

use std::fmt::Write as _;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use httpsig::prelude::message_component::HttpMessageComponent;
use httpsig::prelude::{
    AlgorithmName, HttpSignatureBase, HttpSignatureHeaders, PublicKey, SharedKey, VerifyingKey,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::Signature;
use crate::gate::Secret;
use crate::signing_key::SigningKey;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SECRET: &str = "Y2FuYXJ5LVNFU1NJT04ta2V5LTAxMjM0NTY3ODkwMTI=";
const NONCE: HeaderValue = HeaderValue::from_static("00000000000000010000000000000002");
/// What the portal knows as headers about a member.
const IDENTITY: [&str; 3] = ["x-auth-user", "x-auth-email", "x-anteport-assertion"];

fn by_key(algorithm: SigningAlgorithm) -> (RequestSigner, Arc<SigningKey>) {
    let key = Arc::new(SigningKey::generate(algorithm).unwrap().0);
    let signers = Arc::new(Signers::new(vec![Arc::clone(&key)]));
    let settings =
        Signature { signed_by: SignedBy::Key(algorithm), lifetime: Duration::from_secs(60) };
    (RequestSigner::new(&settings, &signers), key)
}

fn by_secret(secret: &str) -> RequestSigner {
    let secret = Secret::new(STANDARD.decode(secret).unwrap());
    let settings =
        Signature { signed_by: SignedBy::Secret(secret), lifetime: Duration::from_secs(60) };
    RequestSigner::new(&settings, &Arc::new(Signers::new(Vec::new())))
}

fn envelope(signer: &RequestSigner, headers: &[(&str, &str)]) -> Envelope {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: Vec<_> = headers.iter().map(header).collect();
    let (covered, _) = signer.written_down(&headers).unwrap();
    Envelope { headers, renew: NOON, version: 0, covered: Some(covered), parts: Vec::new() }
}

const MEMBER: [(&str, &str); 3] =
    [("x-auth-user", "a3"), ("x-auth-email", "ines@example.org"), (IDENTITY[2], "eyJ.eyJ.sig")];

/// A request as it arrives at a portal.
#[derive(Clone, Debug)]
struct Arrived {
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: i64,
}

fn sent(signer: &RequestSigner, target: &str, member: &[(&str, &str)], body: &[u8]) -> Arrived {
    let envelope = envelope(signer, member);
    let outbound = Outbound {
        method: &Method::POST,
        authority: &HeaderValue::from_static("members.example.org"),
        target,
        envelope: Some(&envelope).filter(|_| !member.is_empty()),
        body: Some(body),
        nonce: &NONCE,
    };
    let ours = signer.sign(&outbound, NOON).unwrap();
    let text = |(name, value): &(HeaderName, HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
    };
    Arrived {
        method: "POST".into(),
        host: "members.example.org".into(),
        target: target.into(),
        headers: envelope.headers.iter().chain(&ours).map(text).collect(),
        body: body.into(),
        at: NOON.unix_seconds() + 2,
    }
}

impl Arrived {
    fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
    }

    fn component(&self, name: &str) -> Vec<String> {
        let (path, query) =
            self.target.split_at(self.target.find('?').unwrap_or(self.target.len()));
        vec![match name {
            "@method" => self.method.clone(),
            "@authority" => self.host.clone(),
            "@path" => path.to_owned(),
            "@query" => (if query.is_empty() { "?" } else { query }).to_owned(),
            "@request-target" => self.target.clone(),
            field => return self.all(field),
        }]
    }

    /// The steps of `docs/message-signatures.md`, in their order; `Ok` has the identity headers.
    fn check(
        &self,
        algorithm: &str,
        key: &impl VerifyingKey,
        id: &str,
    ) -> Result<Vec<(String, String)>, &'static str> {
        let single = |name: &str| match self.all(name).as_slice() {
            [one] => Ok(one.clone()),
            _ => Err("not one signature"),
        };
        let (input, signature) = (single("signature-input")?, single("signature")?);
        let all = HttpSignatureHeaders::try_parse(&signature, &input).map_err(|_| "unreadable")?;
        let ours = all.get(LABEL).ok_or("not ours")?;
        let parameters = ours.signature_params();
        let says = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
        if !says(&parameters.tag, "anteport-identity") || !says(&parameters.alg, algorithm) {
            return Err("for something else");
        }
        if !says(&parameters.keyid, id) {
            return Err("an unknown key");
        }
        let at = |time: Option<u64>| i64::try_from(time.unwrap_or(0)).unwrap();
        if at(parameters.created) > self.at + 5 || at(parameters.expires) <= self.at {
            return Err("not now");
        }
        if self.host != "members.example.org" {
            return Err("another portal");
        }
        let mut names = Vec::new();
        let mut components = Vec::new();
        for id in &parameters.covered_components {
            let name = id.to_string().trim_matches('"').to_owned();
            let values = self.component(&name);
            let [_] = values.as_slice() else { return Err("missing or doubled") };
            components.push(
                HttpMessageComponent::try_from((id, values.as_slice()))
                    .map_err(|_| "unreadable")?,
            );
            names.push(name);
        }
        let covers = |name: &str| names.iter().any(|covered| covered == name);
        if ["@method", "@authority", "@path", "@query"].iter().any(|name| !covers(name))
            || (self.target.ends_with('?')
                && self.target.find('?') == Some(self.target.len() - 1)
                && !covers("@request-target"))
        {
            return Err("not all is covered");
        }
        if IDENTITY.iter().any(|name| !self.all(name).is_empty() && !covers(name)) {
            return Err("a header that is not covered");
        }
        let base = HttpSignatureBase::try_new(&components, parameters).map_err(|_| "no base")?;
        let made = STANDARD.decode(ours.signature().to_string()).unwrap();
        key.verify(&base.as_bytes(), &made).map_err(|_| "not signed")?;
        for digest in self.all("content-digest") {
            if !covers("content-digest") || content_digest::of(&self.body).unwrap() != *digest {
                return Err("another body");
            }
        }
        Ok(self.headers.iter().filter(|(name, _)| covers(name)).cloned().collect())
    }
}

fn public(key: &SigningKey) -> PublicKey {
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(key.public()[name].as_str().unwrap()).unwrap();
    match key.algorithm() {
        SigningAlgorithm::EdDsa => {
            PublicKey::from_bytes(&AlgorithmName::Ed25519, &decode("x")).unwrap()
        }
        SigningAlgorithm::Es256 => {
            let point = [&[4][..], &decode("x"), &decode("y")].concat();
            PublicKey::from_bytes(&AlgorithmName::EcdsaP256Sha256, &point).unwrap()
        }
        SigningAlgorithm::Rs256 => panic!("its part for RSA is left out"),
    }
}

const TARGETS: [&str; 7] = [
    "/",
    "/reports/2026?year=2025&q=a%20b",
    "/a?",
    "/a??",
    "/a?b?c",
    "/caf%C3%A9/%2C?\"@path\": /",
    "/?q=%0A\"@signature-params\": ()",
];

#[test]
fn env_03_a_library_that_nobody_here_wrote_verifies_ours() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
        let (signer, key) = by_key(algorithm);
        for target in TARGETS {
            let arrived = sent(&signer, target, &MEMBER, b"a=1");
            let told = arrived.check(name(algorithm), &public(&key), key.id()).unwrap();
            assert_eq!(told.len(), MEMBER.len() + 1, "{told:?}");
            let nobody = sent(&signer, target, &[], b"");
            assert_eq!(nobody.check(name(algorithm), &public(&key), key.id()), Ok(vec![]));
        }
    }
    let signer = by_secret(SECRET);
    let Signing::Secret(_, id) = &signer.signing else { panic!() };
    let key = SharedKey::from_base64(&AlgorithmName::HmacSha256, SECRET).unwrap();
    for target in TARGETS {
        let arrived = sent(&signer, target, &MEMBER, b"");
        assert_eq!(arrived.check("hmac-sha256", &key, id).unwrap().len(), MEMBER.len());
    }
}

/// The library's part for RSA is left out (CRY-01), so the primitive alone looks.
#[test]
fn env_03_rsa_is_pkcs1_over_the_same_base() {
    use aws_lc_rs::rsa::PublicKeyComponents;
    use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
    let (signer, key) = by_key(SigningAlgorithm::Rs256);
    let arrived = sent(&signer, "/a?b", &MEMBER, b"");
    let input = arrived.all("signature-input").remove(0);
    let mut base = String::new();
    for (name, value) in MEMBER {
        writeln!(base, "\"{name}\": {value}").unwrap();
    }
    base.push_str(
        "\"@method\": POST\n\"@authority\": members.example.org\n\"@path\": /a\n\"@query\": ?b\n",
    );
    write!(base, "\"@signature-params\": {}", input.strip_prefix("anteport=").unwrap()).unwrap();
    assert!(input.contains(";alg=\"rsa-v1_5-sha256\";"), "{input}");
    let signature = arrived.all("signature").remove(0);
    let signature = signature.strip_prefix("anteport=:").unwrap().strip_suffix(':').unwrap();
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(key.public()[name].as_str().unwrap()).unwrap();
    let public = PublicKeyComponents { n: decode("n"), e: decode("e") };
    let signature = STANDARD.decode(signature).unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, base.as_bytes(), &signature).unwrap();
}

#[test]
fn env_03_what_is_changed_on_the_way_is_found() {
    let (signer, key) = by_key(SigningAlgorithm::EdDsa);
    let good = sent(&signer, "/pay?to=a", &MEMBER, b"amount=1");
    let check = |arrived: &Arrived| arrived.check("ed25519", &public(&key), key.id());
    check(&good).unwrap();
    let refused = |why: &str, change: &dyn Fn(&mut Arrived)| {
        let mut arrived = good.clone();
        change(&mut arrived);
        assert_eq!(check(&arrived).unwrap_err(), why, "{arrived:?}");
    };
    refused("not signed", &|arrived| arrived.method = "GET".into());
    refused("not signed", &|arrived| arrived.target = "/PAY?to=a".into());
    refused("not signed", &|arrived| arrived.target = "/pay?to=b".into());
    refused("not signed", &|arrived| arrived.target = "/pay".into());
    refused("not signed", &|arrived| arrived.target = "/pay?to=a&to=b".into());
    refused("not all is covered", &|arrived| arrived.target = "/pay?".into());
    refused("another portal", &|arrived| arrived.host = "guests.example.org".into());
    // A header that is changed, removed, doubled, or added, also one that we know and did not send.
    for (name, value) in MEMBER {
        refused("not signed", &|arrived| arrived.set(name, &format!("{value}x")));
        refused("missing or doubled", &|arrived| arrived.headers.retain(|(had, _)| had != name));
        refused("missing or doubled", &|arrived| arrived.headers.push((name.into(), value.into())));
    }
    refused("another body", &|arrived| arrived.body = b"amount=1000".to_vec());
    refused("not signed", &|arrived| {
        arrived.set("content-digest", content_digest::of(b"b").unwrap().to_str().unwrap());
        arrived.body = b"b".to_vec();
    });
    let mut added = sent(&signer, "/", &MEMBER[..1], b"");
    added.set("x-auth-email", "root@example.org");
    assert_eq!(check(&added), Err("a header that is not covered"));
    let mut nobody = sent(&signer, "/", &[], b"");
    nobody.set("x-auth-user", "a3");
    assert_eq!(check(&nobody), Err("a header that is not covered"));
    // Time, which is signed as well.
    for moved in [-60, 58, 3600] {
        refused("not now", &|arrived| arrived.at += moved);
    }
    refused("not signed", &|arrived| {
        let input = arrived.all("signature-input").remove(0);
        arrived.set("signature-input", &input.replace("expires=1800000060", "expires=1900000000"));
    });
    // What is covered, and in which order.
    for (from, to) in [
        (" \"x-auth-email\"", ""),
        ("\"@method\" \"@authority\"", "\"@authority\" \"@method\""),
        ("nonce=\"0", "nonce=\"1"),
    ] {
        let mut arrived = good.clone();
        let input = arrived.all("signature-input").remove(0);
        arrived.set("signature-input", &input.replace(from, to));
        assert!(check(&arrived).is_err(), "{from}");
    }
    refused("for something else", &|arrived| {
        let input = arrived.all("signature-input").remove(0);
        arrived.set("signature-input", &input.replace("anteport-identity", "other"));
    });
    refused("not one signature", &|arrived| {
        arrived.headers.push(("signature".into(), "anteport=:AAAA:".into()));
    });
    refused("not ours", &|arrived| {
        for name in ["signature", "signature-input"] {
            let value = arrived.all(name).remove(0).replace("anteport=", "other=");
            arrived.set(name, &value);
        }
    });
    // The key of somebody else, who says that it is ours.
    let (other, _) = by_key(SigningAlgorithm::EdDsa);
    let forged = sent(&other, "/pay?to=a", &MEMBER, b"amount=1");
    assert_eq!(check(&forged), Err("an unknown key"));
    refused("not signed", &|arrived| {
        arrived.set("signature", &forged.all("signature").remove(0));
    });
    let shared = by_secret(&STANDARD.encode([7; 32]));
    let Signing::Secret(_, id) = &shared.signing else { panic!() };
    let arrived = sent(&shared, "/", &MEMBER, b"");
    let key = SharedKey::from_base64(&AlgorithmName::HmacSha256, SECRET).unwrap();
    assert_eq!(arrived.check("hmac-sha256", &key, id), Err("not signed"), "another secret");
}

#[test]
fn env_03_what_cannot_be_signed_goes_nowhere() {
    let (signer, _) = by_key(SigningAlgorithm::EdDsa);
    // Of a portal whose headers were not written down, none could be covered.
    let mut envelope = envelope(&signer, &MEMBER);
    envelope.covered = None;
    let outbound = Outbound {
        method: &Method::GET,
        authority: &HeaderValue::from_static("members.example.org"),
        target: "/",
        envelope: Some(&envelope),
        body: None,
        nonce: &NONCE,
    };
    assert_eq!(signer.sign(&outbound, NOON).unwrap_err().code(), "identity-signature");
    // Of a portal with a secret, they were written down for nobody else.
    let foreign = self::envelope(&by_secret(SECRET), &MEMBER);
    let for_another = Outbound { envelope: Some(&foreign), ..outbound };
    assert_eq!(signer.sign(&for_another, NOON).unwrap_err().code(), "identity-signature");
    let nobody = Outbound { envelope: None, ..outbound };
    assert!(signer.sign(&nobody, NOON).is_ok());
    // No key of the algorithm; more than one reading.
    let Signing::Key(signers, _) = &signer.signing else { panic!() };
    signers.replace(Vec::new());
    assert_eq!(signer.sign(&nobody, NOON).unwrap_err().code(), "identity-signature");
    let twice = HeaderName::from_static("x-auth-user");
    let twice = [(twice.clone(), NONCE), (twice, NONCE)];
    assert_eq!(signer.written_down(&twice).unwrap_err().code(), "identity-signature");
}

/// What a signature adds counts, before a member is signed in.
#[test]
fn hdr_10_a_signature_is_no_longer_than_it_was_counted() {
    let all = [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256];
    let by_keys = all.into_iter().map(|algorithm| by_key(algorithm).0);
    for signer in by_keys.chain([by_secret(SECRET)]) {
        let (_, counted) = signer.written_down(&envelope(&signer, &MEMBER).headers).unwrap();
        let arrived = sent(&signer, "/?", &MEMBER, b"a=1");
        let added = arrived.headers.iter().skip(MEMBER.len());
        let added: usize = added.map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!(added <= counted && counted < added + 1200, "{added} {counted}");
    }
}

/// ENV-04: one request has one key, whichever it is, and the other reads none of it.
#[test]
fn env_04_a_new_key_signs_from_the_next_request_on() {
    let (signer, old) = by_key(SigningAlgorithm::Es256);
    let before = sent(&signer, "/", &MEMBER, b"");
    let new = Arc::new(SigningKey::generate(SigningAlgorithm::Es256).unwrap().0);
    let Signing::Key(signers, _) = &signer.signing else { panic!() };
    signers.replace(vec![Arc::clone(&new), Arc::clone(&old)]);
    let after = sent(&signer, "/", &MEMBER, b"");
    for (arrived, key) in [(before, old), (after, new)] {
        arrived.check("ecdsa-p256-sha256", &public(&key), key.id()).unwrap();
    }
}

/// What a base is made of.
type Meant = (String, String, String, Vec<(String, String)>, Option<String>);

fn base_of((method, host, target, headers, digest): &Meant) -> Vec<u8> {
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let (lines, names) = base::written_down(headers).unwrap();
    let covered = Covered { names, lines: Lines::Written(lines.into()) };
    let digest = digest.as_ref().map(|digest| HeaderValue::from_str(digest).unwrap());
    let outbound = Outbound {
        method: &Method::from_bytes(method.as_bytes()).unwrap(),
        authority: &HeaderValue::from_str(host).unwrap(),
        target,
        envelope: None,
        body: None,
        nonce: &NONCE,
    };
    covering(&outbound, Some(&covered), digest.as_ref()).unwrap().close().finish().0
}

/// Reads a base back into what it was made of. That this can be done for all is what makes no two
/// of them alike.
fn read_back(base: &[u8]) -> Meant {
    let text = std::str::from_utf8(base).unwrap();
    let mut lines: Vec<(&str, &str)> = text
        .split('\n')
        .map(|line| line.strip_prefix('"').unwrap().split_once("\": ").unwrap())
        .collect();
    let (last, list) = lines.pop().unwrap();
    assert_eq!(last, "@signature-params");
    let names: Vec<String> = lines.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    assert_eq!(list, format!("({})", names.join(" ")));
    let mut lines = lines.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).peekable();
    let mut headers = Vec::new();
    while let Some(header) = lines.next_if(|(name, _)| !name.starts_with('@')) {
        headers.push(header);
    }
    let mut next = |wanted: &str| lines.next_if(|(name, _)| name == wanted).map(|(_, value)| value);
    let (method, host) = (next("@method").unwrap(), next("@authority").unwrap());
    let (path, query) = (next("@path").unwrap(), next("@query").unwrap());
    let target = match (next("@request-target"), &*query) {
        (Some(target), _) => target,
        (None, "?") => path,
        (None, query) => path + query,
    };
    let digest = next("content-digest");
    assert_eq!(lines.next(), None);
    (method, host, target, headers, digest)
}

/// Pieces that a reader could take for something else than they are.
fn value() -> impl Strategy<Value = String> {
    const PIECES: [&str; 13] =
        ["a", "\"", ": ", "\": ", "\"@path\"", "?", "\\", ",", "(", ")", ";", "%0A", "="];
    prop::collection::vec(select(&PIECES), 0..4)
        .prop_map(|pieces| pieces.concat().trim().to_owned())
}

fn meant() -> impl Strategy<Value = Meant> {
    let name = select(&["x-a", "x-b", "x-a-b", "x-anteport-assertion"]);
    let headers = prop::collection::btree_map(name.prop_map(str::to_owned), value(), 0..3);
    const TARGETS: [&str; 10] =
        ["/", "/a", "/a?", "/a?b", "/?", "/??", "/a?b?", "/b?a", "/@query", "/\":"];
    (
        select(&["GET", "POST", "get", "@path"]).prop_filter_map("no method", |method| {
            Method::from_bytes(method.as_bytes()).ok().map(|method| method.as_str().to_owned())
        }),
        select(&["a.example", "a.example:8443", "b.example"]).prop_map(str::to_owned),
        select(&TARGETS).prop_map(str::to_owned),
        headers.prop_map(|headers| headers.into_iter().collect()),
        prop::option::of(select(&["sha-256=:YQ==:", "a"]).prop_map(str::to_owned)),
    )
}

proptest! {
    #[test]
    fn env_03_a_base_is_read_back_to_the_request_that_it_is_of(meant in meant()) {
        prop_assert_eq!(read_back(&base_of(&meant)), meant);
    }

    #[test]
    fn env_03_two_requests_are_never_signed_alike(one in meant(), other in meant()) {
        prop_assert_eq!(base_of(&one) == base_of(&other), one == other);
    }

    /// Not only the odd ones: whatever a header can carry, whatever target is let in.
    #[test]
    fn env_03_any_target_and_any_value_are_read_back(
        target in "/[!-~&&[^#?]]{0,20}(\\?[!-~&&[^#]]{0,20})?",
        value in "[!-~]([ -~]{0,30}[!-~])?",
    ) {
        let headers = vec![("x-a".to_owned(), value)];
        let meant = ("PUT".to_owned(), "a.example".to_owned(), target, headers, None);
        prop_assert_eq!(read_back(&base_of(&meant)), meant);
    }
}
