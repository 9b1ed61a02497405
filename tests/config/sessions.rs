//! Where sessions are kept, as an operator says it. What is wrong, and what may not mean what was
//! meant, is in `fixtures/config/sessions_*`.

use std::fs;
use std::time::Duration;

use anteport::config::{Config, Redis, RedisMode, Store};

use super::{CANARY, Folder, MINIMAL, SESSION_KEY, SESSION_KEY_OLD, certificate, fixture, parse};

fn used(name: &str) -> Config {
    parse(&fs::read_to_string(fixture(name)).unwrap()).unwrap().config
}

fn redis(config: Config) -> Redis {
    match config.sessions.store {
        Store::Redis(redis) => *redis,
        other => panic!("{other:?}"),
    }
}

fn servers(redis: &Redis) -> Vec<String> {
    redis.servers.iter().map(ToString::to_string).collect()
}

fn with(sessions: &str) -> String {
    format!("{MINIMAL}sessions: {{ {sessions} }}\nsigning: {{ keys: [{{ env: SIGNING_KEYS }}] }}\n")
}

#[test]
fn without_a_word_they_are_in_memory_and_nothing_is_sealed_for_longer() {
    let sessions = parse(MINIMAL).unwrap().config.sessions;
    assert!(matches!(sessions.store, Store::Memory { snapshot: None }));
    assert!(sessions.keys.is_empty());
}

#[test]
fn a_snapshot_is_beside_the_configuration() {
    let folder = Folder::new();
    let text = with("keys: [{ env: SESSION_KEY }], snapshot: sealed");
    let store = folder.parse(&text).unwrap().config.sessions.store;
    let Store::Memory { snapshot: Some(path) } = store else { panic!("{store:?}") };
    assert_eq!(path, folder.at("sealed"));

    fs::create_dir(&path).unwrap();
    let place = "config.yaml:11:53: sessions.snapshot:";
    assert_eq!(
        folder.said(&text),
        [format!("error: {place} this is a folder; name a file in it, such as `sessions`")]
    );
}

#[test]
fn a_snapshot_does_not_write_over_a_key() {
    let folder = Folder::new();
    folder.write("key", SESSION_KEY);
    let said = folder.said(&with("keys: [{ file: key }], snapshot: key"));
    assert!(said.len() == 1 && said[0].contains("this is the file of a key"), "{said:?}");
    folder.write("sealed.last", SESSION_KEY);
    let said = folder.said(&with("keys: [{ file: sealed.last }], snapshot: sealed"));
    assert!(said.len() == 1 && said[0].contains("this is the file of a key"), "its note, too");
}

#[test]
fn a_cookie_needs_a_key_and_may_have_a_list_of_what_has_ended() {
    let sessions = used("sessions_cookie.yaml").sessions;
    let Store::Cookie { revocations: Some(redis) } = sessions.store else { panic!() };
    assert_eq!(servers(&redis), ["[::1]:6379"]);
    let keys = sessions.keys.read().unwrap();
    assert_eq!(
        keys.iter().map(|key| *key.expose()).collect::<Vec<_>>(),
        [*b"canary-SESSION-key-0123456789012", *b"canary-SESSION-old-0123456789012"]
    );
    let sessions = used("sessions_cookie_alone.yaml").sessions;
    assert!(matches!(sessions.store, Store::Cookie { revocations: None }));
}

#[test]
fn a_redis_has_the_documented_defaults() {
    let text = with("store: redis, keys: [{ env: SESSION_KEY }], redis: { servers: 'r:6379' }");
    let redis = redis(parse(&text).unwrap().config);
    assert!(matches!(redis.mode, RedisMode::Single));
    assert_eq!(servers(&redis), ["r:6379"]);
    assert!(redis.tls.is_none() && redis.username.is_none() && redis.password.is_none());
    assert_eq!((redis.database, &*redis.prefix), (0, "anteport:"));
    assert_eq!(redis.timeout, Duration::from_millis(80));
    assert_eq!(redis.grace, Duration::from_secs(30));
}

#[test]
fn a_redis_is_as_it_is_written() {
    let redis = redis(used("sessions_redis.yaml"));
    let tls = redis.tls.unwrap();
    assert!(tls.ca.is_none() && tls.certificate.is_none());
    assert_eq!(redis.username.as_deref(), Some("anteport"));
    assert_eq!(redis.password.unwrap().expose(), CANARY);
    assert_eq!((redis.database, &*redis.prefix), (3, "members:"));
    assert_eq!(redis.timeout, Duration::from_millis(50));
    assert_eq!(redis.grace, Duration::ZERO);
}

#[test]
fn sentinels_have_a_password_of_their_own() {
    let redis = redis(used("sessions_sentinel.yaml"));
    assert_eq!(servers(&redis), ["127.0.0.1:26379", "10.0.0.6:26379", "10.0.0.7:26379"]);
    let RedisMode::Sentinel { master, username, password } = redis.mode else { panic!() };
    assert_eq!((&*master, username.as_deref()), ("members", Some("watcher")));
    assert_eq!(password.unwrap().expose(), CANARY);
    assert!(redis.username.is_none());
}

#[test]
fn a_cluster_is_asked_at_several_nodes() {
    let redis = redis(used("sessions_cluster.yaml"));
    assert!(matches!(redis.mode, RedisMode::Cluster));
    assert_eq!(servers(&redis), ["127.0.0.1:7000", "localhost:7001"]);
}

/// CRY-02: they are read each time, so a file that is written anew counts.
#[test]
fn the_first_key_seals_and_a_file_may_be_written_anew() {
    let folder = Folder::new();
    folder.write("new", &format!("{SESSION_KEY}\n"));
    folder.write_for(0o400, "old", SESSION_KEY_OLD);
    let text = with("keys: [{ file: new }, { file: old }]");
    let keys = folder.parse(&text).unwrap().config.sessions.keys;
    let first = |keys: &anteport::config::SealingKeys| *keys.read().unwrap()[0].expose();
    assert_eq!(first(&keys), *b"canary-SESSION-key-0123456789012");
    let newest = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    folder.write("new", newest);
    assert_eq!(first(&keys)[..4], [0, 1, 2, 3]);
    folder.write("new", SESSION_KEY_OLD);
    assert!(keys.read().is_err());
}

/// CRY-02.
#[test]
fn a_sealing_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let text = with("store: cookie, keys: [{ file: key }], redis: { servers: '127.0.0.1:1' }");
    for (mode, says) in [
        (0o600, None),
        (0o400, None),
        (0o440, Some("warning: config.yaml:11:43: sessions.keys[0].file: the group of `key`")),
        (0o604, Some("error: config.yaml:11:43: sessions.keys[0].file: `key` has mode 0604")),
        (0o601, Some("error: config.yaml:11:43: sessions.keys[0].file: `key` has mode 0601")),
        (0o602, Some("error: config.yaml:11:43: sessions.keys[0].file: `key` has mode 0602")),
        (0o644, Some("error: config.yaml:11:43: sessions.keys[0].file: `key` has mode 0644")),
        (0o660, Some("error: config.yaml:11:43: sessions.keys[0].file: `key` has mode 0660")),
    ] {
        folder.write_for(mode, "key", SESSION_KEY);
        let said = folder.said(&text);
        match says {
            Some(says) => assert!(said.len() == 1 && said[0].starts_with(says), "{said:?}"),
            None => assert!(said.is_empty(), "{mode:o}: {said:?}"),
        }
    }
}

#[test]
fn a_file_that_is_no_sealing_key_is_refused() {
    let folder = Folder::new();
    let text = with("keys: [{ file: key }]");
    let short = "AAECAwQFBgcICQoLDA0ODw==";
    let url_safe = "__________________________________________8=";
    let huge = "A".repeat(1024 * 1024);
    let twice = format!("{SESSION_KEY}\n{SESSION_KEY}\n");
    for content in ["", "\n", "secret", short, url_safe, &*twice] {
        folder.write("key", content);
        let said = folder.said(&text);
        assert!(said.len() == 1 && said[0].contains("not 32 bytes in base64"), "{said:?}");
    }
    folder.write("key", &huge);
    assert!(
        folder.said(&text)[0]
            .ends_with("cannot read the key from `key`: it is larger than 1024 bytes")
    );
    fs::write(folder.at("key"), [0xff; 44]).unwrap();
    assert!(folder.said(&text)[0].contains("not 32 bytes in base64"));
    fs::remove_file(folder.at("key")).unwrap();
    fs::create_dir(folder.at("key")).unwrap();
    assert!(folder.parse(&text).is_err());
}

const WITH_TLS: &str =
    "store: redis, keys: [{ env: SESSION_KEY }], redis: { servers: 'r:6379', tls: ";

/// CRY-03: what the library is given has been read, and fits.
#[test]
fn tls_towards_redis_has_its_files_read_and_checked() {
    let folder = Folder::new();
    let ((ca, _), (more, _), (own, key)) = (certificate(), certificate(), certificate());
    folder.write_for(0o644, "ca.pem", ca.trim_end());
    folder.write_for(0o644, "more.pem", &more);
    folder.write_for(0o644, "own.pem", &own);
    folder.write("own.key", &key);
    let text = |tls: &str| with(&format!("{WITH_TLS}{tls} }}"));
    let whole = text("{ ca: [ca.pem, more.pem], certificate: own.pem, key: own.key }");
    let tls = redis(folder.parse(&whole).unwrap().config).tls.unwrap();
    let trusted = String::from_utf8(tls.ca.unwrap()).unwrap();
    assert_eq!(trusted, format!("{}\n{more}", ca.trim_end()));
    let (chain, private) = tls.certificate.unwrap();
    assert_eq!((chain, private.expose()), (own.into_bytes(), &key.into_bytes()));

    let says = |tls: &str, message: &str| {
        let said = folder.said(&text(tls));
        assert!(said.len() == 1 && said[0].contains(message), "{said:?}");
    };
    says("{ certificate: own.pem }", "tls.certificate: `certificate` and `key` go together");
    says("{ key: own.key }", "tls.key: `certificate` and `key` go together");
    says("{ ca: own.key }", "tls.ca: there is no certificate in `own.key` (PEM)");
    let other = "{ certificate: more.pem, key: own.key }";
    says(other, "tls.key: the key does not belong to the first certificate of the chain");
    folder.write_for(0o644, "own.key", &certificate().1);
    let ours = "{ certificate: own.pem, key: own.key }";
    says(ours, "tls.key: `own.key` has mode 0644");
    folder.write_for(
        0o644,
        "more.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    );
    says("{ ca: more.pem }", "`more.pem` has a certificate to distrust");
}

/// CFG-04, LOG-01.
#[test]
fn no_key_and_no_password_is_ever_shown() {
    let value = format!("store: redis, keys: [{{ value: {SESSION_KEY} }}]");
    for redis in [
        "{ servers: 'r:6379', tls: {}, password: { value: canary-8Q~gW2 } }",
        "{ servers: 'r:6379', tls: {}, password: canary-8Q~gW2 }",
        "{ servers: 'redis://:canary-8Q~gW2@r:6379' }",
        "{ servers: ':canary-8Q~gW2@r:6379' }",
        "{ servers: 'r:6379', password: { canary-8Q~gW2 } }",
        "{ servers: 'r:6379', username: a, password: { env: canary-8Q~gW2 } }",
    ] {
        let answer = parse(&with(&format!("{value}, redis: {redis}")));
        let seen = format!("{}{answer:?}", super::said(&answer));
        assert!(!seen.contains("canary") && !seen.contains(SESSION_KEY), "{seen}");
    }
    for keys in ["Y2FuYXJ5LV", "{ Y2FuYXJ5LV }", "{ value: 'Y2FuYXJ5LV' }", "{ env: Y2FuYXJ5LV }"] {
        let answer = parse(&with(&format!("keys: [{keys}]")));
        let seen = format!("{}{answer:?}", super::said(&answer));
        assert!(answer.is_err() && !seen.contains("Y2FuYXJ5"), "{seen}");
    }
}

#[test]
fn a_password_may_be_a_guid() {
    let redis = "redis: { servers: 'localhost:6379', password: { file: password } }";
    let folder = Folder::new();
    folder.write("password", "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11\n");
    let text = with(&format!("store: redis, keys: [{{ env: SESSION_KEY }}], {redis}"));
    assert_eq!(folder.said(&text), [""; 0]);
}

/// What the guide shows lacks nothing but its files.
#[test]
fn what_the_guide_shows_can_be_pasted() {
    let guide = include_str!("../../docs/sessions.md");
    let blocks: Vec<&str> =
        guide.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 2);
    let answer = parse(&format!("{MINIMAL}{}", blocks.concat()));
    let said = super::said(&answer);
    let lines: Vec<&str> =
        said.lines().filter(|line| !line.contains("`local_login` is missing")).collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines.iter().all(|line| line.contains(": cannot read ")), "{said}");
}

/// CFG-01: one that is left out, and one that is not a section, are each said once.
#[test]
fn a_mistake_is_said_once() {
    let needs = "keys: [{ env: SESSION_KEY }]";
    for (sessions, says) in [
        (format!("store: redis, {needs}, redis: r"), "expected a section with"),
        (format!("store: redis, {needs}, redis: {{}}"), "`servers` is missing"),
        (format!("store: redis, {needs}, redis:"), "there is no value"),
        (format!("store: redis, {needs}, redis: {{ servers: [] }}"), "the list is empty"),
        (format!("store: redis, {needs}"), "`redis` is missing"),
        (format!("store: rediss, {needs}"), "did you mean `redis`?"),
        ("store: redis, keys: , redis: { servers: 'localhost:1' }".to_owned(), "there is no value"),
        ("store: redis, redis: { servers: 'localhost:1' }".to_owned(), "`redis` needs `keys`"),
        ("store: cookie, redis: { servers: 'localhost:1' }".to_owned(), "`cookie` needs `keys`"),
        (format!("{needs}, snapshot: ''"), "expected a path to a file"),
        (format!("{needs}, redis: {{ servers: 'localhost:1' }}"), "this does nothing"),
    ] {
        let said = Folder::new().said(&with(&sessions));
        assert!(said.len() == 1 && said[0].contains(says), "{sessions}: {said:?}");
    }
}

/// CFG-05: whom an emulator signs in is nobody to the real configuration.
#[test]
fn an_emulated_configuration_has_neither_the_keys_nor_the_store() {
    let folder = Folder::new();
    let text = fs::read_to_string(fixture("sessions_redis.yaml")).unwrap();
    folder.write("config.yaml", &format!("{text}  idle_timeout: 5m\n"));
    let path = folder.at("config.yaml");
    let emulated =
        anteport::config::emulated(&path, "http://127.0.0.1:8081", None, crate::members::HERE)
            .unwrap();
    for gone in ["redis", "SESSION_KEY", "REDIS_PASSWORD"] {
        assert!(!emulated.contains(gone), "{emulated}");
    }
    let sessions = parse(&emulated).unwrap().config.sessions;
    assert!(matches!(sessions.store, Store::Memory { snapshot: None }));
    assert!(sessions.keys.is_empty());
    assert_eq!(sessions.lifetimes.idle, Duration::from_secs(5 * 60));
}
