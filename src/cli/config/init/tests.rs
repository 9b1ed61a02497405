//! A dialogue, without a terminal.

use super::*;

const CLIENT_ID: &str = "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20";

/// What was asked and said, and the answers if all were given.
fn dialogue(given: Answers, lines: &str) -> (String, Option<Answers>) {
    let (mut answers, mut output) = (given, Vec::new());
    let mut input = lines.as_bytes();
    let done = interview(&mut answers, (&mut input, &mut output));
    (String::from_utf8(output).unwrap(), done.is_ok().then_some(answers))
}

#[test]
fn what_is_wrong_is_asked_again_with_the_reason() {
    let lines = format!(
        "http://members.example.org\n\n members.example.org\nhttps://members.example.org\n\
         127.0.0.1:3000\nhttp://127.0.0.1:3000\n\
         entra\n\n\
         common\ncontoso.onmicrosoft.com\n\
         my-client\n{CLIENT_ID}\n\
         Zx8Q~pasted.secret.value\nenv:Zx8Q~pasted\n/run/secrets/client_secret\n\
         azure_onl\nazure_only\n\
         wordpres\nwordpress\n"
    );
    let (said, answers) = dialogue(Answers::default(), &lines);
    let answers = answers.unwrap_or_else(|| panic!("{said}"));
    for reason in [
        "visitors come over `https`",
        "this needs an answer",
        "expected `entra_id`",
        "lets in people of any tenant",
        "expected the GUID that Azure shows",
        "this is no path of a file",
        "this is no name of an environment variable",
        "did you mean `azure_only`?",
        "did you mean `wordpress`?",
        "`generic` for one that is not listed",
        "There are wordpress, dokuwiki, ",
    ] {
        assert!(said.contains(reason), "{reason}\n{said}");
    }
    assert!(!said.contains("pasted"), "{said}");
    let judged = answers.judged("config.yaml", Clock::system().now()).unwrap();
    assert!(judged.text.contains("profile: wordpress"), "{}", judged.text);
    assert_eq!(judged.still_to_do.len(), 1, "{:?}", judged.still_to_do);
    assert_eq!(judged.warnings, []);
    let settings = judged.text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let settings = settings.filter(|line| line.contains(": ")).count();
    assert!((8..=14).contains(&settings), "{settings}\n{}", judged.text);
}

/// Only what a kind has is asked for.
#[test]
fn each_kind_is_asked_for_what_it_has() {
    for (kind, lines, asked, not_asked) in [
        ("azure_ad_b2c", "contoso\nB2C_1_in\n\n", "user flow", "issuer"),
        ("azure_ad_b2c", "contoso\nB2C_1_in\nlogin.example.org\n", "custom domain", "issuer"),
        ("external_id", "contoso\n\n", "custom domain", "user flow"),
        ("oidc", "https://accounts.example.org\n", "issuer", "tenant:"),
    ] {
        let mut given = Answers::default();
        for (flag, answer) in [
            ("public-url", "https://members.example.org"),
            ("upstream", "http://127.0.0.1:3000"),
            ("client-id", CLIENT_ID),
            ("secret-env", "CLIENT_SECRET"),
            ("mode", "optional"),
            ("kind", kind),
        ] {
            given.set(flag, answer);
        }
        let (said, answers) = dialogue(given, lines);
        let answers = answers.unwrap_or_else(|| panic!("{kind}: {said}"));
        assert!(said.contains(asked) && !said.contains(not_asked), "{kind}: {said}");
        let judged = answers.judged("config.yaml", Clock::system().now()).unwrap();
        let steps = next::steps("config.yaml", &answers, &judged);
        let uri = "  https://members.example.org/.auth/login/corporate/callback\n";
        assert!(steps.contains(uri), "{steps}");
    }
}

#[test]
fn what_ends_early_writes_nothing() {
    for lines in ["", "https://members.example.org\n", "\n\n\n"] {
        assert!(dialogue(Answers::default(), lines).1.is_none(), "{lines}");
    }
}

/// What flags say is not asked, unless it is wrong.
#[test]
fn a_wrong_flag_is_asked_for_on_a_terminal() {
    let mut given = Answers::default();
    given.set("public-url", "ftp://members.example.org");
    given.set("issuer", "https://accounts.example.org");
    let (said, answers) = dialogue(given, "");
    assert!(said.starts_with("  --public-url: "), "{said}");
    assert!(answers.is_none());
}
