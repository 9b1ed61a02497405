//! Restarts under load, as an operator does them: an orderly stop, and a start at the same address.
//! Nobody is signed out, nobody is taken for somebody else, and whoever has signed out stays so.

use std::time::Duration;

use crate::fleet::{Fleet, NODES, Plan};
use crate::load::Load;
use crate::nodes::{over_everywhere, single};
use crate::redis::Server;

/// How many members go on.
const MEMBERS: usize = 50;
/// As many requests as there can be just as a node stops to listen.
const PACE: Duration = Duration::from_millis(1);

/// What there is to see with one store.
struct Table {
    store: &'static str,
    plan: Plan,
    /// A sign-out is one for all nodes, also for those that come later.
    is_told: bool,
    /// Browsers get their sessions anew.
    is_carried: bool,
}

#[tokio::test]
async fn nodes_that_are_restarted_in_turn_fail_no_request() {
    let server = Server::start();
    // What is to be seen is what a restart does, not how busy this machine is.
    let redis = format!("{}\n    timeout: 2s", single(&server));
    for Table { store, plan, is_told, is_carried } in [
        Table { store: "redis", plan: Plan::redis(&redis), is_told: true, is_carried: false },
        Table { store: "cookie", plan: Plan::cookie(), is_told: false, is_carried: true },
        Table {
            store: "cookie with redis",
            plan: Plan::cookie_with_redis(&redis),
            is_told: true,
            is_carried: true,
        },
    ] {
        let mut fleet = Fleet::start_with(plan).await;
        let members = fleet.members(MEMBERS).await;
        let gone = Fleet::cookie(&mut fleet.treasurer(0).await);
        assert_eq!(fleet.sign_out(&fleet.nodes[1], &gone).await.unwrap().status, 303);
        if is_told {
            over_everywhere(&fleet, &gone).await;
        }
        let load = Load::start_at(PACE, &fleet, &members);
        load.goes_on(200).await;
        for number in (0..NODES).cycle().take(3 * NODES) {
            fleet.nodes[number].stop().await;
            load.goes_on(100).await;
            fleet.nodes[number].up();
            fleet.nodes[number].ready().await;
            if is_told {
                let reply = fleet.ask(&fleet.nodes[number], &gone).await.unwrap();
                assert_eq!(reply.status, 303, "{store}, SESS-04: a sign-out is one");
            }
            load.goes_on(100).await;
        }
        while is_carried && load.so_far().anew < 2 * MEMBERS {
            load.goes_on(100).await;
        }
        let now = load.members();
        let tally = load.stop();
        println!("restarted in turn, {store}: {tally}");
        assert_eq!(tally.right, tally.asked, "{store}: {:?}", tally.notes);
        for (member, before) in now.iter().zip(&members) {
            assert_eq!(member.cookie != before.cookie, is_carried, "{store}");
            for node in &fleet.nodes {
                let reply = fleet.ask(node, &member.cookie).await.unwrap();
                assert_eq!((reply.status, &reply.body), (200, &member.name), "{store}");
            }
        }
    }
}
