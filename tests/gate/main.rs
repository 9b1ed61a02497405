//! Properties of the decision core, and the tables in `fixtures/`. No socket, no clock.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod answers;
mod cookies_of_portals;
mod facts;
mod forms;
mod hosts;
mod kept_forms;
mod requirements;
mod rules;
mod switch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anteport::gate::identity::{LocalCredentials, OwnedNames};
use anteport::gate::login::{
    Accepted, AuthorizationRequest, Callback, Completed, LoginError, LoginSeed, PendingLogin,
    ProviderError,
};
use anteport::gate::{
    Access, Asked, CanonicalPath, Challenge, Conditions, Covers, Decision, Endpoint, Lifetimes,
    Mode, Passes, Policy, PortalCookies, RawTarget, Refusal, ReturnTo, Route, Rule, Session,
    SessionId, Spelling, Subject, Ticket, Timestamp, VerifiedClaims, cookies, decide,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const HOST: &str = "members.example";

fn policy(mode: Mode) -> Policy {
    let route = |path: &str, access| Route {
        path: path.parse().unwrap(),
        covers: Covers::default(),
        conditions: Conditions::default(),
        access,
        passes: Passes::default(),
    };
    Policy {
        host: Arc::from(HOST),
        secure: true,
        mode,
        rollout: None,
        own: CanonicalPath::parse("/.auth").unwrap(),
        callbacks: vec![(CanonicalPath::parse("/signin-oidc").unwrap(), "corporate".to_owned())],
        elsewhere: Vec::new(),
        spelling: Spelling::default(),
        login_pages: vec![Rule::at("/login".parse().unwrap())],
        password_routes: vec![Rule {
            methods: Some(vec![Method::POST]),
            ..Rule::at("/login".parse().unwrap())
        }],
        portal_cookies: PortalCookies::default(),
        form_limit: 1024,
        resend_forms: None,
        routes: vec![
            route("/assets/**", Access::Public),
            route("/admin/**", Access::SIGNED_IN),
            route("/open/*", Access::Public),
            route("/reports/**", Access::SIGNED_IN),
            route("/", Access::SIGNED_IN),
            route("/login", Access::SIGNED_IN),
        ],
    }
}

fn session(now: Timestamp) -> Session {
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(claims, Arc::from("corporate"), Arc::from(HOST), "h".into(), lifetimes, now)
}

fn page_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static(HOST));
    headers.insert("accept", HeaderValue::from_static("text/html"));
    headers
}

/// The headers of a page, for as long as the tests run.
static PAGE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(page_headers);

fn asked(method: &Method, target: &str) -> Result<Asked<'static>, Refusal> {
    asked_with(method, target, &PAGE)
}

fn asked_with<'h>(
    method: &Method,
    target: &str,
    headers: &'h HeaderMap,
) -> Result<Asked<'h>, Refusal> {
    let target = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    Asked::read(&[policy(Mode::AzureOnly)], method, &target, headers)
}

fn decision(
    mode: Mode,
    method: &Method,
    target: &str,
    session: Option<&Session>,
) -> Decision<'static> {
    match asked(method, target) {
        Ok(asked) => decide(&policy(mode), asked, session, NOON),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

#[test]
fn path_02_to_08_the_table_of_paths_holds() {
    for line in include_str!("../fixtures/paths.txt").lines() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (raw, expected) = line.split_once(' ').unwrap();
        match (CanonicalPath::parse(raw), expected.trim().strip_prefix("! ")) {
            (Ok(path), None) => assert_eq!(path.as_str(), expected.trim(), "{raw}"),
            (Err(error), Some(code)) => assert_eq!(error.code(), code, "{raw}"),
            (parsed, _) => panic!("{raw}: {parsed:?}"),
        }
    }
}

/// Text that is full of what path readers disagree about.
fn hostile_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("login"),
        Just("LOGIN"),
        Just(".."),
        Just("."),
        Just("%2e"),
        Just("%2F"),
        Just("%5c"),
        Just("\\"),
        Just(";x"),
        Just("%00"),
        Just("%"),
        Just("%25"),
        Just("assets"),
        Just("admin"),
        Just(" "),
        Just("%20"),
        Just("é"),
        Just("%c3%a9"),
        Just("%ff"),
        Just("~"),
        Just("//"),
        Just("%6c"),
        Just("%4C"),
        Just("ogin"),
        Just("."),
        Just("reports"),
        Just("open"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn path_04_parsing_twice_changes_nothing(raw in prop_oneof![hostile_path(), any::<String>()]) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            prop_assert_eq!(CanonicalPath::parse(path.as_str()).unwrap(), path);
        }
    }

    #[test]
    fn path_05_to_08_a_canonical_path_hides_nothing(raw in prop_oneof![hostile_path(), any::<String>()]) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let text = path.as_str();
            prop_assert!(text.starts_with('/') && text.is_ascii());
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8().unwrap();
            prop_assert!(!decoded.contains(['\\', ';', '%', '?', '#', '\0']));
            prop_assert!(!decoded.chars().any(char::is_control));
            prop_assert!(!decoded.contains("//"));
            prop_assert!(decoded.split('/').all(|segment| segment != ".." && segment != "."));
            prop_assert_eq!(decoded.matches('/').count(), text.matches('/').count());
        }
    }

    #[test]
    fn gen_04_without_a_session_only_public_routes_are_forwarded(raw in hostile_path()) {
        if let Decision::Forward(permit) = decision(Mode::AzureOnly, &Method::GET, &raw, None) {
            let path = permit.target();
            prop_assert!(path == "/assets" || path.starts_with("/assets/") || path.starts_with("/open/"), "{}", path);
        }
    }

    #[test]
    fn gen_01_what_was_judged_is_what_is_sent(raw in hostile_path(), query in "[a-z=&%/+.]{0,20}") {
        let session = session(NOON);
        let target = format!("{raw}?{query}");
        if let Decision::Forward(permit) = decision(Mode::AzureOnly, &Method::GET, &target, Some(&session)) {
            let canonical = CanonicalPath::parse(&raw).unwrap();
            prop_assert_eq!(permit.target(), format!("{canonical}?{query}"));
        }
    }

    #[test]
    fn path_09_no_spelling_of_a_password_route_is_forwarded(
        case in prop::collection::vec(any::<bool>(), 5),
        escaped in prop::collection::vec(any::<bool>(), 5),
        tail in prop_oneof![Just(""), Just("/"), Just("."), Just("%20"), Just("..."), Just(".%20."), Just("./")],
        signed_in in any::<bool>(),
    ) {
        let mut path = String::from("/");
        for ((letter, upper), escape) in "login".chars().zip(case).zip(escaped) {
            let letter = if upper { letter.to_ascii_uppercase() } else { letter };
            if escape { path.push_str(&format!("%{:02x}", letter as u8)) } else { path.push(letter) }
        }
        path.push_str(tail);
        let session = session(NOON);
        let session = signed_in.then_some(&session);
        let decision = decision(Mode::AzureOnly, &Method::POST, &path, session);
        prop_assert!(matches!(decision, Decision::Refuse(Refusal::PasswordRoute { .. })), "{} {:?}", path, decision);
    }

    #[test]
    fn ret_01_a_return_target_stays_on_our_origin(target in prop_oneof![
        any::<String>(),
        "[/\\\\@:.?#a-z%0-9]{0,24}",
        hostile_path(),
        "//[a-z./\\\\]{0,12}",
    ]) {
        let own = policy(Mode::AzureOnly);
        if let Some(place) = ReturnTo::parse(&target, &own) {
            let base = url::Url::parse("https://members.example/.auth/login/corporate/callback").unwrap();
            let joined = base.join(place.as_str()).unwrap();
            prop_assert_eq!(joined.host_str(), Some("members.example"));
            prop_assert_eq!(joined.scheme(), "https");
            prop_assert!(!joined.path().starts_with("/.auth"));
            // RET-03: an independent parser agrees that there is no authority in it.
            let uri: Uri = place.as_str().parse().unwrap();
            prop_assert!(uri.authority().is_none() && uri.scheme().is_none());
            prop_assert!(place.as_str().starts_with('/') && !place.as_str().starts_with("//"));
            prop_assert!(HeaderValue::from_str(place.as_str()).is_ok());
        }
    }

    #[test]
    fn ret_01_reading_a_return_target_twice_changes_nothing(target in prop_oneof![any::<String>(), hostile_path()]) {
        let own = policy(Mode::AzureOnly);
        if let Some(place) = ReturnTo::parse(&target, &own) {
            prop_assert_eq!(ReturnTo::parse(place.as_str(), &own), Some(place.clone()));
        }
    }

    #[test]
    fn hdr_02_03_no_spelling_of_an_owned_name_is_left(
        name in prop_oneof![
            Just("x-auth-user"), Just("x-anteport-assertion"), Just("x-ms-client-principal"),
            Just("x-portal-member"), Just("x-forwarded-for"), Just("x-original-url"),
        ],
        separators in prop::collection::vec(prop_oneof![Just("-"), Just("_"), Just("."), Just(""), Just("--")], 4),
        upper in any::<bool>(),
    ) {
        let mut separators = separators.into_iter();
        let mut spelled = name.split('-').fold(String::new(), |text, part| {
            if text.is_empty() { part.to_owned() } else { format!("{text}{}{part}", separators.next().unwrap_or("-")) }
        });
        if upper { spelled = spelled.to_uppercase(); }
        let owned = OwnedNames::with(&[HeaderName::from_static("x-portal-member")]);
        let mut headers = page_headers();
        headers.append(HeaderName::from_bytes(spelled.as_bytes()).unwrap(), HeaderValue::from_static("admin"));
        owned.cleanse(&mut headers, false, LocalCredentials::Pass);
        prop_assert_eq!(headers.len(), 1, "{} {:?}", spelled, headers);
    }

    #[test]
    fn cook_01_our_cookies_go_and_the_portals_stay(
        portal in prop::collection::vec("[a-zA-Z_]{1,8}=[!-:<-~]{0,8}", 0..5),
        at in 0usize..5,
        ours in prop_oneof![
            Just("__Host-anteport=AAAA"), Just("__Host-anteport-login-1=x"), Just("__HOST-ANTEPORT=x"),
            Just(" __Host-anteport = x"), Just("__Host-anteport"),
        ],
    ) {
        let mut pairs: Vec<&str> = portal.iter().map(String::as_str).collect();
        pairs.insert(at.min(pairs.len()), ours);
        let field = HeaderValue::from_str(&pairs.join("; ")).unwrap();
        prop_assert!(cookies::read([&field]).any_own);
        let kept = cookies::without_own(&field);
        let kept = kept.as_ref().map(|kept| kept.to_str().unwrap()).unwrap_or_default();
        prop_assert_eq!(kept, portal.join("; "));
    }

    #[test]
    fn cook_03_two_session_cookies_are_nobodys(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let value = |bytes| format!("__Host-anteport={}", SessionId::new(bytes).cookie_value());
        let single = HeaderValue::from_str(&value(one)).unwrap();
        let is_one = matches!(
            cookies::read([&single]).session,
            Some(Ticket::Id(id)) if *id.bytes() == one
        );
        prop_assert!(is_one);
        let double = HeaderValue::from_str(&format!("{}; {}", value(one), value(other))).unwrap();
        prop_assert!(cookies::read([&double]).session.is_none());
        prop_assert!(cookies::read([&single, &single]).session.is_none());
    }

    #[test]
    fn reading_a_callback_never_panics(query in any::<String>()) {
        let _ = Callback::read(&query);
    }

    #[test]
    fn a_pending_login_survives_its_record(state in any::<[u8; 16]>(), nonce in any::<[u8; 16]>(), verifier in any::<[u8; 32]>()) {
        let (pending, request) = begin(state, nonce, verifier);
        let again = PendingLogin::from_bytes(pending.to_bytes().expose()).unwrap();
        prop_assert_eq!(again.number(), pending.number());
        let callback = Callback::read(&format!("code=c&state={}", request.state.expose())).unwrap();
        prop_assert_eq!(callback.number(), Some(pending.number()));
        let accepted = again.accept(callback, "corporate", NOON).unwrap();
        let Accepted::Redeem(redemption) = accepted else { panic!("{accepted:?}") };
        prop_assert!(redemption.nonce().matches(request.nonce.expose()));
        let completed = redemption.complete(session(NOON).claims().clone(), None).unwrap();
        let Completed::Session(_, return_to) = completed else { panic!("{completed:?}") };
        prop_assert_eq!(return_to.as_str(), "/reports?year=2026");
    }
}

fn begin(
    state: [u8; 16],
    nonce: [u8; 16],
    verifier: [u8; 32],
) -> (PendingLogin, AuthorizationRequest) {
    let own = policy(Mode::AzureOnly);
    let return_to = ReturnTo::parse("/reports?year=2026", &own).unwrap();
    let seed = LoginSeed { state, nonce, verifier };
    PendingLogin::begin(Challenge::sign_in(return_to), "corporate", None, &seed, NOON)
}

fn accepted(query: &str, provider: &str, now: Timestamp) -> Result<(), LoginError> {
    let (pending, request) = begin([1; 16], [2; 16], [3; 32]);
    let query = query.replace("STATE", request.state.expose());
    pending.accept(Callback::read(&query)?, provider, now).map(|_| ())
}

/// What the provider said that sends a visitor back with this.
fn refused(query: &str) -> ProviderError {
    let (pending, request) = begin([1; 16], [2; 16], [3; 32]);
    let query = format!("{query}&state={}", request.state.expose());
    match pending.accept(Callback::read(&query).unwrap(), "corporate", NOON) {
        Ok(Accepted::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn oidc_02_a_login_is_bound_to_state_provider_and_time() {
    assert_eq!(accepted("code=c&state=STATE", "corporate", NOON), Ok(()));
    let late = NOON.after(PendingLogin::LIMIT);
    let expired = LoginError::Expired { limit: PendingLogin::LIMIT };
    assert_eq!(accepted("code=c&state=STATE", "corporate", late), Err(expired));
    assert_eq!(accepted("code=c&state=STATE", "other", NOON), Err(LoginError::StateMismatch));
    assert_eq!(accepted("code=c&state=STATEx", "corporate", NOON), Err(LoginError::StateMismatch));
    assert_eq!(accepted("code=c", "corporate", NOON), Err(LoginError::StateMissing));
}

#[test]
fn oidc_05_repeated_and_contradictory_parameters_are_refused() {
    for repeated in [
        "state=STATE&state=STATE&code=c",
        "state=STATE&code=c&code=c",
        "state=a&state=STATE&code=c",
    ] {
        assert_eq!(accepted(repeated, "corporate", NOON), Err(LoginError::Repeated), "{repeated}");
    }
    for malformed in ["state=STATE", "state=STATE&code=", "state=STATE&code=c&error=access_denied"]
    {
        assert_eq!(
            accepted(malformed, "corporate", NOON),
            Err(LoginError::Malformed),
            "{malformed}"
        );
    }
}

#[test]
fn oidc_16_a_providers_error_is_reduced_to_what_may_be_shown() {
    let error = refused("error=access_denied&error_description=AADSTS65004%3a+%3cscript%3e");
    assert_eq!(error.code.as_deref(), Some("AADSTS65004"));
    assert!(error.is_cancel());
    assert_eq!(refused("error=%3Cscript%3E&error_description=x").error, "unknown");
}

#[test]
fn oidc_17_background_calls_never_begin_a_login() {
    let cases: &[(&str, &str, &str)] = &[
        ("GET", "sec-fetch-mode", "cors"),
        ("GET", "sec-fetch-mode", "no-cors"),
        ("GET", "sec-fetch-mode", "websocket"),
        ("GET", "sec-fetch-dest", "image"),
        ("GET", "sec-fetch-dest", "iframe"),
        ("GET", "x-requested-with", "XMLHttpRequest"),
        ("GET", "accept", "application/json"),
        ("GET", "accept", "image/avif,image/webp"),
        ("GET", "upgrade", "websocket"),
        ("GET", "sec-purpose", "prefetch"),
        ("POST", "sec-fetch-mode", "navigate"),
        ("HEAD", "accept", "text/html"),
        ("DELETE", "accept", "text/html"),
    ];
    for (method, name, value) in cases {
        let mut headers = page_headers();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        let method = method.parse().unwrap();
        let asked = asked_with(&method, "/reports/", &headers).unwrap();
        let decision = decide(&policy(Mode::AzureOnly), asked, None, NOON);
        let refused = matches!(decision, Decision::Refuse(Refusal::SignInRequired));
        assert!(refused, "{method} {name}: {value}: {decision:?}");
    }
    let page = decision(Mode::AzureOnly, &Method::GET, "/reports/?year=2026", None);
    let Decision::Login(challenge) = page else { panic!("{page:?}") };
    assert_eq!(challenge.return_to.as_str(), "/reports/?year=2026");
}

#[test]
fn azure_only_shuts_the_password_door_for_everybody() {
    let session = session(NOON);
    for session in [None, Some(&session)] {
        let decision = decision(Mode::AzureOnly, &Method::POST, "/login", session);
        assert!(
            matches!(decision, Decision::Refuse(Refusal::PasswordRoute { .. })),
            "{decision:?}"
        );
    }
    let page = decision(Mode::AzureOnly, &Method::GET, "/login?next=/x", None);
    let Decision::Login(challenge) = page else { panic!("{page:?}") };
    assert_eq!(challenge.return_to, ReturnTo::root());
    let page = decision(Mode::AzureOnly, &Method::GET, "/login", Some(&session));
    assert!(matches!(page, Decision::Own(Endpoint::SignedIn)), "{page:?}");
    for mode in [Mode::Optional, Mode::Off] {
        let decision = decision(mode, &Method::POST, "/login", None);
        assert!(matches!(decision, Decision::Forward(_)), "{decision:?}");
    }
}

#[test]
fn sess_03_host_02_a_session_ends_and_belongs_to_one_host() {
    let fresh = session(NOON);
    let forwards = |session: &Session, now| {
        let asked = asked(&Method::GET, "/reports").unwrap();
        matches!(decide(&policy(Mode::AzureOnly), asked, Some(session), now), Decision::Forward(_))
    };
    assert!(forwards(&fresh, NOON));
    assert!(forwards(&fresh, NOON.after(Duration::from_secs(1799))));
    assert!(!forwards(&fresh, NOON.after(Duration::from_secs(1800))), "idle");
    for half_hours in 1..=23 {
        fresh.touch(NOON.after(Duration::from_secs(1799 * half_hours)));
    }
    assert!(!forwards(&fresh, NOON.after(Duration::from_secs(43_200))), "absolute");
    let elsewhere = Policy { host: Arc::from("other.example"), ..policy(Mode::AzureOnly) };
    let asked = asked(&Method::GET, "/reports").unwrap();
    let decision = decide(&elsewhere, asked, Some(&session(NOON)), NOON);
    assert!(matches!(decision, Decision::Login(_)), "{decision:?}");
}

#[test]
fn host_01_exactly_one_known_host() {
    let read = |hosts: &[&'static str], target: &str| {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append("host", HeaderValue::from_static(host));
        }
        asked_with(&Method::GET, target, &headers).map(|asked| asked.portal())
    };
    assert_eq!(read(&["members.example"], "/"), Ok(0));
    assert_eq!(read(&["MEMBERS.example:443"], "/"), Ok(0));
    assert_eq!(read(&["members.example"], "https://members.example/"), Ok(0));
    assert_eq!(read(&[], "/"), Err(Refusal::Host));
    assert_eq!(read(&["members.example", "members.example"], "/"), Err(Refusal::Host));
    assert_eq!(read(&["members.example", "evil.example"], "/"), Err(Refusal::Host));
    assert_eq!(read(&["evil.example"], "/"), Err(Refusal::UnknownHost));
    assert_eq!(read(&["members.example."], "/"), Err(Refusal::UnknownHost));
    assert_eq!(read(&["members.example:444"], "/"), Err(Refusal::UnknownHost));
    assert_eq!(read(&["members.example"], "https://evil.example/"), Err(Refusal::Host));
    assert_eq!(read(&["evil.example"], "https://members.example/"), Err(Refusal::Host));
}

#[test]
fn hdr_01_what_connection_names_goes_with_it() {
    let owned = OwnedNames::with([]);
    let mut headers = page_headers();
    for (name, value) in [
        ("connection", "close, X-User, keep-alive"),
        ("x-user", "a"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "x"),
        ("http2-settings", "x"),
        ("trailer", "x"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    owned.cleanse(&mut headers, false, LocalCredentials::Stop);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
}

#[test]
fn hdr_04_05_odd_and_foreign_names_go_and_ordinary_ones_stay() {
    let owned = OwnedNames::with([]);
    for taken in [
        "x_custom",
        "x.custom",
        "x-custom!",
        "remote-user",
        "X-Remote-User",
        "x-forwarded-user",
        "cf-access-jwt-assertion",
        "x-goog-iap-jwt-assertion",
        "x-amzn-oidc-data",
        "oidc-claim-anything",
        "x-ms-client-principal-name",
        "x-pomerium-claim-whatever",
        "forwarded",
        "x-real-ip",
        "X-Remote-Address",
        "x-true-client-ip",
        "x-fastly-client-ip",
        "x-http-method-override",
        "x-original-url",
        "x-anteport-anything",
        "xremoteuser",
    ] {
        assert!(owned.takes(taken), "{taken}");
    }
    for kept in [
        "accept",
        "user-agent",
        "cookie",
        "x-requested-with",
        "x-csrf-token",
        "if-none-match",
        "authorization",
        "dnt",
        "sec-fetch-mode",
        "content-type",
        "soapaction",
        "range",
        "origin",
        "x-custom",
        "priority",
        "traceparent",
        "accept-language",
        "x-api-version",
    ] {
        assert!(!owned.takes(kept), "{kept}");
    }
}

#[test]
fn hdr_05_whole_families_of_names_belong_to_gates() {
    let owned = OwnedNames::with([]);
    for family in [
        "X-Anteport",
        "X-Accel",
        "X-ARR",
        "X-WAWS",
        "X-Middleware",
        "X-HTTP-Method",
        "X-SSL",
        "X-Remote",
        "X-Authenticated",
        "X-Webauth",
        "X-Tailscale",
        "X-Teleport",
        "X-JWT",
        "X-MS-ADFS",
        "X-AppEngine",
        "X-Akamai",
        "X-Forwarded",
        "X-Original",
        "X-Envoy",
        "X-Vercel",
        "X-MS-Client-Principal",
        "X-MS-Token",
        "X-Auth-Request",
        "X-Authentik",
        "X-Pomerium",
        "X-Vouch-IdP",
        "X-Goog-Authenticated",
        "X-Amzn-OIDC",
        "OIDC",
        "Cf-Access",
        "Cf-Client",
        "Cf-Cert",
    ] {
        for more in [
            "",
            "-Unheard-Of",
            "-Something-That-Nobody-Has-Thought-Of-In-All-These-Years-Until-Now",
        ] {
            let name = format!("{family}{more}").to_lowercase();
            assert!(owned.takes(&name) && owned.takes(&name.replace('-', "")), "{name}");
        }
    }
    for ordinary in ["x-requested-with", "x-custom", "origin", "x-csrf-token", "cache-control"] {
        assert!(!owned.takes(ordinary), "{ordinary}");
    }
}

#[test]
fn hdr_06_a_second_copy_of_a_single_header_is_refused() {
    for name in ["content-type", "authorization", "user-agent", "origin", "referer", "range"] {
        let mut headers = page_headers();
        for value in ["a", "b"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for target in ["/assets/a.css", "/.auth/me"] {
            let refused = asked_with(&Method::GET, target, &headers).unwrap_err();
            assert_eq!(refused, Refusal::RepeatedHeader, "{name}");
        }
    }
    let mut headers = page_headers();
    for value in ["a=1", "b=2"] {
        headers.append("cookie", HeaderValue::from_static(value));
        headers.append("accept-language", HeaderValue::from_static("de"));
    }
    assert!(asked_with(&Method::GET, "/", &headers).is_ok());
}

#[test]
fn http_12_credentials_that_sign_a_connection_in_never_pass() {
    for credentials in ["NTLM TlRMTVNTUAAB", "negotiate YII=", "Negotiate"] {
        let mut headers = page_headers();
        headers.insert("authorization", HeaderValue::from_static(credentials));
        OwnedNames::with([]).cleanse(&mut headers, false, LocalCredentials::Pass);
        assert!(!headers.contains_key("authorization"), "{credentials}");
    }
}

#[test]
fn path_15_credentials_do_not_pass_in_azure_only() {
    for (mode, passes) in [(Mode::AzureOnly, false), (Mode::Optional, true), (Mode::Off, true)] {
        let mut headers = page_headers();
        headers.insert("authorization", HeaderValue::from_static("Basic eA=="));
        OwnedNames::with([]).cleanse(
            &mut headers,
            false,
            LocalCredentials::of(mode, Passes::default()),
        );
        assert_eq!(headers.contains_key("authorization"), passes, "{mode:?}");
    }
}

#[test]
fn own_endpoints_are_decisions_in_every_mode_and_every_spelling() {
    for mode in [Mode::AzureOnly, Mode::Optional, Mode::Off] {
        for (target, expected) in [
            ("/.auth/login", Endpoint::SignIn),
            ("/.auth/login/corporate", Endpoint::Login("corporate".into())),
            ("/.auth/login/corporate/callback", Endpoint::Callback("corporate".into())),
            ("/.auth/logout", Endpoint::Logout),
            ("/.auth/logout/done", Endpoint::LoggedOut),
            ("/.auth/me?x", Endpoint::Me),
            ("/.auth/resend", Endpoint::Resend(None)),
            ("/.auth/resend/at", Endpoint::Unknown),
            ("/.auth/resend/at/", Endpoint::Resend(Some("/".into()))),
            ("/.auth/resend/at/a/b?c", Endpoint::Resend(Some("/a/b".into()))),
            ("/.auth/resend/attic", Endpoint::Unknown),
            ("/.auth/resend/signed-in", Endpoint::ResendSignedIn),
            ("/.auth/resend/x", Endpoint::Unknown),
            ("/.auth/jwks.json", Endpoint::Jwks),
            ("/.auth/test", Endpoint::Test),
            ("/.auth/test/corporate", Endpoint::TestLogin("corporate".into())),
            ("/.auth/test/corporate/more", Endpoint::Unknown),
            ("/.auth", Endpoint::Unknown),
            ("/.auth/", Endpoint::Unknown),
            ("/.AUTH/me", Endpoint::Unknown),
            ("/%2eauth/me", Endpoint::Me),
            ("/.auth/me/", Endpoint::Unknown),
            ("/.auth/login/corporate/callback/x", Endpoint::Unknown),
        ] {
            let decision = decision(mode, &Method::GET, target, None);
            let Decision::Own(endpoint) = decision else { panic!("{target}: {decision:?}") };
            assert_eq!(endpoint, expected, "{target}");
        }
    }
}

#[test]
fn path_13_unknown_methods_are_refused() {
    for method in ["TRACE", "CONNECT", "PROPFIND", "BREW", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let refused = asked(&method, "/assets/a.css").unwrap_err();
        assert_eq!(refused, Refusal::Method);
    }
}

#[test]
fn no_debug_shows_a_secret() {
    let (pending, request) = begin([1; 16], [2; 16], [3; 32]);
    let shown = format!("{pending:?} {request:?} {:?}", SessionId::new([7; 32]));
    for secret in [request.state.expose(), request.nonce.expose(), request.verifier.expose()] {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
    let callback = Callback::read(&format!("code=hushhush&state={}", request.state.expose()));
    assert!(!format!("{callback:?}").contains("hushhush"));
}

#[test]
fn the_gate_does_no_io() {
    let mut places = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/gate"))];
    while let Some(path) = places.pop() {
        if path.is_dir() {
            places.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let text = code.collect::<Vec<_>>().join("\n");
        for forbidden in [
            "std::net",
            "std::fs",
            "std::io",
            "std::env",
            "tokio",
            "hyper::",
            "tracing",
            "::now()",
            "rand::",
            "crate::server",
            "crate::config",
            "crate::sessions",
            "crate::clock",
        ] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", path.display());
        }
    }
}
