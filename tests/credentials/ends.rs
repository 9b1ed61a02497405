//! When credentials end: what an operator sees of it before anybody is locked out.

use std::time::Duration;

use anteport::demo::microsoft::{ClientSecret, Counts};
use anteport::gate::Secret;

use crate::log::Log;
use crate::material::certificate;
use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::{MORNING, Plan, SECRET, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The provider that asks Graph.
const WITH_GRAPH: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    graph: "http://AUTHORITY/graph"
    credential_expiry: graph
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;

fn series(credential: usize) -> String {
    format!(
        "anteport_client_credential_expiry_timestamp_seconds\
         {{provider=\"corporate\",credential=\"{credential}\"}}"
    )
}

async fn health(world: &World) -> String {
    let admin = Browser::new(format!("http://{}", world.admin));
    admin.send("GET", "/readyz?verbose", &[], b"").await.text()
}

#[tokio::test]
async fn ends_are_metrics_and_lines_of_health_and_are_warned_of_thrice() {
    let log = Log::hold().await;
    let folder = Folder::new();
    let made = certificate(2028, 3);
    let (file, key) = (folder.file("it.pem", &made.pem), folder.file("it.key", &made.key));
    // MORNING is 2027-01-15.
    let credentials = format!(
        "[ {{ secret: {{ value: {SECRET} }}, expires: 2027-03-01 }}, \
         {{ certificate: {{ file: {file}, key: {{ file: {key} }} }} }}, \
         {{ secret: {{ value: B-secret }} }} ]"
    );
    let world = World::start_with(Plan { credentials, ..Plan::default() }).await;
    assert_eq!(world.metric(&series(1)).await, 1_803_945_600.0, "the end of that day");
    assert_eq!(world.metric(&series(2)).await, 1_835_481_600.0, "what the certificate says");
    assert!(!world.metrics().await.contains(&series(3)), "nobody knows");
    let shown = health(&world).await;
    for line in [
        "credential 1 of provider corporate: secret, tried first, expires in 45 days\n",
        "credential 2 of provider corporate: certificate, standing by, expires in 410 days\n",
        "credential 3 of provider corporate: secret, standing by\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }

    let mut said = Vec::new();
    for day in 0..60 {
        world.metrics().await;
        world.metrics().await;
        if day == 32 {
            let shown = health(&world).await;
            assert!(shown.contains("secret, tried first, expires in 13 days\n"), "{shown}");
        }
        said.extend(log.of_credentials().drain(said.len()..).map(|line| (day, line)));
        world.clock.advance(DAY);
    }
    let said: Vec<_> =
        said.iter().map(|(day, line)| (*day, line["message"].as_str().unwrap())).collect();
    let put = "make a new one";
    assert_eq!(said.len(), 4, "{said:?}");
    for ((day, text), (expected, begins, holds)) in said.iter().zip([
        (16, "a client credential expires in 29 days", put),
        (32, "a client credential expires in 13 days", put),
        (43, "a client credential expires in 2 days", "now"),
        (46, "a client credential expired", "nobody signs in with it"),
    ]) {
        assert_eq!(*day, expected, "{text}");
        assert!(text.starts_with(begins) && text.contains(holds), "{text}");
    }
    world.stop().await;
}

async fn with_graph(reads_applications: bool) -> World {
    World::start_with(Plan {
        provider: WITH_GRAPH,
        credentials: format!("[ {{ secret: {{ value: {SECRET} }} }} ]"),
        registration: Box::new(move |options, _| {
            let secret = |value: &str, days| ClientSecret {
                value: Secret::new(value.to_owned()),
                expires: Some(MORNING.after(days * DAY)),
            };
            options.secrets = vec![secret("another", 400), secret(SECRET, 10)];
            options.proofs.reads_applications = reads_applications;
        }),
        ..Plan::default()
    })
    .await
}

/// Graph is asked beside the requests, so it takes a moment.
async fn until(world: &World, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(in_time.is_ok(), "{:?}", world.microsoft.counts());
}

#[tokio::test]
async fn graph_says_when_a_secret_ends_where_it_may() {
    let log = Log::hold().await;
    let world = with_graph(true).await;
    let end = MORNING.after(10 * DAY).unix_seconds() as f64;
    until(&world, async || world.metric(&series(1)).await == end).await;
    assert_eq!(log.of_credentials().len(), 1, "it is within fourteen days");
    assert!(health(&world).await.contains("secret, tried first, expires in 10 days"));
    assert!(!log.text().contains("eyJ0"), "LOG-01");
    world.stop().await;
}

#[tokio::test]
async fn graph_that_may_not_say_is_said_once_and_signs_everybody_in() {
    let log = Log::hold().await;
    let world = with_graph(false).await;
    until(&world, async || matches!(world.microsoft.counts(), Counts { applications: 1.., .. }))
        .await;
    until(&world, async || log.text().contains("Application.Read.All")).await;
    assert_eq!(log.text().matches("Application.Read.All").count(), 1);
    assert!(!world.metrics().await.contains(&series(1)));
    world.treasurer().await;
    world.stop().await;
}
