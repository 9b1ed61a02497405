//! Groups from Graph: what is asked, with what, and every answer that is none (AZ-05, LIM-06).

use std::collections::BTreeSet;
use std::time::Duration;

use anteport::config::{self, GroupSource, Groups, KeptGroups};
use anteport::gate::{GroupsUnknown, VerifiedClaims};
use anteport::relying_party::{Call, Limits, Outcome};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::lines::Lines;
use crate::provider::{KEYS, Provider, Reply, token};
use crate::world::{REDIRECT, World, accept, begin, configured, quick};

fn from_graph(base: &str) -> config::Provider {
    let graph = format!("{base}/graph").parse().unwrap();
    let kept = KeptGroups::Named(BTreeSet::from(["g1".to_owned(), "g7".to_owned()]));
    let groups = Groups { source: GroupSource::Graph { base: graph, names: false }, kept };
    config::Provider { groups, ..configured(base) }
}

async fn world(limits: Limits) -> World {
    let provider = Provider::start().await;
    let configured = from_graph(&provider.base());
    World::of(provider, configured, limits)
}

/// One that asks for names, too.
async fn world_with_names() -> World {
    let provider = Provider::start().await;
    let mut configured = from_graph(&provider.base());
    if let GroupSource::Graph { names, .. } = &mut configured.groups.source {
        *names = true;
    }
    World::of(provider, configured, quick())
}

/// Signs in with a token that says this besides, and asks for groups.
async fn signs_in(world: &World, more: Value) -> VerifiedClaims {
    let now = world.clock.now();
    let (pending, request) = begin(now);
    world.rp.authorization_url(&request, REDIRECT).await.unwrap();
    let mut claims = world.claims(request.nonce.expose());
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    world.provider.issue(token("one", &claims, &KEYS[0]));
    let redemption = accept(pending, &request, "", now);
    let tokens = world.rp.redeem(&redemption, REDIRECT).await.unwrap();
    let claims = world.rp.verify(&tokens, &redemption, now).await.unwrap();
    world.rp.with_groups(claims, &tokens, now).await
}

fn too_many() -> Value {
    json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "http://127.0.0.1:1/getMemberObjects" } },
    })
}

fn page(ids: &[&str]) -> Reply {
    let groups: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    Reply::Json(200, json!({ "value": groups }))
}

#[tokio::test]
async fn graph_is_asked_with_the_access_token_and_what_is_named_is_kept() {
    let world = world(quick()).await;
    world.provider.set_graph(page(&["g0", "g1", "g2"]));
    let claims = signs_in(&world, too_many()).await;
    assert_eq!(claims.groups_unknown(), None);
    assert_eq!(claims.get("groups"), Some(&json!(["g1"])));
    assert_eq!(claims.get("group_names"), None);
    let [asked] = &world.provider.seen("/graph/")[..] else { panic!() };
    assert_eq!(asked.path, "/graph/v1.0/me/transitiveMemberOf/microsoft.graph.group");
    assert_eq!(asked.headers["authorization"], "Bearer opaque-access-token");
    assert_eq!(asked.headers["consistencylevel"], "eventual");
    assert!(world.observed.lock().unwrap().contains(&(Call::Graph, Outcome::Ok)));
}

#[tokio::test]
async fn a_list_in_the_token_is_believed_without_asking() {
    let world = world(quick()).await;
    let claims = signs_in(&world, json!({ "groups": ["g7", "g8"] })).await;
    assert_eq!(claims.get("groups"), Some(&json!(["g7"])));
    assert_eq!(world.provider.count("/graph/"), 0);
    // What is no list of texts is none.
    world.provider.set_graph(page(&["g1"]));
    let claims = signs_in(&world, json!({ "groups": ["g7", 8] })).await;
    assert_eq!(claims.get("groups"), Some(&json!(["g1"])));
}

#[tokio::test]
async fn az_05_an_answer_that_is_none_leaves_the_groups_unknown() {
    let large = Limits { answer_bytes: 1024 * 1024, ..quick() };
    for reply in [
        Reply::Json(401, json!({ "error": { "code": "InvalidAuthenticationToken" } })),
        Reply::Json(200, json!({ "value": "g1" })),
        Reply::Json(204, json!({ "value": [] })),
        Reply::Body(404, Vec::new()),
        // OIDC-11: nobody follows.
        Reply::Redirect("/graph/elsewhere".to_owned()),
        Reply::Chunked(2 * 1024 * 1024),
    ] {
        let world = world(large).await;
        world.provider.set_graph(reply);
        let claims = signs_in(&world, too_many()).await;
        assert_eq!(claims.groups_unknown(), Some(GroupsUnknown::Unresolved));
        assert_eq!(claims.get("groups"), None);
        assert_eq!(world.provider.count("/graph/"), 1);
        assert!(world.observed.lock().unwrap().contains(&(Call::Graph, Outcome::Refused)));
    }
}

#[tokio::test]
async fn az_05_a_name_that_graph_leaves_out_leaves_all_names_unknown() {
    let (named, unnamed) = (
        json!({ "id": "g1", "displayName": "Crew" }),
        // So says Graph to an application that may not read names.
        json!({ "id": "g7", "displayName": null }),
    );
    for (listed, are_known) in [
        (vec![&named], true),
        (vec![], true),
        (vec![&unnamed], false),
        (vec![&named, &unnamed], false),
    ] {
        let world = world_with_names().await;
        world.provider.set_graph(Reply::Json(200, json!({ "value": listed })));
        // From Graph, and by what it said lately.
        for _ in 0..2 {
            let claims = signs_in(&world, too_many()).await;
            assert_eq!(claims.groups_unknown(), None);
            let unknown = (!are_known).then_some(GroupsUnknown::Unresolved);
            assert_eq!(claims.group_names_unknown(), unknown, "{listed:?}");
            assert_eq!(claims.get("group_names").is_some(), are_known && !listed.is_empty());
        }
        assert_eq!(world.provider.count("/graph/"), 1);
    }
}

/// What is logged on this thread while the guard is kept.
fn log_of_this_thread() -> (Lines, DefaultGuard) {
    let log = Lines::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || sink.clone());
    (log, tracing::subscriber::set_default(subscriber.finish()))
}

#[tokio::test]
async fn names_that_graph_leaves_out_are_said_with_the_permission_that_is_missing() {
    for (name, is_said) in [(json!(null), true), (json!("Crew"), false)] {
        let world = world_with_names().await;
        let page = json!({ "value": [{ "id": "g1", "displayName": name }] });
        world.provider.set_graph(Reply::Json(200, page));
        let (log, _kept) = log_of_this_thread();
        signs_in(&world, too_many()).await;
        // What was known lately is not said again.
        signs_in(&world, too_many()).await;
        let text = log.text();
        let times = usize::from(is_said);
        assert_eq!(text.matches("graph-no-names").count(), times, "{text}");
        assert_eq!(text.matches("GroupMember.Read.All").count(), times, "{text}");
        assert!(!text.contains("\"g1\"") && !text.contains("Crew"), "LOG-01: {text}");
    }
}

#[tokio::test]
async fn lim_06_a_graph_that_says_nothing_costs_a_sign_in_no_longer_than_its_deadline() {
    let world = world(Limits { graph: Duration::from_millis(50), ..quick() }).await;
    world.provider.set_graph(Reply::Silence);
    let claims = signs_in(&world, too_many()).await;
    assert_eq!(claims.groups_unknown(), Some(GroupsUnknown::Unresolved));
    assert_eq!(world.provider.count("/graph/"), 1);
    assert!(world.observed.lock().unwrap().contains(&(Call::Graph, Outcome::Unreachable)));
}

#[tokio::test]
async fn lim_06_pages_are_counted() {
    let world = world(Limits { graph_pages: 3, ..quick() }).await;
    let next = format!("{}/graph/v1.0/me/transitiveMemberOf", world.provider.base());
    let endless = json!({ "value": [{ "id": "g1" }], "@odata.nextLink": next });
    world.provider.set_graph(Reply::Json(200, endless));
    let claims = signs_in(&world, too_many()).await;
    assert_eq!(claims.groups_unknown(), Some(GroupsUnknown::Unresolved));
    assert_eq!(world.provider.count("/graph/"), 3);
}
