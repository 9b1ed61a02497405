//! What a message signature takes of a worker's time: the whole of it, from a request and its
//! member's headers to the values of `Signature-Input` and `Signature`; and the primitive alone.
//! `cargo bench --bench signature`, on a machine that has nothing else to do.
//!
//! CPU time of the thread, in rounds: the median of a request, and the least and the most of any
//! round.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anteport::config;
use anteport::gate::identity::Envelope;
use anteport::gate::{Lifetimes, Session, Subject, Timestamp, VerifiedClaims};
use anteport::identity::{Identity, Outbound, Signers};
use anteport::signing_key::{SigningAlgorithm, SigningKey};
use http::{HeaderValue, Method};
use serde_json::{Map, json};

/// The program's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MORNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ROUNDS: usize = 15;
const TARGET: &str = "/reports/2026/quarterly?year=2025&sort=name&page=3";

/// What is signed with, and how long it may take; `None` where nothing was promised.
const KINDS: [(&str, usize, Option<Duration>); 4] = [
    ("hmac-sha256", 20_000, Some(Duration::from_nanos(1500))),
    ("ed25519", 4_000, Some(Duration::from_micros(30))),
    ("ecdsa-p256-sha256", 4_000, None),
    ("rsa-v1_5-sha256", 200, None),
];

fn main() {
    let keys = SigningAlgorithm::ALL.map(|one| Arc::new(SigningKey::generate(one).unwrap().0));
    let signers = Arc::new(Signers::new(keys.to_vec()));
    let session = session();
    let unsigned = identity(&signers, "none");
    let rendered = unsigned.render(&session, MORNING).unwrap();
    let size: usize =
        rendered.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    println!(
        "a GET of {} bytes with {} identity headers of {size} bytes, the assertion among them",
        TARGET.len(),
        rendered.headers.len(),
    );
    for (name, count, limit) in KINDS {
        let signature = match name {
            "hmac-sha256" => format!("{{ algorithm: {name}, secret: {{ env: SECRET }} }}"),
            _ => format!("{{ algorithm: {name} }}"),
        };
        let identity = identity(&signers, &signature);
        let envelope = identity.render(&session, MORNING).unwrap();
        let member = measured(count, || sign(&identity, Some(&envelope)));
        let nobody = measured(count, || sign(&identity, None));
        let verdict = match limit {
            Some(limit) if member.median > limit => {
                format!(", OVER the {limit:?} that it may take")
            }
            Some(limit) => format!(", within the {limit:?} that it may take"),
            None => String::new(),
        };
        println!("{name}: {member} a member's request{verdict}; {nobody} one of nobody's");
    }
    // What a session's next envelope takes more, once in a lifetime of the assertion.
    for signature in ["none", "{ algorithm: ed25519 }"] {
        let identity = identity(&signers, signature);
        let rendering = measured(2_000, || identity.render(&session, MORNING).unwrap());
        println!("rendering a member's headers, signature {signature}: {rendering}");
    }
}

fn sign(identity: &Identity, envelope: Option<&Envelope>) -> impl Sized + use<> {
    let outbound = Outbound {
        method: &Method::GET,
        authority: &HeaderValue::from_static("members.example.org"),
        target: black_box(TARGET),
        envelope,
        body: None,
        nonce: &HeaderValue::from_static("00000000000000010000000000000002"),
    };
    identity.signer().unwrap().sign(&outbound, black_box(MORNING)).unwrap()
}

fn identity(signers: &Arc<Signers>, signature: &str) -> Identity {
    let text = format!(
        r#"
listen: {{ address: "127.0.0.1:8080" }}
providers:
  corporate: {{ kind: entra_id, tenant: harborclub.example, client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20, credentials: [{{ secret: {{ env: SECRET }} }}] }}
portals:
  - public_url: "https://members.example.org"
    upstream: {{ url: "http://127.0.0.1:3000" }}
    local_login: {{}}
    identity:
      headers: {{ X-Auth-User: oid, X-Auth-Email: email, X-Auth-Name: name, X-Auth-Roles: roles }}
      signature: {signature}
"#
    );
    let secret = "Y2FuYXJ5LVNFU1NJT04ta2V5LTAxMjM0NTY3ODkwMTI=";
    let loaded = config::parse("bench.yaml", &text, &|_| Some(secret.to_owned()), MORNING);
    let settings = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    Identity::new(&settings.portals[0].identity, "https://members.example.org", signers)
}

fn session() -> Session {
    let claims = json!({
        "oid": "6f2c7a52-8f0a-4a3c-9d0e-2a44b8b1f0aa",
        "tid": "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11",
        "name": "Ines Caldera",
        "email": "ines.caldera@harborclub.example",
        "roles": ["Treasurer", "Board"],
    });
    let claims: Map<_, _> = claims.as_object().unwrap().clone();
    let subject = Subject::Directory {
        tenant: "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11".into(),
        object: "6f2c7a52-8f0a-4a3c-9d0e-2a44b8b1f0aa".into(),
    };
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    let claims = VerifiedClaims::assertion(subject, claims);
    let (provider, host) = ("corporate".into(), "members.example.org".into());
    Session::start(claims, provider, host, "s".into(), lifetimes, MORNING)
}

/// Of one call.
struct Measured {
    median: Duration,
    least: Duration,
    most: Duration,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2?} ({:.2?} to {:.2?})", self.median, self.least, self.most)
    }
}

fn measured<T>(count: usize, mut call: impl FnMut() -> T) -> Measured {
    let mut rounds: Vec<Duration> = (0..=ROUNDS)
        .map(|_| {
            let begun = cpu();
            for _ in 0..count {
                black_box(call());
            }
            (cpu() - begun) / u32::try_from(count).unwrap()
        })
        .skip(1)
        .collect();
    rounds.sort();
    Measured { median: rounds[ROUNDS / 2], least: rounds[0], most: rounds[ROUNDS - 1] }
}

/// What the thread has had of a processor.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}
