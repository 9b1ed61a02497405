//! `keys` and `verify-header`, as an operator uses them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use anteport::clock::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use folder::Folder;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

#[path = "kit/folder.rs"]
mod folder;

impl Folder {
    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn anteport(arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_anteport"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read it has ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn keys(verb: &str, file: &Path, more: &[&str]) -> Said {
    let said = anteport(&[&["keys", verb, "--file", file.to_str().unwrap()], more].concat(), "");
    assert!(!(said.out.clone() + &said.err).contains("-----BEGIN"), "no key is printed");
    said
}

/// The ids of the keys in a file, in their order.
fn ids(file: &Path) -> Vec<String> {
    let said = keys("jwks", file, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let set: Value = serde_json::from_str(&said.out).unwrap();
    let keys = set["keys"].as_array().unwrap();
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{key}");
        }
        assert_eq!(key["use"], "sig");
    }
    keys.iter().map(|key| format!("{} {}", key["alg"].as_str().unwrap(), key["kid"])).collect()
}

/// The moment so long ago, as a file of keys says it.
fn before(seconds: u64) -> String {
    Clock::system().now().before(Duration::from_secs(seconds)).to_utc_date_time()
}

/// The file says that it was written so long ago, and its file system does.
fn written_before(file: &Path, seconds: u64) {
    says_written_before(file, seconds);
    stamped_before(file, seconds);
}

/// The file alone says so.
fn says_written_before(file: &Path, seconds: u64) {
    let text = fs::read_to_string(file).unwrap();
    let keys = &text[text.find("-----BEGIN").unwrap_or(0)..];
    fs::write(file, format!("Written: {}\n{keys}", before(seconds))).unwrap();
}

/// Its file system alone does.
fn stamped_before(file: &Path, seconds: u64) {
    let then = Clock::system().now().before(Duration::from_secs(seconds)).unix_millis();
    let then = UNIX_EPOCH + Duration::from_millis(then.unsigned_abs());
    File::options().append(true).open(file).unwrap().set_modified(then).unwrap();
}

/// Its file system says that it is yet to come.
fn stamped_ahead(file: &Path, seconds: u64) {
    let then = Clock::system().now().after(Duration::from_secs(seconds)).unix_millis();
    let then = UNIX_EPOCH + Duration::from_millis(then.unsigned_abs());
    File::options().append(true).open(file).unwrap().set_modified(then).unwrap();
}

#[test]
fn a_file_of_keys_is_made_once_and_is_its_owners_alone() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    let said = keys("generate", &file, &[]);
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 3), "{}", said.err);
    assert!(said.out.contains("has 2 keys; name it in `signing.keys`"), "{}", said.out);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ids(&file).len(), 2);
    let before = fs::read(&file).unwrap();
    let said = keys("generate", &file, &[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("is there already: `keys rotate` exchanges its keys"),
        "{}",
        said.err
    );
    assert_eq!(fs::read(&file).unwrap(), before, "nothing is lost");
    assert_eq!(keys("generate", &folder.at("a"), &["--algorithm", "HS256"]).code, Some(2));
    assert_eq!(keys("generate", &folder.at("no/such/folder"), &[]).code, Some(1));
    assert_eq!(folder.names(), ["keys.pem"]);
}

/// ENV-04: what signs was published before, and stays so after.
#[test]
fn env_04_each_key_is_known_before_it_signs_and_after() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    let algorithms = ["--algorithm", "ES256", "--algorithm", "EdDSA", "--algorithm", "RS256"];
    assert_eq!(keys("generate", &file, &algorithms).code, Some(0));
    for _ in 0..3 {
        let before = ids(&file);
        written_before(&file, 601);
        let said = keys("rotate", &file, &[]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let after = ids(&file);
        assert_eq!(after.len(), 9);
        for algorithm in ["ES256", "EdDSA", "RS256"] {
            let of = |ids: &[String]| -> Vec<String> {
                ids.iter().filter(|id| id.starts_with(algorithm)).cloned().collect()
            };
            let (before, after) = (of(&before), of(&after));
            assert_eq!(after[0], before[1], "the next one signs");
            assert_eq!(after[2], before[0], "what signed is still known");
            assert!(!before.contains(&after[1]), "and there is a new next one");
        }
    }
}

#[test]
fn env_04_a_rotation_that_comes_too_early_is_none() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    keys("generate", &file, &[]);
    let said = keys("rotate", &file, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("portals may not know its next key before 600 s"), "{}", said.err);
    written_before(&file, 3600);
    let before = fs::read(&file).unwrap();
    let said = keys("rotate", &file, &["--older-than", "30d"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("nothing is to be done yet"), "{}", said.out);
    let said = keys("rotate", &file, &["--older-than", "30"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("a time with its unit, such as `30d`"), "{}", said.err);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(keys("rotate", &file, &["--older-than", "59m"]).code, Some(0));
    assert_ne!(fs::read(&file).unwrap(), before);
    // Of several at once, one.
    written_before(&file, 3600);
    let at_once = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| keys("rotate", &file, &[]).code)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|code| *code == Some(0)).count()
    });
    assert_eq!((at_once, ids(&file).len()), (1, 3));
    assert_eq!(folder.names(), ["keys.pem"], "and nothing is left over");
}

/// ENV-04: a copy, a restored one or one of a Kubernetes Secret is as old as what is in it.
#[test]
fn env_04_how_old_keys_are_goes_with_them() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    keys("generate", &file, &[]);
    // The file system says that it is old, and the portals do not know the next key yet.
    stamped_before(&file, 40 * 86_400);
    assert_eq!(keys("rotate", &file, &[]).code, Some(1));
    let said = keys("rotate", &file, &["--older-than", "30d"]);
    assert!(said.out.contains("nothing is to be done yet"), "{}", said.out);
    // A copy that was made just now, of keys that are old.
    written_before(&file, 40 * 86_400);
    let copy = folder.at("copy.pem");
    fs::copy(&file, &copy).unwrap();
    stamped_before(&copy, 0);
    let said = keys("rotate", &copy, &["--older-than", "50d"]);
    assert!(said.out.contains("nothing is to be done yet"), "{}", said.out);
    // Its next key could be seen by nobody before.
    for more in [&[][..], &["--older-than", "30d"]] {
        let said = keys("rotate", &copy, more);
        assert_eq!(said.code, Some(1), "{}", said.out);
        let says = "portals may not know its next key before 600 s";
        assert!(said.err.contains(says), "{}", said.err);
    }
    stamped_before(&copy, 601);
    assert_eq!(keys("rotate", &copy, &["--older-than", "30d"]).code, Some(0));
    let text = fs::read_to_string(&copy).unwrap();
    assert!(text.starts_with("Written: 20") && text.matches("Written").count() == 1, "{text}");
    // It is PEM still, for whoever else reads it.
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(["pkey", "-noout", "-text", "-in", copy.to_str().unwrap()]);
    assert!(openssl.output().unwrap().status.success());
    // Whoever made the file by other means did not say when: then its own time counts.
    let bare = &text[text.find("-----BEGIN").unwrap()..];
    fs::write(&copy, bare).unwrap();
    assert_eq!(keys("rotate", &copy, &[]).code, Some(1));
    stamped_before(&copy, 601);
    assert_eq!(keys("rotate", &copy, &[]).code, Some(0));
    // What nobody can have meant is said, and not waited for. The keys sign all the same.
    for (line, says) in [
        ("Written: yesterday".to_owned(), "is no moment such as 2027-01-15T08:00:00Z"),
        ("Written:".to_owned() + " ", "is no moment such as"),
        (format!("Written: {}\nWritten: {}", before(9), before(99)), "or is there twice"),
        ("Written: 2999-01-01T00:00:00Z".to_owned(), "is yet to come"),
    ] {
        fs::write(&copy, format!("{line}\n{bare}")).unwrap();
        for more in [&[][..], &["--older-than", "1h"]] {
            let said = keys("rotate", &copy, more);
            assert!(said.code == Some(1) && said.err.contains(says), "{line}: {}", said.err);
        }
        assert_eq!(ids(&copy).len(), 3);
        assert_eq!(keys("rotate", &copy, &["--stolen"]).code, Some(0), "that is never too early");
    }
    // A line that is there is set right, and a file without one is touched.
    for (line, advised, other) in [
        ("Written: 2999-01-01T00:00:00Z\n".to_owned(), "or the line", "`touch`"),
        (String::new(), "`touch`", "Written"),
        (format!("Written: {}\n", before(3600)), "`touch`", "Written"),
    ] {
        fs::write(&copy, format!("{line}{bare}")).unwrap();
        stamped_ahead(&copy, 3600);
        let said = keys("rotate", &copy, &["--older-than", "1h"]);
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(advised) && !said.err.contains(other), "{line}: {}", said.err);
    }
}

#[test]
fn a_secret_is_printed_for_its_portal_when_it_is_asked_for() {
    let folder = Folder::new();
    let file = folder.at("portal_secret");
    let secret = |text: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        anteport(&["keys", "jwks", "--secret", file.to_str().unwrap()], "")
    };
    let said = secret("c2VjcmV0LW9mLWEtcG9ydGFsLTAxMjM0NTY3ODkwMTI=\n");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let set: Value = serde_json::from_str(&said.out).unwrap();
    let key = &set["keys"][0];
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    assert_eq!((&key["kty"], &key["alg"]), (&json!("oct"), &json!("HS256")));
    assert_eq!(key["k"], "c2VjcmV0LW9mLWEtcG9ydGFsLTAxMjM0NTY3ODkwMTI");
    assert_eq!(key["kid"].as_str().unwrap().len(), 16);
    for text in ["", "c2hvcnQ=", "not base64, whatever its length may be, is no secret"] {
        let said = secret(text);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{text}");
        assert!(said.err.contains("is no secret of 32 bytes or more in base64"), "{}", said.err);
        assert!(text.is_empty() || !said.err.contains(text));
    }
    // One or the other.
    assert_eq!(anteport(&["keys", "jwks"], "").code, Some(2));
    let both = ["keys", "jwks", "--file", "a", "--secret", "b"];
    assert_eq!(anteport(&both, "").code, Some(2));
}

#[test]
fn stolen_keys_are_gone_at_once() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    keys("generate", &file, &["--algorithm", "EdDSA"]);
    let before = ids(&file);
    assert_eq!(keys("rotate", &file, &["--stolen"]).code, Some(0));
    let after = ids(&file);
    assert!(after.len() == 2 && !after.iter().any(|id| before.contains(id)), "{after:?}");
}

#[test]
fn a_link_stays_one_and_a_file_its_owners() {
    let folder = Folder::new();
    let (file, link) = (folder.at("keys.pem"), folder.at("link.pem"));
    keys("generate", &file, &[]);
    fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
    // Only root may give a file away; anybody else has it already.
    let owner = if fs::metadata(&file).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).unwrap();
        (65_534, 65_534)
    } else {
        let metadata = fs::metadata(&file).unwrap();
        (metadata.uid(), metadata.gid())
    };
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    written_before(&file, 601);
    symlink("keys.pem", &link).unwrap();
    let said = keys("rotate", &link, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), owner);
    assert_eq!(metadata.mode() & 0o777, 0o640);
}

#[test]
fn what_is_no_file_of_keys_is_said_and_left_alone() {
    let folder = Folder::new();
    let file = folder.at("keys.pem");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let old = openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    let p384 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    for (text, says) in [
        ("", "there is no `PRIVATE KEY` in it"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "it is not PEM with private keys"),
        (&old, "openssl pkcs8 -topk8 -nocrypt"),
        (&p384, "none of P-256, Ed25519, and RSA"),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        stamped_before(&file, 601);
        for verb in ["rotate", "jwks"] {
            let said = keys(verb, &file, &[]);
            assert_eq!(said.code, Some(1), "{text}");
            assert!(said.err.contains(says), "{says}: {}", said.err);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    // What others wrote is used: a key of OpenSSL's, of each algorithm.
    for arguments in [
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["genpkey", "-algorithm", "ED25519"],
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        fs::write(&file, openssl(arguments)).unwrap();
        assert_eq!(ids(&file).len(), 1, "{arguments:?}");
    }
}

const MORNING: i64 = 1_800_000_000;

struct Captured {
    folder: Folder,
}

impl Captured {
    fn new(assertion: &str) -> Self {
        let folder = Folder::new();
        keys("generate", &folder.at("keys.pem"), &[]);
        let config = format!(
            r#"
listen: {{ address: "127.0.0.1:8443" }}
providers:
  corporate:
    kind: entra_id
    tenant: harborclub.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [{{ secret: {{ value: canary-of-a-secret }} }}]
signing: {{ keys: [{{ file: keys.pem }}] }}
portals:
  - public_url: http://127.0.0.1:8443
    upstream: {{ url: "http://127.0.0.1:3000" }}
    local_login: {{}}
    identity: {{ assertion: {assertion} }}
"#
        );
        folder.write("config.yaml", &config);
        Self { folder }
    }

    fn claims() -> Value {
        json!({
            "iss": "http://127.0.0.1:8443", "aud": "http://127.0.0.1:8443", "sub": "t.ada",
            "sid": "s", "iat": MORNING, "exp": MORNING + 60, "name": "Ada\u{202e}\u{1b}[31m",
        })
    }

    fn signed(&self, claims: &Value, header: impl FnOnce(&mut Header)) -> String {
        let pem = fs::read_to_string(self.folder.at("keys.pem")).unwrap();
        let first = pem.split_inclusive("-----END PRIVATE KEY-----\n").next().unwrap();
        let mut head = Header::new(Algorithm::ES256);
        let id = ids(&self.folder.at("keys.pem"))[0].clone();
        head.kid = Some(id.trim_start_matches("ES256 ").trim_matches('"').to_owned());
        header(&mut head);
        encode(&head, claims, &EncodingKey::from_ec_pem(first.as_bytes()).unwrap()).unwrap()
    }

    fn verify(&self, input: &str, more: &[&str]) -> Said {
        let config = self.folder.at("config.yaml");
        let arguments = ["verify-header", "--config", config.to_str().unwrap()];
        anteport(&[&arguments, more].concat(), input)
    }
}

const AT: [&str; 2] = ["--at", "2027-01-15T08:00:20Z"];

#[test]
fn a_captured_assertion_is_explained() {
    let captured = Captured::new("{}");
    let jwt = captured.signed(&Captured::claims(), |_| {});
    for input in [
        jwt.clone(),
        format!("\n{jwt}\r\n"),
        format!("> GET / HTTP/1.1\n> Host: a\n> x-anteport-assertion: {jwt}\n>\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Anteport-Assertion:{jwt}\r\n\r\n"),
    ] {
        let said = captured.verify(&input, &AT);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        let lines: Vec<&str> = said.out.lines().collect();
        for line in [
            "  iat 1800000000  2027-01-15T08:00:00Z",
            "  sub \"t.ada\"",
            "✓ algorithm: ES256",
            "✓ signature: it fits",
            "✓ audience: http://127.0.0.1:8443",
            "✓ time: it is valid for 40 s more",
        ] {
            assert!(lines.contains(&line), "{line}: {}", said.out);
        }
        assert!(!said.out.contains(&jwt) && !said.out.contains('\u{1b}'), "{}", said.out);
        assert!(!said.out.contains('\u{202e}'), "{}", said.out);
    }
    // By what a running Anteport has published.
    let jwks = captured.folder.at("jwks.json");
    fs::write(&jwks, keys("jwks", &captured.folder.at("keys.pem"), &[]).out).unwrap();
    let said = captured.verify(&jwt, &[&AT[..], &["--jwks", jwks.to_str().unwrap()]].concat());
    assert_eq!(said.code, Some(0), "{}", said.out);
}

#[test]
fn what_does_not_hold_is_said() {
    let captured = Captured::new("{}");
    let good = captured.signed(&Captured::claims(), |_| {});
    let with = |name: &str, value: Value| {
        let mut claims = Captured::claims();
        claims[name] = value;
        captured.signed(&claims, |_| {})
    };
    let without = |name: &str| {
        let mut claims = Captured::claims();
        claims.as_object_mut().unwrap().remove(name);
        captured.signed(&claims, |_| {})
    };
    let mut changed = good.clone().into_bytes();
    let middle = good.find('.').unwrap() + 30;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let none = good.replacen(good.split('.').next().unwrap(), "eyJhbGciOiJub25lIn0", 1);
    for (jwt, says) in [
        (good[..good.len() / 2].to_owned(), "✗ form: "),
        (String::from_utf8(changed).unwrap(), "✗ "),
        (none, "✗ algorithm: its header names \"none\", and for this portal it has to be `ES256`"),
        (
            captured.signed(&Captured::claims(), |head| head.kid = None),
            "✗ key: its header names none",
        ),
        (
            captured.signed(&Captured::claims(), |head| head.kid = Some("other".to_owned())),
            "✗ key: none of the 2 that are known is \"other\"",
        ),
        (with("iss", json!("http://elsewhere")), "✗ issuer: it is from \"http://elsewhere\""),
        (with("aud", json!(["http://127.0.0.1:8443"])), "✗ audience: it is for ["),
        (without("aud"), "✗ audience: it names none"),
        (without("sub"), "✗ subject: there is no `sub`"),
        (with("exp", json!("soon")), "✗ time: there is no `exp` in seconds since 1970"),
        (with("exp", json!(MORNING - 10)), "✗ time: it expired 30 s ago; ask with"),
        (with("exp", json!(MORNING + 321)), "✗ time: it is valid for 301 s more, and no"),
        (with("exp", json!(null)), "✗ time: there is no `exp`"),
        (with("iat", json!(MORNING + 90)), "✗ time: it is from 70 s ahead"),
        (with("nbf", json!(MORNING + 51)), "✗ time: it is from 31 s ahead"),
        (with("nbf", json!(null)), "✗ time: there is no `nbf`"),
        (with("note", json!("n".repeat(9000))), "✗ size: it has "),
    ] {
        let said = captured.verify(&jwt, &AT);
        assert_eq!(said.code, Some(1), "{says}");
        assert!(said.out.contains(says), "{says}\n{}", said.out);
    }
    // A verifier allows for a clock that differs, and so does this.
    for (jwt, says) in [
        (with("exp", json!(MORNING - 9)), "✓ time: it expired 29 s ago, which is within the 30 s"),
        (with("iat", json!(MORNING + 50)), "✓ time: it is valid for 40 s more"),
        (with("exp", json!(MORNING + 320)), "✓ time: it is valid for 300 s more"),
        (with("nbf", json!(MORNING + 50)), "✓ time: it is valid for 40 s more"),
    ] {
        let said = captured.verify(&jwt, &AT);
        assert!(said.code == Some(0) && said.out.contains(says), "{says}\n{}", said.out);
    }
    // A key that is there and is not for this says so.
    let id = ids(&captured.folder.at("keys.pem"))[0].clone();
    let id = id.trim_start_matches("ES256 ").trim_matches('"');
    let jwks = captured.folder.at("odd.json");
    for (key, says) in [
        (json!({ "kty": "RSA", "alg": "RS256", "kid": id }), "is a key for RS256, and for this"),
        (json!({ "kty": "EC", "kid": id }), "is a key for no algorithm that it names"),
        (json!({ "kty": "RSA", "alg": "ES256", "kid": id }), "is no such key: it is `RSA`"),
        (json!(7), "none of the 2 that are known is"),
    ] {
        fs::write(&jwks, json!({ "keys": [key, { "kty": "LATTICE", "kid": 1 }] }).to_string())
            .unwrap();
        let more = [&AT[..], &["--jwks", jwks.to_str().unwrap()]].concat();
        let said = captured.verify(&good, &more);
        assert!(said.code == Some(1) && said.out.contains(says), "{says}\n{}", said.out);
    }
    for (input, more, says) in [
        (String::new(), &[][..], "there is no assertion in it"),
        ("Host: a\nAccept: b\n".to_owned(), &[], "there is no assertion in it"),
        (format!("X-Anteport-Assertion: {good}\nx-anteport-assertion: {good}"), &[], "twice"),
        ("a".repeat(70_000), &[], "larger than 65536 bytes"),
        (good.clone(), &["--at", "noon"], "`--at` is a moment"),
        (good.clone(), &["--portal", "https://other.example"], "no portal of the configuration"),
        (good.clone(), &["--jwks", "/nonexistent"], "cannot read /nonexistent: No such file"),
    ] {
        let said = captured.verify(&input, more);
        assert!(said.code == Some(1) && said.err.contains(says), "{says}: {}", said.err);
    }
}

#[test]
fn a_shared_secret_is_asked_for_and_never_said() {
    let secret = "c2VjcmV0LW9mLWEtcG9ydGFsLTAxMjM0NTY3ODkwMTI=";
    let captured = Captured::new(&format!("{{ algorithm: HS256, secret: {{ value: {secret} }} }}"));
    let key = EncodingKey::from_base64_secret(secret).unwrap();
    let signed = |kid: Option<String>| {
        let header = Header { kid, ..Header::new(Algorithm::HS256) };
        encode(&header, &Captured::claims(), &key).unwrap()
    };
    // As its portal's verifier knows it.
    let file = captured.folder.write("secret", secret);
    let set = anteport(&["keys", "jwks", "--secret", file.to_str().unwrap()], "").out;
    let kid = serde_json::from_str::<Value>(&set).unwrap()["keys"][0]["kid"].clone();
    let jwt = signed(Some(kid.as_str().unwrap().to_owned()));
    let jwks = captured.folder.at("portal_keys.json");
    fs::write(&jwks, set).unwrap();
    for more in [&[][..], &["--jwks", jwks.to_str().unwrap()]] {
        let said = captured.verify(&jwt, &[&AT[..], more].concat());
        assert_eq!(said.code, Some(0), "{}", said.out);
        assert!(said.out.contains("the secret that the portal has too"), "{}", said.out);
        assert!(!(said.out + &said.err).contains(secret.trim_end_matches('=')));
    }
    assert!(captured.verify(&signed(None), &AT).out.contains("✗ key: its header names none"));
    // Somebody who took the published keys for the secret.
    let es256 = captured.signed(&Captured::claims(), |_| {});
    let said = captured.verify(&es256, &AT);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("✗ algorithm: its header names \"ES256\""), "{}", said.out);
}

/// ENV-06: it says of each vector what the verifiers have to say.
#[test]
fn env_06_a_captured_assertion_is_judged_as_the_verifiers_judge_it() {
    let vectors = fs::read_to_string("deploy/verify/vectors.json").unwrap();
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let secret = vectors["keys"].as_array().unwrap().iter().find(|key| key["kty"] == "oct");
    let bytes = URL_SAFE_NO_PAD.decode(text(&secret.unwrap()["k"])).unwrap();
    let secret = format!("secret: {{ value: {} }}", STANDARD.encode(bytes));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(vectors["now"], MORNING);
    let mut judged = 0;
    for algorithm in ["ES256", "EdDSA", "RS256", "HS256"] {
        let secret = if algorithm == "HS256" { &secret } else { "" };
        let audience = text(&vectors["audience"]);
        let captured =
            Captured::new(&format!("{{ algorithm: {algorithm}, audience: {audience}, {secret} }}"));
        let config = captured.folder.at("config.yaml");
        let own = fs::read_to_string(&config).unwrap();
        let issuer = format!("public_url: {}", text(&vectors["issuer"]));
        let every = ["ES256", "EdDSA", "RS256"].map(|one| ["--algorithm", one]).concat();
        fs::remove_file(captured.folder.at("keys.pem")).unwrap();
        keys("generate", &captured.folder.at("keys.pem"), &every);
        fs::write(&config, own.replace("public_url: http://127.0.0.1:8443", &issuer)).unwrap();
        let jwks = captured.folder.at("jwks.json");
        fs::write(&jwks, json!({ "keys": vectors["keys"] }).to_string()).unwrap();
        let more = ["--at", "2027-01-15T08:00:00Z", "--jwks", jwks.to_str().unwrap()];
        for case in cases.iter().filter(|case| case["algorithm"] == algorithm) {
            let lines = case["headers"].as_array().unwrap().iter();
            let head: String =
                lines.map(|line| format!("{}: {}\n", text(&line[0]), text(&line[1]))).collect();
            let said = captured.verify(&head, &more);
            let wanted = if case["expect"] == "refused" { 1 } else { 0 };
            assert_eq!(said.code, Some(wanted), "{}: {}{}", case["name"], said.out, said.err);
            judged += 1;
        }
    }
    assert_eq!(judged, cases.len());
}
