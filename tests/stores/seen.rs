//! What an SRE sees of a store that comes late, is lost, and is heard again: a whole proxy with a
//! Redis.

use std::time::Duration;

use crate::redis::Server;
use crate::suite::eventually;
use crate::world::browser::Browser;
use crate::world::{Plan, World};

async fn world(server: &Server) -> World {
    let sessions = format!(
        "{{ store: redis, keys: [ {{ value: \"{}=\" }} ], \
         redis: {{ servers: [\"{}\"], grace: 30s }} }}",
        "A".repeat(43),
        server.address
    );
    World::start_with(Plan { kept_sessions: Some(sessions), ..Plan::default() }).await
}

async fn readyz(world: &World) -> (u16, String) {
    let admin = Browser::new(format!("http://{}", world.admin));
    let answer = admin.send("GET", "/readyz?verbose", &[], b"").await;
    (answer.status, answer.text())
}

const UP: &str = "anteport_session_store_up";

#[tokio::test]
async fn rel_04_a_store_is_seen_to_come_to_go_and_to_come_back() {
    let mut server = Server::start();
    server.down();
    let world = world(&server).await;
    let cookie = format!("__Host-anteport={}", "A".repeat(43));
    let stranger = async || {
        let (url, headers) = ("/reports", [("cookie", cookie.as_str()), ("accept", "text/html")]);
        world.browser().send("GET", url, &headers, b"").await
    };
    let answer = stranger().await;
    assert_eq!(answer.status, 503, "nobody knows: {}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let (status, words) = readyz(&world).await;
    assert_eq!(status, 503, "without its store it takes no visitors yet");
    assert!(words.starts_with("starting\n"), "{words}");
    assert!(words.contains("session store redis: not reached yet"), "{words}");
    assert_eq!(world.metric(UP).await, 0.0);

    server.up();
    eventually(async || readyz(&world).await.0 == 200).await;
    assert!(readyz(&world).await.1.contains("session store redis: heard\n"));
    assert_eq!(stranger().await.status, 303, "now it is known to be nobody's");
    let mut ada = world.treasurer().await;
    assert_eq!(ada.open("/reports").await.status, 200);
    let calls = async |call: &str, outcome: &str| {
        let name = "anteport_session_store_calls_total";
        world.metric(&format!("{name}{{call=\"{call}\",outcome=\"{outcome}\"}}")).await
    };
    assert!(calls("find", "ok").await >= 2.0 && calls("start", "ok").await == 1.0);
    let took = "anteport_session_store_call_duration_seconds_count{call=\"start\"}";
    assert_eq!(world.metric(took).await, 1.0);
    let lookups = async |at: &str| {
        world.metric(&format!("anteport_session_lookups_total{{where=\"{at}\"}}")).await
    };
    let (here, there) = (lookups("here").await, lookups("store").await);
    for _ in 0..10 {
        assert_eq!(ada.open("/reports").await.status, 200);
    }
    assert_eq!((lookups("here").await, lookups("store").await), (here + 10.0, there));
    let series = ["anteport_session_copies", UP, "anteport_session_store_reconnects_total"];
    for (name, value) in series.into_iter().zip([1.0, 1.0, 0.0]) {
        assert_eq!(world.metric(name).await, value, "{name}");
    }

    server.down();
    eventually(async || world.metric(UP).await == 0.0).await;
    world.clock.advance(Duration::from_secs(12));
    let (status, words) = readyz(&world).await;
    assert_eq!(status, 200, "members go on");
    let expected = "redis: not heard for 12 s; who is known here goes on for 18 s more\n";
    assert!(words.contains(expected), "{words}");
    assert_eq!(world.metric("anteport_session_store_unheard_seconds").await, 12.0);
    assert_eq!(ada.open("/reports").await.status, 200);
    assert_eq!(stranger().await.status, 503);
    // It is asked first whether everybody has to sign in anew.
    assert!(calls("everybody", "unreachable").await >= 1.0);
    ada.clone().open("/.auth/logout").await;
    assert_eq!(world.metric("anteport_session_revocations_owed").await, 1.0);
    assert!(readyz(&world).await.1.contains("has yet to be told of 1 that ended"));

    server.up();
    eventually(async || world.metric(UP).await == 1.0).await;
    eventually(async || world.metric("anteport_session_revocations_owed").await == 0.0).await;
    assert_eq!(world.metric("anteport_session_store_unheard_seconds").await, 0.0);
    assert_eq!(world.metric("anteport_session_store_reconnects_total").await, 1.0);
    assert!(readyz(&world).await.1.contains("session store redis: heard\n"));
    world.stop().await;
}
