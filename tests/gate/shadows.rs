//! A line of which it is said that an earlier one leaves nothing never decides, and without it every
//! request is decided as with it.

use anteport::gate::{
    Access, Asked, Covers, Mode, PathPattern, Policy, RawTarget, Requirement, Right, Route, Rule,
};
use http::Method;
use proptest::prelude::*;

use super::{PAGE, policy};

/// A pattern of few words, so that many meet.
fn pattern() -> impl Strategy<Value = PathPattern> {
    let segment = prop_oneof![
        3 => Just("a"),
        2 => Just("A"),
        2 => Just("b"),
        2 => Just("*"),
        1 => Just("a.php"),
        1 => Just("en"),
        1 => Just("%2A"),
        1 => Just("a-"),
        1 => Just("%20"),
        1 => Just("%C3%A1"),
    ];
    let end = prop_oneof![3 => Just(""), 2 => Just("/**")];
    (prop::collection::vec(segment, 0..3), end).prop_filter_map("no pattern", |(segments, end)| {
        let text = format!("/{}{end}", segments.join("/")).replace("//", "/");
        text.parse().ok()
    })
}

/// A path that could be one of them, in some spelling.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("a"),
        Just("A"),
        Just("b"),
        Just("B"),
        Just("a.php"),
        Just("a.json"),
        Just("ab"),
        Just("en"),
        Just("%20"),
        Just("a."),
        Just("a%20"),
        Just("-a"),
        Just("a-"),
        Just("%2A"),
        Just("%C3%A1"),
        Just("x"),
        Just("a:b"),
        Just("..."),
    ];
    prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn covers() -> impl Strategy<Value = Covers> {
    let some = |one: u8| Covers {
        extensions: one & 1 > 0,
        path_info: one & 2 > 0,
        language_prefix: one & 4 > 0,
        suffixes: one & 8 > 0,
        anywhere: one & 16 > 0,
    };
    prop_oneof![3 => Just(Covers::default()), 1 => (0_u8..32).prop_map(some)]
}

fn route() -> impl Strategy<Value = Route> {
    let required = Requirement {
        rights: vec![Right::Roles(vec!["Treasurer".to_owned()])],
        ..Requirement::NOTHING
    };
    let access = prop_oneof![
        2 => Just(Access::Public),
        3 => Just(Access::SIGNED_IN),
        1 => Just(Access::SignedIn(required)),
    ];
    (pattern(), covers(), access).prop_map(|(path, covers, access)| {
        // What is public covers what it names.
        let covers = if access.is_public() { Covers::default() } else { covers };
        let conditions = Default::default();
        Route { path, covers, conditions, access, passes: Default::default() }
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let methods = prop_oneof![
        Just(None),
        Just(Some(vec![Method::POST])),
        Just(Some(vec![Method::GET])),
        Just(Some(vec![Method::GET, Method::PUT])),
    ];
    (pattern(), covers(), methods).prop_map(|(path, covers, methods)| Rule {
        covers,
        methods,
        ..Rule::at(path)
    })
}

fn asked(method: &Method, path: &str) -> Option<Asked<'static>> {
    let target = RawTarget::Line(path.to_owned().into());
    Asked::read(&[policy(Mode::AzureOnly)], method, &target, &PAGE).ok()
}

/// What decides: the line by its number, and the lines whose requirements count.
fn decided(policy: &Policy, asked: &Asked<'_>) -> (Option<u64>, Vec<u64>) {
    let number = |index: usize| policy.routes[index].passes.largest_body.unwrap();
    let trace = policy.trace(asked);
    let requires = trace.requires.iter().map(|(index, _)| number(*index)).collect();
    (trace.route.map(|(index, _)| number(index)), requires)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn a_route_that_is_called_idle_has_no_effect(
        mut routes in prop::collection::vec(route(), 2..5),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        for (number, route) in (0..).zip(&mut routes) {
            route.passes.largest_body = Some(number);
        }
        let mut whole = policy(Mode::AzureOnly);
        whole.routes = routes.clone();
        for (index, later) in routes.iter().enumerate() {
            let idle = routes.iter().take(index).any(|earlier| earlier.leaves_nothing_for(later));
            if !idle {
                continue;
            }
            let mut without = whole.clone();
            without.routes.remove(index);
            for path in &paths {
                let Some(asked) = asked(&Method::GET, path) else { continue };
                let with = decided(&whole, &asked);
                prop_assert_ne!(with.0, later.passes.largest_body, "{} decides {}", later.path, path);
                prop_assert_eq!(with, decided(&without, &asked), "{} for {}", later.path, path);
            }
        }
    }

    #[test]
    fn a_password_route_that_is_called_idle_never_holds_first(
        mut rules in prop::collection::vec(rule(), 2..5),
        paths in prop::collection::vec(path(), 1..24),
        method in prop_oneof![
            Just(Method::GET), Just(Method::HEAD), Just(Method::POST), Just(Method::PUT),
        ],
    ) {
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.name = number.to_string().into();
        }
        let mut whole = policy(Mode::AzureOnly);
        whole.password_routes = rules.clone();
        for (index, later) in rules.iter().enumerate() {
            if !rules.iter().take(index).any(|earlier| earlier.leaves_nothing_for(later)) {
                continue;
            }
            for path in &paths {
                let Some(asked) = asked(&method, path) else { continue };
                let first = whole.trace(&asked).password_route.map(|rule| rule.name.clone());
                prop_assert_ne!(first.as_ref(), Some(&later.name), "{} for {}", later.path, path);
            }
        }
    }
}

/// The property is not empty: of such lines much is said.
#[test]
fn idle_lines_are_seen() {
    let route = |path: &str, access| Route {
        path: path.parse().unwrap(),
        covers: Covers::default(),
        conditions: Default::default(),
        access,
        passes: Default::default(),
    };
    for (earlier, later) in [
        (("/**", Access::Public), ("/a", Access::SIGNED_IN)),
        (("/a/**", Access::Public), ("/a/b", Access::Public)),
        (("/a/**", Access::SIGNED_IN), ("/a/*/b", Access::Public)),
        (("/a/*", Access::SIGNED_IN), ("/a/b", Access::SIGNED_IN)),
    ] {
        let (earlier, later) = (route(earlier.0, earlier.1), route(later.0, later.1));
        assert!(earlier.leaves_nothing_for(&later), "{} {}", earlier.path, later.path);
        assert!(!later.leaves_nothing_for(&earlier), "{} {}", later.path, earlier.path);
    }
    let (wide, narrow) = (route("/a/**", Access::Public), route("/a/b", Access::SIGNED_IN));
    assert!(!wide.leaves_nothing_for(&narrow), "other spellings are left for it");
}
