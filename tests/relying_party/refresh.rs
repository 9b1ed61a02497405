//! Asking again about a member (OIDC-13), where the provider exchanges refresh tokens.

use std::sync::Arc;
use std::time::Duration;

use anteport::gate::login::Journey;
use anteport::gate::{Renewal, Secret, VerifiedClaims};
use serde_json::json;

use anteport::relying_party::Limits;

use crate::provider::{KEYS, Reply, token};
use crate::world::{World, quick};

fn renewal(token: &str) -> Renewal {
    Renewal {
        refresh_token: Secret::new(token.to_owned()),
        journey: Journey::SignIn,
        nonce: Secret::new("of the login".to_owned()),
    }
}

/// Somebody who signed in.
async fn member(world: &World) -> VerifiedClaims {
    world.log_in("one", 0).await.unwrap()
}

fn answers(world: &World, id_token: String) {
    let answer = json!({
        "token_type": "Bearer", "id_token": id_token, "refresh_token": "the next one",
        "access_token": "eyJ0",
    });
    world.provider.set_token(move |_| Reply::Json(200, answer.clone()));
}

#[tokio::test]
async fn oidc_13_the_next_refresh_token_is_not_lost_with_a_token_that_is_not_believed() {
    let world = World::start().await;
    let earlier = member(&world).await;
    let good = world.claims("of the login");
    let mut expired = good.clone();
    expired["exp"] = json!(1);
    for (kid, key, claims, code) in [
        ("one", 0, expired, "token-expired"),
        ("unheard-of", 0, good.clone(), "token-key-unknown"),
        ("one", 1, good.clone(), "token-signature"),
    ] {
        answers(&world, token(kid, &claims, &KEYS[key]));
        let error = world.rp.refresh(&renewal("this one"), &earlier).await.unwrap_err();
        assert_eq!(error.error.code(), code);
        assert!(!error.error.ends_session(), "{code}");
        let next = error.refresh_token.unwrap();
        assert_eq!(next.expose(), "the next one", "{code}: the earlier one is spent");
    }
    answers(&world, token("one", &good, &KEYS[0]));
    let refreshed = world.rp.refresh(&renewal("the next one"), &earlier).await.unwrap();
    assert_eq!(refreshed.claims.unwrap().subject(), earlier.subject());
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "the next one");
}

#[tokio::test]
async fn oidc_13_a_token_is_judged_by_the_time_at_which_it_came() {
    let world = World::start().await;
    let earlier = member(&world).await;
    // Asked before, answered after: the endpoint took its time.
    let mut claims = world.claims("of the login");
    claims["iat"] = json!(world.clock.now().unix_seconds() + 120);
    let clock = world.clock.clone();
    let answer = json!({ "token_type": "Bearer", "id_token": token("one", &claims, &KEYS[0]) });
    world.provider.set_token(move |_| {
        clock.advance(Duration::from_secs(120));
        Reply::Json(200, answer.clone())
    });
    assert!(world.rp.refresh(&renewal("x"), &earlier).await.unwrap().claims.is_some());
}

#[tokio::test]
async fn lim_06_a_provider_that_is_out_of_order_is_left_alone_for_a_while() {
    let world = World::start().await;
    let earlier = member(&world).await;
    let now = world.clock.now();
    assert!(!world.rp.is_pausing(now));
    world.provider.set_token(|_| Reply::Hangup);
    assert!(world.rp.refresh(&renewal("x"), &earlier).await.is_err());
    assert!(world.rp.is_pausing(now));
    assert!(world.rp.is_pausing(now.after(Duration::from_secs(29))));
    assert!(!world.rp.is_pausing(now.after(Duration::from_secs(30))));
    // None of ours is taken from anybody, so nobody is asked about.
    let world = World::start().await;
    let earlier = member(&world).await;
    let refusal = json!({ "error": "invalid_client", "error_description": "AADSTS7000222: x" });
    world.provider.set_token(move |_| Reply::Json(401, refusal.clone()));
    let error = world.rp.refresh(&renewal("x"), &earlier).await.unwrap_err();
    assert!(!error.error.ends_session(), "{}", error.error.code());
    assert!(world.rp.is_pausing(now));
    // A refusal is an answer, and says nothing about others.
    let world = World::start().await;
    let earlier = member(&world).await;
    world.provider.set_token(|_| Reply::Json(400, json!({ "error": "invalid_grant" })));
    let error = world.rp.refresh(&renewal("x"), &earlier).await.unwrap_err();
    assert!(error.error.ends_session() && error.refresh_token.is_none());
    assert!(!world.rp.is_pausing(now));
}

#[tokio::test]
async fn lim_06_strangers_make_so_many_calls_at_a_time_and_no_more() {
    let limits = Limits { posts: 2, total: Duration::from_millis(300), ..quick() };
    let world = World::with(limits, |_| {}).await;
    let earlier = member(&world).await;
    world.provider.set_token(|_| Reply::Silence);
    let before = world.provider.count("/token");
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (rp, earlier) = (Arc::clone(&world.rp), earlier.clone());
        asking.spawn(async move { rp.refresh(&renewal("x"), &earlier).await.is_err() });
    }
    while let Some(failed) = asking.join_next().await {
        assert!(failed.unwrap());
    }
    assert!(world.provider.count("/token") - before <= 4, "two at a time");
}
