//! What `anteport doctor` says of a store.

use std::process::{Command, Stdio};

use redis::cmd;
use serde_json::Value;

use crate::redis::Server;
use crate::world::folder::Folder;
use crate::world::free_port;

const KEY: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

/// The user that `docs/sessions.md` describes.
fn documented_user() -> Vec<String> {
    let guide = include_str!("../../docs/sessions.md");
    let line = guide.lines().find_map(|line| line.strip_prefix("ACL SETUSER ")).unwrap();
    let words = line.replace("PASSWORD", "canary-of-a-user");
    words.split(' ').map(str::to_owned).collect()
}

/// The findings about the store at this server, for who has this name and password.
fn doctor(server: &Server, who: &str) -> Vec<(String, String, String)> {
    let folder = Folder::new();
    std::fs::write(folder.at("key"), KEY).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.at("key"), private).unwrap();
    let (listen, admin, address) = (free_port(), free_port(), server.address);
    let text = format!(
        r#"
listen: {{ address: "{listen}" }}
admin: {{ address: "{admin}" }}
portals: [ {{ public_url: "http://{listen}", upstream: {{ url: "http://127.0.0.1:1" }}, mode: off }} ]
sessions: {{ store: redis, keys: [ {{ file: key }} ], redis: {{ servers: ["{address}"] {who} }} }}
"#
    );
    std::fs::write(folder.at("config.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteport"));
    command.args(["doctor", "--only", "store", "--format", "json", "--config", "config.yaml"]);
    let output = command.current_dir(&folder.0).stdin(Stdio::null()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!report.to_string().contains("canary"), "{report}");
    let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|found| (text(found, "check"), text(found, "status"), text(found, "message")))
        .collect()
}

#[test]
fn doctor_knows_how_a_store_is() {
    let server = Server::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"]);
    let found = |who: &str| {
        let all = doctor(&server, who).into_iter();
        all.map(|(check, status, _)| format!("{check} {status}")).collect::<Vec<_>>()
    };
    assert_eq!(found(""), ["store ok", "store-keeps ok", "store-version ok", "store-eviction ok"]);
    let mut set = cmd("CONFIG");
    let _: String = server.ask(set.arg("SET").arg("maxmemory-policy").arg("allkeys-lru"));
    assert_eq!(
        found(""),
        ["store ok", "store-keeps ok", "store-version ok", "store-eviction warning"]
    );

    let mut user = cmd("ACL");
    let _: String = server.ask(user.arg("SETUSER").arg(documented_user()));
    let who = ", username: anteport, password: { value: canary-of-a-user }";
    assert_eq!(
        found(who),
        ["store ok", "store-keeps ok", "store-version skipped", "store-eviction skipped"]
    );
    let may = |what: &str| {
        let mut user = cmd("ACL");
        let _: String = server.ask(user.arg("SETUSER").arg("anteport").arg(what));
    };
    may("-set");
    let kept = |who: &str| doctor(&server, who).swap_remove(1);
    assert!(kept(who).2.contains("may not write"), "{:?}", kept(who));
    may("+set");
    let limit = |most: &str| {
        let mut set = cmd("CONFIG");
        let _: String = server.ask(set.arg("SET").arg("maxmemory").arg(most));
    };
    let mut set = cmd("CONFIG");
    let _: String = server.ask(set.arg("SET").arg("maxmemory-policy").arg("noeviction"));
    limit("1");
    let full = kept("");
    assert_eq!((&*full.0, &*full.1), ("store-keeps", "error"));
    assert!(full.2.contains("its memory is full"), "{full:?}");
    limit("64mb");
    let told = kept("").2;
    assert!(told.starts_with("written in ") && told.ends_with(" ms"), "{told}");
    let mut user = cmd("ACL");
    let _: String = server.ask(user.arg("SETUSER").arg("anteport").arg("-client|tracking"));
    let denied = doctor(&server, who);
    assert_eq!(denied.len(), 1);
    assert_eq!((denied[0].1.as_str(), denied[0].2.contains("may not use")), ("error", true));
    let wrong = ", username: anteport, password: { value: canary-of-another }";
    let refused = doctor(&server, wrong);
    assert!(refused[0].2.contains("refuses the password"), "{refused:?}");
    // Nothing is left.
    assert_eq!(server.ask::<u64>(&mut cmd("DBSIZE")), 0);
}
