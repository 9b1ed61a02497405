//! What proves to the token endpoint that it is us who ask, as the endpoint sees it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anteport::config::{
    AssertionAlgorithm, CertificateError, ClientCertificate, Credential, IdentitySource,
    ManagedIdentity, Oidc, Proof, ProviderKind,
};
use anteport::gate::Timestamp;
use anteport::relying_party::{CredentialFault, Limits};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::provider::{CLIENT, Provider, Reply, TENANT};
use crate::world::{NOON, REDIRECT, World, accept, begin, configured, quick};

struct Made {
    der: Vec<u8>,
    key: rcgen::KeyPair,
}

impl Made {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let made = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        Self { der: made.der().to_vec(), key }
    }

    fn pkcs8(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    fn credential(&self, algorithm: AssertionAlgorithm) -> Credential {
        let certificate = ClientCertificate::new(&self.der, &self.pkcs8(), algorithm).unwrap();
        Credential { proof: Proof::Certificate(Arc::new(certificate)), expires: None }
    }

    fn verify(&self, algorithm: &'static dyn VerificationAlgorithm, jwt: &str) -> bool {
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(algorithm, self.key.der_bytes());
        key.verify(signed.as_bytes(), &signature).is_ok()
    }
}

fn parts(jwt: &str) -> (Value, Value) {
    let decoded =
        |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let parts: Vec<_> = jwt.split('.').collect();
    (decoded(parts[0]), decoded(parts[1]))
}

#[tokio::test]
async fn an_assertion_is_signed_for_each_request_and_says_what_it_must() {
    let made = Made::new();
    for (algorithm, verifies, name, thumbprint) in [
        (AssertionAlgorithm::Ps256, &RSA_PSS_2048_8192_SHA256, ("PS256", "x5t#S256"), 43),
        (AssertionAlgorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256, ("RS256", "x5t"), 27),
    ] {
        let world = World::with(quick(), |provider| {
            provider.credentials = vec![made.credential(algorithm)];
        })
        .await;
        for _ in 0..5 {
            world.log_in("one", 0).await.unwrap();
            world.clock.advance(Duration::from_secs(7));
        }
        let mut ids = HashSet::new();
        for (number, seen) in world.provider.seen("/token").iter().enumerate() {
            let form = &seen.form;
            assert_eq!(form["client_id"], CLIENT);
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            assert_eq!(form["client_assertion_type"], kind);
            assert!(!form.contains_key("client_secret"));
            assert!(!seen.headers.contains_key("authorization"));
            let jwt = &form["client_assertion"];
            assert!(made.verify(verifies, jwt), "{}", name.0);
            let (header, claims) = parts(jwt);
            assert_eq!(header["alg"], name.0);
            assert_eq!(header["typ"], "JWT");
            assert_eq!(header[name.1].as_str().unwrap().len(), thumbprint);
            assert_eq!(header.as_object().unwrap().len(), 3);
            let endpoint = format!("{}/{TENANT}/oauth2/v2.0/token", world.provider.base());
            assert_eq!(claims["aud"], json!(endpoint));
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
            let now = NOON.unix_seconds() + 7 * i64::try_from(number).unwrap();
            let time = |name: &str| claims[name].as_i64().unwrap();
            assert!(time("nbf") <= now && time("iat") <= now && now < time("exp"));
            assert!(time("exp") - time("nbf") <= 600, "Microsoft takes ten minutes");
            assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "used twice");
            assert_eq!(claims["jti"].as_str().unwrap().len(), 36);
        }
        assert_eq!(ids.len(), 5);
    }
}

/// REL-03
#[tokio::test]
async fn rel_03_an_assertion_is_good_while_clocks_differ_by_a_minute() {
    let made = Made::new();
    let world = World::with(quick(), |provider| {
        provider.credentials = vec![made.credential(AssertionAlgorithm::Ps256)];
    })
    .await;
    world.log_in("one", 0).await.unwrap();
    let (_, claims) = parts(&world.provider.seen("/token")[0].form["client_assertion"]);
    for theirs in [NOON.before(Duration::from_secs(60)), NOON.after(Duration::from_secs(60))] {
        let theirs = theirs.unix_seconds();
        for begin in ["nbf", "iat"] {
            assert!(claims[begin].as_i64().unwrap() <= theirs);
        }
        assert!(theirs < claims["exp"].as_i64().unwrap());
    }
}

#[test]
fn a_certificate_and_a_key_belong_together() {
    let (one, other) = (Made::new(), Made::new());
    let new = |der: &[u8], key: &PrivateKeyDer<'_>| {
        ClientCertificate::new(der, key, AssertionAlgorithm::Ps256).map(|_| ())
    };
    assert_eq!(new(&one.der, &one.pkcs8()), Ok(()));
    assert_eq!(new(&one.der, &other.pkcs8()), Err(CertificateError::Mismatch));
    assert_eq!(new(b"no certificate", &one.pkcs8()), Err(CertificateError::Certificate));
    let elliptic = rcgen::KeyPair::generate().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(elliptic.serialize_der()));
    assert_eq!(new(&one.der, &key), Err(CertificateError::Key));
    // PKCS#1 is what is inside PKCS#8, behind 26 bytes that say so.
    let inner = one.key.serialize_der()[26..].to_vec();
    let pkcs1 = PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(inner));
    assert_eq!(new(&one.der, &pkcs1), Ok(()));
    let shown = format!("{:?}", one.credential(AssertionAlgorithm::Ps256));
    assert!(shown.contains("ClientCertificate(…)"), "LOG-01: {shown}");
}

async fn redeem_code(world: &World) -> Result<(), &'static str> {
    let (pending, request) = begin(world.clock.now());
    let redemption = accept(pending, &request, "", world.clock.now());
    let redeemed = world.rp.redeem(&redemption, REDIRECT).await;
    redeemed.map(|_| ()).map_err(|error| error.code())
}

fn refused(code: u64) -> Reply {
    Reply::Json(401, json!({"error": "invalid_client", "error_codes": [code]}))
}

/// A secret of the list by its name, and whatever else is asked with.
async fn of_secrets(names: &[&str]) -> World {
    World::with(quick(), |provider| {
        let secrets = names.iter().map(|name| Credential::secret((*name).to_owned()));
        provider.credentials = secrets.collect();
    })
    .await
}

/// OIDC-12
#[tokio::test]
async fn oidc_12_nothing_follows_a_credential_that_is_not_refused() {
    let world = of_secrets(&["A", "B", "C"]).await;
    for (reply, code) in [
        (Reply::Json(400, json!({"error": "invalid_grant"})), "token-request-refused"),
        (Reply::Json(503, json!(null)), "provider-busy"),
        (Reply::Json(200, json!({})), "token-answer-malformed"),
    ] {
        let reply = Arc::new(reply);
        let answer = Arc::clone(&reply);
        world.provider.set_token(move |seen| match &*seen.form["client_secret"] {
            "A" => refused(7_000_222),
            _ => (*answer).clone(),
        });
        let before = world.provider.count("/token");
        assert_eq!(redeem_code(&world).await, Err(code));
        let asked: Vec<_> = world.provider.seen("/token").split_off(before);
        let asked: Vec<_> = asked.iter().map(|seen| seen.form["client_secret"].clone()).collect();
        assert_eq!(asked.iter().filter(|name| *name != "A").count(), 1, "{asked:?}");
    }
}

#[tokio::test]
async fn what_was_refused_is_tried_again_after_a_while_and_when_all_are() {
    let world = of_secrets(&["A", "B"]).await;
    let tried = |world: &World| -> Vec<String> {
        let seen = world.provider.seen("/token");
        seen.iter().map(|seen| seen.form["client_secret"].clone()).collect()
    };
    world.provider.set_token(|_| refused(7_000_215));
    for round in 1..=2 {
        assert_eq!(redeem_code(&world).await, Err("client-secret-refused"));
        assert_eq!(tried(&world).len(), 2 * round, "each once");
    }
    let states = world.rp.credentials();
    let wrong = CredentialFault::SecretWrong;
    assert!(states.iter().all(|state| state.fault == Some(wrong)));
    assert!(states.iter().all(|state| state.passed_over[wrong as usize] == 1), "counted once");

    // B is put right; A some minutes later, and nobody asks with it in between.
    world.provider.set_token(|seen| match &*seen.form["client_secret"] {
        "B" => Reply::Json(400, json!({"error": "invalid_grant"})),
        _ => refused(7_000_215),
    });
    assert_eq!(redeem_code(&world).await, Err("token-request-refused"));
    let before = tried(&world).len();
    world.clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(redeem_code(&world).await, Err("token-request-refused"));
    assert_eq!(tried(&world)[before..], ["B"]);
    let words: Vec<_> =
        world.rp.credentials().iter().map(|state| state.in_words(world.clock.now())).collect();
    assert_eq!(words, ["secret, passed over (secret-wrong)", "secret, tried first"]);
}

/// Another server than Microsoft's may look at the code first.
#[tokio::test]
async fn a_refused_code_says_that_a_credential_is_good_where_that_is_judged_first() {
    for (is_oidc, first) in [(false, "B"), (true, "A")] {
        let provider = Provider::start().await;
        let mut configured = configured(&provider.base());
        if is_oidc {
            configured.kind = ProviderKind::Oidc(Oidc {
                issuer: provider.issuer(),
                metadata: format!("{}/.well-known/openid-configuration", provider.issuer())
                    .parse()
                    .unwrap(),
            });
        }
        let secrets = ["A", "B"].map(|name| Credential::secret(name.to_owned()));
        configured.credentials = secrets.into();
        let world = World::of(provider, configured, quick());
        world.provider.set_token(|seen| match &*seen.form["client_secret"] {
            "A" => refused(7_000_215),
            _ => Reply::Json(400, json!({"error": "invalid_grant"})),
        });
        assert_eq!(redeem_code(&world).await, Err("token-request-refused"));
        // When A's refusal is long ago, the one that worked goes first, if one did.
        world.clock.advance(Duration::from_secs(11 * 60));
        let before = world.provider.count("/token");
        assert_eq!(redeem_code(&world).await, Err("token-request-refused"));
        assert_eq!(world.provider.seen("/token")[before].form["client_secret"], first);
    }
}

pub fn managed_identity(origin: &str) -> Credential {
    let proof = Proof::ManagedIdentity(ManagedIdentity {
        client_id: "2f6d8e30-7b41-4c95-a6d2-0e9f1b3c5a78".to_owned(),
        audience: "api://AzureADTokenExchange",
        source: IdentitySource::Imds(origin.parse().unwrap()),
    });
    Credential { proof, expires: None }
}

/// REL-01
#[tokio::test]
async fn rel_01_an_identity_that_asks_for_more_time_than_there_is_makes_way_at_once() {
    let provider = Provider::start().await;
    let mut configured = configured(&provider.base());
    configured.credentials = vec![managed_identity(&provider.base())];
    let world = World::of(provider, configured, quick());
    world.provider.set_token(|_| Reply::Throttled(60));
    let (pending, request) = begin(NOON);
    let redemption = accept(pending, &request, "", NOON);
    let began = std::time::Instant::now();
    let error = world.rp.redeem(&redemption, REDIRECT).await.unwrap_err();
    assert!(began.elapsed() < quick().total / 2, "{:?}", began.elapsed());
    let said = anteport::telemetry::causes(&error);
    assert!(said.contains("the answer had status 429"), "{said}");
    assert_eq!(world.provider.count("/metadata/identity/oauth2/token"), 1);
}

/// REL-01
#[tokio::test]
async fn rel_01_who_waits_for_an_identity_that_does_not_answer_waits_once() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    let limits = Limits { total: Duration::from_millis(500), ..quick() };
    let world = World::with(limits, |provider| {
        provider.credentials = vec![managed_identity(&origin)];
    })
    .await;
    let mut waiting = tokio::task::JoinSet::new();
    let began = std::time::Instant::now();
    for _ in 0..16 {
        let rp = Arc::clone(&world.rp);
        let (pending, request) = begin(NOON);
        let redemption = accept(pending, &request, "", NOON);
        waiting.spawn(async move { rp.redeem(&redemption, REDIRECT).await.unwrap_err() });
    }
    for error in waiting.join_all().await {
        assert_eq!(error.code(), "client-credential-unavailable");
        assert!(error.is_temporary());
    }
    assert!(began.elapsed() < Duration::from_secs(4), "one after the other: {began:?}");
    assert_eq!(world.provider.count("/token"), 0);
}

#[test]
fn the_faults_have_names_of_their_own() {
    let names: HashSet<_> = CredentialFault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), CredentialFault::ALL.len());
    for (index, fault) in CredentialFault::ALL.into_iter().enumerate() {
        assert_eq!(fault as usize, index, "they are counted by it");
    }
}

#[test]
fn an_end_is_in_the_line_of_health() {
    let state = |ends| anteport::relying_party::CredentialState {
        kind: "secret",
        is_first: true,
        fault: None,
        ends,
        passed_over: [0; CredentialFault::ALL.len()],
    };
    let end: Option<Timestamp> = Some(NOON.after(Duration::from_secs(86_400)));
    assert_eq!(state(end).in_words(NOON), "secret, tried first, expires in 1 day");
    assert_eq!(state(None).in_words(NOON), "secret, tried first");
}
