//! Which of a list of languages a browser likes best: the lookup of RFC 4647, section 3.4, by the
//! weights of `Accept-Language` (RFC 9110, section 12.5.4).

/// The most ranges of a header that are looked at.
const MOST: usize = 32;

/// The one of `known` that `accepted` prefers; `None` if it names none of them.
pub(super) fn choose<'k>(known: &'k [String], accepted: &str) -> Option<&'k str> {
    let mut ranges: Vec<(&str, f32)> =
        accepted.split(',').take(MOST).filter_map(|item| read(item.trim())).collect();
    // Stable: of equal weight, the first counts.
    ranges.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ranges.into_iter().find_map(|(range, _)| look_up(known, range))
}

/// A range and its weight; one that is not wanted is none.
fn read(item: &str) -> Option<(&str, f32)> {
    let mut parts = item.split(';');
    let range = parts.next()?.trim();
    let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
    let weight = match weight {
        Some(text) => text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
        None => 1.0,
    };
    (weight > 0.0 && !range.is_empty()).then_some((range, weight))
}

/// `de-CH-1996` is also `de-CH`, `de`, and as good as any other `de-…`.
fn look_up<'k>(known: &'k [String], range: &str) -> Option<&'k str> {
    let mut wanted = range;
    loop {
        if let Some(found) = known.iter().find(|tag| tag.eq_ignore_ascii_case(wanted)) {
            return Some(found);
        }
        let Some((shorter, _)) = wanted.rsplit_once('-') else {
            break;
        };
        wanted = shorter;
    }
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    known.iter().find(|tag| primary(tag) == wanted.to_ascii_lowercase()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_favourite_of_the_list_is_chosen() {
        let known = ["en", "de-AT", "pt-BR", "fr"].map(str::to_owned);
        for (accepted, chosen) in [
            ("de-CH,de;q=0.9,en;q=0.8", Some("de-AT")),
            ("fr-CA, en;q=0.5", Some("fr")),
            ("en;q=0.5, FR;q=0.7", Some("fr")),
            ("pt", Some("pt-BR")),
            ("it, es;q=0.9", None),
            ("fr;q=0, en;q=0.1", Some("en")),
            ("*", None),
            ("", None),
            (";;;q=,,-,en-", Some("en")),
            ("en;q=2, fr;q=nan, de;q=0.1", Some("de-AT")),
        ] {
            assert_eq!(choose(&known, accepted), chosen, "{accepted}");
        }
        assert_eq!(choose(&[], "en"), None);
    }
}
