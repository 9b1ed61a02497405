//! What `config show` prints: the value of every key and where it is from, and never a secret.

use std::fs;

use anteport::config::effective_of;
use serde_json::Value;

use super::{CANARY, MINIMAL, NOON, environment, fixtures};

fn shown(text: &str) -> (String, Value) {
    let effective = effective_of("dir/config.yaml", text, &environment, NOON);
    let effective = effective.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!format!("{effective:?}").contains(CANARY));
    (effective.to_yaml(), serde_json::from_str(&effective.to_json()).unwrap())
}

/// What JSON says of a key.
fn key<'j>(json: &'j Value, name: &str) -> &'j Value {
    let mut keys = json["keys"].as_array().unwrap().iter();
    keys.find(|key| key["key"] == name).unwrap_or_else(|| panic!("{name} is not there"))
}

#[test]
fn every_value_says_where_it_is_from() {
    let text = format!(
        "{MINIMAL}    mode: \"${{MODE_THAT_IS_NOT_SET:-optional}}\"\n    auth_path: /.gate\n"
    );
    let (yaml, json) = shown(&text);
    let line = text.lines().count();
    for (name, value, from) in [
        ("portals[0].mode", "optional", "environment"),
        ("portals[0].auth_path", "/.gate", "file"),
        ("portals[0].upstream.connect_timeout", "2s", "default"),
        ("providers.corporate.scopes[0]", "openid", "default"),
    ] {
        assert_eq!(key(&json, name)["value"], value, "{name}");
        assert_eq!(key(&json, name)["from"], from, "{name}");
    }
    assert_eq!(key(&json, "portals[0].auth_path")["line"], line);
    assert_eq!(key(&json, "portals[0].mode")["variables"][0], "MODE_THAT_IS_NOT_SET");
    assert_eq!(key(&json, "portals[0].logout.federated")["value"], true);
    assert_eq!(key(&json, "sessions.capacity")["value"], 1_000_000);
    assert_eq!(key(&json, "portals[0].routes")["from"], "nothing");
    let at = line - 1;
    for written in [
        format!("mode: optional  # variable MODE_THAT_IS_NOT_SET at config.yaml:{at}:11"),
        format!("auth_path: /.gate  # config.yaml:{line}:16"),
        "connect_timeout: 2s  # default".to_owned(),
        "# routes: not set: who may go where".to_owned(),
    ] {
        assert!(yaml.contains(&written), "{written}\n{yaml}");
    }
}

/// LOG-01, CFG-04: neither what is written in the file nor what comes from the environment.
#[test]
fn log_01_no_secret_is_shown_of_any_configuration() {
    let mut accepted = 0;
    for path in fixtures() {
        let text = fs::read_to_string(&path).unwrap();
        let Ok(effective) = effective_of("config.yaml", &text, &environment, NOON) else {
            continue;
        };
        accepted += 1;
        for said in [effective.to_yaml(), effective.to_json(), format!("{effective:?}")] {
            for secret in [CANARY, "canary", "Y2FuYXJ5", "whsec_", "PRIVATE KEY"] {
                assert!(!said.contains(secret), "{secret} is shown of {}\n{said}", path.display());
            }
        }
    }
    assert!(accepted > 15, "{accepted}");
}

#[test]
fn log_01_secrets_are_masked_wherever_they_stand() {
    let credentials = MINIMAL.lines().find(|line| line.contains("credentials:")).unwrap();
    let key = "Y2FuYXJ5LVNFU1NJT04ta2V5LTAxMjM0NTY3ODkwMTI=";
    for (from, to) in [
        (credentials, "    credentials: [{ secret: { value: canary-8Q~gW2 } }]"),
        (credentials, "    credentials: [{ secret: { value: \"${FROM_ENVIRONMENT}\" } }]"),
        (credentials, "    credentials: [{ secret: { value: \"x${EMPTY:-canary-8Q~gW2}\" } }]"),
        // Where no secret belongs, under a name that says what it is.
        ("portals:\n", "logging: { level: \"${LOG_TOKEN:-warn}\" }\nportals:\n"),
    ] {
        let text = MINIMAL.replace(from, to);
        assert_ne!(text, MINIMAL, "{from}");
        let (yaml, json) = shown(&text);
        assert!(!yaml.contains("canary") && !json.to_string().contains("canary"), "{yaml}");
        assert!(yaml.contains("\"***\"") && yaml.contains(", not shown"), "{yaml}");
        assert!(json.to_string().contains("\"masked\":true"), "{json}");
    }
    let lines = format!(
        "{MINIMAL}    identity: {{ assertion: {{ algorithm: HS256, secret: {{ value: \"{key}\" }} }} }}\n\
         sessions: {{ store: cookie, keys: [{{ value: \"{key}\" }}] }}\n"
    );
    let (yaml, _) = shown(&lines);
    assert!(!yaml.contains(key) && yaml.matches("\"***\"").count() == 2, "{yaml}");
    let hook = "    members:\n      unknown: deny\n      directory:\n        webhook:\n          \
                url: https://members.example.org/hook?key=canary-8Q~gW2\n          secret: { \
                env: WEBHOOK_SECRET }\n";
    let (yaml, json) = shown(&format!("{MINIMAL}{hook}"));
    assert!(!yaml.contains("canary") && !json.to_string().contains("canary"), "{yaml}");
    assert!(yaml.contains("hook?***"), "{yaml}");
}

/// Both forms say the same, whatever names and values hold.
#[test]
fn yaml_and_json_say_the_same() {
    let mut texts: Vec<String> =
        fixtures().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    texts.push(format!(
        "{MINIMAL}    sign_in: {{ button_label: \"a: b # c \\\"quoted\\\" \\u00e9 {{}}[]*&!\" }}\n"
    ));
    texts.push(format!("{MINIMAL}    identity: {{ headers: {{ X-A: {{ value: \"null\" }} }} }}\n"));
    let mut compared = 0;
    for text in texts {
        let Ok(effective) = effective_of("c.yaml", &text, &environment, NOON) else { continue };
        let yaml: Value = serde_yaml::from_str_with_options(
            &effective.to_yaml(),
            serde_yaml::options! { strict_booleans: true },
        )
        .unwrap_or_else(|error| panic!("{error}\n{}", effective.to_yaml()));
        let json: Value = serde_json::from_str(&effective.to_json()).unwrap();
        for key in json["keys"].as_array().unwrap() {
            let name = key["key"].as_str().unwrap();
            if key["value"].is_null() || name.contains(": ") || name.contains("headers.") {
                continue;
            }
            let pointer = format!("/{}", name.replace('[', "/").replace(']', "").replace('.', "/"));
            let Some(found) = yaml.pointer(&pointer) else { continue };
            compared += 1;
            let (found, value) = (found.to_string(), key["value"].to_string());
            assert_eq!(found.trim_matches('"'), value.trim_matches('"'), "{name}");
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn what_cannot_be_used_is_not_shown() {
    for text in ["", "a: [", "listen: {}", "portals: 1"] {
        assert!(effective_of("config.yaml", text, &environment, NOON).is_err(), "{text}");
    }
}
