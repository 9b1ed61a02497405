//! Break-glass and the progressive switch, as properties of the decision: what a broken glass opens
//! and what it never does, and that the ends of a switch are the two modes themselves.

use super::*;
use anteport::gate::{
    Bearer, Form, Glass, Lot, Pair, Requirement, Right, Rollout, Standing, ValuePattern,
};
use serde_json::json;

/// Every kind of line and of door.
fn switching(mode: Mode, rollout: Option<Rollout>) -> Policy {
    let mut policy = policy(mode);
    let line = |path: &str, access| Route {
        path: path.parse().unwrap(),
        covers: Covers::default(),
        conditions: Conditions::default(),
        access,
        passes: Passes { websocket: true, ..Passes::default() },
    };
    let board = Requirement {
        rights: vec![Right::Roles(vec!["Board".to_owned()])],
        ..Requirement::default()
    };
    policy.rollout = rollout;
    policy.routes = vec![
        line("/assets/**", Access::Public),
        line("/admin/**", Access::SignedIn(board)),
        line("/open/*", Access::Public),
        line("/reports/**", Access::SIGNED_IN),
        line("/login", Access::SIGNED_IN),
        line("/session", Access::SIGNED_IN),
        line("/", Access::SIGNED_IN),
    ];
    let form = vec![Pair::new("pw", vec![ValuePattern::parse("*").unwrap()])];
    policy.password_routes.push(Rule {
        conditions: Conditions { form, ..Conditions::default() },
        ..Rule::at("/session".parse().unwrap())
    });
    policy.password_routes.push(Rule::at("/open/door".parse().unwrap()));
    policy
}

/// A request of any kind, as often asked as needed.
#[derive(Clone, Debug)]
struct Any {
    method: Method,
    target: String,
    form: Option<&'static str>,
    member: Option<&'static str>,
    lot: u64,
}

fn any_request() -> impl Strategy<Value = Any> {
    let target = prop_oneof![
        prop::sample::select(vec![
            "/",
            "/login",
            "/LOGIN/",
            "/log%69n",
            "/session",
            "/reports/a?b=c",
            "/admin",
            "/ADMIN/x",
            "/assets/a",
            "/assets/../login",
            "/open/door",
            "/open/a",
            "/elsewhere",
            "/.auth/me",
            "/.auth/break-glass?link=x",
            "/.AUTH/break-glass",
            "/signin-oidc",
        ])
        .prop_map(str::to_owned),
        hostile_path(),
    ];
    let method = prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::PUT]);
    let form = prop::sample::select(vec![None, Some(""), Some("pw=1"), Some("x=1")]);
    let member = prop::sample::select(vec![None, Some("{}"), Some(r#"{"roles":["Board"]}"#)]);
    (method, target, form, member, 0..100_u64).prop_map(|(method, target, form, member, lot)| Any {
        method,
        target,
        form,
        member,
        lot,
    })
}

fn member(claims: &str) -> Session {
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::assertion(subject, serde_json::from_str(claims).unwrap());
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(claims, Arc::from("corporate"), Arc::from(HOST), "h".into(), lifetimes, NOON)
}

impl Any {
    fn lot(&self) -> Lot {
        Lot::of(self.lot)
    }

    fn decided(&self, policy: &Policy, glass: Glass) -> Decision<'static> {
        let session = self.member.map(member);
        self.judged(policy, Standing { glass, lot: self.lot() }, session.as_ref())
    }

    fn judged(
        &self,
        policy: &Policy,
        standing: Standing,
        session: Option<&Session>,
    ) -> Decision<'static> {
        let target = RawTarget::Line(Bytes::copy_from_slice(self.target.as_bytes()));
        let read = Asked::read(std::slice::from_ref(policy), &self.method, &target, &FORM);
        let asked = match read {
            Ok(asked) => asked.of_visitor(standing),
            Err(refusal) => return Decision::Refuse(refusal),
        };
        match decide(policy, asked, session, NOON).settled() {
            Ok(decision) => decision,
            Err(asked) => {
                let form = match self.form {
                    Some(body) => Form::read(&FORM, body.as_bytes()),
                    None => Form::Unreadable,
                };
                decide(policy, asked.with_form(form), session, NOON).settled().unwrap()
            }
        }
    }
}

/// The headers of a page that may have a form with it.
static FORM: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(|| {
    let mut headers = page_headers();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert("content-type", form);
    headers
});

/// Everything of a decision that anybody could notice, but the names of what a permit is for.
fn seen(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Forward(permit) => format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?}",
            permit.target(),
            permit.bearer(),
            permit.route(),
            permit.mode(),
            permit.passes(),
            permit.noted(),
            permit.opened(),
        ),
        Decision::Redirect(target) | Decision::Keep(target) => format!("{target} {decision:?}"),
        other => format!("{other:?}"),
    }
}

fn by_groups() -> Rollout {
    Rollout { percent: 0, groups: Some(Right::Groups(vec!["pilots".to_owned()])) }
}

proptest! {
    #[test]
    fn with_a_whole_glass_nothing_changes(any in any_request()) {
        for mode in [Mode::AzureOnly, Mode::Optional, Mode::ReportOnly, Mode::Off] {
            let policy = switching(mode, None);
            let session = any.member.map(member);
            let plain = any.judged(&policy, Standing::default(), session.as_ref());
            prop_assert_eq!(seen(&plain), seen(&any.decided(&policy, Glass::Whole)));
            if let Decision::Forward(permit) = plain {
                prop_assert!(permit.opened().is_none() && permit.mode() == mode);
            }
        }
    }

    #[test]
    fn with_a_pass_no_identity_is_ever_told(any in any_request()) {
        let policy = switching(Mode::AzureOnly, None);
        if let Decision::Forward(permit) = any.decided(&policy, Glass::Link) {
            prop_assert_eq!(permit.bearer(), Bearer::Nobody);
            let opened = permit.opened().unwrap();
            prop_assert_eq!(opened.by, Glass::Link);
            // What stays open ends with the pass, or anybody may have it (SESS-10).
            let anybodys = any.judged(&policy, Standing::default(), None);
            prop_assert!(opened.is_needed || matches!(anybodys, Decision::Forward(_)));
        }
    }

    #[test]
    fn a_pass_opens_no_right_no_own_page_and_no_odd_spelling(any in any_request()) {
        let policy = switching(Mode::AzureOnly, None);
        let (without, with) = (any.decided(&policy, Glass::Whole), any.decided(&policy, Glass::Link));
        match (&without, &with) {
            // What everybody gets stays what it is, except for a member's page in place of a login page.
            (Decision::Own(Endpoint::SignedIn), Decision::Forward(_)) => {}
            (Decision::Own(_) | Decision::Redirect(_), _) => {
                prop_assert_eq!(seen(&without), seen(&with));
            }
            (Decision::Refuse(Refusal::PasswordRoute { .. }), Decision::Forward(permit)) => {
                let opened = permit.opened().unwrap();
                prop_assert!(opened.rule.is_some() && opened.is_needed);
            }
            (Decision::Refuse(Refusal::SignInRequired) | Decision::Login(_), Decision::Forward(permit)) => {
                prop_assert!(permit.opened().unwrap().is_needed);
            }
            // Where a stranger may go anyhow.
            (Decision::Forward(one), Decision::Forward(other)) => {
                prop_assert_eq!(one.target(), other.target());
            }
            (_, Decision::Forward(_)) => prop_assert!(false, "{:?} became {:?}", without, with),
            (_, Decision::Login(_) | Decision::Keep(_)) => prop_assert!(false, "round and round"),
            (_, _) => {}
        }
        if let Decision::Forward(permit) = &with {
            let route = &policy.routes[permit.route().unwrap()];
            prop_assert!(!route.access.requires(), "{}", permit.target());
            let key = permit.target().to_ascii_lowercase();
            prop_assert!(!key.starts_with("/admin"), "{}", key);
        }
    }

    #[test]
    fn an_address_opens_what_a_pass_does_for_strangers_and_nothing_for_members(any in any_request()) {
        let policy = switching(Mode::AzureOnly, None);
        let (whole, listed) = (any.decided(&policy, Glass::Whole), any.decided(&policy, Glass::Network));
        match (&listed, any.member) {
            (_, Some(_)) => prop_assert_eq!(seen(&whole), seen(&listed)),
            (Decision::Forward(permit), None) => {
                prop_assert_eq!(permit.bearer(), Bearer::Nobody);
                let passed = any.decided(&policy, Glass::Link);
                prop_assert!(matches!(passed, Decision::Forward(_)));
            }
            (_, None) => prop_assert_eq!(seen(&whole), seen(&listed)),
        }
    }

    #[test]
    fn where_the_doors_are_open_a_broken_glass_changes_nothing(any in any_request()) {
        let of_zero = switching(Mode::AzureOnly, Some(Rollout { percent: 0, groups: None }));
        let modes = [Mode::Optional, Mode::ReportOnly, Mode::Off];
        for policy in modes.map(|mode| switching(mode, None)).into_iter().chain([of_zero]) {
            let whole = seen(&any.decided(&policy, Glass::Whole));
            for glass in [Glass::Link, Glass::Network] {
                prop_assert_eq!(&whole, &seen(&any.decided(&policy, glass)));
            }
        }
    }

    #[test]
    fn a_switch_of_all_is_azure_only_and_one_of_none_is_report_only(any in any_request()) {
        for (percent, mode) in [(100, Mode::AzureOnly), (0, Mode::ReportOnly)] {
            let switched = switching(Mode::AzureOnly, Some(Rollout { percent, groups: None }));
            let plain = switching(mode, None);
            for glass in [Glass::Whole, Glass::Link, Glass::Network] {
                prop_assert_eq!(
                    seen(&any.decided(&switched, glass)),
                    seen(&any.decided(&plain, glass)),
                    "{} %", percent
                );
            }
        }
    }

    #[test]
    fn every_visitor_is_wholly_in_one_part_and_stays_in_it_as_it_grows(any in any_request(), percent in 0..=100_u8) {
        let switched = switching(Mode::AzureOnly, Some(Rollout { percent, groups: None }));
        let mode = if any.lot() < Lot::of(u64::from(percent)) || percent == 100 {
            Mode::AzureOnly
        } else {
            Mode::ReportOnly
        };
        let plain = switching(mode, None);
        prop_assert_eq!(
            seen(&any.decided(&switched, Glass::Whole)),
            seen(&any.decided(&plain, Glass::Whole))
        );
    }
}

#[test]
fn members_of_a_group_are_switched_and_so_is_whose_groups_nobody_knows() {
    let policy = switching(Mode::AzureOnly, Some(by_groups()));
    let post = Any {
        method: Method::POST,
        target: "/login".to_owned(),
        form: Some(""),
        member: None,
        lot: 0,
    };
    let overage = json!({ "_claim_names": { "groups": "src1" } }).to_string();
    for (claims, is_switched) in [
        (None, false),
        (Some("{}"), false),
        (Some(r#"{"groups":["others"]}"#), false),
        (Some(r#"{"groups":["others","pilots"]}"#), true),
        (Some(r#"{"groups":["PILOTS"]}"#), false),
        // AZ-05
        (Some(overage.as_str()), true),
    ] {
        let session = claims.map(member);
        let decision = post.judged(&policy, Standing::default(), session.as_ref());
        match decision {
            Decision::Refuse(Refusal::PasswordRoute { .. }) => assert!(is_switched, "{claims:?}"),
            Decision::Forward(permit) => {
                assert!(!is_switched, "{claims:?}");
                assert_eq!(permit.mode(), Mode::ReportOnly);
                assert!(permit.noted().is_some(), "what would be refused is told");
            }
            other => panic!("{claims:?}: {other:?}"),
        }
    }
}
