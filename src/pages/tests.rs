//! The pages as they are sent.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::colour::Colour;
use crate::config::Help;

const HOSTILE: &str = "\"'><script>alert(1)</script>";

/// Every page with `text` in each of its fields.
fn all(text: &str, look: &Look) -> Vec<(&'static str, Page)> {
    let link = Link { label: text, href: text };
    let refused = Refusal {
        title: text,
        sentence: text,
        code: text,
        action: Some(link),
        hints: &[text, text],
        provider_code: Some(text),
        correlation: Some(text),
        hint: Some(text),
        request_id: text,
    };
    let kept = KeptForm {
        portal: text,
        title: text,
        sentence: text,
        code: text,
        sign_in: link,
        form: Some(SealedForm { action: text, name: text, sealed: text }),
        request_id: text,
    };
    vec![
        (
            "sign_in",
            sign_in(&SignIn { portal: text, buttons: &[link, link], request_id: text }, look),
        ),
        ("refusal", refusal(&refused, look)),
        (
            "refusal without more",
            refusal(
                &Refusal {
                    action: None,
                    hints: &[],
                    provider_code: None,
                    correlation: None,
                    ..refused
                },
                look,
            ),
        ),
        (
            "signed_out",
            signed_out(
                &SignedOut { portal: text, everywhere: false, sign_in: link, request_id: text },
                look,
            ),
        ),
        (
            "signed_in",
            signed_in(
                &SignedIn {
                    portal: text,
                    name: Some(text),
                    home: link,
                    sign_out: link,
                    request_id: text,
                },
                look,
            ),
        ),
        ("kept_form", kept_form(&kept, look)),
        ("kept_form without one", kept_form(&KeptForm { form: None, ..kept }, look)),
        (
            "form_ready",
            form_ready(&FormReady { portal: text, name: Some(text), request_id: text }, look),
        ),
        ("break_glass", {
            let code = Some(text);
            let (portal, action, field, request_id) = (text, text, text, text);
            break_glass(&BreakGlass { portal, action, field, code, request_id }, look)
        }),
        ("break_glass without a link", {
            let (portal, action, field, request_id) = (text, text, text, text);
            break_glass(&BreakGlass { portal, action, field, code: None, request_id }, look)
        }),
        (
            "glass_broken",
            glass_broken(
                &GlassBroken { portal: text, until: text, home: link, request_id: text },
                look,
            ),
        ),
        ("test", {
            let buttons = &[link, link];
            test(&Test { portal: text, buttons, asks_members: true, request_id: text }, look)
        }),
        ("tested", {
            let facts = [
                Fact::new(text, text),
                Fact::new(text, text).reading(text).made_of(text).toned(Tone::Good),
                Fact::new(text, text).toned(Tone::Bad),
            ];
            tested(
                &Tested {
                    portal: text,
                    who: &facts,
                    claims: &facts,
                    headers: &facts,
                    assertion: &facts,
                    is_refused: true,
                    asked_members: true,
                    becomes: &facts,
                    routes: Some(&facts),
                    again: link,
                    request_id: text,
                },
                look,
            )
        }),
        (
            "confirm_sign_out",
            confirm_sign_out(
                &ConfirmSignOut { portal: text, action: text, stay: link, request_id: text },
                look,
            ),
        ),
    ]
}

/// What an operator has said, in all that can be said.
fn branded(text: &str) -> Look {
    let help = Help { label: text.to_owned(), href: text.to_owned() };
    Look::new(Some(text.to_owned()), "#fc0".parse().ok(), Some(help))
}

fn both(text: &str) -> Vec<(&'static str, String)> {
    let all = [all(text, &PLAIN), all(text, &branded(text))].into_iter().flatten();
    all.map(|(name, page)| (name, page.into_html())).collect()
}

#[test]
fn no_field_can_write_markup() {
    for (name, page) in both(HOSTILE) {
        assert!(page.contains("alert(1)"), "{name} shows its fields");
        assert!(!page.to_lowercase().contains("<script"), "{name}: {page}");
        assert!(!page.contains("\"'>"), "{name} leaves an attribute");
    }
}

#[test]
fn a_page_has_one_heading_a_language_and_its_landmarks() {
    for (name, page) in both("text") {
        assert!(page.starts_with("<!doctype html>"), "{name}");
        for part in ["<h1>", "<main", "<footer>", "<title>", "lang=\"en\"", "name=\"viewport\""] {
            assert_eq!(page.matches(part).count(), 1, "{part} in {name}");
        }
    }
}

#[test]
fn a_page_asks_for_nothing_from_elsewhere() {
    for (name, page) in both("text") {
        for part in ["<script", "<link", "<img", "url(", "@import", " style=", "http"] {
            assert!(!page.contains(part), "{part} in {name}");
        }
    }
}

#[test]
fn the_policy_allows_exactly_the_style_of_the_page() {
    for look in [&*PLAIN, &branded("text"), &Look::new(None, Some(Colour::BLACK), None)] {
        for (name, page) in all("text", look) {
            let policy = page.csp(&[]);
            let html = page.into_html();
            let (_, rest) = html.split_once("<style>").unwrap();
            let (style, rest) = rest.split_once("</style>").unwrap();
            assert!(!rest.contains("<style"), "{name} has one style");
            let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
            assert!(policy.contains(&format!("style-src 'sha256-{hash}'")));
        }
    }
}

#[test]
fn a_name_stands_where_the_host_stood_and_beside_it_where_something_is_asked() {
    let look = Look::new(Some("Harbour <b>".to_owned()), None, None);
    for (name, page) in all("members.example.org", &look) {
        let html = page.into_html();
        let (_, rest) = html.split_once("<title>").unwrap();
        let (title, _) = rest.split_once("</title>").unwrap();
        assert!(title.ends_with("Harbour &#60;b&#62;"), "{title}");
        if matches!(name, "sign_in" | "break_glass" | "confirm_sign_out" | "test") {
            assert!(html.contains("</strong> (members.example.org)"), "{name}");
        }
    }
}

#[test]
fn help_is_where_something_is_refused() {
    let help = Help { label: "the desk".to_owned(), href: "mailto:a@b.example".to_owned() };
    let look = Look::new(None, None, Some(help));
    let link = "Ask for help: <a href=\"mailto:a@b.example\" rel=\"noreferrer\">the desk</a>";
    for (name, page) in all("text", &look) {
        let is_refusal = name.starts_with("refusal") || name.starts_with("kept_form");
        assert_eq!(page.into_html().contains(link), is_refusal, "{name}");
    }
}

#[test]
fn a_form_target_cannot_add_a_directive() {
    let targets =
        ["https://login.example", "https://a.example; script-src *", "'unsafe-inline'", ""];
    for (_, page) in all("text", &PLAIN) {
        let policy = page.csp(&targets.map(str::to_owned));
        assert!(policy.ends_with("form-action 'self' https://login.example"));
    }
}
