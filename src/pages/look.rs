//! How the pages of a portal look: what it is called, its colour, and where help is. Made once, when
//! a configuration is put in force; the style with the colour in it has a hash of its own, which the
//! policy of its pages names (UI-01). Deliberately not here: pictures, fonts and styles of the
//! operator's, which the policy could not hold to.

use std::borrow::Cow;
use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::STYLE;
use crate::colour::{Colour, DARK, LIGHT, OF_OUTLINES, OF_TEXT};
use crate::config::Help;

/// How pages look where no portal says anything.
pub static PLAIN: LazyLock<Look> = LazyLock::new(Look::default);

/// How the pages of a portal look.
#[derive(Debug)]
pub struct Look {
    name: Option<String>,
    help: Option<Help>,
    style: Cow<'static, str>,
    policy: String,
}

impl Default for Look {
    fn default() -> Self {
        Self::new(None, None, None)
    }
}

impl Look {
    /// With what the operator has said of it.
    #[must_use]
    pub fn new(name: Option<String>, colour: Option<Colour>, help: Option<Help>) -> Self {
        let style = match colour {
            Some(colour) => Cow::Owned(format!("{STYLE}{}", rule(colour))),
            None => Cow::Borrowed(STYLE),
        };
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; \
             frame-ancestors 'none'; form-action 'self'"
        );
        Self { name, help, style, policy }
    }

    /// What stands between `<style>` and `</style>`: nothing that could end it, because nothing of
    /// the operator's is in it but a colour.
    pub(super) fn style(&self) -> &str {
        &self.style
    }

    /// The policy that allows this style and nothing else.
    pub(super) fn policy(&self) -> &str {
        &self.policy
    }

    /// What members call the portal, if that is not its host.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What members call the portal.
    pub(super) fn called<'a>(&'a self, host: &'a str) -> &'a str {
        self.name().unwrap_or(host)
    }

    /// The host, where a name stands instead of it: what a visitor is asked for is asked for by
    /// whom the address bar names, whatever it is called.
    pub(super) fn beside<'a>(&self, host: &'a str) -> Option<&'a str> {
        self.name().map(|_| host)
    }

    pub(super) const fn help(&self) -> Option<&Help> {
        self.help.as_ref()
    }
}

/// What a colour becomes on the ground of a scheme.
struct Shades {
    /// Of links and of buttons without a ground of their own.
    link: Colour,
    /// Of focus marks.
    outline: Colour,
    /// Around buttons: only where their colour is hard to tell from the ground.
    edge: Option<Colour>,
    /// Behind the mark of a page.
    mark: Colour,
}

impl Shades {
    fn of(colour: Colour, ground: Colour, tint: u8) -> Self {
        let outline = colour.readable_on(ground, OF_OUTLINES);
        Self {
            link: colour.readable_on(ground, OF_TEXT),
            outline,
            edge: (outline != colour).then_some(outline),
            mark: ground.toward(outline, tint),
        }
    }

    fn rule(&self) -> String {
        let Self { link, outline, edge, mark } = self;
        let edge = edge.map_or_else(|| "transparent".to_owned(), |edge| edge.to_string());
        format!("--link:{link};--focus:{outline};--accent-edge:{edge};--mark:{mark}")
    }
}

/// In both schemes buttons have the colour itself, and black or white on it. Under the pointer it
/// goes away from what stands on it, which can be read better then.
fn rule(colour: Colour) -> String {
    let on = colour.text_on();
    let away = if on == Colour::BLACK { Colour::WHITE } else { Colour::BLACK };
    let over = colour.toward(away, 44);
    let light = Shades::of(colour, LIGHT, 28).rule();
    let dark = Shades::of(colour, DARK, 52).rule();
    format!(
        ":root{{--accent:{colour};--accent-over:{over};--on-accent:{on};{light}}}\n\
         @media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grounds_are_those_of_the_style() {
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
        assert!(light.contains(&format!("--card: {LIGHT};")));
        assert!(dark.contains(&format!("--card: {DARK};")));
    }

    #[test]
    fn every_value_of_the_rule_is_one_of_the_style() {
        for declaration in rule(Colour::BLACK).split("--").skip(1) {
            let (name, _) = declaration.split_once(':').unwrap();
            assert!(STYLE.contains(&format!("--{name}:")), "{name} is set");
            assert!(STYLE.contains(&format!("var(--{name})")), "{name} is used");
        }
    }

    #[test]
    fn without_a_colour_the_style_is_the_plain_one() {
        let look = Look::new(Some("Harbour Members".to_owned()), None, None);
        assert_eq!(look.style(), STYLE);
        assert_eq!(look.policy(), PLAIN.policy());
    }

    #[test]
    fn a_colour_that_can_be_read_is_kept() {
        let navy = "#0b2545".parse().unwrap();
        let rule = rule(navy);
        let (light, dark) = rule.split_once("@media").unwrap();
        assert!(light.contains("--accent:#0b2545;"), "{light}");
        assert!(light.contains("--on-accent:#ffffff;"), "{light}");
        assert!(
            light.contains("--link:#0b2545;--focus:#0b2545;--accent-edge:transparent"),
            "{light}"
        );
        assert!(!dark.contains("#0b2545") && !dark.contains("transparent"), "{dark}");
    }

    fn colours() -> impl Strategy<Value = Colour> {
        any::<[u8; 3]>().prop_map(|[red, green, blue]| Colour::new(red, green, blue))
    }

    proptest! {
        /// WCAG 2.2, 1.4.3 and 1.4.11, for whatever an operator writes.
        #[test]
        fn everything_can_be_read_in_both_schemes(colour in colours()) {
            for (ground, tint) in [(LIGHT, 28), (DARK, 52)] {
                let shades = Shades::of(colour, ground, tint);
                prop_assert!(shades.link.contrast(ground) >= OF_TEXT);
                prop_assert!(shades.outline.contrast(ground) >= OF_OUTLINES);
                prop_assert!(shades.edge.unwrap_or(colour).contrast(ground) >= OF_OUTLINES);
                prop_assert!(shades.link.contrast(shades.mark) >= OF_OUTLINES);
            }
        }

        #[test]
        fn a_button_can_be_read_under_the_pointer_too(colour in colours()) {
            let rule = rule(colour);
            let value = |name: &str| -> Colour {
                let (_, rest) = rule.split_once(&format!("{name}:")).unwrap();
                rest.split(';').next().unwrap().parse().unwrap()
            };
            let on = value("--on-accent");
            prop_assert!(on.contrast(value("--accent")) >= OF_TEXT);
            prop_assert!(on.contrast(value("--accent-over")) >= on.contrast(value("--accent")));
        }
    }
}
