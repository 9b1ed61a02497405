//! What the emulated Microsoft can be told to do, and the people whose tokens are out of the
//! ordinary (azure.md, section 14).

use anteport::demo::microsoft::{ControlError, Directory, Trouble};

use super::*;

async fn with_personas() -> Tenant {
    Tenant::start_with(microsoft::Options {
        directory: Directory::default().with_personas(),
        ..microsoft::Options::default()
    })
    .await
}

fn claims_of(jwt: &str) -> Value {
    let claims = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Somebody's claims, through the organisation's tenant or the user flow of B2C.
async fn claims(tenant: &Tenant, place: &str, username: &str) -> Value {
    let base = tenant.microsoft.base_url();
    let login = format!("{base}/{place}/login?{}", authorization(&[]));
    let reply = post(&login, &[], &[("username", username), ("password", "demo")]).await;
    let code = reply.code();
    let form = redeeming(&code);
    let tokens = post(&format!("{base}/{place}/oauth2/v2.0/token"), &[], &form).await.json();
    claims_of(tokens["id_token"].as_str().unwrap_or_else(|| panic!("{tokens}")))
}

const B2C: &str = "harbormembers.onmicrosoft.com/b2c_1_signupsignin";

#[tokio::test]
async fn personas_have_the_claims_that_trip_applications() {
    let tenant = with_personas().await;
    let of = async |name: &str| {
        let username = format!("{name}@harborclub.example");
        claims(&tenant, TENANT_ID, &username).await
    };
    let guest = of("guest").await;
    assert_eq!(guest["acct"], 1);
    assert!(guest["idp"].as_str().unwrap().starts_with("https://sts.windows.net/"));
    assert_eq!(guest["upn"], "ana_partner.example#EXT#@harborclub.example");
    assert!(of("no.email").await.get("email").is_none());
    let foreign = of("foreign.email").await;
    assert_eq!(foreign["email"], "treasurer@harborclub.example");
    assert!(foreign.get("xms_edov").is_none());
    assert_eq!(of("verified.email").await["xms_edov"], true);
    assert_eq!(of("verified.email.text").await["xms_edov"], "1");
    assert!(of("long.name").await["name"].as_str().unwrap().len() > 240);
    assert!(!of("other.script").await["name"].as_str().unwrap().is_ascii());

    let of = async |name: &str| claims(&tenant, B2C, &format!("{name}@mail.example")).await;
    assert_eq!(of("social").await["idp"], "google.com");
    assert_eq!(of("new.user").await["newUser"], true);
    assert!(of("no.emails").await.get("emails").is_none());
    assert_eq!(of("empty.emails").await["emails"], json!([]));
    assert_eq!(of("name.unknown").await["name"], "unknown");
    assert!(of("sub.not.supported").await["sub"].as_str().unwrap().starts_with("Not supported"));
    let typed = of("extensions").await;
    assert!(typed["extension_Boats"].is_i64() && typed["extension_IsPatron"].is_boolean());
}

#[tokio::test]
async fn products_do_not_share_keys_and_an_application_can_have_its_own() {
    let tenant = Tenant::start().await;
    let base = tenant.microsoft.base_url();
    let id = async |place: &str| {
        let keys = get(&format!("{base}/{place}")).await.json();
        keys["keys"][0]["kid"].as_str().unwrap().to_owned()
    };
    let entra = id(&format!("{TENANT_ID}/discovery/v2.0/keys")).await;
    assert_eq!(entra, id("common/discovery/v2.0/keys").await);
    let external = id("harborguests.onmicrosoft.com/discovery/v2.0/keys").await;
    let b2c = id(&format!("{B2C}/discovery/v2.0/keys")).await;
    let known = tenant.url(&format!("v2.0/.well-known/openid-configuration?appid={CLIENT_ID}"));
    let own_set = get(&known).await.json()["jwks_uri"].as_str().unwrap().to_owned();
    assert!(own_set.ends_with(&format!("/discovery/v2.0/keys?appid={CLIENT_ID}")));
    let own = id(own_set.strip_prefix(&format!("{base}/")).unwrap()).await;
    let all = HashSet::from([entra, external, b2c, own]);
    assert_eq!(all.len(), 4);
    assert!(tenant.verify(&tenant.id_token().await).await.is_ok());
    tenant.microsoft.set("own_key", "on").unwrap();
    let verdict = tenant.verify(&tenant.id_token().await).await;
    assert_eq!(verdict.unwrap_err(), "unknown key", "only `?appid=` has it");
}

#[tokio::test]
async fn a_key_can_be_published_before_it_signs() {
    let tenant = Tenant::start().await;
    let ids = async || {
        let keys = get(&tenant.url("discovery/v2.0/keys")).await.json();
        let keys = keys["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    tenant.microsoft.publish_next_keys();
    let before = ids().await;
    assert_eq!(before.len(), 3);
    let signs =
        async || jsonwebtoken::decode_header(&tenant.id_token().await).unwrap().kid.unwrap();
    assert_eq!(signs().await, before[0]);
    tenant.microsoft.rotate_keys();
    assert_eq!(signs().await, before[1]);
    assert_eq!(ids().await.len(), 3);
}

/// A configuration of an operator's, with something of each cloud and kind.
const OPERATORS: &str = r#"
listen: { address: "127.0.0.1:8080" }
providers:
  public:
    kind: entra_id
    tenants: [1b7e3d52-64a9-4f0c-8d21-e5c9a7b30f68, 2c8f4e63-75ba-4a1d-9e32-f6dab8c41a79]
    personal_accounts: true
    client_id: 6d0f7a52-1c3b-4e98-b7a4-2f5d8c9e0b31
    credentials: [ { secret: { value: one } } ]
  government:
    kind: entra_id
    cloud: us_government
    tenant: agency.example
    client_id: 6d0f7a52-1c3b-4e98-b7a4-2f5d8c9e0b32
    credentials: [ { secret: { value: two } } ]
  china:
    kind: azure_ad_b2c
    cloud: china
    tenant: shanghai
    policy: B2C_1A_own
    client_id: 6d0f7a52-1c3b-4e98-b7a4-2f5d8c9e0b33
    credentials: [ { secret: { value: three } } ]
  external:
    kind: external_id
    tenant: visitors
    client_id: 6d0f7a52-1c3b-4e98-b7a4-2f5d8c9e0b33
    credentials: [ { secret: { value: three } } ]
  others:
    kind: oidc
    issuer: https://id.example.org
    client_id: others
    credentials: [ { secret: { value: four } } ]
portals:
  - public_url: "http://127.0.0.1:8080"
    upstream: { url: "http://127.0.0.1:9" }
    sign_in: { providers: [public, government, china, external, others] }
    local_login: {}
"#;

#[tokio::test]
async fn an_operators_tenants_are_known_in_their_clouds() {
    let now = Timestamp::from_unix_seconds(NOON);
    let loaded = anteport::config::parse("own.yaml", OPERATORS, &|_| None, now);
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    let options = microsoft::Options::operator(&config);
    assert_eq!(options.client_ids.len(), 3, "each once, and nobody else's: {options:?}");
    let callback = "http://127.0.0.1:8080/.auth/login/china/callback".to_owned();
    assert!(options.redirect_uris.contains(&callback), "{options:?}");
    assert!(!options.redirect_uris.iter().any(|uri| uri.contains("/others/")));
    let tenant = Tenant::start_with(options).await;
    let base = tenant.microsoft.base_url();
    for (place, member, value) in [
        ("1b7e3d52-64a9-4f0c-8d21-e5c9a7b30f68", "cloud_instance_name", "microsoftonline.com"),
        ("common", "msgraph_host", "graph.microsoft.com"),
        ("agency.example", "cloud_instance_name", "microsoftonline.us"),
        ("agency.example", "msgraph_host", "graph.microsoft.us"),
        ("agency.example", "tenant_region_scope", "USG"),
        ("visitors.onmicrosoft.com", "cloud_instance_name", "microsoftonline.com"),
    ] {
        let document = get(&format!("{base}/{place}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(document.json()[member], value, "{place}");
    }
    let keys = get(&format!("{base}/agency.example/discovery/v2.0/keys")).await.json();
    assert_eq!(keys["keys"][0]["cloud_instance_name"], "microsoftonline.us");
    let b2c = "shanghai.partner.onmschina.cn/b2c_1a_own/v2.0/.well-known/openid-configuration";
    assert_eq!(get(&format!("{base}/{b2c}")).await.status, 200);
}

#[tokio::test]
async fn libraries_of_microsofts_learn_that_this_host_is_alone() {
    let tenant = Tenant::start().await;
    let instance = format!(
        "{}/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.\
         microsoftonline.com%2Fcommon%2Foauth2%2Fv2.0%2Fauthorize",
        tenant.microsoft.base_url()
    );
    let document = get(&instance).await.json();
    assert_eq!(document["api-version"], "1.1");
    let aliases = document["metadata"][0]["aliases"].as_array().unwrap();
    let host = tenant.microsoft.base_url().strip_prefix("http://").unwrap();
    assert_eq!(aliases, &[json!(host)]);
}

#[tokio::test]
async fn an_id_token_comes_back_without_a_code_where_the_registration_says_so() {
    let tenant = Tenant::start().await;
    let asked = [("response_type", "id_token"), ("response_mode", "form_post")];
    let refused = tenant.sign_in("member@harborclub.example", &asked).await;
    assert!(refused.text().contains("AADSTS700054"));
    tenant.microsoft.set("id_tokens", "on").unwrap();
    let page = tenant.sign_in("member@harborclub.example", &asked).await;
    let token = page.text().split("name=\"id_token\" value=\"").nth(1).unwrap();
    assert!(tenant.verify(token.split('"').next().unwrap()).await.is_ok());
    assert!(!page.text().contains("name=\"code\""));
    assert!(page.text().contains("name=\"state\"") && page.text().contains("session_state"));

    let hybrid = [("response_type", "code id_token"), ("response_mode", "fragment")];
    let back = tenant.sign_in("member@harborclub.example", &hybrid).await.location();
    let fragment = back.fragment().unwrap();
    let fields: Vec<_> = url::form_urlencoded::parse(fragment.as_bytes()).collect();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).unwrap().1.to_string();
    assert!(!field("code").is_empty() && claims_of(&field("id_token"))["c_hash"].is_string());
    let in_query = [("response_type", "id_token"), ("response_mode", "query")];
    let refused = tenant.sign_in("member@harborclub.example", &in_query).await;
    assert!(refused.parameter("error_description").unwrap().starts_with("AADSTS70007"));
}

#[tokio::test]
async fn silent_requests_and_declined_consent_have_their_errors() {
    let tenant = Tenant::start().await;
    let silent = get(&tenant.authorize(&[("prompt", "none")])).await;
    assert_eq!(silent.parameter("error").unwrap(), "login_required");
    let base = tenant.microsoft.base_url();
    let at_b2c = authorization(&[("prompt", "none")]);
    let silent = get(&format!("{base}/{B2C}/oauth2/v2.0/authorize?{at_b2c}")).await;
    assert_eq!(silent.parameter("error").unwrap(), "interaction_required");
    let description = silent.parameter("error_description").unwrap();
    assert!(description.starts_with("AADB2C90077: ") && description.ends_with("\r\n"));

    let asked = [("prompt", "consent")];
    let page = tenant.sign_in("member@harborclub.example", &asked).await;
    assert!(page.text().contains("Permissions requested"));
    let (url, cookies) = (tenant.url(&format!("login?{}", authorization(&asked))), page.cookies());
    let declined = post(&url, &[("cookie", &cookies)], &[("decline", "1")]).await;
    assert_eq!(declined.parameter("error").unwrap(), "access_denied");
    assert!(declined.parameter("error_description").unwrap().starts_with("AADSTS65004"));
    let accepted = post(&url, &[("cookie", &cookies)], &[("continue", "1")]).await;
    assert!(accepted.parameter("code").is_some());
}

async fn tokens(tenant: &Tenant) -> Value {
    let scope = [("scope", "openid profile offline_access")];
    let code = tenant.sign_in("treasurer@harborclub.example", &scope).await.code();
    tenant.redeem(&code, &[], &[]).await.json()
}

async fn refresh(url: &str, token: &str) -> Reply {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("refresh_token", token),
    ];
    post(url, &[], &form).await
}

#[tokio::test]
async fn a_refresh_ends_with_the_account_or_its_sessions() {
    let tenant = Tenant::start().await;
    let url = tenant.url("oauth2/v2.0/token");
    let first = tokens(&tenant).await;
    let token = first["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(&url, token).await.status, 200);
    tenant.microsoft.set("revoke", "treasurer@harborclub.example").unwrap();
    let refused = refresh(&url, token).await;
    assert_eq!(refused.json()["suberror"], "bad_token");
    assert_eq!(told(&refused), (400, "invalid_grant".to_owned(), 50173));
    tenant.clock.advance(Duration::from_secs(1));
    let second = tokens(&tenant).await;
    let token = second["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(&url, token).await.status, 200);
    tenant.microsoft.set("disable", "treasurer@harborclub.example").unwrap();
    assert_eq!(told(&refresh(&url, token).await).2, 50057);
    let page = tenant.sign_in("treasurer@harborclub.example", &[]).await;
    assert!(page.text().contains("AADSTS50057"));
    tenant.microsoft.set("enable", "treasurer@harborclub.example").unwrap();
    assert_eq!(refresh(&url, token).await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_of_b2c_is_bound_to_its_policy() {
    let tenant = Tenant::start().await;
    let base = tenant.microsoft.base_url();
    let asked = authorization(&[("scope", "openid offline_access")]);
    let login = format!("{base}/{B2C}/login?{asked}");
    let reply = post(&login, &[], &[("username", "ines@mail.example"), ("password", "demo")]).await;
    let code = reply.code();
    let form = redeeming(&code);
    let url = format!("{base}/{B2C}/oauth2/v2.0/token");
    let tokens = post(&url, &[], &form).await.json();
    let token = tokens["refresh_token"].as_str().unwrap();
    let elsewhere = url.replace("signupsignin", "passwordreset");
    let refused = refresh(&elsewhere, token).await.json();
    assert!(refused["error_description"].as_str().unwrap().starts_with("AADB2C90088"));
    assert_eq!(refresh(&url, token).await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_can_be_told_to_answer_badly_and_uses_nothing_up() {
    let tenant = Tenant::start().await;
    let code = tenant.code().await;
    for answer in ["throttled:7s", "unavailable", "html", "AADSTS50196"] {
        tenant.microsoft.plan("answer", answer).unwrap();
    }
    let throttled = tenant.redeem(&code, &[], &[]).await;
    assert_eq!(
        (throttled.status.as_u16(), &throttled.headers["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(tenant.redeem(&code, &[], &[]).await.status, 503);
    let html = tenant.redeem(&code, &[], &[]).await;
    assert_eq!((html.status.as_u16(), html.text().contains("<html")), (200, true));
    assert_eq!(told(&tenant.redeem(&code, &[], &[]).await).2, 50196);
    tenant.microsoft.plan("answer", "no_access_token").unwrap();
    let tokens = tenant.redeem(&code, &[], &[]).await.json();
    assert!(tokens.get("access_token").is_none() && tokens["id_token"].is_string());
    tenant.microsoft.plan("answer", "wrong_type").unwrap();
    let code = tenant.code().await;
    let wrong = tenant.redeem(&code, &[], &[]).await;
    assert_eq!(wrong.headers["content-type"], "text/plain; charset=utf-8");
}

/// What is on the wire until the connection ends.
async fn raw(tenant: &Tenant) -> String {
    let authority = tenant.microsoft.base_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request =
        format!("GET /{TENANT_ID}/discovery/v2.0/keys HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_can_end_before_or_within_an_answer() {
    let tenant = Tenant::start().await;
    tenant.microsoft.next_document(Trouble::Reset);
    assert_eq!(raw(&tenant).await, "");
    tenant.microsoft.next_document(Trouble::Truncated);
    let answer = raw(&tenant).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(body.len() < length.parse().unwrap(), "{head}");
}

#[tokio::test]
async fn its_clock_can_be_wrong_and_its_codes_long() {
    let tenant = Tenant::start().await;
    tenant.microsoft.set("clock", "+5m").unwrap();
    let claims = claims_of(&tenant.id_token().await);
    assert_eq!(claims["iat"].as_i64().unwrap(), NOON);
    tenant.microsoft.set("clock", "-5m").unwrap();
    let claims = claims_of(&tenant.id_token().await);
    assert_eq!(claims["iat"].as_i64().unwrap(), NOON - 600);
    tenant.microsoft.set("clock", "0").unwrap();
    tenant.microsoft.set("long_codes", "on").unwrap();
    assert_eq!(tenant.code().await.len(), 6000);
    assert!(tenant.verify(&tenant.id_token().await).await.is_ok());
}

#[tokio::test]
async fn claims_can_be_added_and_taken_away_once() {
    let tenant = Tenant::start().await;
    tenant.microsoft.plan("claims", r#"{"roles":["Auditor"],"oid":null}"#).unwrap();
    let claims = claims_of(&tenant.id_token().await);
    assert_eq!((claims["roles"][0].as_str(), claims.get("oid")), (Some("Auditor"), None));
    assert!(claims_of(&tenant.id_token().await)["oid"].is_string());
}

#[tokio::test]
async fn a_sign_in_can_be_planned_to_fail_at_microsofts_or_at_the_application() {
    let tenant = Tenant::start().await;
    tenant.microsoft.plan("page", "AADSTS50105").unwrap();
    let page = get(&tenant.authorize(&[])).await;
    assert!(page.text().contains("AADSTS50105") && !page.headers.contains_key("location"));
    for (planned, error, code) in [
        ("AADSTS65004", "access_denied", "AADSTS65004"),
        ("AADB2C90118", "access_denied", "AADB2C90118"),
        ("server_error", "server_error", "The emulator"),
    ] {
        tenant.microsoft.plan("redirect", planned).unwrap();
        let back = get(&tenant.authorize(&[])).await;
        assert_eq!(back.parameter("error").unwrap(), error);
        assert!(back.parameter("error_description").unwrap().starts_with(code));
    }
}

#[tokio::test]
async fn what_it_cannot_be_told_is_said() {
    let tenant = Tenant::start().await;
    for (word, value) in [
        ("token", "nonsense"),
        ("answer", "slow:fast"),
        ("answer", "reset:3s"),
        ("document", "AADSTS1"),
        ("claims", "[]"),
        ("page", "50105"),
        ("redirect", "<b>"),
    ] {
        let error = tenant.microsoft.plan(word, value).unwrap_err();
        assert!(matches!(error, ControlError::Value { .. }), "{word} {value}: {error}");
    }
    for (word, value) in [("clock", "5m"), ("outage", "yes"), ("keys", "turn"), ("issuer", "")] {
        assert!(tenant.microsoft.set(word, value).is_err(), "{word} {value}");
    }
    let error = tenant.microsoft.set("disable", "nobody@x.example").unwrap_err();
    assert_eq!(error, ControlError::NoAccount("nobody@x.example".to_owned()));
    let error = tenant.microsoft.plan("tokens", "x").unwrap_err().to_string();
    assert!(error.contains("token, claims, answer"), "{error}");
}

#[tokio::test]
async fn cfg_03_it_is_told_by_programs_of_this_machine_alone() {
    let tenant = Tenant::start().await;
    let base = tenant.microsoft.base_url();
    let url = format!("{base}/_emulator/next");
    let told = post(&url, &[], &[("token", "expired")]).await;
    assert_eq!((told.status.as_u16(), told.json()["done"].as_u64()), (200, Some(1)));
    assert!(tenant.verify(&tenant.id_token().await).await.is_err());
    for header in [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("host", "rebound.example"),
    ] {
        let refused = post(&url, &[header], &[("token", "expired")]).await;
        assert!(refused.status == 403 || refused.status == 400, "{header:?}");
    }
    assert!(tenant.verify(&tenant.id_token().await).await.is_ok(), "nothing was planned");
    assert_eq!(post(&url, &[], &[("token", "no")]).await.status, 400);
    assert_eq!(get(&url).await.status, 400);
    let overview = get(&format!("{base}/_emulator")).await.json();
    assert_eq!(overview["password"], "demo");
    let log = get(&format!("{base}/_emulator/log")).await.json();
    assert!(log.as_array().unwrap().iter().any(|line| line["method"] == "POST"));
    assert!(!log.to_string().contains(SECRET));
}
