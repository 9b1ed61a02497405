//! What rules look at besides the path, and what a decision says.

use std::sync::LazyLock;

use anteport::gate::identity::LocalCredentials;
use anteport::gate::{
    Access, Allowance, Bearer, Clue, Conditions, Covers, Decision, Endpoint, Exception, Form, Lack,
    Mode, Oddities, Oddity, Pair, Passes, PathError, PathPattern, PatternError, Policy, RawTarget,
    Refusal, Rule, Spelling, Ticket, ValuePattern, decide,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Asked, HOST, NOON, asked_with, policy, session};

pub(super) fn pairs(name: &str, value: &str) -> Vec<Pair> {
    vec![Pair::new(name, vec![ValuePattern::parse(value).unwrap()])]
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static(HOST));
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn read<'h>(policy: &Policy, method: Method, target: &str, headers: &'h HeaderMap) -> Asked<'h> {
    let target = RawTarget::Line(target.to_owned().into());
    Asked::read(std::slice::from_ref(policy), &method, &target, headers).unwrap()
}

/// A gate with one shut door at `/door`, before a site for everybody.
fn shut(door: Rule) -> Policy {
    let mut policy = policy(Mode::AzureOnly);
    policy.password_routes = vec![door];
    policy.login_pages = Vec::new();
    policy.routes.truncate(1);
    policy.routes[0].path = "/**".parse().unwrap();
    policy
}

fn door(conditions: Conditions, unless: Vec<Exception>) -> Rule {
    Rule { conditions, unless, ..Rule::at("/door".parse().unwrap()) }
}

fn is_refused(policy: &Policy, method: Method, target: &str, headers: &HeaderMap) -> bool {
    match decide(policy, read(policy, method, target, headers), None, NOON) {
        Decision::Forward(_) => false,
        Decision::Refuse(Refusal::PasswordRoute { rule: 0 }) => true,
        other => panic!("{other:?}"),
    }
}

#[test]
fn path_12_a_rule_holds_for_headers_and_cookies_in_any_spelling() {
    let header = shut(door(
        Conditions { headers: pairs("X-Action", "login"), ..Conditions::default() },
        vec![],
    ));
    let cookie = shut(door(
        Conditions { cookies: pairs("action", "login"), ..Conditions::default() },
        vec![],
    ));
    for (policy, name, value, refused) in [
        (&header, "x-action", "login", true),
        (&header, "xaction", " LOGIN ", true),
        (&header, "x-action", "home", false),
        (&header, "x-other", "login", false),
        (&cookie, "cookie", "a=1; action=login", true),
        (&cookie, "cookie", "ACTION=Login", true),
        (&cookie, "cookie", "a=1,action=login", true),
        (&cookie, "cookie", "a=1 action=login", true),
        (&cookie, "cookie", "action=home", false),
        (&cookie, "cookie", "other=login", false),
    ] {
        let mut headers = headers(&[]);
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        assert_eq!(is_refused(policy, Method::GET, "/door", &headers), refused, "{name}: {value}");
        assert!(!is_refused(policy, Method::GET, "/open", &headers), "{name}: {value}");
    }
}

#[test]
fn path_12_a_value_is_what_filters_and_scripts_make_of_it() {
    let query = |name: &str, value: &str| {
        let conditions = Conditions { query: pairs(name, value), ..Conditions::default() };
        shut(door(conditions, vec![]))
    };
    let plain = headers(&[]);
    let task = query("task", "user.login");
    for (target, refused) in [
        ("/door?task=user.login", true),
        ("/door?task=us%C3%A9er.login", true),
        ("/door?task=us(er%2F.login", true),
        ("/door?task=.user.login", true),
        ("/door?task=user.logout", false),
    ] {
        assert_eq!(is_refused(&task, Method::GET, target, &plain), refused, "{target}");
    }
    // Parts at a semicolon, arrays, brackets that are encoded twice, names that are numbers.
    let action = query("action", "login");
    for (target, refused) in [
        ("/door?a=1;action=login", true),
        ("/door?a=1;;b=2;action=login", true),
        ("/door?a=1;b=action", false),
        ("/door?action[0]=home", true),
        ("/door?action%255B0%255D=home", true),
        ("/door?actions[a]=login", false),
        ("/door?1[action]=login", false),
        ("/door?x;=1;action=login", true),
        ("/door?action;x=login", true),
    ] {
        assert_eq!(is_refused(&action, Method::GET, target, &plain), refused, "{target}");
    }
    let nested = query("user[password]", "*");
    for indexed in ["user[password]", "user[0][password]", "user[password][0]", "user[][password]"]
    {
        let target = format!("/door?{indexed}=x");
        assert!(is_refused(&nested, Method::GET, &target, &plain), "{target}");
    }
    assert!(!is_refused(&nested, Method::GET, "/door?user[name]=x", &plain));
    assert!(is_refused(&query("1", "*"), Method::GET, "/door?1=x", &plain));
    let title = query("title", "Special:PasswordReset");
    for (target, refused) in [
        ("/door?title=Special:_PasswordReset", true),
        ("/door?title=_Special_%20:%20PasswordReset_", true),
        ("/door?title=SpecialPasswordReset", false),
    ] {
        assert_eq!(is_refused(&title, Method::GET, target, &plain), refused, "{target}");
    }
    // Calls that come in one parameter.
    let method = query("methodname", "auth_*");
    let deep = format!("/door?args={}{}", "[".repeat(200), "]".repeat(200));
    for (target, refused) in [
        ("/door?args=[{%22methodname%22:%22auth_x%22}]", true),
        ("/door?args=%20{%22a%22:{%22methodname%22:%22%C3%A9auth_x%22}}", true),
        ("/door?args=[{%22methodname%22:%22core_x%22}]", false),
        ("/door?args=[{%22methodname%22:", false),
        (&deep, true),
    ] {
        assert_eq!(is_refused(&method, Method::GET, target, &plain), refused, "{target}");
    }
}

#[test]
fn path_12_a_query_in_a_foreign_charset_could_say_anything() {
    let conditions = Conditions { query: pairs("action", "login"), ..Conditions::default() };
    let policy = shut(door(conditions, vec![]));
    for (kind, refused) in [
        ("text/plain; charset=utf-7", true),
        ("text/plain; xcharset=utf-7", true),
        ("text/plain; charset=utf-8", false),
        ("multipart/form-data; boundary=\"b", false),
        ("text/plain", false),
        ("text/plain; charset=utf-7; x=\u{e9}", true),
    ] {
        let mut headers = headers(&[]);
        headers.insert("content-type", HeaderValue::from_bytes(kind.as_bytes()).unwrap());
        assert_eq!(is_refused(&policy, Method::GET, "/door?a=b", &headers), refused, "{kind}");
        assert!(!is_refused(&policy, Method::GET, "/door", &headers), "{kind}");
    }
}

#[test]
fn path_12_an_exception_holds_to_the_letter_and_once() {
    let conditions = [
        Conditions { headers: pairs("x-action", "logout"), ..Conditions::default() },
        Conditions { cookies: pairs("action", "logout"), ..Conditions::default() },
    ];
    let [header, cookie] = conditions.map(|conditions| {
        shut(door(Conditions::default(), vec![Exception { conditions, ..Exception::default() }]))
    });
    for (policy, fields, refused) in [
        (&header, &[("x-action", "logout")][..], false),
        (&header, &[("x-action", "Logout")], true),
        (&header, &[("xaction", "logout")], true),
        (&header, &[("x-action", "logout"), ("x-action", "logout")], true),
        (&header, &[], true),
        (&cookie, &[("cookie", "action=logout; a=b")], false),
        (&cookie, &[("cookie", "action=Logout")], true),
        (&cookie, &[("cookie", "Action=logout")], true),
        (&cookie, &[("cookie", "action=logout; action=login")], true),
        (&cookie, &[("cookie", "action=logout"), ("cookie", "a.ction=x")], true),
        (&cookie, &[("cookie", "other=logout")], true),
    ] {
        let headers = headers(fields);
        assert_eq!(is_refused(policy, Method::GET, "/door", &headers), refused, "{fields:?}");
    }
}

#[test]
fn path_12_an_exception_is_written_plainly() {
    let lifted = |value: &str, kind: &'static str, body: &str| {
        let exception = Exception {
            conditions: Conditions { form: pairs("action", value), ..Conditions::default() },
            ..Exception::default()
        };
        let policy = shut(door(Conditions::default(), vec![exception]));
        let headers = headers(&[("content-type", kind)]);
        let asked = read(&policy, Method::POST, "/door", &headers);
        let asked = asked.with_form(Form::read(&headers, body.as_bytes()));
        matches!(decide(&policy, asked, None, NOON), Decision::Forward(_))
    };
    let form = "application/x-www-form-urlencoded";
    assert!(lifted("logout", form, "action=logout"));
    assert!(lifted("log out", "application/json", "{\"action\":\"log out\"}"));
    for (value, body) in [
        ("logout", "action=log%6fut"),
        ("%41", "action=%41"),
        ("a+b", "action=a+b"),
        ("\u{e9}", "action=\u{e9}"),
        ("logout", "action=logout&action=x"),
        ("logout", "action=logout;x"),
        ("logout", "Action=logout"),
    ] {
        assert!(!lifted(value, form, body), "{body}");
    }
    // Servers read so many fields and no more.
    let among = |count: usize| format!("action=logout{}", "&a=b".repeat(count - 1));
    assert!(lifted("logout", form, &among(500)) && !lifted("logout", form, &among(501)));
    for body in [
        "{\"action\":[\"logout\"]}",
        "{\"x\":{\"action\":\"logout\"}}",
        "{\"action\":\"logout\",\"x\":{\"action\":\"logout\"}}",
    ] {
        assert!(!lifted("logout", "application/json", body), "{body}");
    }
}

#[test]
fn path_11_streams_and_first_colons_hide_no_door() {
    let policy = shut(Rule::at("/door".parse().unwrap()));
    let headers = headers(&[]);
    for (target, refused) in [
        ("/door:x", true),
        ("/door%20.:x", true),
        ("/door._-:x", true),
        ("/:80/door", true),
        ("/:x:y/door:z", true),
        ("/:door", true),
        ("/::door/", true),
        ("/a:b/door", false),
        ("/doors:x", false),
    ] {
        assert_eq!(is_refused(&policy, Method::GET, target, &headers), refused, "{target}");
    }
}

#[test]
fn path_10_a_language_before_a_path_is_a_language() {
    let covers = Covers { language_prefix: true, ..Covers::default() };
    let policy = shut(Rule { covers, ..Rule::at("/door".parse().unwrap()) });
    let headers = headers(&[]);
    for (language, refused) in [
        ("en", true),
        ("pt-br", true),
        ("zh_hans", true),
        ("sr-latn-rs", true),
        ("e", false),
        ("abcd", false),
        ("e1", false),
        ("en-x", false),
        ("en-abcdefghi", false),
        ("en-a:b", false),
    ] {
        let target = format!("/{language}/door");
        assert_eq!(is_refused(&policy, Method::GET, &target, &headers), refused, "{language}");
    }
}

#[test]
fn path_13_an_exception_for_a_path_and_a_method_lifts_only_those() {
    let path: PathPattern = "/door/logout".parse().unwrap();
    let lifted = Exception {
        path: Some(path),
        methods: Some(vec![Method::GET]),
        conditions: Conditions::default(),
    };
    let mut rule = door(Conditions::default(), vec![lifted]);
    rule.path = "/door/**".parse().unwrap();
    let policy = shut(rule);
    let headers = headers(&[]);
    for (method, target, refused) in [
        (Method::GET, "/door/logout", false),
        (Method::HEAD, "/door/logout", false),
        (Method::POST, "/door/logout", true),
        (Method::GET, "/DOOR/logout", true),
        (Method::GET, "/door", true),
        (Method::GET, "/door/logout/x", true),
    ] {
        assert_eq!(
            is_refused(&policy, method.clone(), target, &headers),
            refused,
            "{method} {target}"
        );
    }
}

#[test]
fn path_13_a_post_may_be_any_method_that_a_rule_names() {
    let with = |methods: &[Method]| {
        shut(Rule { methods: Some(methods.to_vec()), ..door(Conditions::default(), vec![]) })
    };
    let headers = headers(&[]);
    for (methods, method, refused) in [
        (&[Method::PUT][..], Method::POST, true),
        (&[Method::PUT], Method::PUT, true),
        (&[Method::PUT], Method::GET, false),
        (&[Method::PUT], Method::DELETE, false),
        (&[Method::GET], Method::HEAD, true),
        (&[], Method::POST, false),
    ] {
        let policy = with(methods);
        assert_eq!(
            is_refused(&policy, method.clone(), "/door", &headers),
            refused,
            "{methods:?} {method}"
        );
    }
}

#[test]
fn a_condition_is_empty_only_without_any() {
    assert!(Conditions::default().is_empty());
    for some in [
        Conditions { query: pairs("a", "b"), ..Conditions::default() },
        Conditions { form: pairs("a", "b"), ..Conditions::default() },
        Conditions { headers: pairs("a", "b"), ..Conditions::default() },
        Conditions { cookies: pairs("a", "b"), ..Conditions::default() },
    ] {
        assert!(!some.is_empty(), "{some:?}");
    }
}

#[test]
fn path_12_a_door_that_depends_on_the_form_is_inspected_in_every_guarding_mode() {
    let form = || Conditions { form: pairs("action", "login"), ..Conditions::default() };
    let mut policy = shut(door(form(), vec![]));
    policy.login_pages = vec![Rule { conditions: form(), ..Rule::at("/page".parse().unwrap()) }];
    let headers = headers(&[]);
    for (mode, method, target) in [
        (Mode::AzureOnly, Method::POST, "/door"),
        (Mode::ReportOnly, Method::POST, "/door"),
        (Mode::AzureOnly, Method::GET, "/page"),
    ] {
        let policy = Policy { mode, ..policy.clone() };
        let decision = decide(&policy, read(&policy, method, target, &headers), None, NOON);
        let asked = decision.settled().unwrap_err();
        // Without a form there is nothing to find, and one that cannot be read could say anything.
        let shown = Asked::with_form(*asked, Form::Unreadable);
        let decision = decide(&policy, shown, None, NOON).settled().unwrap();
        match (mode, target) {
            (Mode::ReportOnly, _) => {
                let Decision::Forward(permit) = decision else { panic!("{decision:?}") };
                assert_eq!(permit.noted().unwrap().rule, Some(0));
                assert_eq!(permit.noted().unwrap().path, "/door");
            }
            (_, "/door") => {
                assert!(matches!(decision, Decision::Refuse(Refusal::PasswordRoute { rule: 0 })));
            }
            _ => assert!(matches!(decision, Decision::Login(_)), "{decision:?}"),
        }
    }
    let off = Policy { mode: Mode::Off, ..policy };
    let decision = decide(&off, read(&off, Method::POST, "/door", &headers), None, NOON);
    assert!(matches!(decision, Decision::Forward(_)));
}

#[test]
fn a_rule_that_holds_wins_over_one_that_would_need_the_form() {
    let form = Conditions { form: pairs("action", "login"), ..Conditions::default() };
    let mut policy = shut(door(form.clone(), vec![]));
    policy.password_routes.push(door(Conditions::default(), vec![]));
    let headers = headers(&[]);
    let asked = read(&policy, Method::POST, "/door", &headers);
    assert_eq!(asked.query(), None);
    let trace = policy.trace(&asked);
    assert_eq!((trace.path, trace.deny_key), ("/door", "/door"));
    assert_eq!(trace.password_route.map(|rule| &*rule.name), Some("/door"));
    assert!(trace.login_page.is_none() && trace.route.is_some_and(|(index, _)| index == 0));
    let decision = decide(&policy, asked, None, NOON);
    assert!(matches!(decision, Decision::Refuse(Refusal::PasswordRoute { rule: 1 })));
    let unsure = shut(door(form, vec![]));
    let asked = read(&unsure, Method::POST, "/door", &headers);
    assert!(unsure.trace(&asked).password_route.is_none());
    let mut pages = shut(door(Conditions::default(), vec![]));
    std::mem::swap(&mut pages.login_pages, &mut pages.password_routes);
    let asked = read(&pages, Method::HEAD, "/door", &headers);
    assert!(pages.trace(&asked).login_page.is_some());
    assert!(pages.trace(&read(&pages, Method::POST, "/door", &headers)).login_page.is_none());
}

fn report(fields: &[(&'static str, &'static str)], target: &str, body: &str) -> Option<Vec<Clue>> {
    let policy = Policy { mode: Mode::ReportOnly, ..shut(door(Conditions::default(), vec![])) };
    let headers = headers(fields);
    let asked = read(&policy, Method::POST, target, &headers);
    let decision = decide(&policy, asked, None, NOON);
    let decision = decision.settled().or_else(|asked| {
        let form = Form::read(&headers, body.as_bytes());
        decide(&policy, asked.with_form(form), None, NOON).settled()
    });
    let Ok(Decision::Forward(permit)) = decision else { panic!("{decision:?}") };
    permit.noted().map(|note| note.clues.clone())
}

#[test]
fn where_passwords_come_along_is_noted_by_name_alone() {
    let field = |name: &str| Clue::Field(name.to_owned());
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    assert_eq!(
        report(&form, "/x", "user=a&User_Password=geheim"),
        Some(vec![field("userpassword")])
    );
    assert_eq!(
        report(&form, "/x", "pw=1&pass=2&pwd=3&pw=4"),
        Some(vec![field("pass"), field("pw"), field("pwd")])
    );
    assert_eq!(report(&form, "/x", "passenger=1&power=2"), None);
    assert_eq!(report(&[], "/x?Kennwort=1", ""), Some(vec![field("kennwort")]));
    let json = [("content-type", "APPLICATION/JSON")];
    assert_eq!(report(&json, "/x", r#"{"a":{"password":"x"}}"#), Some(vec![field("password")]));
    let long = format!("password{}=1", "x".repeat(56));
    assert_eq!(report(&form, "/x", &long).map(|clues| clues.len()), Some(1));
    assert_eq!(report(&form, "/x", &format!("x{long}")), None);
    for (credentials, is_clue) in [("Basic eA==", true), ("DIGEST x", true), ("Bearer x", false)] {
        let clues = report(&[("authorization", credentials)], "/x", "");
        assert_eq!(clues, is_clue.then(|| vec![Clue::Credentials]), "{credentials}");
    }
    // A rule that would refuse is noted without any clue.
    assert_eq!(report(&[], "/door", ""), Some(vec![]));
}

#[test]
fn path_12_no_form_of_a_stranger_is_read_where_a_sign_in_is_asked_for() {
    let form = || Conditions { form: pairs("action", "login"), ..Conditions::default() };
    let mut policy = shut(door(form(), vec![]));
    policy.login_pages = vec![Rule { conditions: form(), ..Rule::at("/door".parse().unwrap()) }];
    policy.routes[0].access = Access::SIGNED_IN;
    let headers = headers(&[("accept", "text/html")]);
    let member = session(NOON);
    for method in [Method::GET, Method::POST] {
        let asked = |session| {
            let asked = read(&policy, method.clone(), "/door?a=b", &headers);
            decide(&policy, asked, session, NOON).settled()
        };
        match asked(None) {
            Ok(Decision::Login(challenge)) if method == Method::GET => {
                assert_eq!(challenge.return_to.as_str(), "/door?a=b");
            }
            Ok(Decision::Refuse(Refusal::SignInRequired)) if method == Method::POST => {}
            other => panic!("{other:?}"),
        }
        assert!(asked(Some(&member)).is_err(), "a member's form is read");
    }
}

#[test]
fn a_permit_says_in_whose_name_and_by_which_route() {
    let passes = Passes { websocket: true, ..Passes::default() };
    let mut policy = policy(Mode::AzureOnly);
    policy.routes[1].passes = passes;
    let member = session(NOON);
    let headers = headers(&[]);
    for (mode, session, target, bearer, route, passed) in [
        (Mode::AzureOnly, Some(&member), "/admin/a", Bearer::Member, Some(1), passes),
        (Mode::AzureOnly, None, "/assets/a", Bearer::Nobody, Some(0), Passes::default()),
        (Mode::Optional, Some(&member), "/admin/a", Bearer::Member, Some(1), passes),
        (Mode::Optional, None, "/admin/a", Bearer::Nobody, Some(1), passes),
        (Mode::Off, Some(&member), "/admin/a", Bearer::Nobody, Some(1), passes),
        (Mode::Off, None, "/nowhere", Bearer::Nobody, None, Passes::default()),
    ] {
        let policy = Policy { mode, ..policy.clone() };
        let decision = decide(&policy, read(&policy, Method::GET, target, &headers), session, NOON);
        let Decision::Forward(permit) = decision else { panic!("{mode:?} {target}: {decision:?}") };
        assert_eq!((permit.bearer(), permit.route(), permit.passes()), (bearer, route, passed));
        assert!(permit.noted().is_none());
    }
    for mode in [Mode::AzureOnly, Mode::Optional, Mode::ReportOnly] {
        let policy = Policy { mode, ..policy.clone() };
        let asked = read(&policy, Method::GET, "/nowhere", &headers);
        let decision = decide(&policy, asked, Some(&member), NOON);
        assert!(matches!(decision, Decision::Refuse(Refusal::NoRoute)), "{mode:?}");
    }
}

#[test]
fn path_07_08_17_odd_spellings_are_mended_or_allowed_where_it_says_so() {
    let mut policy = policy(Mode::AzureOnly);
    let oddities = |these: &[Oddity]| Oddities::of(these);
    policy.spelling = Spelling {
        mends_segments: true,
        mends_session_parameter: true,
        allowed: vec![
            Allowance {
                path: "/assets/**".parse().unwrap(),
                oddities: oddities(&[Oddity::EncodedSlash]),
            },
            Allowance {
                path: "/assets/x/**".parse().unwrap(),
                oddities: oddities(&[Oddity::EncodedPercent]),
            },
        ],
    };
    static NONE: LazyLock<HeaderMap> = LazyLock::new(|| headers(&[]));
    let ends = |method: Method, target: &str| {
        let raw = RawTarget::Line(target.to_owned().into());
        let asked = Asked::read(std::slice::from_ref(&policy), &method, &raw, &NONE);
        match asked.map(|asked| decide(&policy, asked, None, NOON)) {
            Ok(Decision::Redirect(target)) => format!("to {target}"),
            Ok(Decision::Forward(permit)) => format!("as {}", permit.target()),
            Ok(other) => panic!("{target}: {other:?}"),
            Err(refusal) => refusal.code().to_owned(),
        }
    };
    for (method, target, end) in [
        (Method::GET, "/assets//a?x=//y", "to /assets/a?x=//y"),
        (Method::HEAD, "/assets/./a", "to /assets/a"),
        (Method::GET, "/assets/a;jsessionid=0123", "to /assets/a"),
        (Method::POST, "/assets//a", "path-segment"),
        (Method::GET, "/assets/a%2Fb", "as /assets/a%2Fb"),
        (Method::POST, "/assets/x/a%2Fb%25", "as /assets/x/a%2Fb%25"),
        (Method::GET, "/assets/a%25b", "path-encoded-separator"),
        (Method::GET, "/open/a%2Fb", "path-encoded-separator"),
        (Method::GET, "/assets/a%3Fb", "path-encoded-separator"),
    ] {
        assert_eq!(ends(method.clone(), target), end, "{method} {target}");
    }
    let asked = Asked::read(
        std::slice::from_ref(&policy),
        &Method::GET,
        &RawTarget::Line("/assets//a".into()),
        &NONE,
    );
    let settled = decide(&policy, asked.unwrap(), None, NOON).settled();
    assert!(matches!(settled, Ok(Decision::Redirect(_))));
    // Each of the two alone mends what it is about.
    for (segments, parameter) in [(true, false), (false, true), (false, false)] {
        let mut policy = policy.clone();
        policy.spelling.mends_segments = segments;
        policy.spelling.mends_session_parameter = parameter;
        let is_mended = |target: &'static str| {
            let raw = RawTarget::Line(target.into());
            Asked::read(std::slice::from_ref(&policy), &Method::GET, &raw, &NONE).is_ok()
        };
        assert_eq!(is_mended("/assets//a"), segments);
        assert_eq!(is_mended("/assets/a;jsessionid=1"), parameter);
    }
}

#[test]
fn oddities_are_a_set() {
    let all = Oddities::of(&Oddity::NAMED.map(|(_, oddity)| oddity));
    for (name, oddity) in Oddity::NAMED {
        let one = Oddities::of(&[oddity]);
        assert!(one.any() && one.has(oddity) && all.has(oddity), "{name}");
        assert_eq!(Oddities::of(&[oddity, oddity]), one, "{name}");
        assert!(one.are_within(all) && !all.are_within(one), "{name}");
        assert!(!Oddities::NONE.has(oddity) && Oddities::NONE.are_within(one), "{name}");
        assert_eq!(one.and(all), all, "{name}");
        assert_eq!(one.and(one), one, "{name}");
        assert_eq!(one.and(Oddities::NONE), one, "{name}");
    }
    assert!(!Oddities::NONE.any());
}

#[test]
fn patterns_are_read_in_one_way() {
    for (text, error) in [
        ("/a/**/b", PatternError::Wildcard),
        ("/a*", PatternError::Wildcard),
        ("/%61", PatternError::NotCanonical),
        ("a", PatternError::Path(PathError::NotAbsolute)),
    ] {
        assert_eq!(text.parse::<PathPattern>(), Err(error), "{text}");
    }
    let pattern: PathPattern = "/members/*/photo/**".parse().unwrap();
    assert_eq!(pattern.to_string(), "/members/*/photo/**");
    for (path, covered) in [
        ("/members/a/photo", true),
        ("/members/a/photo/b/c", true),
        ("/members//photo", false),
        ("/members/a/b/photo", false),
        ("/members/a", false),
    ] {
        assert_eq!(pattern.is_exactly(path), covered, "{path}");
    }
    let below: PathPattern = "/assets/**".parse().unwrap();
    assert!(below.is_exactly("/assets") && below.is_exactly("/assets/a"));
    assert!(!below.is_exactly("/assetsx") && !below.is_exactly("/asset"));
}

#[test]
fn host_01_a_port_is_named_only_where_the_portal_has_it() {
    let at = |host: &str, secure, asked: &str| {
        Policy { host: host.into(), secure, ..policy(Mode::AzureOnly) }.is_at(asked)
    };
    assert!(at("a.example", true, "A.example:443") && !at("a.example", true, "a.example:80"));
    assert!(at("a.example", false, "a.example:80") && !at("a.example", false, "a.example:443"));
    assert!(at("a.example:8443", true, "a.example:8443"));
    assert!(!at("a.example:8443", true, "a.example:8443:443"));
    assert!(at("[::1]", true, "[::1]:443") && !at("[::1]:8443", true, "[::1]:8443:443"));
}

#[test]
fn stable_names_stay() {
    let codes: Vec<&str> = [
        Refusal::Host,
        Refusal::UnknownHost,
        Refusal::Method,
        Refusal::Target,
        Refusal::Path(PathError::TooLong),
        Refusal::HeadTooLarge,
        Refusal::RepeatedHeader,
        Refusal::NoRoute,
        Refusal::PasswordRoute { rule: 0 },
        Refusal::SignInRequired,
        Refusal::SignInTooOld,
        Refusal::StepUpRequired,
    ]
    .map(Refusal::code)
    .to_vec();
    let expected = "host-ambiguous host-unknown method-unknown target-form path-too-long \
                    head-too-large header-repeated no-route local-login-blocked sign-in-required \
                    sign-in-too-old step-up-required";
    assert_eq!(codes.join(" "), expected);
    let lacks = Lack::ALL.map(|lack| Refusal::Lacks { lack, route: 0 }.code()).join(" ");
    let expected = "role-missing group-missing groups-left-out groups-unknown claim-missing \
                    tenant-not-admitted account-not-admitted acr-missing amr-missing";
    assert_eq!(lacks, expected);
    let modes = [Mode::AzureOnly, Mode::Optional, Mode::ReportOnly, Mode::Off].map(Mode::name);
    assert_eq!(modes, ["azure_only", "optional", "report_only", "off"]);
    assert!(Access::Public.is_public() && !Access::SIGNED_IN.is_public());
    assert!(!Access::Public.requires() && !Access::SIGNED_IN.requires());
    let stops = |mode, credentials| {
        let passes = Passes { credentials, ..Passes::default() };
        LocalCredentials::of(mode, passes) == LocalCredentials::Stop
    };
    assert!(stops(Mode::AzureOnly, false) && !stops(Mode::AzureOnly, true));
    assert!(!stops(Mode::ReportOnly, false));
}

#[test]
fn lim_01_heads_have_a_size() {
    let read = |count: usize, length: usize| {
        let mut headers = headers(&[]);
        let value = HeaderValue::from_str(&"a".repeat(length)).unwrap();
        for number in 1..count {
            let name = HeaderName::from_bytes(format!("x-{number:03}").as_bytes()).unwrap();
            headers.insert(name, value.clone());
        }
        asked_with(&Method::GET, "/", &headers).map(|_| ())
    };
    assert_eq!(Asked::LARGEST_HEAD, 32_768);
    assert_eq!(read(100, 1), Ok(()));
    assert_eq!(read(101, 1), Err(Refusal::HeadTooLarge));
    // `host` and its value take 23 bytes with what stands between, and another field nine.
    assert_eq!(read(2, Asked::LARGEST_HEAD - 32), Ok(()));
    assert_eq!(read(2, Asked::LARGEST_HEAD - 31), Err(Refusal::HeadTooLarge));
}

#[test]
fn path_01_a_target_is_a_path_a_url_or_the_server() {
    let policy = policy(Mode::AzureOnly);
    let headers = headers(&[]);
    let read = |method: Method, target: RawTarget| {
        let query = target.query().map(str::to_owned);
        let asked = Asked::read(std::slice::from_ref(&policy), &method, &target, &headers)?;
        assert_eq!(asked.query().map(str::to_owned), query);
        Ok(asked.target().to_owned())
    };
    let line = |text: &str| RawTarget::Line(text.to_owned().into());
    let pseudo = |text: &str| RawTarget::Pseudo(text.parse().unwrap());
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(read(Method::GET, pseudo("https://members.example/a?b=c")), ok("/a?b=c"));
    assert_eq!(read(Method::GET, line("https://members.example?b")), ok("/?b"));
    assert_eq!(read(Method::GET, pseudo("http://members.example/a")), Err(Refusal::Target));
    assert_eq!(read(Method::GET, pseudo("https://other.example/a")), Err(Refusal::Host));
    assert_eq!(read(Method::GET, line("*")), Err(Refusal::Target));
    assert_eq!(read(Method::OPTIONS, line("*?a")), Err(Refusal::Target));
    assert_eq!(read(Method::GET, line("members.example:443")), Err(Refusal::Target));
    assert_eq!(read(Method::GET, line("/a#b")), Err(Refusal::Target));
    // HOST-01: HTTP/1.1 has `Host` whatever the target says, HTTP/2 has `:authority`.
    let bare = |target: &RawTarget| {
        let none = HeaderMap::new();
        Asked::read(std::slice::from_ref(&policy), &Method::GET, target, &none).map(|_| ())
    };
    assert_eq!(bare(&line("https://members.example/a")), Err(Refusal::Host));
    assert_eq!(bare(&pseudo("https://members.example/a")), Ok(()));
    let at_most = |length: usize| line(&format!("/?{}", "a".repeat(length - 2)));
    assert!(read(Method::GET, at_most(RawTarget::LONGEST)).is_ok());
    let too_long = Err(Refusal::Path(PathError::TooLong));
    assert_eq!(read(Method::GET, at_most(RawTarget::LONGEST + 1)), too_long);
    assert_eq!(read(Method::GET, line(&format!("/{}", "a".repeat(8192)))), too_long);
    let raw = line("*");
    let asked =
        Asked::read(std::slice::from_ref(&policy), &Method::OPTIONS, &raw, &headers).unwrap();
    let decision = decide(&policy, asked, None, NOON);
    assert!(matches!(decision, Decision::Own(Endpoint::Server)), "{decision:?}");
}

#[test]
fn cook_03_the_session_that_is_claimed_is_the_cookies() {
    let value = "A".repeat(43);
    let mut headers = headers(&[]);
    let field = format!("a=b; __Host-anteport={value}");
    headers.insert("cookie", HeaderValue::from_str(&field).unwrap());
    let asked = asked_with(&Method::GET, "/", &headers).unwrap();
    assert!(matches!(asked.ticket(), Some(Ticket::Id(id)) if id.cookie_value() == value));
    assert!(asked.has_own_cookies());
    headers.insert("cookie", HeaderValue::from_static("a=b"));
    let asked = asked_with(&Method::GET, "/", &headers).unwrap();
    assert!(asked.ticket().is_none() && !asked.has_own_cookies());
}
