//! Values that others build on: time, claims, sessions, logins.

use std::time::Duration;

use anteport::gate::identity::{Covered, Envelope, Lines};
use anteport::gate::login::{
    Accepted, Callback, Challenge, Demands, Grant, Journey, LoginError, LoginSeed, PendingLogin,
    Prompt, microsoft_code,
};
use anteport::gate::{
    Asked, Decision, Lifetimes, Mode, RawTarget, ReturnTo, Secret, Session, SessionId, Subject,
    Timestamp, VerifiedClaims, cookies, decide,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use super::{NOON, begin, page_headers, policy, refused, session};

#[test]
fn time_adds_and_saturates() {
    let at = Timestamp::from_unix_millis;
    let second = Duration::from_secs(1);
    assert_eq!(Timestamp::from_unix_seconds(2), at(2000));
    assert_eq!(Timestamp::from_unix_seconds(i64::MAX).unix_millis(), i64::MAX);
    assert_eq!(at(1999).unix_seconds(), 1);
    assert_eq!(at(-1).unix_seconds(), -1);
    assert_eq!(at(5).after(second), at(1005));
    assert_eq!(at(5).before(second), at(-995));
    assert_eq!(at(i64::MAX).after(second).unix_millis(), i64::MAX);
    assert_eq!(at(0).after(Duration::MAX).unix_millis(), i64::MAX);
    assert_eq!(at(1500).since(at(500)), second);
    assert_eq!(at(500).since(at(1500)), Duration::ZERO);
}

#[test]
fn az_02_a_member_has_one_key_and_shows_nothing() {
    let directory = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let issuer = Subject::Issuer { issuer: "https://i".into(), subject: "s".into() };
    assert_eq!(directory.member_key(), "t.o");
    assert_eq!(issuer.member_key(), "https://i#s");
    let serde_json::Value::Object(claims) = serde_json::json!({"b": 1, "a": "x"}) else { panic!() };
    let claims = VerifiedClaims::assertion(issuer.clone(), claims);
    assert!(claims.subject() == &issuer);
    assert_eq!(claims.get("b"), Some(&serde_json::json!(1)));
    assert_eq!((claims.text("a"), claims.text("b"), claims.text("c")), (Some("x"), None, None));
    assert_eq!(claims.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(format!("{claims:?} {issuer:?}"), "VerifiedClaims { .. } Subject(…)");
}

#[test]
fn sess_03_a_session_says_who_by_whom_and_until_when() {
    let member = session(NOON);
    assert_eq!((member.provider(), member.handle()), ("corporate", "h"));
    assert_eq!(member.started(), NOON);
    assert_eq!(member.ends(), NOON.after(Duration::from_secs(43_200)));
    assert_eq!(member.claims().subject().member_key(), "t.o");
    // The clock going back takes nothing away from it.
    member.touch(NOON.after(Duration::from_secs(10)));
    member.touch(NOON.before(Duration::from_secs(10)));
    assert!(member.is_live(NOON.after(Duration::from_secs(1809))));
    assert!(!member.is_live(NOON.after(Duration::from_secs(1810))));
    let hour = Duration::from_secs(3600);
    let lifetimes = Lifetimes { idle: hour * 2, absolute: hour };
    let claims = member.claims().clone();
    let short =
        Session::start(claims, "p".into(), "members.example".into(), "h".into(), lifetimes, NOON);
    assert!(short.is_live(NOON.after(hour - Duration::from_millis(1))));
    assert!(!short.is_live(NOON.after(hour)));
    assert!(short.is_for("members.example") && !short.is_for("other.example"));
}

#[test]
fn sess_01_only_43_characters_are_a_session() {
    let value = SessionId::new([7; 32]).cookie_value();
    assert_eq!(SessionId::parse(&value).unwrap().bytes(), &[7; 32]);
    for wrong in
        [&value[1..], &format!("{value}A"), &value.replace('c', "+"), &value.replace('c', "é")]
    {
        assert!(SessionId::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn cry_01_a_secret_matches_only_itself() {
    let secret = Secret::new("abc".to_owned());
    assert!(secret.matches("abc") && !secret.matches("abd") && !secret.matches("ab"));
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

#[test]
fn oidc_03_a_redemption_carries_what_it_takes() {
    let (pending, request) = begin([1; 16], [2; 16], [3; 32]);
    assert_eq!(format!("{pending:?}"), "PendingLogin { provider: \"corporate\", .. }");
    assert_eq!(pending.number(), &request.state.expose()[..12]);
    assert!(request.state.expose().starts_with("6b49d200"));
    let query = format!("code=c&state={}&iss=https%3A%2F%2Fi", request.state.expose());
    let callback = Callback::read(&query).unwrap();
    assert!(callback.state().matches(request.state.expose()));
    let before = NOON.after(PendingLogin::LIMIT).before(Duration::from_millis(1));
    let accepted = pending.accept(callback, "corporate", before).unwrap();
    let Accepted::Redeem(redemption) = accepted else { panic!("{accepted:?}") };
    let Grant::Code(code) = redemption.grant() else { panic!("{:?}", redemption.grant()) };
    assert_eq!(code.expose(), "c");
    assert_eq!(redemption.issuer(), Some("https://i"));
    assert!(redemption.verifier().matches(request.verifier.expose()));
    assert!(redemption.nonce().matches(request.nonce.expose()));
    assert!(PendingLogin::from_bytes(b"{}").is_none());
}

#[test]
fn oidc_05_a_callback_is_as_long_as_it_may_be() {
    assert_eq!(Callback::LONGEST, 65_536);
    let fits = format!("state={}&code=c", "s".repeat(Callback::LONGEST - 13));
    assert!(Callback::read(&fits).is_ok());
    assert_eq!(Callback::read(&format!("{fits}c")).unwrap_err(), LoginError::Malformed);
    for (state, number) in
        [("abcdef-_0123xyz", Some("abcdef-_0123")), ("abcdef%20_0123", None), ("short", None)]
    {
        let callback = Callback::read(&format!("state={state}&code=c")).unwrap();
        assert_eq!(callback.number(), number, "{state}");
    }
}

#[test]
fn oidc_16_a_refusal_of_the_provider_is_told_from_a_cancelled_sign_in() {
    for (query, is_cancel) in [
        ("error=access_denied", true),
        ("error=access_denied&error_subcode=cancel&error_description=AADSTS1", true),
        ("error=access_denied&error_description=AADSTS65004", true),
        ("error=access_denied&error_description=AADSTS50105", false),
        ("error=access_denied&error_subcode=Cancel&error_description=AADSTS1", false),
        ("error=server_error", false),
        ("error=server_error&error_subcode=cancel", false),
    ] {
        assert_eq!(refused(query).is_cancel(), is_cancel, "{query}");
    }
    let shown = refused("error=access_denied&error_description=x+AADB2C90091:+y").to_string();
    assert_eq!(shown, "the provider answered `access_denied` (AADB2C90091)");
    // LOG-01: nobody writes words of their own into the log by it.
    for odd in [&"x".repeat(65), "", "a.b", "bad-word_1", "Access_Denied"] {
        let said = refused(&format!("error={odd}")).to_string();
        assert_eq!(said, "the provider answered `unknown`", "{odd}");
    }
    assert_eq!(microsoft_code("AADSTS: none"), None);
    assert_eq!(microsoft_code("AADSTS1234567890").as_deref(), Some("AADSTS123456789"));
}

#[test]
fn what_is_asked_for_once_is_not_remembered() {
    let own = policy(Mode::AzureOnly);
    let kept = Demands {
        max_age: Some(Duration::from_secs(60)),
        context: Some("c1".to_owned()),
        login_hint: Some("canary-hint".to_owned()),
        same_member: true,
        ..Demands::default()
    };
    let demands = Demands {
        prompt: Some(Prompt::Login),
        parameters: vec![("domain_hint".to_owned(), "canary-parameter".to_owned())],
        ..kept.clone()
    };
    let return_to = ReturnTo::parse("/reports", &own).unwrap();
    let challenge = Challenge { return_to, journey: Journey::SignIn, demands };
    let begin = || {
        let seed = LoginSeed { state: [1; 16], nonce: [2; 16], verifier: [3; 32] };
        PendingLogin::begin(challenge.clone(), "corporate", None, &seed, NOON)
    };
    let (pending, request) = begin();
    assert_eq!(request.demands, challenge.demands);
    let sealed = pending.to_bytes();
    assert!(!String::from_utf8_lossy(sealed.expose()).contains("canary-parameter"));
    let state = request.state.expose();
    let forgotten = format!("state={state}&error=access_denied&error_description=AADB2C90118");
    for pending in [PendingLogin::from_bytes(sealed.expose()).unwrap(), pending] {
        let accepted = pending.accept(Callback::read(&forgotten).unwrap(), "corporate", NOON);
        let Ok(Accepted::GoOn(detour, None)) = accepted else { panic!("{accepted:?}") };
        assert_eq!(detour.return_to, challenge.return_to);
        assert_eq!(detour.journey, Journey::PasswordReset);
        assert_eq!(detour.demands, Demands { is_detour: true, ..kept.clone() });
    }
    // LOG-01: who is expected is nobody's to read.
    let granted = Callback::read(&format!("state={state}&code=c")).unwrap();
    let accepted = begin().0.accept(granted, "corporate", NOON).unwrap();
    assert!(!format!("{accepted:?}").contains("canary"), "{accepted:?}");
}

#[test]
fn gen_07_a_callback_that_is_refused_has_a_name() {
    let codes = [
        LoginError::Malformed,
        LoginError::Repeated,
        LoginError::StateMissing,
        LoginError::NotPending,
        LoginError::StateMismatch,
        LoginError::Expired { limit: PendingLogin::LIMIT },
        LoginError::Replayed,
        LoginError::PasswordForgotten,
        LoginError::OtherMember,
    ]
    .map(|error| error.code());
    let expected = "login-callback-malformed login-parameter-repeated login-state-missing \
                    login-not-pending login-state-mismatch login-expired login-replayed \
                    login-password-forgotten login-other-member";
    assert_eq!(codes.join(" "), expected);
}

#[test]
fn ret_01_a_place_to_return_to_is_short_and_plain() {
    let own = policy(Mode::AzureOnly);
    let parse = |target: &str| ReturnTo::parse(target, &own);
    assert!(parse(&format!("/{}", "a".repeat(ReturnTo::LONGEST - 1))).is_some());
    assert!(parse(&format!("/{}", "a".repeat(ReturnTo::LONGEST))).is_none());
    for wrong in [
        "/a?b#c",
        "/a?b\\c",
        "/a?\"",
        "/a?<",
        "/a?>",
        "/a? ",
        "/.auth/me",
        "/.AUTH",
        "/signin-oidc",
        "a",
    ] {
        assert!(parse(wrong).is_none(), "{wrong}");
    }
    assert!(parse("/.authors").is_some());
    assert_eq!(format!("{:?}", ReturnTo::root()), "ReturnTo(…)");
    assert!(ReturnTo::try_from("//evil.example".to_owned()).is_err());
    assert_eq!(String::from(parse("/a?b=c").unwrap()), "/a?b=c");
}

#[test]
fn log_01_what_is_private_says_its_name_and_nothing_else() {
    let id = SessionId::parse(&"A".repeat(43)).unwrap();
    assert_eq!(format!("{id:?}"), "SessionId(…)");
    let subject = Subject::Issuer { issuer: "canary".into(), subject: "canary".into() };
    assert_eq!(format!("{subject:?}"), "Subject(…)");
    let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
    assert_eq!(format!("{claims:?}"), "VerifiedClaims { .. }");
    assert!(format!("{:?}", Secret::new("canary")).starts_with("Secret("));
    assert!(!format!("{:?}", Secret::new("canary")).contains("canary"));
}

#[test]
fn log_01_a_request_shows_neither_its_query_nor_a_header_on_its_way() {
    let mut headers = page_headers();
    headers.insert("x-note", HeaderValue::from_static("canary"));
    let cookie = format!("{}={}; a=canary", cookies::SESSION, "A".repeat(43));
    headers.insert("cookie", HeaderValue::from_str(&cookie).unwrap());
    let target = RawTarget::Line(Bytes::from_static(b"/reports/a?code=canary"));
    let member = session(NOON);
    let asked = || Asked::read(&[policy(Mode::AzureOnly)], &Method::GET, &target, &headers);
    let mut shown = vec![format!("{target:?}"), format!("{:?}", asked().unwrap())];
    for session in [None, Some(&member)] {
        let decision = decide(&policy(Mode::AzureOnly), asked().unwrap(), session, NOON);
        shown.push(format!("{decision:?}"));
    }
    for decision in [Decision::Keep("/?canary".into()), Decision::Redirect("/?canary".into())] {
        shown.push(format!("{decision:?}"));
    }
    let canary = HeaderValue::from_static("canary");
    let name = HeaderName::from_static("x-anteport-assertion");
    let told = vec![(name.clone(), canary.clone())];
    let lines = Lines::Written(b"canary".as_slice().into());
    let covered = Covered { lines, names: b"".as_slice().into() };
    let envelope =
        |parts| Envelope { headers: told.clone(), renew: NOON, version: 0, covered: None, parts };
    let envelope = Envelope { covered: Some(covered), ..envelope(vec![envelope(Vec::new())]) };
    assert_eq!(format!("{envelope:?}"), "[\"x-anteport-assertion\"]", "names alone");
    // A body's bytes would be shown as numbers.
    for shown in shown {
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
        assert!(!shown.contains(&"A".repeat(43)), "{shown}");
    }
}
