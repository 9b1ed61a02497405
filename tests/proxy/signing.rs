//! What signs for the portal: four algorithms, as a library that is not ours verifies them, and keys
//! that are exchanged while members are at work.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anteport::clock::Clock;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::patience::eventually;
use crate::world::{Plan, World};

/// 32 bytes.
const SECRET: &str = "c2VjcmV0LW9mLWEtcG9ydGFsLTAxMjM0NTY3ODkwMTI=";

/// The claims of an assertion, verified as a portal would: with the published keys, ES256 alone.
pub async fn verified(world: &World, assertion: &str) -> Value {
    let keys = published(world).await;
    let claims = judged(world, assertion, &keys, Algorithm::ES256).unwrap();
    assert!(claims["exp"].as_i64().unwrap() > world.clock.now().unix_seconds());
    claims
}

async fn published(world: &World) -> JwkSet {
    let keys = world.browser().send("GET", "/.auth/jwks.json", &[], b"").await;
    assert_eq!(keys.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(keys.header("cache-control"), Some("private, max-age=300"));
    serde_json::from_slice(&keys.body).unwrap()
}

/// What a verifier with these keys and this one algorithm says.
fn judged(
    world: &World,
    assertion: &str,
    keys: &JwkSet,
    algorithm: Algorithm,
) -> Result<Value, String> {
    let header = decode_header(assertion).map_err(|error| error.to_string())?;
    let key = keys.find(&header.kid.unwrap()).ok_or("the key is not published")?;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&[format!("http://{}", world.proxy)]);
    // The world has a clock of its own.
    rules.validate_exp = false;
    let decoded = decode::<Value>(assertion, &key, &rules);
    decoded.map(|decoded| decoded.claims).map_err(|error| error.to_string())
}

fn assertion(world: &World) -> String {
    world.portal.last().header("x-anteport-assertion").unwrap().to_owned()
}

/// A portal whose assertion is signed like this.
fn plan(assertion: &'static str, signing: String) -> Plan {
    Plan { portal: assertion, signing, ..Plan::default() }
}

fn keys(arguments: &[&str], file: &std::path::Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteport"));
    let output = command.arg("keys").args(arguments).arg("--file").arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn env_01_each_algorithm_is_verified_by_others_and_taken_for_no_other() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    let all = ["generate", "--algorithm", "ES256", "--algorithm", "EdDSA", "--algorithm", "RS256"];
    assert_eq!(keys(&all, &file).0, Some(0));
    for signing in ["{}".to_owned(), format!("{{ keys: [{{ file: \"{}\" }}] }}", file.display())] {
        for (lines, algorithm) in [
            (
                "    local_login: {}\n    identity: { assertion: { algorithm: ES256 } }",
                Algorithm::ES256,
            ),
            (
                "    local_login: {}\n    identity: { assertion: { algorithm: EdDSA } }",
                Algorithm::EdDSA,
            ),
            (
                "    local_login: {}\n    identity: { assertion: { algorithm: RS256 } }",
                Algorithm::RS256,
            ),
        ] {
            let world = World::start_with(plan(lines, signing.clone())).await;
            world.treasurer().await;
            let (assertion, published) = (assertion(&world), published(&world).await);
            let claims = judged(&world, &assertion, &published, algorithm).unwrap();
            assert_eq!(claims["iss"], format!("http://{}", world.proxy));
            // ENV-04: a key is of one algorithm, which is the one that the verifier was told.
            for other in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::HS256] {
                let is_it = judged(&world, &assertion, &published, other).is_ok();
                assert_eq!(is_it, other == algorithm, "{other:?}");
            }
            let count = if signing == "{}" { 1.0 } else { 6.0 };
            assert_eq!(world.metric("anteport_signing_keys").await, count);
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn env_04_a_secret_that_the_portal_has_too_is_published_nowhere() {
    const LINES: &str = "    local_login: {}\n    identity: { assertion: { algorithm: HS256, secret: { \
                         value: c2VjcmV0LW9mLWEtcG9ydGFsLTAxMjM0NTY3ODkwMTI= } } }";
    let world = World::start_with(plan(LINES, "{}".to_owned())).await;
    world.treasurer().await;
    let assertion = assertion(&world);
    assert!(published(&world).await.keys.is_empty());
    assert_eq!(world.metric("anteport_signing_keys").await, 0.0);
    let key = DecodingKey::from_base64_secret(SECRET).unwrap();
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&[format!("http://{}", world.proxy)]);
    rules.validate_exp = false;
    assert!(decode::<Value>(&assertion, &key, &rules).is_ok());
    let other = DecodingKey::from_secret(&[0; 32]);
    assert!(decode::<Value>(&assertion, &other, &rules).is_err());
    world.stop().await;
}

/// The least that a verifier may do: it asks for the keys when those that it has are as old as the
/// answer said that they may become, and never because one is unknown.
struct Verifier {
    kept: Mutex<Option<(JwkSet, i64)>>,
}

impl Verifier {
    /// What it says to a request that arrived at this moment.
    async fn verify(&self, world: &World, assertion: &str, now: i64) -> Result<(), String> {
        let kept = self.kept.lock().unwrap().clone().filter(|(_, since)| now < since + 300);
        let keys = match kept {
            Some((keys, _)) => keys,
            None => {
                let keys = published(world).await;
                *self.kept.lock().unwrap() = Some((keys.clone(), now));
                keys
            }
        };
        let claims = judged(world, assertion, &keys, Algorithm::ES256)?;
        match claims["exp"].as_i64().unwrap() > now {
            true => Ok(()),
            false => Err("it has expired".to_owned()),
        }
    }
}

/// The file says that it was written so long ago, as it says it itself and by its time, and in one
/// step.
fn written_before(file: &std::path::Path, seconds: u64) {
    let moment = Clock::system().now().before(Duration::from_secs(seconds));
    let then = moment.to_utc_date_time();
    let text = std::fs::read_to_string(file).unwrap();
    let keys = &text[text.find("-----BEGIN").unwrap()..];
    let new = file.with_extension("older");
    // A copy is its owner's alone, as the file is.
    std::fs::copy(file, &new).unwrap();
    std::fs::write(&new, format!("Written: {then}\n{keys}")).unwrap();
    let stamp = Duration::from_millis(moment.unix_millis().unsigned_abs());
    let stamped = std::fs::File::options().append(true).open(&new).unwrap();
    stamped.set_modified(std::time::UNIX_EPOCH + stamp).unwrap();
    std::fs::rename(&new, file).unwrap();
}

async fn with_keys_in_a_file() -> (World, Folder, PathBuf) {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    assert_eq!(keys(&["generate"], &file).0, Some(0));
    let signing = format!("{{ keys: [{{ file: \"{}\" }}] }}", file.display());
    let world = World::start_with(Plan { signing, ..Plan::default() }).await;
    (world, folder, file)
}

#[tokio::test]
async fn env_04_keys_are_exchanged_under_load_and_no_request_is_refused() {
    let (world, _folder, file) = with_keys_in_a_file().await;
    let members = [world.treasurer().await, world.treasurer().await];
    // One who asks just before each exchange, and one who asked long before.
    let verifiers = [(); 2].map(|()| Verifier { kept: Mutex::default() });
    let (asked, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let load = async |mut member: Browser| {
        while !is_over.load(Ordering::Relaxed) {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let path = format!("/reports?{number}");
            let now = world.clock.now().unix_seconds();
            assert_eq!(member.open(&path).await.status, 200);
            let received = world.portal.received();
            let mut arrived = received.iter().rev();
            let arrived = arrived.find(|one| one.line.contains(&format!("{path} "))).unwrap();
            let assertion = arrived.header("x-anteport-assertion").unwrap();
            for verifier in &verifiers {
                verifier.verify(&world, assertion, now).await.unwrap();
            }
        }
    };
    let changing = async {
        let mut kinds = std::collections::HashSet::new();
        for turn in 0..8 {
            written_before(&file, 601);
            let (code, said) = keys(&["rotate"], &file);
            assert_eq!(code, Some(0), "{said}");
            let signs = said.split_whitespace().nth(1).unwrap().to_owned();
            assert!(kinds.insert(signs.clone()), "{said}: it signed before");
            world.look_again.notify_one();
            let signs_now = async || {
                let header = decode_header(assertion(&world)).unwrap();
                header.kid.unwrap() == signs
            };
            eventually(signs_now).await;
            // A verifier is between two of its questions at each exchange, and at others.
            for part in [7, 290, 4 + turn, 300] {
                let before = asked.load(Ordering::Relaxed);
                world.clock.advance(Duration::from_secs(part));
                eventually(async || asked.load(Ordering::Relaxed) > before + 8).await;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let [first, second] = members;
    tokio::join!(load(first), load(second), changing);
    assert!(asked.load(Ordering::Relaxed) > 8 * 4 * 8);
    assert!(world.readyz().await.1.contains("signing keys: 3 in force\n"));
    world.stop().await;
}

#[tokio::test]
async fn env_04_what_a_stolen_key_signed_is_sent_no_more() {
    let (world, _folder, file) = with_keys_in_a_file().await;
    let mut ada = world.treasurer().await;
    let old = assertion(&world);
    assert!(judged(&world, &old, &published(&world).await, Algorithm::ES256).is_ok());
    let (code, said) = keys(&["rotate"], &file);
    assert_eq!(code, Some(1));
    assert!(said.contains("`--stolen`"), "{said}");
    assert_eq!(keys(&["rotate", "--stolen"], &file).0, Some(0));
    world.look_again.notify_one();
    eventually(async || judged(&world, &old, &published(&world).await, Algorithm::ES256).is_err())
        .await;
    // At once, though the one before would be valid for half a minute more.
    assert_eq!(ada.open("/reports").await.status, 200);
    assert_ne!(assertion(&world), old);
    verified(&world, &assertion(&world)).await;
    world.stop().await;
}

#[tokio::test]
async fn env_04_keys_that_cannot_be_used_change_nothing() {
    let (world, folder, file) = with_keys_in_a_file().await;
    let mut ada = world.treasurer().await;
    let before = published(&world).await;
    let right = std::fs::read_to_string(&file).unwrap();
    let ed25519 = folder.at("other.pem");
    assert_eq!(keys(&["generate", "--algorithm", "EdDSA"], &ed25519).0, Some(0));
    let ed25519 = std::fs::read_to_string(&ed25519).unwrap();
    let cut = right.get(..right.len() - 40).unwrap();
    for broken in ["", "canary", cut, &format!("{right}{right}"), &ed25519] {
        folder.write("keys.pem", broken);
        world.look_again.notify_one();
        eventually(async || world.readyz().await.1.contains("signing keys: 2 in force, which"))
            .await;
        let (status, words) = world.readyz().await;
        assert!(status == 200 && !words.contains("canary"), "{words}");
        assert_eq!(world.metric("anteport_signing_keys_faulty").await, 1.0);
        assert_eq!(published(&world).await, before);
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(ada.open("/reports").await.status, 200);
        verified(&world, &assertion(&world)).await;
        folder.write("keys.pem", &right);
        world.look_again.notify_one();
        eventually(async || world.readyz().await.1.contains("signing keys: 2 in force\n")).await;
        assert_eq!(world.metric("anteport_signing_keys_faulty").await, 0.0);
    }
    world.stop().await;
}
