//! What the last sign-ins had, as `anteport doctor` tells it of an Anteport that runs: names of claims
//! against what portals are told, and nothing of who it was.

use std::process::Command;

use serde_json::{Value, json};

use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::{Plan, World};

const TREASURER: &str = "treasurer@harborclub.example";

const MAPPED: &str = r#"
    local_login: {}
    identity:
      headers:
        X-Auth-User: oid
        X-Auth-Nick: nickname
        X-Auth-Post: post
        X-Auth-Number: { claim: number, required: true }
        X-Auth-Club: { claim: club, default: harbour }
"#;

/// What `doctor` finds of the last sign-ins: how it is, what was found, and what to do.
async fn doctor(world: &World) -> Vec<(String, String, String)> {
    let folder = Folder::new();
    let path = folder.write("config.yaml", &world.text());
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteport"));
        command.args(["doctor", "--only", "claims", "--format", "json", "--config"]).arg(path);
        command.output().unwrap()
    };
    let said = tokio::task::spawn_blocking(run).await.unwrap();
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |found: &Value, name: &str| found[name].as_str().unwrap_or_default().to_owned();
    findings
        .filter(|found| found["check"] == "last-logins")
        .map(|found| (text(found, "status"), text(found, "message"), text(found, "fix")))
        .collect()
}

#[tokio::test]
async fn doctor_knows_what_the_last_sign_ins_lacked_log_01() {
    let world = World::start_with(Plan { portal: MAPPED, ..Plan::default() }).await;
    let found = doctor(&world).await;
    assert_eq!((found.len(), &*found[0].0), (1, "skipped"), "{found:?}");
    assert!(found[0].1.contains("nobody has come back from corporate"), "{found:?}");

    // Nobody gets in without a number, and that is seen too.
    let mut refused = world.browser();
    let answer = refused.sign_in("/", TREASURER).await;
    assert!(answer.text().contains("identity-claim-missing"), "{}", answer.text());
    for post in [json!({ "number": "c4n4ry" }), json!({ "number": "7", "post": "c4n4ry" })] {
        world.microsoft.next_claims(post.as_object().unwrap().clone());
        assert_eq!(world.browser().sign_in("/", TREASURER).await.status, 200);
    }
    let found = doctor(&world).await;
    let [silent, needed] = &found[..] else { panic!("{found:?}") };
    assert_eq!(silent.0, "warning");
    assert!(
        silent.1.contains("none of the last 3 sign-ins with corporate had `nickname`"),
        "{found:?}"
    );
    assert!(silent.1.contains("`x-auth-nick`"), "{found:?}");
    assert_eq!(needed.0, "error");
    assert!(
        needed.1.starts_with("1 of the last 3 sign-ins with corporate had no `number`"),
        "{found:?}"
    );
    for (_, _, fix) in &found {
        assert!(fix.contains("Token configuration"), "{fix}");
    }

    // What is asked for is what stands in the file, whatever is in force.
    world.configure("nickname", "name");
    world.configure("number, required: true", "number");
    let found = doctor(&world).await;
    let [(status, told, _)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(status, "ok");
    assert!(told.contains("the last 3 sign-ins"), "{told}");
    assert!(told.ends_with("(`post` in 1, `number` in 2)"), "{told}");

    let admin = Browser::new(format!("http://{}", world.admin));
    let told = admin.send("GET", "/-/last-logins", &[], b"").await;
    let text = told.text();
    for secret in ["c4n4ry", "treasurer", "harborclub"] {
        assert!(!text.contains(secret), "{text}");
    }
    let corporate = &told.json()["last_logins"][0];
    assert_eq!((&corporate["provider"], &corporate["logins"]), (&json!("corporate"), &json!(3)));
    assert_eq!(
        (&corporate["claims"]["number"], &corporate["claims"]["post"]),
        (&json!(2), &json!(1))
    );
    world.stop().await;
}
