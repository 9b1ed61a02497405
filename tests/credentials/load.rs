//! Secret A expires while everybody signs in.

use std::rc::Rc;
use std::time::Duration;

use anteport::demo::microsoft::ClientSecret;
use anteport::gate::Secret;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, LocalSet};

use crate::log::Log;
use crate::world::{MORNING, Plan, World};

const PEOPLE: usize = 40;
const ROUNDS: usize = 3;

#[tokio::test]
async fn secret_a_expires_under_load_and_nobody_notices() {
    LocalSet::new().run_until(expires_under_load()).await;
}

async fn expires_under_load() {
    let log = Log::hold().await;
    let end = MORNING.after(Duration::from_secs(60));
    let world = World::start_with(Plan {
        credentials: "[ { secret: { value: A-secret } }, { secret: { value: B-secret } } ]".into(),
        registration: Box::new(move |options, _| {
            let secret = |value: &str, expires| ClientSecret {
                value: Secret::new(value.to_owned()),
                expires,
            };
            options.secrets = vec![secret("A-secret", Some(end)), secret("B-secret", None)];
        }),
        ..Plan::default()
    })
    .await;
    let mut member = world.treasurer().await;
    let refusals = "anteport_client_credential_refusals_total";
    assert_eq!(total(&world, refusals).await, 0.0);

    // All stand before the callback, then the secret ends in the midst of them.
    let world = Rc::new(world);
    let barrier = Rc::new(Barrier::new(PEOPLE + 1));
    let mut people = JoinSet::new();
    for _ in 0..PEOPLE {
        let (world, barrier) = (Rc::clone(&world), Rc::clone(&barrier));
        people.spawn_local(async move {
            for round in 0..ROUNDS {
                let mut browser = world.browser();
                let name = "member@harborclub.example";
                let callback = browser.sign_in_to_callback("/reports?year=2026", name).await;
                if round == 1 {
                    barrier.wait().await;
                }
                let landed = browser.open_url(&callback).await;
                assert_eq!(landed.status, 303, "{}", landed.text());
                let page = browser.follow_from(landed).await;
                assert_eq!((page.status, page.url.path()), (200, "/reports"), "{}", page.text());
            }
        });
    }
    barrier.wait().await;
    tokio::task::yield_now().await;
    world.clock.advance(Duration::from_secs(60));
    while let Some(ended) = people.join_next().await {
        ended.unwrap();
    }
    assert_eq!(member.open("/reports").await.status, 200, "who is signed in notices nothing");

    let lines = log.of_credentials();
    assert_eq!(lines.len(), 1, "one alert line: {lines:?}");
    assert_eq!(lines[0]["reason"], "secret-expired");
    assert_eq!(lines[0]["credential"], 1);
    assert_eq!(total(&world, refusals).await, 1.0, "one metric change");
    let series =
        format!("{refusals}{{provider=\"corporate\",credential=\"1\",reason=\"secret-expired\"}}");
    assert_eq!(world.metric(&series).await, 1.0);
    let logins =
        |result| format!("anteport_logins_total{{provider=\"corporate\",result=\"{result}\"}}");
    let people = PEOPLE * ROUNDS + 1;
    assert_eq!(world.metric(&logins("success")).await, people as f64, "no failed login");
    assert_eq!(world.metric(&logins("client-secret-refused")).await, 0.0);

    let tokens = world.microsoft.counts().token;
    assert!(tokens > people as u64, "nobody's code met the refusal: {tokens} for {people}");
    // From now on the good one goes first: one token request each.
    let before = world.microsoft.counts().token;
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().token, before + 1);
    Rc::into_inner(world).unwrap().stop().await;
}

/// All series of a family together.
async fn total(world: &World, family: &str) -> f64 {
    let text = world.metrics().await;
    let series = text.lines().filter(|line| line.starts_with(family));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
