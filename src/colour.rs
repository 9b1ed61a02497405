//! A colour, and whether it can be read on another: relative luminance and contrast as WCAG 2.2
//! defines them. Deliberately not here: what has which colour, which is for `pages`.

use std::fmt;
use std::str::FromStr;

/// The contrast that text needs (WCAG 2.2, 1.4.3).
pub const OF_TEXT: f64 = 4.5;
/// The contrast that outlines of controls and focus marks need (WCAG 2.2, 1.4.11).
pub const OF_OUTLINES: f64 = 3.0;

/// What our pages have as their ground in the light scheme: `--card` of their style.
pub const LIGHT: Colour = Colour::WHITE;
/// The same in the dark scheme.
pub const DARK: Colour = Colour::new(0x1b, 0x1f, 0x28);

/// A colour of sRGB, without transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

/// A text is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is `#` and six hex digits, or three")]
pub struct ColourError;

impl Colour {
    /// Black.
    pub const BLACK: Self = Self::new(0, 0, 0);
    /// White.
    pub const WHITE: Self = Self::new(255, 255, 255);

    /// The colour with these parts.
    #[must_use]
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Relative luminance: 0 for black, 1 for white.
    #[must_use]
    pub fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            match part <= 0.04045 {
                true => part / 12.92,
                false => ((part + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// The contrast of two colours, in either order: from 1 to 21.
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(other) / one.min(other)
    }

    /// Black or white, whichever can be read better on this; it has a contrast of 4.58 at least.
    #[must_use]
    pub fn text_on(self) -> Self {
        match self.contrast(Self::BLACK) >= self.contrast(Self::WHITE) {
            true => Self::BLACK,
            false => Self::WHITE,
        }
    }

    /// So much of another in it, of 255.
    #[must_use]
    pub fn toward(self, other: Self, share: u8) -> Self {
        let mixed = |from: u8, to: u8| {
            let share = i32::from(share);
            let mixed = i32::from(from) * (255 - share) + i32::from(to) * share;
            u8::try_from((mixed + 127) / 255).unwrap_or(to)
        };
        Self {
            red: mixed(self.red, other.red),
            green: mixed(self.green, other.green),
            blue: mixed(self.blue, other.blue),
        }
    }

    /// This colour, if it has the contrast to a ground; else the nearest shade of it that has:
    /// darker on a light ground, on a dark one lighter, and with white only where that is not enough.
    /// Up to 4.58 there always is one.
    #[must_use]
    pub fn readable_on(self, ground: Self, least: f64) -> Self {
        let passes = |shade: &Self| shade.contrast(ground) >= least;
        let end = ground.text_on();
        let first = if end == Self::BLACK { end } else { self.brightest() };
        let mut shades = self.shades(first).chain(first.shades(end));
        shades.find(passes).unwrap_or(end)
    }

    /// From this to another.
    fn shades(self, other: Self) -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(move |share| self.toward(other, share))
    }

    /// The same hue as bright as it can be without more white in it. What is nearly black has none
    /// that anybody could see.
    fn brightest(self) -> Self {
        let most = self.red.max(self.green).max(self.blue);
        let scaled = |part: u8| {
            let scaled = u16::from(part) * 255 / u16::from(most.max(1));
            u8::try_from(scaled).unwrap_or(u8::MAX)
        };
        match most {
            0..32 => self,
            _ => Self::new(scaled(self.red), scaled(self.green), scaled(self.blue)),
        }
    }
}

impl FromStr for Colour {
    type Err = ColourError;

    fn from_str(text: &str) -> Result<Self, ColourError> {
        let digits = text.strip_prefix('#').ok_or(ColourError)?;
        let value = |digit: char| {
            let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
            value.ok_or(ColourError)
        };
        let digits: Vec<u8> = digits.chars().map(value).collect::<Result<_, _>>()?;
        match *digits {
            [red, green, blue] => Ok(Self::new(red * 17, green * 17, blue * 17)),
            [r1, r0, g1, g0, b1, b0] => Ok(Self::new(r1 * 16 + r0, g1 * 16 + g0, b1 * 16 + b0)),
            _ => Err(ColourError),
        }
    }
}

/// `#rrggbb`.
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn colour(text: &str) -> Colour {
        text.parse().unwrap()
    }

    #[test]
    fn contrasts_are_those_of_wcag() {
        for (one, other, ratio) in [
            ("#000000", "#ffffff", 21.0),
            ("#ffffff", "#ffffff", 1.0),
            // The lightest grey that passes for text on white, and the next one.
            ("#767676", "#ffffff", 4.54),
            ("#777777", "#ffffff", 4.48),
            // The same for outlines.
            ("#949494", "#ffffff", 3.03),
            ("#959595", "#ffffff", 2.99),
            ("#ff0000", "#ffffff", 4.00),
            ("#00ff00", "#ffffff", 1.37),
            ("#0000ff", "#ffffff", 8.59),
            ("#ff0000", "#000000", 5.25),
            ("#ffff00", "#0000ff", 8.00),
            ("#fc0", "#fff", 1.51),
        ] {
            let found = colour(one).contrast(colour(other));
            assert!((found - ratio).abs() < 0.006, "{one} to {other}: {found}");
            assert!((colour(other).contrast(colour(one)) - found).abs() < 1e-12);
        }
    }

    #[test]
    fn a_colour_is_six_hex_digits_or_three() {
        assert_eq!(colour("#fC0"), Colour::new(255, 204, 0));
        assert_eq!(colour("#24508F").to_string(), "#24508f");
        for text in ["", "#", "24508f", "#24508", "#24508f0", "#ffcc", "#xyz", "red", "#fc\u{ff10}"]
        {
            assert_eq!(text.parse::<Colour>(), Err(ColourError), "{text}");
        }
    }

    #[test]
    fn a_lighter_shade_keeps_its_hue_while_it_can() {
        let dark = colour("#1b1f28");
        let navy = colour("#0b2545").readable_on(dark, OF_TEXT);
        assert!(navy.blue > 240 && navy.red < 48, "{navy}");
        for grey in ["#000000", "#020001", "#333333"] {
            let Colour { red, green, blue } = colour(grey).readable_on(dark, OF_TEXT);
            assert!(red.abs_diff(green) < 4 && green.abs_diff(blue) < 4, "{grey}");
        }
    }

    fn colours() -> impl Strategy<Value = Colour> {
        any::<[u8; 3]>().prop_map(|[red, green, blue]| Colour::new(red, green, blue))
    }

    proptest! {
        #[test]
        fn black_or_white_can_be_read_on_every_colour(ground in colours()) {
            prop_assert!(ground.text_on().contrast(ground) >= OF_TEXT);
        }

        #[test]
        fn the_nearest_readable_shade_passes(colour in colours(), ground in colours()) {
            for least in [OF_OUTLINES, OF_TEXT] {
                let shade = colour.readable_on(ground, least);
                prop_assert!(shade.contrast(ground) >= least, "{shade} on {ground}");
                prop_assert_eq!(shade.readable_on(ground, least), shade);
                let passes = colour.contrast(ground) >= least;
                prop_assert_eq!(shade == colour, passes);
            }
        }

    /// One step less is not enough.
        #[test]
        fn the_nearest_readable_shade_is_the_nearest(colour in colours()) {
            let end = Colour::BLACK;
            let shade = colour.readable_on(Colour::WHITE, OF_TEXT);
            let steps = (0..=255).take_while(|share| colour.toward(end, *share) != shade);
            for share in steps {
                prop_assert!(colour.toward(end, share).contrast(Colour::WHITE) < OF_TEXT);
            }
        }

        #[test]
        fn a_colour_is_read_as_it_is_written(colour in colours()) {
            prop_assert_eq!(colour.to_string().parse(), Ok(colour));
        }
    }
}
