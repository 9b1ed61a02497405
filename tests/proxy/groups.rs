//! Members in no group, in some, and in more than a token lists, with a Graph that answers, and
//! with one that does not: the right doors open, or a clear denial, and headers that the portal
//! can take.

use anteport::demo::microsoft::Trouble;
use anteport::demo::microsoft::graph::{GraphAnswer, group_id, group_name};
use std::time::Duration;

use crate::world::browser::{Answer, Browser};
use crate::world::{ONE_TENANT, Plan, World, assert_refusal};

const NOBODYS: &str = "treasurer@harborclub.example";
const MANY: &str = "groups199@harborclub.example";
const TOO_MANY: &str = "groups201@harborclub.example";
const FAR_TOO_MANY: &str = "groups2000@harborclub.example";
const ALL: [(&str, usize); 4] = [(NOBODYS, 0), (MANY, 199), (TOO_MANY, 201), (FAR_TOO_MANY, 2000)];

const FROM_GRAPH: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    graph: "http://AUTHORITY/graph"
    groups: { source: graph, keep: [0b6d4a12-9e3f-4c75-8d21-000000000007] }
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;
const WITH_NAMES: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    graph: "http://AUTHORITY/graph"
    groups: { source: graph, names: true }
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;
const NAMED: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    groups: { keep: [0b6d4a12-9e3f-4c75-8d21-000000000007] }
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;

/// Group 1 is everybody's who is in any; the others are for those in more.
const BY_GROUP: &str = r#"
    local_login: {}
    routes:
      - path: "/first/**"
        access: signed_in
        requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000001] }
      - path: "/two-hundredth/**"
        access: signed_in
        requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000200] }
      - path: "/last/**"
        access: signed_in
        requires:
          groups: [0b6d4a12-9e3f-4c75-8d21-000000002000, 0b6d4a12-9e3f-4c75-8d21-999999999999]
      - { path: "/**", access: signed_in }
"#;
const ROOMS: [(&str, usize); 3] = [("/first/x", 1), ("/two-hundredth/x", 200), ("/last/x", 2000)];

async fn world(provider: &'static str, portal: &'static str) -> World {
    World::start_with(Plan { provider, portal, ..Plan::default() }).await
}

async fn signed_in(world: &World, username: &str) -> Browser {
    let mut browser = world.browser();
    let landed = browser.sign_in("/", username).await;
    assert_eq!(landed.status, 200, "{username} {}", landed.text());
    browser
}

async fn room(browser: &mut Browser, path: &str) -> Answer {
    browser.open(path).await
}

fn told(world: &World) -> Vec<String> {
    let seen = world.portal.last();
    let groups = seen.header("x-auth-groups").unwrap_or_default().to_owned();
    groups.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn az_05_everybody_gets_into_the_rooms_of_their_groups_and_into_no_other() {
    let world = world(FROM_GRAPH, BY_GROUP).await;
    for (username, count) in ALL {
        let mut browser = signed_in(&world, username).await;
        for (path, group) in ROOMS {
            let answer = room(&mut browser, path).await;
            match group <= count {
                true => assert_eq!(answer.status, 200, "{username} {path} {}", answer.text()),
                false => assert_refusal(&answer, 403, "group-missing"),
            }
        }
        assert_eq!(room(&mut browser, "/elsewhere").await.status, 200);
    }
    // Who has a list was not asked about, and who has none at all was: one page each for none and
    // for 201 groups, and three for 2,000.
    assert_eq!(world.microsoft.counts().graph, 1 + 1 + 3);
    world.stop().await;
}

/// What the token leaves out is unknown where Graph is not to be asked.
#[tokio::test]
async fn az_05_groups_that_are_left_out_of_the_token_close_what_asks_for_one() {
    let world = world(ONE_TENANT, BY_GROUP).await;
    for (username, count) in ALL {
        let mut browser = signed_in(&world, username).await;
        for (path, group) in ROOMS {
            let answer = room(&mut browser, path).await;
            match (count > 200, group <= count) {
                (true, _) => assert_refusal(&answer, 403, "groups-left-out"),
                (false, true) => assert_eq!(answer.status, 200, "{username} {path}"),
                (false, false) => assert_refusal(&answer, 403, "group-missing"),
            }
        }
        assert_eq!(room(&mut browser, "/elsewhere").await.status, 200);
    }
    assert_eq!(world.microsoft.counts().graph, 0);
    world.stop().await;
}

#[tokio::test]
async fn az_05_a_graph_that_does_not_answer_closes_what_asks_for_a_group_and_nothing_else() {
    for (answer, asks) in [
        // Longer than anybody waits.
        (GraphAnswer::Trouble(Trouble::Throttled(60)), 1),
        (GraphAnswer::Trouble(Trouble::ServerError), 4),
        (GraphAnswer::Denied, 1),
        (GraphAnswer::ForeignLink, 1),
        (GraphAnswer::EndlessLink, 20),
        (GraphAnswer::Trouble(Trouble::Truncated), 4),
        (GraphAnswer::Trouble(Trouble::Html), 1),
    ] {
        let world = world(FROM_GRAPH, BY_GROUP).await;
        world.microsoft.set_graph(Some(answer));
        for (username, knows) in [(MANY, true), (FAR_TOO_MANY, false)] {
            let mut browser = signed_in(&world, username).await;
            assert_eq!(room(&mut browser, "/elsewhere").await.status, 200, "{answer:?}");
            let first = room(&mut browser, "/first/x").await;
            match knows {
                // The token lists these: Graph is not asked.
                true => assert_eq!(first.status, 200, "{answer:?}"),
                false => {
                    assert_refusal(&first, 503, "groups-unknown");
                    let api = [("accept", "application/json")];
                    let answer = browser.send("GET", "/first/x", &api, b"").await;
                    assert_eq!(
                        (answer.status, answer.json()["error"].as_str()),
                        (503, Some("groups-unknown"))
                    );
                }
            }
        }
        assert_eq!(world.microsoft.counts().graph, asks, "{answer:?}");
        // Another sign-in asks again, and is answered.
        world.microsoft.set_graph(None);
        let mut browser = signed_in(&world, FAR_TOO_MANY).await;
        for (path, _) in ROOMS {
            assert_eq!(room(&mut browser, path).await.status, 200, "{answer:?}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_graph_that_is_busy_for_a_moment_is_asked_again() {
    let world = world(FROM_GRAPH, BY_GROUP).await;
    world.microsoft.next_graph_answer(GraphAnswer::Trouble(Trouble::Throttled(0)));
    world.microsoft.next_graph_answer(GraphAnswer::Trouble(Trouble::ServerError));
    let mut browser = signed_in(&world, FAR_TOO_MANY).await;
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);
    assert_eq!(world.microsoft.counts().graph, 2 + 3);
    let series = |outcome: &str| {
        format!(
            "anteport_provider_call_duration_seconds_count{{provider=\"corporate\",\
             call=\"graph\",outcome=\"{outcome}\"}}"
        )
    };
    assert_eq!(world.metric(&series("ok")).await, 3.0);
    assert_eq!(world.metric(&series("unreachable")).await, 2.0);
    // Of the same person nobody asks again for a while.
    signed_in(&world, FAR_TOO_MANY).await;
    assert_eq!(world.microsoft.counts().graph, 5);
    world.clock.advance(Duration::from_secs(301));
    signed_in(&world, FAR_TOO_MANY).await;
    assert_eq!(world.microsoft.counts().graph, 8);
    world.stop().await;
}

const TOLD: &str = r#"
    local_login: {}
    routes:
      - path: "/last/**"
        access: signed_in
        requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000199] }
      - { path: "/**", access: signed_in }
    identity: { headers: { X-Auth-Groups: groups, X-Auth-Group-Names: group_names } }
"#;

#[tokio::test]
async fn hdr_10_the_portal_is_told_the_groups_that_somebody_named() {
    for provider in [FROM_GRAPH, NAMED] {
        let world = world(provider, TOLD).await;
        for (username, count) in ALL {
            let mut browser = world.browser();
            let landed = browser.sign_in("/", username).await;
            if provider == NAMED && count > 200 {
                // The portal would take no header for no group.
                assert_refusal(&landed, 403, "identity-group-overage");
                continue;
            }
            assert_eq!(landed.status, 200, "{username} {}", landed.text());
            let expected = if count == 0 { vec![] } else { vec![group_id(7), group_id(199)] };
            assert_eq!(told(&world), expected, "{username}");
        }
        world.stop().await;
    }
}

const IN_WORDS: &str = r#"
    local_login: {}
    identity:
      headers:
        X-Auth-Groups: groups
        X-Auth-Ranks:
          claim: groups
          map: { 0B6D4A12-9E3F-4C75-8D21-000000000001: member, 0b6d4a12-9e3f-4c75-8d21-000000000199: board }
          default: guest
"#;

/// A header that has a word for a group names it, as a route does that asks for it.
#[tokio::test]
async fn groups_that_have_a_word_are_told_in_the_portals_words() {
    for provider in [FROM_GRAPH, NAMED, ONE_TENANT] {
        let world = world(provider, IN_WORDS).await;
        for (username, ranks) in [(NOBODYS, "guest"), (MANY, "member,board")] {
            let mut browser = world.browser();
            let landed = browser.sign_in("/", username).await;
            if provider == ONE_TENANT && username == MANY {
                assert_refusal(&landed, 403, "identity-too-large");
                continue;
            }
            assert_eq!(landed.status, 200, "{username} {}", landed.text());
            assert_eq!(world.portal.last().header("x-auth-ranks"), Some(ranks));
        }
        let landed = world.browser().sign_in("/", FAR_TOO_MANY).await;
        match provider == FROM_GRAPH {
            true => assert_eq!(world.portal.last().header("x-auth-ranks"), Some("member,board")),
            false => assert_refusal(&landed, 403, "identity-group-overage"),
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn hdr_10_more_groups_than_a_header_carries_refuse_the_sign_in() {
    let world = world(ONE_TENANT, TOLD).await;
    let landed = world.browser().sign_in("/", MANY).await;
    assert_refusal(&landed, 403, "identity-too-large");
    let landed = world.browser().sign_in("/", FAR_TOO_MANY).await;
    assert_refusal(&landed, 403, "identity-group-overage");
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn az_05_a_portal_that_has_to_be_told_groups_is_not_told_that_there_are_none() {
    let world = world(FROM_GRAPH, TOLD).await;
    world.microsoft.set_graph(Some(GraphAnswer::Denied));
    let landed = world.browser().sign_in("/", FAR_TOO_MANY).await;
    assert_refusal(&landed, 503, "identity-groups-unresolved");
    assert!(landed.header("retry-after").is_some());
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn gen_03_a_member_of_unknown_groups_is_nobody_nowhere() {
    const OPTIONAL: &str = r#"
    mode: optional
    sign_in: { button_label: Sign in }
    routes:
      - { path: "/**", access: public }
    identity: { headers: { X-Auth-Groups: groups } }
"#;
    let world = world(FROM_GRAPH, OPTIONAL).await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/.auth/login/corporate", FAR_TOO_MANY).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert_eq!(browser.open("/reports").await.status, 200);
    world.microsoft.set_graph(Some(GraphAnswer::Denied));
    world.clock.advance(Duration::from_secs(15 * 60));
    let before = world.portal.received().len();
    let script = [("accept", "application/json")];
    for method in ["GET", "POST"] {
        let answer = browser.send(method, "/api", &script, b"").await;
        assert_eq!(answer.status, 503, "{method} {}", answer.text());
        let said = (answer.status, answer.json()["error"].as_str().map(str::to_owned));
        assert_eq!(said, (503, Some("identity-groups-unresolved".to_owned())), "{method}");
    }
    assert_refusal(&browser.follow("/reports").await, 503, "identity-groups-unresolved");
    assert_eq!(world.portal.received().len(), before, "the portal was told nothing");
    world.microsoft.set_graph(None);
    assert_eq!(browser.follow("/reports").await.status, 200);
    assert_eq!(told(&world), [group_id(7)]);
    world.stop().await;
}

#[tokio::test]
async fn names_stand_beside_ids_where_graph_tells_them() {
    let world = world(WITH_NAMES, TOLD).await;
    for username in [MANY, FAR_TOO_MANY] {
        signed_in(&world, username).await;
        let seen = world.portal.last();
        assert_eq!(seen.header("x-auth-groups"), Some(&*group_id(199)));
        assert_eq!(seen.header("x-auth-group-names"), Some(&*group_name(199)));
    }
    world.stop().await;
}

#[tokio::test]
async fn az_05_names_that_graph_does_not_tell_are_unknown_where_the_ids_are_known() {
    const NAMES: &str = "identity: { headers: { X-Auth-Group-Names: group_names } }";
    const SAME_NAMES: &str = "identity: { preset: authelia, only_way_in: true, addresses_are_theirs: true, assertion: none, \
                              preset_claims: { groups: group_names } }";
    const PRINCIPAL: &str = "identity: { preset: easy_auth, only_way_in: true, assertion: none }";
    const IDS: &str = "identity: { headers: { X-Auth-Groups: groups } }";
    for identity in [NAMES, SAME_NAMES, PRINCIPAL, IDS] {
        let portal = format!(
            "\n    local_login: {{}}\n    routes:\n      - path: \"/last/**\"\n        \
             access: signed_in\n        requires: {{ groups: [{}] }}\n      \
             - {{ path: \"/**\", access: signed_in }}\n    {identity}\n",
            group_id(199)
        );
        let world = world(WITH_NAMES, Box::leak(portal.into_boxed_str())).await;
        world.microsoft.set_graph(Some(GraphAnswer::Denied));
        let landed = world.browser().sign_in("/", MANY).await;
        if identity == IDS {
            assert_eq!(landed.status, 200, "{}", landed.text());
            assert!(world.portal.last().header("x-auth-groups").unwrap().contains(&group_id(199)));
        } else {
            // The portal would take no name for no group.
            assert_refusal(&landed, 503, "identity-groups-unresolved");
            assert!(world.portal.received().is_empty(), "{identity}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn sess_06_a_lost_group_counts_after_a_quarter_and_a_graph_out_of_order_takes_none() {
    let quarter = Duration::from_secs(15 * 60);
    let world = world(FROM_GRAPH, BY_GROUP).await;
    let mut browser = signed_in(&world, FAR_TOO_MANY).await;
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);

    // REL-01: whoever is signed in goes on.
    world.microsoft.set_graph(Some(GraphAnswer::Trouble(Trouble::Throttled(60))));
    world.clock.advance(quarter);
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);
    assert_eq!(world.microsoft.counts().graph, 4);

    // A Graph that says no is not out of order.
    world.microsoft.set_graph(Some(GraphAnswer::Denied));
    world.clock.advance(quarter);
    assert_refusal(&room(&mut browser, "/last/x").await, 503, "groups-unknown");
    assert_eq!(room(&mut browser, "/elsewhere").await.status, 200);

    world.microsoft.set_graph(None);
    world.clock.advance(quarter);
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);

    let fewer = serde_json::json!({
        "_claim_names": null, "_claim_sources": null, "groups": [group_id(1)],
    });
    world.microsoft.next_claims(fewer.as_object().unwrap().clone());
    world.clock.advance(quarter);
    assert_refusal(&room(&mut browser, "/last/x").await, 403, "group-missing");
    assert_eq!(room(&mut browser, "/first/x").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn sess_06_a_group_that_the_token_lists_no_more_is_lost_while_graph_is_out_of_order() {
    const TWO: &str = r#"
    local_login: {}
    routes:
      - path: "/first/**"
        access: signed_in
        requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000001] }
      - path: "/last/**"
        access: signed_in
        requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000199] }
      - { path: "/**", access: signed_in }
    identity: { headers: { X-Auth-Groups: groups, X-Auth-Group-Names: group_names } }
"#;
    let quarter = Duration::from_secs(15 * 60);
    let world = world(WITH_NAMES, TWO).await;
    let mut browser = signed_in(&world, MANY).await;
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);
    world.microsoft.set_graph(Some(GraphAnswer::Trouble(Trouble::Throttled(60))));
    let lists = |groups: &[usize]| {
        let ids: Vec<String> = groups.iter().map(|group| group_id(*group)).collect();
        world.microsoft.next_claims(serde_json::Map::from_iter([("groups".into(), ids.into())]));
        world.clock.advance(quarter);
    };

    // REL-01: what they are called is as it was.
    lists(&[199, 1]);
    assert_eq!(room(&mut browser, "/last/x").await.status, 200);
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-groups"), Some(&*[group_id(199), group_id(1)].join(",")));
    let names = [group_name(199), group_name(1)].join(",");
    assert_eq!(seen.header("x-auth-group-names"), Some(&*names));

    lists(&[1]);
    assert_refusal(&room(&mut browser, "/last/x").await, 403, "group-missing");
    assert_eq!(room(&mut browser, "/first/x").await.status, 200);
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-groups"), Some(&*group_id(1)));
    assert_eq!(seen.header("x-auth-group-names"), Some(&*group_name(1)));
    assert_eq!(world.microsoft.counts().graph, 3);
    world.stop().await;
}
