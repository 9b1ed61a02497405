//! What routes ask of members besides a sign-in.

use super::*;
use anteport::gate::{AccountKind, Group, GroupsUnknown, Lack, Requirement, Right};
use serde_json::{Map, Value, json};

fn person(claims: Value) -> VerifiedClaims {
    let Value::Object(claims) = claims else { panic!("{claims}") };
    let subject = Subject::Directory { tenant: "club".into(), object: "o".into() };
    VerifiedClaims::assertion(subject, claims)
}

fn signed_in(claims: VerifiedClaims) -> Session {
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(claims, Arc::from("corporate"), Arc::from(HOST), "h".into(), lifetimes, NOON)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn requires(rights: Vec<Right>) -> Requirement {
    Requirement { rights, ..Requirement::default() }
}

/// Lines of `routes`, each with what it requires.
fn with_routes(lines: &[(&str, Option<Requirement>)]) -> Policy {
    let mut policy = policy(Mode::AzureOnly);
    policy.login_pages.clear();
    policy.password_routes.clear();
    policy.routes = lines
        .iter()
        .map(|(path, requirement)| Route {
            path: path.parse().unwrap(),
            covers: Covers::default(),
            conditions: Conditions::default(),
            access: requirement.clone().map_or(Access::Public, Access::SignedIn),
            passes: Passes::default(),
        })
        .collect();
    policy
}

fn decided(policy: &Policy, target: &str, session: &Session) -> Decision<'static> {
    let target = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    let read = Asked::read(std::slice::from_ref(policy), &Method::GET, &target, &PAGE);
    match read {
        Ok(asked) => decide(policy, asked, Some(session), NOON).settled().unwrap(),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

/// What a member lacks for a right, by the gate's own decision.
fn lack(right: Right, claims: VerifiedClaims) -> Option<Lack> {
    let policy = with_routes(&[("/**", Some(requires(vec![right])))]);
    match decided(&policy, "/x", &signed_in(claims)) {
        Decision::Forward(_) => None,
        Decision::Refuse(Refusal::Lacks { lack, route: 0 }) => Some(lack),
        other => panic!("{other:?}"),
    }
}

fn claim(name: &str, values: &[&str]) -> Right {
    Right::Claim { name: name.to_owned(), values: texts(values) }
}

#[test]
fn a_member_has_a_right_or_is_told_which_kind_is_missing() {
    let roles = || Right::Roles(texts(&["Treasurer", "Board"]));
    for (right, claims, expected) in [
        (roles(), json!({ "roles": ["Member", "Board"] }), None),
        (roles(), json!({ "roles": "Board" }), None),
        (roles(), json!({ "roles": ["member"] }), Some(Lack::Role)),
        (roles(), json!({ "roles": ["board"] }), Some(Lack::Role)),
        (roles(), json!({ "roles": [] }), Some(Lack::Role)),
        (roles(), json!({ "roles": [["Board"]] }), Some(Lack::Role)),
        (roles(), json!({ "roles": { "Board": true } }), Some(Lack::Role)),
        (roles(), json!({}), Some(Lack::Role)),
        (Right::Groups(texts(&["g1"])), json!({ "groups": ["g0", "g1"] }), None),
        (Right::Groups(texts(&["g1"])), json!({ "groups": ["g0"] }), Some(Lack::Group)),
        (Right::Groups(texts(&["g1"])), json!({}), Some(Lack::Group)),
        (claim("extension_Number", &["10442"]), json!({ "extension_Number": 10442 }), None),
        (claim("extension_Number", &["10442"]), json!({ "extension_Number": "10442" }), None),
        (claim("xms_edov", &["true", "1"]), json!({ "xms_edov": true }), None),
        (claim("xms_edov", &["true", "1"]), json!({ "xms_edov": "1" }), None),
        (claim("xms_edov", &["true", "1"]), json!({ "xms_edov": false }), Some(Lack::Claim)),
        (claim("a", &["null"]), json!({ "a": null }), Some(Lack::Claim)),
        (claim("a", &[""]), json!({}), Some(Lack::Claim)),
        (Right::Tenants(texts(&["club"])), json!({}), None),
        // The tenant is that of the identity, whatever else a token says.
        (Right::Tenants(texts(&["other"])), json!({ "tid": "other" }), Some(Lack::Tenant)),
        (Right::Accounts(vec![AccountKind::Member]), json!({}), Some(Lack::Account)),
        (Right::Acr(texts(&["2"])), json!({ "acr": "2" }), None),
        (Right::Acr(texts(&["2"])), json!({ "acr": "1" }), Some(Lack::Acr)),
        (Right::Amr(texts(&["mfa"])), json!({ "amr": ["pwd", "mfa"] }), None),
        (Right::Amr(texts(&["mfa"])), json!({ "amr": ["pwd"] }), Some(Lack::Amr)),
    ] {
        assert_eq!(lack(right.clone(), person(claims.clone())), expected, "{right:?} {claims}");
    }
    for kind in [AccountKind::Member, AccountKind::Guest, AccountKind::Personal] {
        for asked in [AccountKind::Member, AccountKind::Guest, AccountKind::Personal] {
            let found = lack(Right::Accounts(vec![asked]), person(json!({})).of_account(kind));
            assert_eq!(found, (kind != asked).then_some(Lack::Account));
        }
    }
}

#[test]
fn az_05_groups_that_the_provider_left_out_are_unknown_and_not_none() {
    let group = || Right::Groups(texts(&["g1"]));
    let left_out = Some(Lack::Groups(GroupsUnknown::LeftOut));
    for claims in [
        json!({ "_claim_names": { "groups": "src1" } }),
        json!({ "_claim_names": { "groups": "src1" }, "groups": ["g1"] }),
        json!({ "_claim_names": "groups" }),
        json!({ "hasgroups": true }),
        json!({ "hasgroups": "true" }),
        json!({ "hasgroups": null }),
    ] {
        assert_eq!(lack(group(), person(claims.clone())), left_out, "{claims}");
        // Once they were asked for, what the token said of them is gone.
        let asked = person(claims.clone());
        let g1 = Group { id: "g1".into(), name: Some("Members".into()) };
        assert_eq!(lack(group(), asked.clone().with_groups(&[g1])), None, "{claims}");
        assert_eq!(lack(group(), asked.clone().with_groups(&[])), Some(Lack::Group), "{claims}");
        let unresolved = Some(Lack::Groups(GroupsUnknown::Unresolved));
        assert_eq!(lack(group(), asked.with_groups_unresolved()), unresolved, "{claims}");
    }
    for claims in [json!({ "hasgroups": false }), json!({ "_claim_names": { "x": "src1" } })] {
        assert_eq!(lack(group(), person(claims)), Some(Lack::Group));
    }
    // Their names may be unknown where they are known, and not the other way round.
    let named = || Right::Claim { name: "group_names".into(), values: texts(&["Members"]) };
    let g1 = |name: Option<&str>| Group { id: "g1".into(), name: name.map(str::to_owned) };
    let unresolved = Some(Lack::Groups(GroupsUnknown::Unresolved));
    let nobody = person(json!({}));
    assert_eq!(lack(named(), nobody.clone().with_groups(&[g1(Some("Members"))])), None);
    assert_eq!(lack(named(), nobody.clone().with_groups(&[])), Some(Lack::Claim));
    let unnamed = nobody.clone().with_groups(&[g1(None)]).with_group_names_unresolved();
    assert_eq!(lack(named(), unnamed.clone()), unresolved);
    assert_eq!(lack(group(), unnamed.clone()), None);
    assert_eq!(lack(named(), nobody.clone().with_groups_of(&unnamed).unwrap()), unresolved);
    assert_eq!(lack(named(), unnamed.with_groups(&[g1(Some("Members"))])), None);
    let neither = nobody.with_groups_unresolved().with_group_names_unresolved();
    assert_eq!(lack(named(), neither.clone()), unresolved);
    assert_eq!(lack(group(), neither), unresolved);
    let left_out_too = person(json!({ "hasgroups": true }));
    assert_eq!(lack(named(), left_out_too), left_out);
    // What is certainly missing comes first: nobody is told to try again for nothing.
    let both = requires(vec![group(), Right::Roles(texts(&["Board"]))]);
    let policy = with_routes(&[("/**", Some(both))]);
    let decision = decided(&policy, "/", &signed_in(person(json!({ "hasgroups": true }))));
    let is_role = matches!(decision, Decision::Refuse(Refusal::Lacks { lack: Lack::Role, .. }));
    assert!(is_role, "{decision:?}");
}

#[test]
fn path_09_a_line_that_asks_for_less_covers_what_it_names_and_nothing_else() {
    let board = || Some(requires(vec![Right::Roles(texts(&["Board"]))]));
    let nothing = || Some(Requirement::NOTHING);
    let policy = with_routes(&[
        ("/admin/help", nothing()),
        ("/admin/assets/**", None),
        ("/admin/**", board()),
        ("/**", nothing()),
    ]);
    let member = signed_in(person(json!({ "roles": ["Member"] })));
    let board = signed_in(person(json!({ "roles": ["Board"] })));
    let passes =
        |target: &str, session| matches!(decided(&policy, target, session), Decision::Forward(_));
    for target in ["/admin/help", "/admin/assets/x", "/reports", "/administration", "/"] {
        assert!(passes(target, &member) && passes(target, &board), "{target}");
    }
    for target in [
        "/admin",
        "/admin/",
        "/admin/users",
        "/ADMIN/users",
        "/admin./users",
        "/admin%20/users",
        "/admin/HELP",
        "/Admin/help",
        "/admin/help.",
        "/ADMIN/assets/x",
    ] {
        assert!(!passes(target, &member), "{target}");
    }
    assert!(passes("/ADMIN/help", &board));
}

#[test]
fn what_members_need_says_nothing_to_strangers_and_nothing_where_everybody_passes() {
    let board = requires(vec![Right::Roles(texts(&["Board"]))]);
    let mut policy = with_routes(&[("/**", Some(board))]);
    let asked = |policy: &Policy, session: Option<&Session>| {
        let target = RawTarget::Line(Bytes::from_static(b"/x"));
        let asked = Asked::read(std::slice::from_ref(policy), &Method::GET, &target, &PAGE);
        decide(policy, asked.unwrap(), session, NOON).settled().unwrap()
    };
    assert!(matches!(asked(&policy, None), Decision::Login(_)));
    policy.mode = Mode::Optional;
    let member = signed_in(person(json!({})));
    assert!(matches!(asked(&policy, Some(&member)), Decision::Forward(_)));
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c]{1,2}", 1..4)
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![
        words().prop_map(Right::Roles),
        words().prop_map(Right::Groups),
        words().prop_map(Right::Acr),
        words().prop_map(Right::Amr),
        words().prop_map(|values| Right::Claim { name: "department".into(), values }),
        Just(Right::Accounts(vec![AccountKind::Member])),
    ]
}

fn some_claims() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![
        Just("roles"),
        Just("groups"),
        Just("acr"),
        Just("amr"),
        Just("department"),
        Just("other"),
    ];
    let value = prop_oneof![
        "[a-c]{1,2}".prop_map(Value::from),
        words().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    prop::collection::vec((name, value), 0..6)
        .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn passes(rights: Vec<Right>, claims: Map<String, Value>) -> bool {
    let policy = with_routes(&[("/**", Some(requires(rights)))]);
    let session = signed_in(person(Value::Object(claims)).of_account(AccountKind::Member));
    matches!(decided(&policy, "/", &session), Decision::Forward(_))
}

proptest! {
    #[test]
    fn without_claims_no_right_is_there(right in right()) {
        let nobody = VerifiedClaims::assertion(
            Subject::Issuer { issuer: "i".into(), subject: "s".into() },
            Map::new(),
        );
        prop_assert!(lack(right, nobody.clone()).is_some());
        prop_assert!(lack(Right::Tenants(vec!["club".into()]), nobody).is_some());
    }

    #[test]
    fn a_right_of_an_empty_list_is_nobodys(claims in some_claims()) {
        for right in [Right::Roles, Right::Groups, Right::Acr, Right::Amr, Right::Tenants] {
            prop_assert!(!passes(vec![right(vec![])], claims.clone()));
        }
        prop_assert!(!passes(vec![Right::Accounts(vec![])], claims));
    }

    #[test]
    fn one_right_more_lets_in_nobody_more(
        rights in prop::collection::vec(right(), 0..4),
        more in right(),
        claims in some_claims(),
    ) {
        let before = passes(rights.clone(), claims.clone());
        let mut rights = rights;
        rights.push(more);
        prop_assert!(before || !passes(rights, claims));
    }

    #[test]
    fn one_value_more_of_a_claim_takes_no_right_away(
        rights in prop::collection::vec(right(), 0..4),
        claims in some_claims(),
        name in prop_oneof![Just("roles"), Just("groups"), Just("amr"), Just("department")],
        value in "[a-c]{1,2}",
    ) {
        let before = passes(rights.clone(), claims.clone());
        let mut more = claims;
        let values = match more.remove(name) {
            Some(Value::Array(values)) => values,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let values = values.into_iter().chain([Value::from(value)]).collect::<Vec<_>>();
        more.insert(name.to_owned(), values.into());
        prop_assert!(!before || passes(rights, more));
    }

    #[test]
    fn path_09_no_spelling_of_a_guarded_path_goes_to_whoever_lacks_the_right(
        case in prop::collection::vec(any::<bool>(), 5),
        escaped in prop::collection::vec(any::<bool>(), 5),
        tail in prop_oneof![Just(""), Just("/"), Just("."), Just("%20"), Just("/x"), Just("./")],
    ) {
        let mut path = String::from("/");
        for ((letter, upper), escape) in "admin".chars().zip(case).zip(escaped) {
            let letter = if upper { letter.to_ascii_uppercase() } else { letter };
            if escape { path.push_str(&format!("%{:02x}", letter as u8)) } else { path.push(letter) }
        }
        path.push_str(tail);
        let policy = with_routes(&[
            ("/admin-help", Some(Requirement::NOTHING)),
            ("/admin/**", Some(requires(vec![Right::Roles(texts(&["Board"]))]))),
            ("/**", Some(Requirement::NOTHING)),
        ]);
        let decision = decided(&policy, &path, &signed_in(person(json!({}))));
        prop_assert!(!matches!(decision, Decision::Forward(_)), "{} {:?}", path, decision);
    }
}

fn young(requirement: Requirement, claims: Value, now: Timestamp) -> Decision<'static> {
    let policy = with_routes(&[("/**", Some(requirement))]);
    let target = RawTarget::Line(Bytes::from_static(b"/treasury?year=2026"));
    let read = Asked::read(std::slice::from_ref(&policy), &Method::GET, &target, &PAGE);
    decide(&policy, read.unwrap(), Some(&signed_in(person(claims))), now).settled().unwrap()
}

#[test]
fn a_sign_in_that_is_too_old_or_too_weak_is_asked_for_again_and_comes_back() {
    let quarter = Duration::from_secs(900);
    let age = || Requirement { max_age: Some(quarter), ..Requirement::default() };
    let context =
        || Requirement { authentication_context: Some("c1".into()), ..Requirement::default() };
    let seconds = |back: i64| NOON.unix_seconds() - back;
    // Without `auth_time` a session may have begun by single sign-on; a later one than the
    // session's is not believed.
    for (claims, now, is_young) in [
        (json!({}), NOON, false),
        (json!({}), NOON.after(quarter), false),
        (json!({ "auth_time": seconds(0) }), NOON.after(quarter), true),
        (json!({ "auth_time": seconds(0) }), NOON.after(quarter + Duration::from_millis(1)), false),
        (json!({ "auth_time": seconds(900) }), NOON, true),
        (json!({ "auth_time": seconds(901) }), NOON, false),
        (json!({ "auth_time": seconds(-600) }), NOON.after(quarter * 4 / 3), false),
        (json!({ "auth_time": "now" }), NOON, false),
        (json!({ "auth_time": null }), NOON, false),
    ] {
        let decision = young(age(), claims.clone(), now);
        assert_eq!(matches!(decision, Decision::Forward(_)), is_young, "{claims} {decision:?}");
    }
    for (claims, has) in [
        (json!({ "acrs": ["c3", "c1"] }), true),
        (json!({ "acrs": "c1" }), true),
        (json!({ "acrs": "c1 c3" }), false),
        (json!({ "acrs": ["c11"] }), false),
        (json!({ "acr": "c1" }), false),
        (json!({}), false),
    ] {
        let decision = young(context(), claims.clone(), NOON);
        assert_eq!(matches!(decision, Decision::Forward(_)), has, "{claims} {decision:?}");
    }
    let claims = json!({ "login_hint": "O.Ciopaque", "acrs": ["c1"], "auth_time": seconds(3600) });
    let both = Requirement { max_age: Some(quarter), ..context() };
    let Decision::Login(challenge) = young(both.clone(), claims, NOON) else { panic!() };
    let demands = &challenge.demands;
    assert_eq!(challenge.return_to.as_str(), "/treasury?year=2026");
    assert_eq!((demands.max_age, demands.context.as_deref()), (Some(quarter), Some("c1")));
    assert_eq!(demands.prompt.map(|prompt| prompt.name()), Some("login"));
    assert_eq!(demands.login_hint.as_deref(), Some("O.Ciopaque"));
    assert!(demands.same_member);
    // For the context alone, nobody types a password again.
    let Decision::Login(challenge) = young(context(), json!({}), NOON) else { panic!() };
    assert_eq!((challenge.demands.prompt, challenge.demands.max_age), (None, None));
    // A right that is missing is missing whatever the sign-in.
    let rights = vec![Right::Roles(texts(&["Board"]))];
    let later = NOON.after(quarter + Duration::from_secs(1));
    let decision = young(Requirement { rights, ..both }, json!({}), later);
    let is_role = matches!(decision, Decision::Refuse(Refusal::Lacks { lack: Lack::Role, .. }));
    assert!(is_role, "{decision:?}");
}

#[test]
fn oidc_17_a_background_call_is_told_which_sign_in_is_missing() {
    let mut headers = page_headers();
    headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
    for (requirement, refusal) in [
        (
            Requirement { max_age: Some(Duration::from_secs(60)), ..Requirement::default() },
            Refusal::SignInTooOld,
        ),
        (
            Requirement { authentication_context: Some("c1".into()), ..Requirement::default() },
            Refusal::StepUpRequired,
        ),
    ] {
        let policy = with_routes(&[("/**", Some(requirement))]);
        let target = RawTarget::Line(Bytes::from_static(b"/api"));
        let read = Asked::read(std::slice::from_ref(&policy), &Method::GET, &target, &headers);
        let session = signed_in(person(json!({})));
        let now = NOON.after(Duration::from_secs(61));
        let decision = decide(&policy, read.unwrap(), Some(&session), now).settled().unwrap();
        match decision {
            Decision::Refuse(found) => assert_eq!(found, refusal),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn az_03_a_later_token_makes_no_member_of_a_guest() {
    let kinds = [AccountKind::Member, AccountKind::Guest];
    for (before, later, expected) in [
        (kinds[1], Some(kinds[0]), kinds[1]),
        (kinds[1], None, kinds[1]),
        (kinds[0], Some(kinds[1]), kinds[1]),
        (kinds[0], Some(kinds[0]), kinds[0]),
        (kinds[0], None, kinds[0]),
    ] {
        let session = signed_in(person(json!({ "idp": "elsewhere" })).of_account(before));
        let word = match later {
            Some(kind) => person(json!({})).of_account(kind),
            None => person(json!({})),
        };
        let renewed = session.renewed(Some(word), None, NOON).unwrap();
        assert_eq!(renewed.claims().account(), Some(expected), "{before:?} {later:?}");
    }
}

#[test]
fn az_05_groups_that_were_not_known_before_are_not_known_from_before() {
    let known = person(json!({ "groups": ["g1"] }));
    let too_many = || person(json!({ "hasgroups": true }));
    let held = too_many().with_groups_of(&known).unwrap();
    assert_eq!(lack(Right::Groups(texts(&["g1"])), held), None);
    assert!(too_many().with_groups_of(&too_many()).is_none());
    assert!(too_many().with_groups_of(&known.with_groups_unresolved()).is_none());
}

/// What a directory of members says is nothing that a token can say.
#[test]
fn a_token_says_nothing_in_the_name_of_the_directory() {
    let said = person(json!({ "ext.paid": true, "ext": { "paid": true }, "external": 1 }));
    assert_eq!(said.get("ext.paid"), None);
    assert_eq!((said.get("external"), said.get("ext")), (Some(&json!(1)), None));
    let paid = || Right::Claim { name: "ext.paid".into(), values: texts(&["true"]) };
    assert_eq!(lack(paid(), said.clone()), Some(Lack::Claim));
    let Value::Object(words) = json!({ "paid": true, "old": 1 }) else { panic!() };
    let welcome = said.with_extensions(words);
    assert_eq!(lack(paid(), welcome.clone()), None);
    // What it says now takes the place of what it said.
    let later = welcome.clone().with_extensions(Map::new());
    assert_eq!((later.get("ext.old"), later.get("external")), (None, Some(&json!(1))));
    // It lasts while the provider is asked again, which says nothing of it.
    let renewed = signed_in(welcome).renewed(Some(person(json!({ "ext.old": 2 }))), None, NOON);
    let renewed = renewed.unwrap();
    assert_eq!(renewed.claims().get("ext.old"), Some(&json!(1)));
    assert_eq!(lack(paid(), renewed.claims().clone()), None);
}

#[test]
fn whom_no_line_could_let_in_is_told_apart() {
    let roles = || Some(requires(vec![Right::Roles(texts(&["Board"]))]));
    let board = person(json!({ "roles": ["Board"] }));
    let anybody = person(json!({}));
    let closed = with_routes(&[("/a/**", roles()), ("/**", roles())]);
    assert!(closed.could_let_in(&board) && !closed.could_let_in(&anybody));
    let open = with_routes(&[("/a/**", roles()), ("/**", Some(Requirement::default()))]);
    assert!(open.could_let_in(&anybody));
    let half = with_routes(&[("/a/**", roles()), ("/**", None)]);
    assert!(!half.could_let_in(&anybody), "what is public is no way in");
    // GEN-03: what could not be found out is not a no.
    let group = with_routes(&[("/**", Some(requires(vec![Right::Groups(texts(&["g"]))])))]);
    assert!(!group.could_let_in(&anybody));
    assert!(group.could_let_in(&anybody.clone().with_groups_unresolved()));
    // What the directory will say is not asked for yet.
    let paid = Right::Claim { name: "ext.paid".into(), values: texts(&["true"]) };
    let by_directory = with_routes(&[("/**", Some(requires(vec![paid])))]);
    assert!(by_directory.could_let_in(&anybody));
    let public = with_routes(&[("/**", None)]);
    assert!(public.could_let_in(&anybody), "nothing is asked of anybody");
}
