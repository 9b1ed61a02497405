//! LOG-01: what a portal gets of the provider's tokens is in no line of the log.

use std::time::Duration;

use anteport::demo::microsoft::{TokenAnswer, Trouble};

use crate::log::Log;
use crate::world::{Plan, World};

const TREASURER: &str = "treasurer@harborclub.example";

const BOTH: &str = r#"
    mode: azure_only
    local_login: {}
    identity:
      tokens: { access_token: X-Auth-Access-Token, id_token: X-Auth-Id-Token, portal_acts_as_member: true }
"#;

#[tokio::test]
async fn log_01_no_line_has_a_token_of_a_portal() {
    let log = Log::hold().await;
    let world = World::start_with(Plan { portal: BOTH, ..Plan::default() }).await;
    let mut ada = world.treasurer().await;
    let mut seen = Vec::new();
    for step in 0..3 {
        assert_eq!(ada.open("/reports").await.status, 200);
        let last = world.portal.last();
        for name in ["x-auth-access-token", "x-auth-id-token"] {
            seen.push(last.header(name).unwrap().to_owned());
        }
        if step == 1 {
            let trouble = TokenAnswer::Trouble(Trouble::ServerError);
            world.microsoft.next_token_answer(trouble);
        }
        world.clock.advance(Duration::from_secs(15 * 60));
    }
    let large = serde_json::json!({ "hobby": "n".repeat(9 * 1024) });
    world.microsoft.next_claims(large.as_object().unwrap().clone());
    assert_eq!(world.browser().sign_in("/x", TREASURER).await.status, 403);
    world.stop().await;
    let said = log.text();
    assert!(
        said.contains("identity-token-too-large") && said.contains("login-succeeded"),
        "{said}"
    );
    for token in &seen {
        let (begin, end) = (&token[..40], &token[token.len() - 40..]);
        assert!(!said.contains(begin) && !said.contains(end), "{said}");
    }
    assert!(!said.contains("nnnnnnnn"), "{said}");
}
