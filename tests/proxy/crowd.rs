//! Many who sign in at once: everybody is who they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::sync::Barrier;

use crate::liar::{KINDS, Outgoing, trusting, truth};
use crate::provider::{Provider, Reply, token_answer};

const VISITORS: usize = 200;

/// SESS-07, OIDC-02: all have begun before the first comes back, and all have come back before the
/// first asks for a page.
#[tokio::test]
async fn sess_07_two_hundred_interleaved_logins_each_get_their_own_name() {
    let provider = Provider::start().await;
    let world = trusting(&provider, KINDS[0]).await;
    let nonces: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let (issuer, known) = (provider.issuer(), Arc::clone(&nonces));
    provider.set_token(move |seen| {
        let code = &seen.form["code"];
        let mut truth = truth(&issuer);
        truth.claim("nonce", json!(known.lock().unwrap()[code]));
        truth.claim("oid", json!(object(code)));
        truth.claim("name", json!(format!("Visitor {code}")));
        Reply::Json(200, token_answer(&truth.token()))
    });
    let barrier = Arc::new(Barrier::new(VISITORS));
    let visitors = (0..VISITORS).map(|number| {
        let (mut browser, barrier) = (world.browser(), Arc::clone(&barrier));
        let nonces = Arc::clone(&nonces);
        tokio::spawn(async move {
            let code = number.to_string();
            let off = browser.open(&format!("/reports?visitor={code}")).await;
            let off = Outgoing::read(&off);
            nonces.lock().unwrap().insert(code.clone(), off.nonce.clone());
            barrier.wait().await;
            let back = browser.open_url(&off.callback(&code)).await;
            assert_eq!(back.header("location"), Some(&*format!("/reports?visitor={code}")));
            barrier.wait().await;
            for _ in 0..2 {
                let page = browser.follow_from(back.clone()).await;
                assert_eq!(page.text(), format!("the portal answers /reports?visitor={code}"));
                let me = browser.open("/.auth/me").await.text();
                assert!(me.contains(&format!("\"Visitor {code}\"")), "{me}");
            }
        })
    });
    for visitor in visitors.collect::<Vec<_>>() {
        visitor.await.unwrap();
    }
    let received = world.portal.received();
    assert_eq!(received.len(), 2 * VISITORS);
    for request in received {
        let (_, visitor) = request.line.split_once("visitor=").unwrap();
        let code = visitor.split(' ').next().unwrap();
        assert_eq!(request.header("x-auth-user"), Some(&*object(code)), "{}", request.line);
    }
    assert_eq!(provider.count("/token"), VISITORS);
    world.stop().await;
}

fn object(code: &str) -> String {
    format!("7b2e5c90-41d3-4a8f-8c6b-{:012}", code.parse::<u32>().unwrap())
}
