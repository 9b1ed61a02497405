//! Asking again about a member who is signed in takes credentials, too.

use std::time::Duration;

use anteport::demo::microsoft::ClientSecret;
use anteport::gate::Secret;
use serde_json::json;

use crate::kinds::cluster;
use crate::log::Log;
use crate::material::{CLUSTER_ISSUER, EXCHANGE, SERVICE_ACCOUNT, cluster_token, signed};
use crate::world::folder::Folder;
use crate::world::{MORNING, Plan, World};

const QUARTER: Duration = Duration::from_secs(15 * 60);

const REFRESHED: &str = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ok\"}";

#[tokio::test]
async fn a_refresh_reads_the_federated_token_anew() {
    let log = Log::hold().await;
    let folder = Folder::new();
    // Too old after a quarter of an hour, whatever the clocks' difference.
    let mut claims = json!({ "iss": CLUSTER_ISSUER, "sub": SERVICE_ACCOUNT, "aud": EXCHANGE });
    claims["exp"] = json!(MORNING.unix_seconds() + 600);
    let file = folder.file("token", &signed(&claims));
    let world = World::start_with(Plan {
        credentials: format!("[ {{ federated: {{ token_file: {file} }} }} ]"),
        registration: Box::new(|options, _| {
            options.secrets.clear();
            cluster(options);
        }),
        ..Plan::default()
    })
    .await;
    let mut browser = world.treasurer().await;
    world.clock.advance(QUARTER);
    folder.write("token", &cluster_token(world.clock.now()));
    assert_eq!(browser.open("/reports").await.status, 200);
    assert_eq!(world.metric(REFRESHED).await, 1.0);
    assert!(log.of_credentials().is_empty(), "{:?}", log.of_credentials());
    world.stop().await;
}

/// Secrets A and B at the proxy; when A and B end at the emulator.
async fn of_two(ends: [Option<Duration>; 2]) -> World {
    World::start_with(Plan {
        credentials: "[ { secret: { value: A-secret } }, { secret: { value: B-secret } } ]".into(),
        registration: Box::new(move |options, _| {
            let secrets = ["A-secret", "B-secret"].into_iter().zip(ends);
            let secrets = secrets.map(|(value, end)| ClientSecret {
                value: Secret::new(value.to_owned()),
                expires: end.map(|end| MORNING.after(end)),
            });
            options.secrets = secrets.collect();
        }),
        ..Plan::default()
    })
    .await
}

#[tokio::test]
async fn a_secret_that_ends_between_sign_in_and_refresh_is_not_noticed() {
    let log = Log::hold().await;
    let world = of_two([Some(QUARTER), None]).await;
    let mut browser = world.treasurer().await;
    world.clock.advance(QUARTER);
    assert_eq!(browser.open("/reports").await.status, 200);
    assert_eq!(world.metric(REFRESHED).await, 1.0);
    let lines = log.of_credentials();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["reason"], "secret-expired");
    world.stop().await;
}

/// GEN-03, OIDC-13
#[tokio::test]
async fn gen_03_without_a_good_credential_members_stay_signed_in() {
    let log = Log::hold().await;
    let world = of_two([Some(QUARTER), Some(QUARTER)]).await;
    let mut browser = world.treasurer().await;
    world.clock.advance(QUARTER);
    assert_eq!(browser.open("/reports").await.status, 200);
    assert_eq!(world.metric(REFRESHED).await, 0.0);
    let messages: Vec<_> =
        log.of_credentials().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(
        messages,
        [
            "a client credential was refused; it is passed over",
            "a client credential was refused; there is no other, so nobody can sign in with this \
             provider",
        ]
    );
    world.stop().await;
}
