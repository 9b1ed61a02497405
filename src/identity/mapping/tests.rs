//! What arrives is what the claims say, or nobody is let in; and what is said of two members is the
//! same only if their claims are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::gate::Subject;

fn claims(claims: &Value) -> VerifiedClaims {
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    VerifiedClaims::assertion(subject, claims.as_object().unwrap().clone())
}

fn claim(path: &str) -> ClaimMapping {
    match Mapping::claim(path.parse().unwrap()) {
        Mapping::Claim(mapping) => mapping,
        other => panic!("{other:?}"),
    }
}

fn joined(separator: char) -> ClaimMapping {
    ClaimMapping { join: Join::By(separator), ..claim("x") }
}

fn said(mapping: ClaimMapping, said: Value) -> Result<Option<String>, FaultKind> {
    let of = claims(&Value::Object(Map::from_iter([(mapping.path.name().to_owned(), said)])));
    value(&Mapping::Claim(mapping), &of).map_err(|fault| fault.kind)
}

fn sent(text: &str) -> Result<Option<String>, FaultKind> {
    Ok(Some(text.to_owned()))
}

fn template(written: &str, of: &Value) -> Result<Option<String>, FaultKind> {
    let mapping = Mapping::Template {
        template: written.parse().unwrap(),
        transforms: Vec::new(),
        otherwise: Otherwise::Nothing,
    };
    value(&mapping, &claims(of)).map_err(|fault| fault.kind)
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[test]
fn hdr_09_a_claim_arrives_as_it_is_or_refuses_the_login() {
    for (is, arrives) in [
        (json!("Ines Caldera"), sent("Ines Caldera")),
        (json!(["Member", "Treasurer"]), sent("Member,Treasurer")),
        (json!(["a,b", "c"]), sent("a%2Cb,c")),
        (json!("a,b"), sent("a%2Cb")),
        (json!([" a ", ""]), sent("%20a%20,")),
        (json!(""), sent("")),
        (json!(null), Ok(None)),
        (json!([]), Ok(None)),
        (json!(true), sent("true")),
        (json!(10442), sent("10442")),
        (json!(u64::MAX), sent("18446744073709551615")),
        (json!(i64::MIN), sent("-9223372036854775808")),
        (json!(38.7167), sent("38.7167")),
        (serde_json::from_str("12345678901234567890123").unwrap(), Err(FaultKind::Form)),
        (serde_json::from_str("0.12345678901234567").unwrap(), Err(FaultKind::Form)),
        (json!(1e300), Err(FaultKind::Form)),
        (json!({ "a": 1 }), Err(FaultKind::Form)),
        (json!({}), Err(FaultKind::Form)),
        (json!([["a"]]), Err(FaultKind::Form)),
        (json!(["a", null]), Err(FaultKind::Form)),
        (json!(["a", { "b": 1 }]), Err(FaultKind::Form)),
    ] {
        assert_eq!(said(claim("x"), is.clone()), arrives, "{is}");
    }
}

#[test]
fn a_claim_that_is_one_text_has_its_commas_and_is_no_list() {
    for name in ["name", "given_name", "email", "jobTitle"] {
        assert_eq!(said(claim(name), json!("Caldera, Ines")), sent("Caldera, Ines"));
        assert_eq!(said(claim(name), json!(["Caldera", "Ines"])), Err(FaultKind::Form));
    }
    let element = value(
        &Mapping::claim("emails[0]".parse().unwrap()),
        &claims(&json!({ "emails": ["\"a,b\"@x"] })),
    );
    assert_eq!(element, Ok(Some("\"a,b\"@x".to_owned())));
    let one = ClaimMapping { join: Join::One, ..claim("department") };
    assert_eq!(said(one.clone(), json!("Sales, EMEA")), sent("Sales, EMEA"));
    assert_eq!(said(one.clone(), json!(["Sales"])), Err(FaultKind::Form));
    assert_eq!(said(one, json!([])), Err(FaultKind::Form));
    assert_eq!(said(joined(';'), json!(["a;b", "c,d"])), sent("a%3Bb;c,d"));
    assert_eq!(said(joined(' '), json!(["a b", "c"])), sent("a%20b c"));
    assert_eq!(said(joined(' '), json!(["a", ""])), Err(FaultKind::Form));
}

#[test]
fn what_is_not_there_is_left_out_or_has_a_default_or_refuses_the_login() {
    for (otherwise, absent) in [
        (Otherwise::Nothing, Ok(None)),
        (Otherwise::Default("no, é".to_owned()), sent("no%2C %C3%A9")),
        (Otherwise::Refuse, Err(FaultKind::Missing)),
    ] {
        let mapping = ClaimMapping { otherwise, ..claim("x") };
        for nothing in [json!(null), json!([])] {
            assert_eq!(said(mapping.clone(), nothing), absent);
        }
        assert_eq!(said(mapping.clone(), json!("")), sent(""), "an empty text is there");
        assert_eq!(said(mapping, json!("a")), sent("a"));
    }
}

#[test]
fn a_path_into_something_else_refuses_the_login() {
    let of = claims(&json!({ "emails": "a@b.example", "address": ["x"], "none": null }));
    for (path, told) in [
        ("emails[0]", Err(FaultKind::Form)),
        ("address.locality", Err(FaultKind::Form)),
        ("none.x", Ok(None)),
        ("gone[3]", Ok(None)),
    ] {
        let mapping = Mapping::claim(path.parse().unwrap());
        assert_eq!(value(&mapping, &of).map_err(|fault| fault.kind), told, "{path}");
    }
}

#[test]
fn the_portals_words_are_said_once_and_by_nobody_else() {
    let words = |unmapped| {
        let known = [("g1", "treasurer"), ("g2", "member"), ("g3", "member"), ("g4", "a,b")];
        let known = known.map(|(value, word)| (value.to_owned(), word.to_owned()));
        let words = Some(Words { known: BTreeMap::from(known), unmapped });
        ClaimMapping { words, ..claim("groups") }
    };
    use Unmapped::{Drop, Keep, Refuse};
    for (unmapped, is, told) in [
        (Drop, json!(["g1", "g2", "g3"]), sent("treasurer,member")),
        (Drop, json!(["g4", "g9"]), sent("a%2Cb")),
        (Drop, json!(["g9"]), Ok(None)),
        (Drop, json!("g1"), sent("treasurer")),
        (Drop, json!("g1,g2"), Ok(None)),
        // What is called like a word has not that word.
        (Drop, json!(["treasurer"]), Ok(None)),
        (Keep, json!(["g9", "g1"]), sent("g9,treasurer")),
        (Keep, json!(["g9", "treasurer"]), Err(FaultKind::Unmapped)),
        // Nor what a portal could take for it that folds what it compares.
        (Keep, json!(["Treasurer"]), Err(FaultKind::Unmapped)),
        (Keep, json!(["TREASURER "]), Err(FaultKind::Unmapped)),
        (Keep, json!(["Trésurer", "tréasurer"]), Err(FaultKind::Unmapped)),
        (Keep, json!(["treasurers", "Trésurer"]), sent("treasurers,Tr%C3%A9surer")),
        (Refuse, json!(["g1", "g9"]), Err(FaultKind::Unmapped)),
        (Refuse, json!(["g1"]), sent("treasurer")),
        (Refuse, json!([]), Ok(None)),
    ] {
        assert_eq!(said(words(unmapped), is.clone()), told, "{unmapped:?} {is}");
    }
    let defaulted =
        ClaimMapping { otherwise: Otherwise::Default("guest".to_owned()), ..words(Drop) };
    assert_eq!(said(defaulted, json!(["g9"])), sent("guest"));
    let required = ClaimMapping { otherwise: Otherwise::Refuse, ..words(Drop) };
    assert_eq!(said(required, json!(["g9"])), Err(FaultKind::Missing));
}

#[test]
fn a_transform_that_does_not_apply_refuses_the_login() {
    let before = Transform::Before("@".to_owned());
    let of = |is| said(ClaimMapping { transforms: vec![before.clone()], ..claim("x") }, is);
    assert_eq!(of(json!("ines@harborclub.example")), sent("ines"));
    assert_eq!(of(json!(["a@x", "b@x"])), sent("a,b"));
    assert_eq!(of(json!(null)), Ok(None));
    for other in [json!("ines"), json!("@x"), json!(["a@x", "b"]), json!(1), json!(true)] {
        assert_eq!(of(other.clone()), Err(FaultKind::Transform(before.clone())), "{other}");
    }
}

#[test]
fn a_template_is_sent_whole_or_not_at_all() {
    let of = json!({ "given_name": "Anna Maria", "family_name": "Caldera", "n": 7, "e": "", "l": ["x"] });
    for (written, told) in [
        ("{given_name} {family_name}", sent("Anna%20Maria Caldera")),
        ("{family_name}, {given_name}", sent("Caldera, Anna Maria")),
        ("CORP\\{family_name}", sent("CORP\\Caldera")),
        ("{{{n}}} 100% é, ok", sent("{7} 100%25 %C3%A9, ok")),
        ("{n}", sent("7")),
        ("{given_name} {gone}", Ok(None)),
        ("{e} {given_name}", Ok(None)),
        ("{l}", Err(FaultKind::Form)),
        ("{n.x}", Err(FaultKind::Form)),
    ] {
        assert_eq!(template(written, &of), told, "{written}");
    }
    let mapping = Mapping::Template {
        template: "{g}.{f}@x".parse().unwrap(),
        transforms: vec![Transform::Lower],
        otherwise: Otherwise::Refuse,
    };
    let told = |of: Value| value(&mapping, &claims(&of)).map_err(|fault| fault.kind);
    assert_eq!(told(json!({ "g": "A.B", "f": "C" })), sent("a%2Eb.c@x"));
    assert_eq!(told(json!({ "g": "A" })), Err(FaultKind::Missing));
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts among which those that could be taken for another are frequent.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ ,;%a2C]{0,6}", "[\u{0}-\u{20}\u{7f}-\u{a0}\u{202e}🚒]{0,4}"]
}

/// What a reader of the header should find: the values, each as a text.
fn values(of: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        other => scalar(other),
    };
    match of {
        Value::Null => Some(Vec::new()),
        Value::Array(elements) => elements.iter().map(text).collect(),
        one => Some(vec![text(one)?]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hdr_09_any_claim_arrives_equal_after_decoding_or_refuses_the_login(
        is in any_json(),
        separator in "[,; |.!~]",
    ) {
        let separator = separator.chars().next().unwrap();
        match said(joined(separator), is.clone()) {
            Ok(Some(text)) => {
                prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                prop_assert_eq!(text.trim(), text.as_str());
                let read: Vec<String> = text.split(separator).map(decoded).collect();
                prop_assert_eq!(Some(read), values(&is));
            }
            Ok(None) => prop_assert_eq!(values(&is), Some(Vec::new())),
            Err(fault) => {
                prop_assert_eq!(fault, FaultKind::Form);
                let elements = values(&is);
                let has_lost = |elements: Vec<String>| elements.iter().any(String::is_empty);
                prop_assert!(elements.is_none_or(|all| separator == ' ' && has_lost(all)));
            }
        }
        match said(ClaimMapping { join: Join::One, ..claim("x") }, is.clone()) {
            Ok(Some(text)) => prop_assert_eq!(Some(vec![decoded(&text)]), values(&is)),
            Ok(None) => prop_assert_eq!(is, Value::Null),
            Err(fault) => prop_assert_eq!(fault, FaultKind::Form),
        }
    }

    #[test]
    fn hdr_09_two_claims_are_told_alike_only_if_their_values_are(
        one in any_json(),
        other in any_json(),
        separator in "[,; ]",
    ) {
        let separator = separator.chars().next().unwrap();
        let (Ok(one_told), Ok(other_told)) =
            (said(joined(separator), one.clone()), said(joined(separator), other.clone()))
        else { return Ok(()) };
        prop_assert_eq!(one_told == other_told, values(&one) == values(&other), "{} {}", one, other);
    }

    #[test]
    fn hdr_09_a_template_can_be_taken_apart_again(
        given in any_text(),
        middle in any_text(),
        family in any_text(),
        borders in ("[ !.,;:/\\\\|~-][ a.%é-]{0,2}", "[ !.,;:/\\\\|~-][ a.%é-]{0,2}"),
    ) {
        let of = json!({ "a": given, "b": middle, "c": family });
        let written = format!("<{{a}}{}{{b}}{}{{c}}>", borders.0, borders.1);
        let Ok(Some(text)) = template(&written, &of) else {
            prop_assert!([&given, &middle, &family].iter().any(|text| text.is_empty()));
            return Ok(());
        };
        // With nothing but the template in hand.
        let rest = text.strip_prefix('<').unwrap().strip_suffix('>').unwrap();
        let border = |border: &str| {
            let inner = border.trim_matches(' ');
            border.replacen(inner, &encode(inner, Marks::NONE), usize::from(!inner.is_empty()))
        };
        let (a, rest) = rest.split_once(&border(&borders.0)).unwrap();
        let (b, c) = rest.split_once(&border(&borders.1)).unwrap();
        prop_assert_eq!(
            (decoded(a), decoded(b), decoded(c)),
            (given, middle, family),
            "{}", text
        );
    }

    #[test]
    fn hdr_09_two_members_have_one_template_only_if_their_values_are_the_same(
        one in ("[ a%.2]{1,3}", "[ a%.2]{1,3}"),
        other in ("[ a%.2]{1,3}", "[ a%.2]{1,3}"),
        border in "[ .!]{1,2}",
    ) {
        let written = format!("{{a}}{border}{{b}}");
        let told = |(a, b): &(String, String)| template(&written, &json!({ "a": a, "b": b }));
        prop_assert_eq!(told(&one) == told(&other), one == other);
    }
}
