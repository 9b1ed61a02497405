//! The configuration: what an operator is told, what the program gets, and the verbs that read one.
//! `fixtures/config/*.yaml` are configurations, and `*.expected` beside them every line that is
//! said about them; `ANTEPORT_WRITE_EXPECTED=1` writes those anew, to be read in the diff.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it looks for is to fail"
)]

#[path = "kit/folder.rs"]
mod folder;
#[path = "config/mapping.rs"]
mod mapping;
#[path = "config/members.rs"]
mod members;
#[path = "config/sessions.rs"]
mod sessions;
#[path = "config/show.rs"]
mod show;
#[path = "config/signing.rs"]
mod signing;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anteport::config::{
    self, Config, Loaded, Problems, Proof, Protocol, Provider, ProviderKind, Severity, Shutdown,
    SignedBy, Sink, Tenant, Tenants,
};
use anteport::gate::identity::OwnedNames;
use anteport::gate::{Access, Mode, Timestamp};
use anteport::signing_key::SigningAlgorithm;
use folder::Folder;
use proptest::prelude::*;

/// 2026-11-21, noon.
const NOON: Timestamp = Timestamp::from_unix_seconds(1_795_262_400);

/// What stands in the environment of every test.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "CLIENT_SECRET" | "ANTEPORT_CLIENT_SECRET" => CANARY,
        "FROM_ENVIRONMENT" | "REDIS_PASSWORD" => CANARY,
        "SESSION_KEY" | "SESSION_KEY_AGAIN" => SESSION_KEY,
        "SESSION_KEY_OLD" => SESSION_KEY_OLD,
        "WEBHOOK_SECRET" => "whsec_Y2FuYXJ5LVdFQkhPT0sta2V5LTAxMjM0NTY3ODkwMTI=",
        "BLANK_SECRET" => "canary with blanks",
        "SIGNING_KEYS" => SIGNING_KEYS,
        "EMPTY" => "",
        "PALE" => "#ffee00",
        _ => return None,
    };
    Some(value.to_owned())
}

/// What must never be seen.
const CANARY: &str = "canary-8Q~gW2";

/// 32 bytes each.
const SESSION_KEY: &str = "Y2FuYXJ5LVNFU1NJT04ta2V5LTAxMjM0NTY3ODkwMTI=";
const SESSION_KEY_OLD: &str = "Y2FuYXJ5LVNFU1NJT04tb2xkLTAxMjM0NTY3ODkwMTI=";

/// One of P-256.
const SIGNING_KEYS: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3laTlOqaBMH/5gZp\n\
    5Ej9pOelg4XgRw+otDE5yKMaQeihRANCAAQEpMxYfqAo/abHhNgQaNDH5si6Mfwb\n\
    vVbJcv4vo7JCPtG6sB4aWhR9tFM6nfuLlOjau5XHh4BaL/gO/H2j6gEG\n\
    -----END PRIVATE KEY-----\n";

fn client_secret(provider: &Provider) -> &str {
    match &provider.credentials[0].proof {
        Proof::Secret { value, .. } => value.expose(),
        other => panic!("{other:?}"),
    }
}

fn parse(text: &str) -> Result<Loaded, Problems> {
    config::parse("config.yaml", text, &environment, NOON)
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn said(answer: &Result<Loaded, Problems>) -> String {
    match answer {
        Ok(loaded) => loaded
            .warnings
            .iter()
            .map(|warning| format!("{}: {warning}\n", warning.severity()))
            .collect(),
        Err(problems) => format!("{problems}\n"),
    }
}

/// CFG-01, HDR-08: see the fixtures.
#[test]
fn every_problem_of_a_fixture_is_said_with_its_place() {
    let mut differing = Vec::new();
    for path in fixtures() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = said(&config::parse(name, &text, &environment, NOON));
        let expected = path.with_extension("expected");
        if std::env::var_os("ANTEPORT_WRITE_EXPECTED").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if said != expected {
            differing.push(format!("{name}\n--- expected\n{expected}--- said\n{said}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Whoever comes from another gate is sent to keys that there are.
#[test]
fn every_key_of_the_page_for_newcomers_is_in_the_example() {
    let example = include_str!("../config.example.yaml");
    let page = include_str!("../docs/coming-from.md");
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for text in last.split('`').skip(1).step_by(2) {
            let path = text.split(':').next().unwrap();
            let key = path.rsplit('.').next().unwrap();
            let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_key && key != "aad" && key != "post_logout_redirect_uri" {
                named += 1;
                assert!(example.contains(&format!("{key}:")), "{text} in {row}");
            }
        }
    }
    assert!(named > 30, "{named}");
}

#[test]
fn the_example_can_be_used_as_it_is() {
    let text = include_str!("../config.example.yaml");
    let loaded = config::parse("config.example.yaml", text, &environment, NOON).unwrap();
    assert_eq!(loaded.warnings, []);
    let portal = &loaded.config.portals[0];
    assert_eq!(portal.sign_in.button_label, "Sign in with Corporate Account");
    assert_eq!(portal.identity.headers.len(), 3);
    assert_eq!(loaded.config.listen.address, "0.0.0.0:8443".parse().unwrap());
}

/// What is commented out in the example must be right as well.
#[test]
fn what_the_example_comments_out_is_known() {
    let text = include_str!("../config.example.yaml");
    let mut uncommented = String::new();
    for line in text.lines() {
        let key = [
            "tls:",
            "  certificate:",
            "  key:",
            "expires:",
            "- secret:",
            "- certificate:",
            "- federated:",
            "- managed_identity:",
            "ca:",
            "audience:",
            "X-Auth-",
            "tokens:",
            "  ca:",
            "  server_name:",
            "resend_forms:",
            "health_check:",
            "  path:",
            "  interval:",
            "  timeout:",
            "  healthy_after:",
            "  unhealthy_after:",
            "keys:",
            "  - file:",
            "snapshot:",
            "redis:",
            "  mode:",
            "  servers:",
            "  tls:",
            "  username:",
            "  password:",
            "  database:",
            "  prefix:",
            "  grace:",
            "access_to:",
            "audit_to:",
            "traces:",
            "  endpoint:",
            "  headers:",
            "  sample:",
            "  service:",
        ];
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let content = bare.strip_prefix("# ").unwrap_or_default();
        let is_key = key.iter().any(|key| content.starts_with(key));
        uncommented.push_str(&if is_key { format!("{indent}{content}") } else { line.to_owned() });
        uncommented.push('\n');
    }
    let said = said(&config::parse("config.example.yaml", &uncommented, &environment, NOON));
    assert!(!said.contains("unknown key"), "{said}");
    assert!(said.contains("listen.tls.certificate: cannot read"), "{said}");
    assert!(said.contains("sessions.keys[1].file: cannot read"), "{said}");
    assert!(said.contains("sessions.redis.tls.ca[0]: cannot read"), "{said}");
    assert!(said.contains("credentials[2].secret.value"), "{said}");
}

const MINIMAL: &str = include_str!("fixtures/config/minimal.yaml");

#[test]
fn forms_are_kept_where_the_file_says_so_and_sessions_are_asked_for() {
    for (lines, kept, is_warned) in [
        ("", None, false),
        ("    sign_in: { resend_forms: 64KiB }\n", Some(64 << 10), false),
        ("    sign_in: { resend_forms: 1MiB }\n", Some(1 << 20), false),
        ("    sign_in: { resend_forms: 64KiB }\n    mode: optional\n", None, true),
        ("    sign_in: { resend_forms: 64KiB }\n    mode: \"off\"\n", None, true),
    ] {
        let loaded =
            config::parse("minimal.yaml", &format!("{MINIMAL}{lines}"), &environment, NOON);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.config.portals[0].policy.resend_forms, kept, "{lines}");
        let warned = loaded.warnings.iter().map(ToString::to_string).collect::<String>();
        assert_eq!(warned.contains("resend_forms: no form is kept"), is_warned, "{warned}");
    }
}

#[test]
fn requests_are_signed_where_the_file_says_so() {
    for (lines, expected) in [
        ("", None),
        ("none", None),
        ("{}", Some((Some(SigningAlgorithm::EdDsa), 60))),
        ("{ algorithm: rsa-v1_5-sha256, lifetime: 5s }", Some((Some(SigningAlgorithm::Rs256), 5))),
        ("{ algorithm: ecdsa-p256-sha256 }", Some((Some(SigningAlgorithm::Es256), 60))),
        ("{ algorithm: hmac-sha256, secret: { env: SESSION_KEY } }", Some((None, 60))),
    ] {
        let lines = match lines {
            "" => String::new(),
            lines => format!("    identity: {{ signature: {lines} }}\n"),
        };
        let loaded = parse(&format!("{MINIMAL}{lines}")).unwrap_or_else(|p| panic!("{p}"));
        assert!(!format!("{loaded:?}").contains("canary"), "{lines}");
        let signature = loaded.config.portals[0].identity.signature.as_ref();
        let found = signature.map(|signature| {
            let by_key = match &signature.signed_by {
                SignedBy::Key(algorithm) => Some(*algorithm),
                SignedBy::Secret(_) => None,
            };
            (by_key, signature.lifetime.as_secs())
        });
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn what_is_left_out_has_the_documented_defaults() {
    let Config {
        listen,
        admin,
        providers,
        portals,
        sessions,
        logging,
        signing,
        verify,
        watches_files,
        traces,
        fingerprint,
        shutdown,
    } = parse(MINIMAL).unwrap().config;
    assert!(listen.tls.is_none());
    assert_eq!(admin, "127.0.0.1:9090".parse().unwrap());
    assert!(signing.is_empty() && verify.is_none() && watches_files);
    assert!(traces.is_none());
    assert_eq!(fingerprint.len(), 8);
    let other = parse(&format!("{MINIMAL}# another\n")).unwrap().config.fingerprint;
    assert_ne!(fingerprint, other);

    let provider = &providers[0];
    assert_eq!(&*provider.name, "corporate");
    let ProviderKind::EntraId(entra) = &provider.kind else { panic!("{:?}", provider.kind) };
    assert_eq!(entra.login.as_str(), "https://login.microsoftonline.com/");
    assert_eq!(entra.tenants, Tenants::One(Tenant::Domain("harborclub.example".to_owned())));
    assert!(!entra.guests && provider.label.is_none());
    assert_eq!(client_secret(provider), CANARY);
    assert_eq!(provider.scopes, ["openid", "profile", "email", "offline_access"]);
    assert_eq!(provider.clock_skew, Duration::from_secs(60));
    assert!(provider.trusted.is_none());

    let portal = &portals[0];
    assert_eq!(&*portal.policy.host, "members.example.org");
    assert!(portal.policy.secure);
    assert_eq!(portal.policy.mode, Mode::AzureOnly);
    assert_eq!(portal.policy.own.as_str(), "/.auth");
    assert_eq!(portal.policy.routes.len(), 1);
    assert_eq!(portal.policy.routes[0].path.as_str(), "/**");
    assert_eq!(portal.policy.routes[0].access, Access::SIGNED_IN);
    let upstream = &portal.upstream;
    assert_eq!(
        upstream.servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.1:3000"]
    );
    assert_eq!(upstream.protocol, Protocol::Http1);
    assert!(upstream.tls.is_none() && upstream.health_check.is_none());
    assert_eq!(upstream.idle_timeout, Duration::from_secs(5 * 60));
    assert_eq!(upstream.max_requests, 1024);
    assert_eq!(portal.upstream.connect_timeout, Duration::from_secs(2));
    assert_eq!(portal.upstream.response_timeout, Duration::from_secs(30));
    assert_eq!(portal.sign_in.providers, [0]);
    assert!(portal.identity.headers.is_empty());
    let assertion = portal.identity.assertion.as_ref().unwrap();
    assert_eq!(assertion.audience, "https://members.example.org");
    assert_eq!(assertion.lifetime, Duration::from_secs(60));
    assert!(portal.identity.signature.is_none());
    assert!(portal.logout.federated);

    assert_eq!(sessions.lifetimes.idle, Duration::from_secs(30 * 60));
    assert_eq!(sessions.lifetimes.absolute, Duration::from_secs(12 * 60 * 60));
    assert_eq!(sessions.capacity, 1_000_000);
    assert_eq!(logging.level, tracing::Level::INFO);
    assert!(logging.access);
    for sink in [logging.to, logging.access_to, logging.audit_to] {
        assert_eq!(sink, Sink::Stderr);
    }
    let (delay, ten) = (Duration::ZERO, Duration::from_secs(10));
    assert_eq!(shutdown, Shutdown { delay, drain: ten, websockets: ten });
}

#[test]
fn without_routes_the_mode_says_what_is_public() {
    for (mode, access) in
        [("azure_only", Access::SIGNED_IN), ("optional", Access::Public), ("off", Access::Public)]
    {
        let config = parse(&format!("{MINIMAL}    mode: {mode}\n")).unwrap().config;
        assert_eq!(config.portals[0].policy.routes[0].access, access, "{mode}");
    }
}

#[test]
fn the_assertion_can_be_turned_off_by_its_word_alone() {
    let config = parse(&format!("{MINIMAL}    identity: {{ assertion: none }}\n")).unwrap().config;
    assert!(config.portals[0].identity.assertion.is_none());
    assert!(parse(&format!("{MINIMAL}    identity: {{ assertion: off }}\n")).is_err());
}

#[test]
fn a_portal_on_another_port_is_known_by_host_and_port() {
    let text = MINIMAL.replace("https://members.example.org", "https://Members.example.org:8443/");
    let config = parse(&text).unwrap().config;
    let portal = &config.portals[0];
    assert_eq!(&*portal.policy.host, "members.example.org:8443");
    let assertion = portal.identity.assertion.as_ref().unwrap();
    assert_eq!(assertion.audience, "https://members.example.org:8443");
}

#[test]
fn guids_are_read_in_lower_case() {
    let text = include_str!("fixtures/config/unused_provider.yaml");
    let config = parse(text).unwrap().config;
    let tenant = Tenant::Id("3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11".to_owned());
    let ProviderKind::EntraId(entra) = &config.providers[1].kind else { panic!() };
    assert_eq!(entra.tenants, Tenants::One(tenant));
    assert_eq!(config.providers[1].client_id, "0d9c2b1e-0c2f-47d8-b3e5-8f6a1d7c9b20");
}

#[test]
fn an_upstream_at_an_ipv6_address_has_no_brackets() {
    let text = MINIMAL.replace("http://127.0.0.1:3000", "http://[::1]");
    let upstream = &parse(&text).unwrap().config.portals[0].upstream;
    assert_eq!(upstream.servers[0].to_string(), "[::1]:80");
}

#[test]
fn dollar_brace_is_filled_in_and_can_be_escaped() {
    for (written, holds) in [
        ("${FROM_ENVIRONMENT}", CANARY),
        ("<${FROM_ENVIRONMENT:-x}>", "<canary-8Q~gW2>"),
        ("${NOT_SET:-default}", "default"),
        ("${NOT_SET:-}!", "!"),
        ("${EMPTY:-default}", "default"),
        ("$${FROM_ENVIRONMENT}", "${FROM_ENVIRONMENT}"),
        ("$$${FROM_ENVIRONMENT}", "$${FROM_ENVIRONMENT}"),
        ("costs 5$", "costs 5$"),
        ("$HOME", "$HOME"),
    ] {
        let text = format!("{MINIMAL}    sign_in: {{ button_label: '{written}' }}\n");
        let config = parse(&text).unwrap().config;
        assert_eq!(config.portals[0].sign_in.button_label, holds, "{written}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let text = format!("{MINIMAL}# {}", "x".repeat(1024 * 1024));
    assert_eq!(parse(&text).unwrap_err().errors(), 1);
}

#[test]
fn deep_nesting_is_refused_and_not_a_stack_overflow() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(parse(&text).is_err());
    }
}

impl Folder {
    /// Writes a file that these may read.
    fn write_for(&self, mode: u32, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, content);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn parse(&self, text: &str) -> Result<Loaded, Problems> {
        let name = self.at("config.yaml");
        config::parse(name.to_str().unwrap(), text, &environment, NOON)
    }

    /// What is said, without the folder and the portal's missing `local_login`.
    fn said(&self, text: &str) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        let said = said(&self.parse(text)).replace(&folder, "");
        said.lines()
            .filter(|line| !line.contains("`local_login` is missing"))
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn a_secret_file_loses_one_line_break_at_its_end() {
    let folder = Folder::new();
    let text = MINIMAL.replace("{ env: CLIENT_SECRET }", "{ file: secret }");
    for content in ["canary-8Q~gW2", "canary-8Q~gW2\n", "canary-8Q~gW2\r\n"] {
        folder.write("secret", content);
        let config = folder.parse(&text).unwrap().config;
        assert_eq!(client_secret(&config.providers[0]), CANARY);
    }
}

/// CFG-04.
#[test]
fn a_secret_file_that_cannot_be_right_is_refused() {
    let folder = Folder::new();
    let text = MINIMAL.replace("{ env: CLIENT_SECRET }", "{ file: secret }");
    let place = "config.yaml:7:37: providers.corporate.credentials[0].secret.file:";
    assert_eq!(
        folder.said(&text),
        [format!("error: {place} cannot read the secret from `secret`: No such file or directory")]
    );
    for content in ["", "\n", " \n"] {
        folder.write("secret", content);
        assert_eq!(folder.said(&text), [format!("error: {place} the secret is empty")]);
    }
    folder.write("secret", "canary-8Q~gW2\n\n");
    assert!(folder.said(&text)[0].contains("has a line break"));
    fs::write(folder.at("secret"), [0xff, 0xfe]).unwrap();
    assert!(folder.said(&text)[0].ends_with("it is not text (UTF-8)"));
    folder.write_for(0o644, "secret", "canary-8Q~gW2");
    let said = folder.said(&text);
    assert!(said[0].starts_with("warning: ") && said[0].contains("every user"), "{said:?}");
}

const WITH_TLS: &str =
    "listen: { address: \"0.0.0.0:8443\", tls: { certificate: tls.crt, key: tls.key } }\n";

fn with_tls() -> String {
    MINIMAL.replace("listen: { address: \"0.0.0.0:8443\" }\n", WITH_TLS)
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["members.example.org".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_certificate_and_its_key_are_loaded() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    folder.write_for(0o644, "tls.crt", &certificate);
    folder.write("tls.key", &key);
    let config = folder.parse(&with_tls()).unwrap().config;
    assert_eq!(config.listen.tls.unwrap().cert.len(), 1);
}

#[test]
fn a_certificate_for_another_host_is_warned_of() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    folder.write_for(0o644, "tls.crt", &certificate);
    folder.write("tls.key", &key);
    let text = with_tls().replace("members.example.org", "staff.example.org");
    assert_eq!(
        folder.said(&text),
        ["warning: config.yaml:9:17: portals[0].public_url: the certificate of `listen.tls` is \
          not for this host, so browsers will refuse it"]
    );
}

/// CRY-02.
#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    folder.write_for(0o644, "tls.crt", &certificate);
    for (mode, is_usable, says) in [
        (0o600, true, None),
        (0o400, true, None),
        (0o440, true, Some("warning: config.yaml:1:70: listen.tls.key: the group of `tls.key`")),
        (0o640, true, Some("warning: config.yaml:1:70: listen.tls.key: the group of `tls.key`")),
        (0o660, false, Some("error: config.yaml:1:70: listen.tls.key: `tls.key` has mode 0660")),
        (0o604, false, Some("error: config.yaml:1:70: listen.tls.key: `tls.key` has mode 0604")),
        (0o644, false, Some("error: config.yaml:1:70: listen.tls.key: `tls.key` has mode 0644")),
        (0o777, false, Some("error: config.yaml:1:70: listen.tls.key: `tls.key` has mode 0777")),
    ] {
        folder.write_for(mode, "tls.key", &key);
        assert_eq!(folder.parse(&with_tls()).is_ok(), is_usable, "{mode:o}");
        let said = folder.said(&with_tls());
        match says {
            Some(says) => assert!(said[0].starts_with(says), "{mode:o}: {said:?}"),
            None => assert!(said.is_empty(), "{mode:o}: {said:?}"),
        }
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    folder.write_for(0o644, "tls.crt", &certificate().0);
    folder.write("tls.key", &certificate().1);
    assert_eq!(
        folder.said(&with_tls()),
        ["error: config.yaml:1:70: listen.tls.key: the key does not belong to the first \
          certificate of the chain"]
    );
}

#[test]
fn files_without_certificate_or_key_are_refused() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    folder.write_for(0o644, "tls.crt", &key);
    folder.write("tls.key", &certificate);
    assert_eq!(
        folder.said(&with_tls()),
        [
            "error: config.yaml:1:56: listen.tls.certificate: there is no certificate in \
             `tls.crt` (PEM)",
            "error: config.yaml:1:70: listen.tls.key: there is no unencrypted private key in \
             `tls.key` (PEM)",
        ]
    );
    folder.write_for(0o644, "tls.crt", "-----BEGIN CERTIFICATE-----\ncanary");
    assert!(folder.said(&with_tls())[0].ends_with("is not a PEM file: a section has no end"));
}

fn client_certificate(year: i32, month: u8) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.not_after = rcgen::date_time_ymd(year, month, 1);
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// CRY-02.
#[test]
fn a_client_certificate_fits_its_key_which_others_cannot_read() {
    let folder = Folder::new();
    let text = MINIMAL.replace(
        "{ secret: { env: CLIENT_SECRET } }",
        "{ certificate: { file: client.pem, key: { file: client.key } } }",
    );
    let (certificate, key) = client_certificate(2028, 3);
    folder.write_for(0o644, "client.pem", &certificate);
    folder.write("client.key", &key);
    let config = folder.parse(&text).unwrap().config;
    let credential = &config.providers[0].credentials[0];
    assert!(matches!(&credential.proof, Proof::Certificate(_)));
    assert_eq!(credential.expires, Some(Timestamp::from_unix_seconds(1_835_481_600)));
    assert_eq!(folder.said(&text), [""; 0]);

    let place = "providers.corporate.credentials[0].certificate";
    let says = |text: &str, place: &str, message: &str| {
        let said = folder.said(text);
        assert!(said.len() == 1 && said[0].contains(place), "{said:?}");
        assert!(said[0].contains(message), "{said:?}");
    };
    folder.write_for(0o644, "client.key", &key);
    says(&text, &format!("{place}.key.file: `client.key` has mode 0644"), "chmod");
    folder.write("client.key", &client_certificate(2028, 3).1);
    says(&text, &format!("{place}.key.file"), "the key does not belong to the certificate");
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    folder.write("client.key", &elliptic);
    says(&text, &format!("{place}.key.file"), "the key is not an RSA key of 2048 to 8192 bits");

    for (month, message) in [(11, "has expired"), (12, "expires in 9 days")] {
        let (certificate, key) = client_certificate(2026, month);
        folder.write_for(0o644, "client.pem", &certificate);
        folder.write("client.key", &key);
        says(&text, &format!("{place}.file: this credential {message}"), "warning: ");
    }
}

#[test]
fn a_provider_can_have_certificates_of_its_own() {
    let folder = Folder::new();
    folder.write_for(0o644, "ca.pem", &format!("{}{}", certificate().0, certificate().0));
    let text = MINIMAL.replace("    kind: entra_id\n", "    kind: entra_id\n    ca: ca.pem\n");
    let config = folder.parse(&text).unwrap().config;
    assert_eq!(config.providers[0].trusted.as_ref().map(Vec::len), Some(2));
    let text = text.replace("ca: ca.pem", "ca: [ca.pem, other.pem]");
    assert_eq!(
        folder.said(&text),
        ["error: config.yaml:5:18: providers.corporate.ca[1]: cannot read `other.pem`: No such \
          file or directory"]
    );
}

/// Text in which every value that may hold a secret holds the canary.
fn seeded() -> impl Strategy<Value = String> {
    let places = [
        "{ value: 'canary-8Q~gW2' }",
        "{ value: \"canary-8Q~gW2\\n\" }",
        "{ value: 'canary-8Q~gW2${' }",
        "{ value: 'canary-8Q~gW2', env: CLIENT_SECRET }",
        "{ value: ['canary-8Q~gW2'] }",
        "{ value: { 'canary-8Q~gW2': 1 } }",
        "{ value: '${FROM_ENVIRONMENT}' }",
        "{ env: '${FROM_ENVIRONMENT}' }",
        "{ 'canary-8Q~gW2' }",
        "{ 'canary-8Q~gW2': value }",
        "{ env: canary-8Q~gW2 }",
        "{ env: CLIENT_SECRET }",
        "'canary-8Q~gW2'",
        "['canary-8Q~gW2']",
    ];
    // Anything but a secret may be filled in from the environment.
    let value = ["tenant", "kind", "client_id", "public_url", "url"];
    (
        prop::sample::select(places.to_vec()),
        prop::option::of(prop::sample::select(value.to_vec())),
        0..MINIMAL.len(),
        any::<bool>(),
    )
        .prop_map(|(place, replaced, cut, whole)| {
            let mut text: String = MINIMAL
                .lines()
                .map(|line| match replaced {
                    Some(key) if line.trim_start().starts_with(&format!("{key}:")) => {
                        let indent = line.len() - line.trim_start().len();
                        format!("{}{key}: ${{FROM_ENVIRONMENT}}\n", " ".repeat(indent))
                    }
                    _ => format!("{line}\n"),
                })
                .collect();
            text = text.replace("{ env: CLIENT_SECRET }", place);
            if !whole {
                text.truncate(cut);
            }
            text
        })
}

proptest! {
    #[test]
    fn no_text_panics_the_loader(text in "\\PC*|([a-z&*!\\[\\]{}:,'\"|>%@ \n#$-]{0,200})") {
        let _ = said(&parse(&text));
    }

    #[test]
    fn no_change_to_a_configuration_panics_the_loader(
        fixture in 0..1000_usize,
        at in 0..4000_usize,
        length in 0..40_usize,
        put in "[a-z0-9&*!\\[\\]{}:,'\"\n $/-]{0,12}",
    ) {
        let fixtures = fixtures();
        let text = fs::read_to_string(&fixtures[fixture % fixtures.len()]).unwrap();
        let characters: Vec<char> = text.chars().collect();
        let at = at.min(characters.len());
        let end = (at + length).min(characters.len());
        let mut changed: String = characters[..at].iter().collect();
        changed.push_str(&put);
        changed.extend(&characters[end..]);
        let _ = said(&parse(&changed));
    }

    /// CFG-04.
    #[test]
    fn no_message_shows_a_secret(text in seeded()) {
        let answer = parse(&text);
        let said = said(&answer);
        prop_assert!(!said.contains("canary"), "{}", said);
        if let Err(problems) = &answer {
            prop_assert!(problems.errors() > 0);
            let debug = format!("{problems:?}");
            prop_assert!(!debug.contains("canary"), "{}", debug);
        }
        if let Ok(loaded) = &answer {
            // What is no secret may come from the environment and be seen.
            if !text.contains(": ${FROM_ENVIRONMENT}\n") {
                let debug = format!("{loaded:?}");
                prop_assert!(!debug.contains("canary"), "{}", debug);
            }
        }
    }

    /// HDR-08, HDR-03: what a portal is told, no visitor can say, in any spelling.
    #[test]
    fn a_header_that_may_carry_a_claim_is_taken_from_visitors(
        name in "[A-Za-z][A-Za-z0-9-]{0,70}[A-Za-z0-9]",
        underscores in any::<bool>(),
    ) {
        let text = format!("{MINIMAL}    identity: {{ headers: {{ {name}: oid }} }}\n");
        if let Ok(loaded) = parse(&text) {
            let (mapped, _) = &loaded.config.portals[0].identity.headers[0];
            let owned = OwnedNames::with([mapped]);
            let spelling = match underscores {
                true => name.replace('-', "_"),
                false => name.replace('-', "").to_uppercase(),
            };
            prop_assert!(owned.takes(&name), "{}", name);
            prop_assert!(owned.takes(&spelling), "{}", spelling);
        }
    }

    #[test]
    fn problems_are_sorted_by_place(fixture in 0..1000_usize) {
        let fixtures = fixtures();
        let text = fs::read_to_string(&fixtures[fixture % fixtures.len()]).unwrap();
        if let Err(problems) = parse(&text) {
            let places: Vec<_> = problems
                .iter()
                .map(|problem| (problem.line(), problem.column()))
                .collect();
            prop_assert!(places.is_sorted());
            let errors = problems.iter().filter(|problem| problem.severity() == Severity::Error);
            prop_assert_eq!(problems.errors(), errors.count());
        }
    }
}

/// Runs the program as an operator does.
fn anteport(arguments: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_anteport"))
        .args(arguments)
        .env_remove("ANTEPORT_CONFIG")
        .env("CLIENT_SECRET", CANARY)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/config/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn check_says_what_to_register_and_exits_with_0() {
    let (code, out, err) = anteport(&["check", "--config", &fixture("unused_provider.yaml")]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("https://members.example.org/.auth/login/corporate/callback"));
    assert!(out.contains("https://members.example.org/.auth/front-channel-logout/corporate"));
    assert!(out.contains("https://members.example.org/.auth/logout/done"));
    assert!(err.starts_with("warning: ") && err.lines().count() == 1, "{err}");
    assert!(!out.contains("canary") && !err.contains("canary"));
}

#[test]
fn check_says_every_problem_and_exits_with_3() {
    let (code, out, err) = anteport(&["check", "--config", &fixture("signing_none.yaml")]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.ends_with("2 errors: this configuration cannot be used\n"), "{err}");
}

#[test]
fn check_of_a_missing_file_says_so_and_exits_with_3() {
    let (code, _, err) = anteport(&["check", "--config", "/nonexistent/config.yaml"]);
    assert_eq!(code, 3);
    assert!(
        err.starts_with(
            "error: /nonexistent/config.yaml: cannot read the configuration: No such file or directory; "
        ),
        "{err}"
    );
}

#[test]
fn run_refuses_a_bad_configuration_with_78() {
    let (code, _, err) = anteport(&["run", "--config", &fixture("signing_none.yaml")]);
    assert_eq!((code, err.lines().count()), (78, 2), "{err}");
}

#[test]
fn a_wrong_argument_exits_with_2() {
    assert_eq!(anteport(&["chekc"]).0, 2);
    assert_eq!(anteport(&["healthcheck", "--url", "http://x", "--config", "y"]).0, 2);
    assert_eq!(anteport(&[]).0, 2);
}

#[test]
fn version_is_printed() {
    let (code, out, _) = anteport(&["version"]);
    assert_eq!((code, out), (0, format!("anteport {}\n", env!("CARGO_PKG_VERSION"))));
}

/// Answers one request with `answer`, and gives back what was asked.
fn admin(answer: &'static str) -> (std::net::SocketAddr, std::thread::JoinHandle<String>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (address, thread)
}

#[test]
fn healthcheck_believes_a_status_of_200() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 1),
        ("SSH-2.0-OpenSSH\r\n", 1),
        ("", 1),
    ] {
        let (address, asked) = admin(answer);
        let url = format!("http://{address}");
        let (found, _, err) = anteport(&["healthcheck", "--url", &url]);
        assert_eq!(found, code, "{answer}: {err}");
        assert_eq!(
            asked.join().unwrap(),
            format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
        );
    }
    assert_eq!(anteport(&["healthcheck", "--url", "https://127.0.0.1"]).0, 1);
}

#[test]
fn healthcheck_does_not_wait_longer_than_2_seconds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (code, _, err) = anteport(&["healthcheck", "--url", &url]);
    assert_eq!(code, 1);
    assert!(err.ends_with("did not answer within 2s\n"), "{err}");
}

#[test]
fn healthcheck_finds_the_admin_listener_in_a_configuration_without_reading_secrets() {
    let folder = Folder::new();
    let (address, asked) = admin("HTTP/1.1 200 OK\r\n\r\n");
    let text = MINIMAL.replace("CLIENT_SECRET", "NOT_SET");
    folder.write(
        "config.yaml",
        &format!("{text}admin: {{ address: \"0.0.0.0:{}\" }}\n", address.port()),
    );
    let path = folder.at("config.yaml");
    let (code, _, err) = anteport(&["healthcheck", "--config", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    assert!(asked.join().unwrap().starts_with("GET /livez "));
}
