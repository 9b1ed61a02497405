//! What a directory has said goes with the session, and is nobody else's to say.

use std::time::Duration;

use serde_json::json;

use crate::webhook_receiver::Receiver;
use crate::world::assert_refusal;
use crate::{by_webhook, world};

#[tokio::test]
async fn what_the_directory_says_opens_doors_and_lasts_over_a_refresh() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    let mut browser = world.treasurer().await;
    assert_eq!(browser.open("/paid/x").await.status, 200);
    let asked = receiver.asks().len();
    // The provider is asked again, and the directory is not.
    world.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(browser.open("/paid/x").await.status, 200);
    assert_eq!(world.portal.last().header("x-auth-number"), Some("10442"));
    let refreshed = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ok\"}";
    assert_eq!(world.metric(refreshed).await, 1.0);
    assert_eq!(receiver.asks().len(), asked);
    // Another sign-in hears what is so now.
    receiver.with(|state| {
        state.members.values_mut().for_each(|claims| *claims = json!({ "member_number": 1 }));
    });
    let mut browser = world.treasurer().await;
    assert_refusal(&browser.open("/paid/x").await, 403, "claim-missing");
    browser.open("/").await;
    assert_eq!(world.portal.last().header("x-auth-number"), Some("1"));
    world.stop().await;
}
