//! Sign-ins that lead nowhere end at a page, and nobody is locked out.

use std::time::Duration;

use crate::errors::button;
use crate::world::browser::{Answer, Browser};
use crate::world::{World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";
const SESSION: &str = "__Host-anteport";

/// Follows redirects in a browser that loses some cookies after every step, until a page.
async fn wander(browser: &mut Browser, target: &str, lose: impl Fn(&str) -> bool) -> Answer {
    let mut answer = browser.open(target).await;
    for _ in 0..40 {
        browser.own_cookies().retain(|name, _| !lose(name));
        if !(300..400).contains(&answer.status) {
            return answer;
        }
        answer = browser.open_url(&answer.location()).await;
    }
    panic!("for ever: {}", answer.url)
}

/// A browser that the provider signs in without asking.
async fn known_to_the_provider(world: &World) -> Browser {
    let mut browser = world.treasurer().await;
    browser.own_cookies().clear();
    browser
}

#[tokio::test]
async fn oidc_16_three_starts_in_a_minute_end_in_a_page_that_says_why() {
    let world = World::start().await;
    let mut browser = known_to_the_provider(&world).await;
    let before = world.microsoft.counts().authorize;
    let page = wander(&mut browser, "/reports", |name| name == SESSION).await;
    assert_refusal(&page, 429, "login-loop");
    assert_eq!(page.header("retry-after"), Some("60"));
    assert!(page.text().contains("does not keep cookies"), "{}", page.text());
    assert_eq!(world.microsoft.counts().authorize - before, 3);
    let series = "anteport_logins_total{provider=\"corporate\",result=\"login-loop\"}";
    assert_eq!(world.metric(series).await, 1.0);
    // It stays so for the rest of the minute, whatever page it is; the button and the time help.
    assert_eq!(browser.open("/reports").await.status, 429);
    assert_eq!(browser.open("/other").await.status, 429);
    let landed = browser.clone().follow(&button(&page)).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(browser.follow("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn oidc_16_a_loop_that_asks_for_another_page_each_time_ends_too() {
    let world = World::start().await;
    let mut browser = known_to_the_provider(&world).await;
    for round in 0..3 {
        let callback = browser.open(&format!("/reports?round={round}")).await.location();
        let callback = browser.open_url(&callback).await.location();
        assert_eq!(browser.open_url(&callback).await.status, 303);
        browser.own_cookies().remove(SESSION);
    }
    assert_refusal(&browser.open("/reports?round=3").await, 429, "login-loop");
    world.stop().await;
}

#[tokio::test]
async fn oidc_16_losing_one_cookie_more_puts_the_end_off_by_one_round() {
    let world = World::start().await;
    let mut browser = known_to_the_provider(&world).await;
    let mut lost = false;
    for round in 0..5 {
        let answer = browser.open("/reports").await;
        if answer.status == 429 {
            assert_eq!(round, 4);
            world.stop().await;
            return;
        }
        let callback = browser.open_url(&answer.location()).await.location();
        browser.open_url(&callback).await;
        browser.own_cookies().remove(SESSION);
        if !std::mem::replace(&mut lost, true) {
            browser.own_cookies().clear();
        }
    }
    panic!("it did not end");
}

#[tokio::test]
async fn a_browser_without_cookies_ends_at_its_first_callback() {
    let world = World::start().await;
    let mut browser = known_to_the_provider(&world).await;
    let page = wander(&mut browser, "/reports", |_| true).await;
    assert_refusal(&page, 400, "login-not-pending");
    world.stop().await;
}

#[tokio::test]
async fn ten_tabs_at_once_on_different_pages_are_no_loop() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut forms = Vec::new();
    for tab in 0..10 {
        forms.push(browser.follow(&format!("/reports?tab={tab}")).await);
    }
    for (tab, form) in forms.iter().enumerate().rev() {
        let back = browser.submit(form, TREASURER, "demo").await;
        let landed = browser.follow_from(back).await;
        assert_eq!(landed.url.query(), Some(&*format!("tab={tab}")));
    }
    // Signing out forgets them: the next sign-in is an ordinary one.
    browser.follow("/.auth/logout").await;
    assert!(browser.own_cookies().is_empty(), "{:?}", browser.own_cookies());
    assert_eq!(browser.sign_in("/reports", TREASURER).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_session_clears_what_was_begun_before_it() {
    let world = World::start().await;
    let mut browser = world.browser();
    for _ in 0..2 {
        browser.open("/reports").await;
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.sign_in("/reports", TREASURER).await.status, 200);
    browser.own_cookies().remove(SESSION);
    assert_eq!(browser.follow("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_fourth_start_for_the_same_page_says_so_with_a_button() {
    let world = World::start().await;
    let mut browser = world.browser();
    for _ in 0..3 {
        assert_eq!(browser.open("/reports").await.status, 303);
    }
    assert_eq!(browser.open("/other").await.status, 303, "another page");
    let page = browser.open("/reports").await;
    assert_refusal(&page, 429, "login-loop");
    assert_eq!(browser.sign_in(&button(&page), TREASURER).await.status, 200);
    world.stop().await;
}
