//! The contract of the webhook: what is sent, what comes of each answer, and what of each fault.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Asked, Reply};
use crate::webhook_receiver::{Fault, Receiver};
use crate::world::browser::Browser;
use crate::world::{World, assert_refusal};
use crate::{
    FOREIGN, MEMBER, TREASURER, VERIFIED, by_webhook, comes_in, count, lands, six_come_in, world,
};

async fn provisioned() -> (Receiver, World) {
    let receiver = Receiver::start().await;
    let members = format!("unknown: provision, directory: {}", by_webhook(receiver.address));
    let world = world(&members).await;
    (receiver, world)
}

#[tokio::test]
async fn somebody_new_is_looked_up_and_then_created_and_then_known() {
    let (receiver, world) = provisioned().await;
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.asks(), ["lookup", "provision"]);
    let event = receiver.last().json();
    let data = &event["data"];
    assert_eq!(event["timestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(data["portal"], format!("http://{}", world.proxy));
    assert_eq!(data["provider"], "corporate");
    assert_eq!(data["registration"], "open");
    assert_eq!((&data["first_login"], &data["last_login"]), (&json!(true), &Value::Null));
    assert_eq!((&data["dry_run"], &data["verified_email"]), (&json!(false), &Value::Null));
    // Her address is in the token, and nobody has verified it (AZ-02).
    assert_eq!(data["profile"].get("email"), None);
    let member = data["member"].as_str().unwrap();
    assert!(member.starts_with("3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11."), "{member}");
    // What the webhook says is told to the portal, and opens its doors.
    assert_eq!(world.portal.last().header("x-auth-number"), Some("10442"));

    world.clock.advance(Duration::from_secs(3600));
    let mut browser = world.browser();
    browser.sign_in("/paid/x", TREASURER).await;
    assert!(world.portal.last().line.starts_with("GET /paid/x"));
    assert_eq!(receiver.asks(), ["lookup", "provision", "lookup"]);
    let data = receiver.last().json()["data"].clone();
    assert_eq!(data["first_login"], json!(false));
    assert_eq!(data["last_login"], "2027-01-15T08:00:00Z");
    assert_eq!(data["profile"], json!({}));
    assert_eq!(count(&world, "created").await, 1.0);
    assert_eq!(count(&world, "known").await, 1.0);
    world.stop().await;
}

/// Whether a webhook links by it or not: without a word of the operator's, no other address is told.
#[tokio::test]
async fn az_02_the_address_that_is_told_is_the_verified_one() {
    let (receiver, world) = provisioned().await;
    comes_in(&world, VERIFIED).await;
    let told = |asked: &Asked| asked.json()["data"]["verified_email"].clone();
    let addresses: Vec<Value> = receiver.with(|state| state.asked.iter().map(told).collect());
    assert_eq!(addresses, [VERIFIED, VERIFIED]);
    assert_eq!(receiver.last().json()["data"]["profile"]["email"], VERIFIED);
    comes_in(&world, FOREIGN).await;
    let data = receiver.last().json()["data"].clone();
    assert_eq!(data["ask"], "provision");
    assert!(!data.to_string().contains(TREASURER), "{data}");
    world.stop().await;
}

/// What comes before the answer is lost, or is none.
#[tokio::test]
async fn a_webhook_that_is_busy_or_breaks_off_for_a_moment_is_asked_again() {
    for fault in [
        Reply::With(429, "Retry-After", "0".into()),
        Reply::With(503, "Retry-After", "1".into()),
        Reply::With(429, "X-Other", "1".into()),
        Reply::Json(500, json!({})),
        Reply::Json(502, json!({ "decision": "refuse" })),
        Reply::Cut,
        Reply::Short,
    ] {
        let (receiver, world) = provisioned().await;
        receiver.fail([Fault::Instead(fault.clone())]);
        comes_in(&world, TREASURER).await;
        assert_eq!(receiver.asks(), ["lookup", "lookup", "provision"], "{fault:?}");
        let ids: Vec<String> = receiver.with(|state| {
            let ids =
                state.asked.iter().map(|asked| asked.header("webhook-id").unwrap().to_owned());
            ids.collect()
        });
        assert_eq!(ids[0], ids[1], "one question has one id");
        assert_ne!(ids[0], ids[2]);
        world.stop().await;
    }
}

#[tokio::test]
async fn one_try_that_hangs_leaves_time_for_another() {
    let (receiver, world) = provisioned().await;
    receiver.fail([Fault::Instead(Reply::Hang)]);
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.asks(), ["lookup", "lookup", "provision"]);
    world.stop().await;
}

/// The answer is lost after it was done: the same id brings the same answer.
#[tokio::test]
async fn an_answer_that_is_lost_creates_nobody_twice() {
    for fault in
        [Reply::Cut, Reply::Short, Reply::Json(500, json!({})), Reply::Json(409, json!({}))]
    {
        let (receiver, world) = provisioned().await;
        receiver.fail_to_write([Fault::After(fault.clone()), Fault::After(fault.clone())]);
        comes_in(&world, TREASURER).await;
        assert_eq!(receiver.with(|state| state.created), 1, "{fault:?}");
        assert_eq!(receiver.asks(), ["lookup", "provision", "provision", "provision"]);
        assert_eq!(count(&world, "created").await, 1.0, "{fault:?}");
        world.stop().await;
    }
}

/// Whoever takes longer than a look-up may is waited for, and not asked to do it once more.
#[tokio::test]
async fn a_slow_creation_is_waited_for_and_sent_once() {
    let (receiver, world) = provisioned().await;
    receiver.fail_to_write([Fault::Late(Duration::from_millis(1500))]);
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.asks(), ["lookup", "provision"]);
    assert_eq!(receiver.with(|state| state.created), 1);
    // One that takes too long has been made by the next sign-in.
    receiver.fail_to_write([Fault::After(Reply::Hang)]);
    assert_refusal(&lands(&world, MEMBER).await, 503, "directory-unavailable");
    comes_in(&world, MEMBER).await;
    assert_eq!(receiver.with(|state| state.created), 2);
    assert_eq!(receiver.asks()[2..], ["lookup", "provision", "lookup"]);
    world.stop().await;
}

/// Another request of the same id is still at it.
#[tokio::test]
async fn a_webhook_that_is_still_at_it_is_asked_again() {
    for status in [409, 425] {
        let (receiver, world) = provisioned().await;
        receiver.fail_to_write([Fault::Instead(Reply::Json(status, json!({})))]);
        comes_in(&world, TREASURER).await;
        assert_eq!(receiver.asks(), ["lookup", "provision", "provision"], "{status}");
        world.stop().await;
    }
}

/// An answer of yesterday lets nobody in who is gone, and keeps nobody out who may come.
#[tokio::test]
async fn an_id_that_comes_again_is_judged_by_who_is_a_member_now() {
    let (receiver, world) = provisioned().await;
    comes_in(&world, TREASURER).await;
    let first = receiver.last().header("webhook-id").unwrap().to_owned();
    receiver.with(|state| {
        state.members.clear();
        state.on_create = Some(json!({ "decision": "refuse", "message": "Not paid." }));
    });
    assert_refusal(&lands(&world, TREASURER).await, 403, "member-vetoed");
    assert_eq!(receiver.last().header("webhook-id"), Some(&*first));
    receiver.with(|state| state.on_create = None);
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.last().header("webhook-id"), Some(&*first));
    assert_eq!(receiver.with(|state| state.created), 2);
    world.stop().await;
}

/// We are gone between the webhook and the session, and come back as another process.
#[tokio::test]
async fn a_crash_between_webhook_and_session_creates_nobody_twice() {
    let (receiver, mut world) = provisioned().await;
    // Created there, and the answer reaches nobody: all tries hang until the deadline.
    receiver.fail_to_write((0..9).map(|_| Fault::After(Reply::Hang)));
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/", TREASURER).await;
    let waiting = tokio::spawn(async move { browser.open_url(&callback).await });
    while receiver.with(|state| state.created) == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    let first = receiver.last().header("webhook-id").unwrap().to_owned();
    world.restart().await;
    // Its look-up is behind, and does not know yet whom it has just made.
    let nobody = Reply::Json(200, json!({ "decision": "unknown" }));
    receiver.with(|state| {
        state.write_faults.clear();
        state.faults = [Fault::Instead(nobody)].into();
    });
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.last().header("webhook-id"), Some(&*first));
    assert_eq!(receiver.with(|state| state.created), 1);
    world.stop().await;
}

#[tokio::test]
async fn gen_02_a_webhook_that_does_not_say_lets_nobody_in_whatever_is_configured() {
    let is_503 = |reply: &Reply| (reply.clone(), "directory-unavailable");
    let faults = [
        is_503(&Reply::Json(500, json!({ "decision": "admit" }))),
        is_503(&Reply::Cut),
        is_503(&Reply::Hang),
        is_503(&Reply::Short),
        is_503(&Reply::With(429, "Retry-After", "60".into())),
        is_503(&Reply::With(503, "Retry-After", "86400".into())),
        (Reply::Json(400, json!({ "decision": "admit" })), "directory-refused"),
        (Reply::Json(401, json!({})), "directory-refused"),
        (Reply::Json(404, json!({})), "directory-refused"),
        (Reply::Json(501, json!({})), "directory-refused"),
        (Reply::Json(505, json!({ "decision": "admit" })), "directory-refused"),
        (Reply::Json(202, json!({ "decision": "admit" })), "directory-refused"),
        (Reply::Raw(204, vec![]), "directory-refused"),
        (Reply::With(302, "Location", "http://127.0.0.1:1/".into()), "directory-answer"),
        (Reply::Raw(200, vec![]), "directory-answer"),
        (Reply::Raw(200, b"<html>".to_vec()), "directory-answer"),
        (
            Reply::Raw(200, b"{\"decision\":\"refuse\",\"decision\":\"admit\"}".to_vec()),
            "directory-answer",
        ),
        (Reply::Json(200, json!({ "decision": "yes" })), "directory-answer"),
        (
            Reply::Json(200, json!({ "decision": "admit", "x": "x".repeat(70_000) })),
            "directory-answer",
        ),
        (Reply::Raw(200, vec![b' '; 300_000]), "directory-answer"),
    ];
    tokio::join!(
        nobody_comes_in("allow", &faults),
        nobody_comes_in("deny", &faults),
        nobody_comes_in("provision", &faults),
    );
}

async fn nobody_comes_in(unknown: &str, faults: &[(Reply, &str)]) {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address).replace("3s", "500ms");
    let world = world(&format!("unknown: {unknown}, directory: {directory}")).await;
    for (fault, code) in faults {
        receiver.with(|state| {
            state.faults = (0..9).map(|_| Fault::Instead(fault.clone())).collect();
        });
        let began = Instant::now();
        let mut browser = world.browser();
        let landed = browser.sign_in("/", TREASURER).await;
        assert_refusal(&landed, 503, code);
        assert!(landed.text().contains("Try again"), "{}", landed.text());
        assert!(began.elapsed() < Duration::from_secs(10), "{fault:?}");
        assert!(!browser.own_cookies().contains_key("__Host-anteport"), "{fault:?}");
    }
    assert_eq!(count(&world, "failed").await, faults.len() as f64);
    assert!(world.portal.received().is_empty(), "nobody came in");
    assert_eq!(receiver.with(|state| state.created), 0);
    world.stop().await;
}

#[tokio::test]
async fn gen_02_a_webhook_that_nobody_listens_at_lets_nobody_in() {
    let nobody = crate::world::free_port();
    let directory = by_webhook(nobody).replace("3s", "500ms");
    let world = world(&format!("unknown: allow, directory: {directory}")).await;
    assert_refusal(&lands(&world, TREASURER).await, 503, "directory-unavailable");
    world.stop().await;
}

#[tokio::test]
async fn a_veto_is_told_to_its_member_as_text() {
    let (receiver, world) = provisioned().await;
    let message = "Your fee of 2027 is <b>due</b>.\u{202e}\n<script>alert(1)</script>";
    receiver.with(|state| {
        state.unknown = Some(json!({ "decision": "refuse", "message": message }));
    });
    let landed = lands(&world, TREASURER).await;
    assert_refusal(&landed, 403, "member-vetoed");
    let text = landed.text();
    assert!(text.contains("Your fee of 2027 is"), "{text}");
    assert!(!text.contains("<b>") && !text.contains("<script") && !text.contains('\u{202e}'));
    assert!(text.contains("Use another account"), "{text}");
    // The same at the second step.
    receiver.with(|state| {
        state.unknown = None;
        state.on_create = Some(json!({ "decision": "refuse", "message": "The club is full." }));
    });
    let landed = lands(&world, MEMBER).await;
    assert_refusal(&landed, 403, "member-vetoed");
    assert!(landed.text().contains("The club is full."));
    assert_eq!(count(&world, "refused").await, 2.0);
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_webhook_that_was_to_create_and_knows_nobody_is_not_believed() {
    let (receiver, world) = provisioned().await;
    receiver.with(|state| state.on_create = Some(json!({ "decision": "unknown" })));
    assert_refusal(&lands(&world, TREASURER).await, 503, "directory-answer");
    world.stop().await;
}

/// Whom the directory refuses does not stay by a session from before.
#[tokio::test]
async fn a_member_who_signs_in_again_and_is_refused_is_out() {
    let (receiver, world) = provisioned().await;
    let mut browser = world.treasurer().await;
    assert_eq!(browser.open("/").await.status, 200);
    receiver.with(|state| {
        state.members.clear();
        state.unknown = Some(json!({ "decision": "refuse" }));
    });
    let again = "/.auth/login/corporate?post_login_redirect_uri=/&again=1";
    let landed = sign_in_again(&mut browser, again).await;
    assert_refusal(&landed, 403, "member-vetoed");
    assert_ne!(browser.open("/").await.status, 200, "the earlier session is over");
    // One that could not be asked ends nothing (GEN-03).
    receiver.with(|state| state.unknown = None);
    let mut browser = world.treasurer().await;
    receiver.with(|state| {
        state.faults = (0..9).map(|_| Fault::Instead(Reply::Json(403, json!({})))).collect();
    });
    assert_refusal(&sign_in_again(&mut browser, again).await, 503, "directory-refused");
    assert_eq!(browser.open("/").await.status, 200);
    world.stop().await;
}

async fn sign_in_again(browser: &mut Browser, target: &str) -> crate::world::browser::Answer {
    let page = browser.follow(target).await;
    match page.text().contains("name=\"password\"") {
        true => {
            let back = browser.submit(&page, TREASURER, "demo").await;
            let answer = browser.open_url(&back.location()).await;
            browser.follow_from(answer).await
        }
        false => page,
    }
}

/// Two sign-ins of one new member at one moment come to one account.
#[tokio::test]
async fn two_at_once_are_created_once() {
    let (receiver, world) = provisioned().await;
    six_come_in(&world, TREASURER).await;
    assert_eq!(receiver.with(|state| state.created), 1);
    let provisions = receiver.asks().iter().filter(|ask| **ask == "provision").count();
    assert_eq!(provisions, 1);
    world.stop().await;
}

#[tokio::test]
async fn what_is_told_at_the_first_and_at_every_sign_in_is_as_mapped() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let members = format!(
        "unknown: provision, directory: {directory}, first_login: {{ mail: email, who: oid, none: \
         nothing }}, every_login: {{ shown_as: name }}"
    );
    let world = world(&members).await;
    comes_in(&world, TREASURER).await;
    comes_in(&world, TREASURER).await;
    let profiles: Vec<Value> = receiver.with(|state| {
        state.asked.iter().map(|asked| asked.json()["data"]["profile"].clone()).collect()
    });
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&profiles[0]), ["shown_as"], "a lookup");
    assert_eq!(keys(&profiles[1]), ["mail", "shown_as", "who"], "a creation");
    assert_eq!(keys(&profiles[2]), ["shown_as"], "another day");
    world.stop().await;
}
