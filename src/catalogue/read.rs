//! The form of the data. An entry is a block of lines; a line that begins with blanks goes on with
//! the one before, and one that begins with `#` is a remark:
//!
//! ```text
//! AADSTS7000222 operator token
//! what: what happened
//! do: what the operator should do
//! at: the name of a place in places.txt
//! member: what the member should do; without it, the class says it
//! ```

use std::collections::HashMap;

use super::{Class, Entry, Place};

/// What cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The beginning of the block.
    pub at: String,
    /// What is wrong.
    pub why: &'static str,
}

/// Reads files of entries and the file of places. A block that cannot be read is left out.
pub(super) fn read(files: &[&'static str], places: &'static str) -> (Vec<Entry>, Vec<Fault>) {
    let places: HashMap<&str, String> = blocks(places)
        .into_iter()
        .flatten()
        .filter_map(|line| line.0.split_once(": ").map(|(name, place)| (name, place, line.1)))
        .map(|(name, place, more)| (name, format!("{place}{more}")))
        .collect();
    let mut entries: Vec<Entry> = Vec::new();
    let mut faults = Vec::new();
    for block in files.iter().flat_map(|file| blocks(file)) {
        let at = block.first().map(|line| line.0).unwrap_or_default();
        let read = entry(&block, &places);
        let read = read.and_then(|entry| {
            let is_new = entries.iter().all(|known| known.code != entry.code);
            is_new.then_some(entry).ok_or("the code is there twice")
        });
        match read {
            Ok(entry) => entries.push(entry),
            Err(why) => faults.push(Fault { at: at.to_owned(), why }),
        }
    }
    (entries, faults)
}

/// A line, and what the lines below add to it.
type Line = (&'static str, String);

/// The blocks of a file, each with its lines.
fn blocks(text: &'static str) -> Vec<Vec<Line>> {
    let mut blocks = Vec::new();
    let mut block: Vec<Line> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            blocks.push(std::mem::take(&mut block));
        } else if let (true, Some((_, more))) = (line.starts_with(' '), block.last_mut()) {
            more.push(' ');
            more.push_str(line.trim());
        } else {
            block.push((line.trim_end(), String::new()));
        }
    }
    blocks.push(block);
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn entry(block: &[Line], places: &HashMap<&str, String>) -> Result<Entry, &'static str> {
    let (head, lines) = block.split_first().ok_or("nothing is there")?;
    let mut words = head.0.split(' ');
    let (Some(code), Some(class), Some(seen), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the first line is a code, a class and where it comes up");
    };
    let class = Class::ALL.into_iter().find(|known| known.name() == class);
    let class = class.ok_or("there is no such class")?;
    let seen = seen.split(',').map(|name| Place::ALL.into_iter().find(|p| p.name() == name));
    let seen: Option<Vec<Place>> = seen.collect();
    let field = |name: &str| {
        let line = lines.iter().find(|line| line.0.split(':').next() == Some(name))?;
        Some(format!("{}{}", line.0.split_once(": ")?.1, line.1))
    };
    let is_known = |line: &Line| {
        let name = line.0.split(':').next().unwrap_or_default();
        ["what", "do", "at", "member"].contains(&name)
    };
    if !lines.iter().all(is_known) {
        return Err("a line has another name than what, do, at and member");
    }
    let at = field("at").ok_or("`at` is missing")?;
    Ok(Entry {
        code,
        class,
        places: seen.ok_or("it comes up at a place that does not exist")?,
        what: field("what").ok_or("`what` is missing")?,
        operator: field("do").ok_or("`do` is missing")?,
        member: field("member").unwrap_or_else(|| class.sentence().to_owned()),
        menu: places.get(&*at).cloned().ok_or("`at` names a place that is not in places.txt")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: &str = "# where\nhere: Portal → app →\n  Secrets\n";

    fn faults(text: &'static str) -> Vec<&'static str> {
        read(&[text], PLACES).1.into_iter().map(|fault| fault.why).collect()
    }

    #[test]
    fn an_entry_is_a_block_of_lines() {
        let text =
            "# a remark\nX1 account page,token\nwhat: It\n  happened.\ndo: That.\nat: here\n";
        let (entries, faults) = read(&[text], PLACES);
        assert_eq!(faults, []);
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.code, entry.class), ("X1", Class::Account));
        assert_eq!(entry.places, [Place::Page, Place::Token]);
        assert_eq!((&*entry.what, &*entry.menu), ("It happened.", "Portal → app → Secrets"));
        assert_eq!(entry.member, Class::Account.sentence());
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_told() {
        for (text, why) in [
            ("X1 account", "the first line is a code, a class and where it comes up"),
            ("X1 nobody page", "there is no such class"),
            (
                "X1 account moon\nwhat: a\ndo: b\nat: here",
                "it comes up at a place that does not exist",
            ),
            ("X1 account page\ndo: b\nat: here", "`what` is missing"),
            ("X1 account page\nwhat: a\nat: here", "`do` is missing"),
            ("X1 account page\nwhat: a\ndo: b", "`at` is missing"),
            (
                "X1 account page\nwhat: a\ndo: b\nat: there",
                "`at` names a place that is not in places.txt",
            ),
            ("X1 account page\nwhy: a", "a line has another name than what, do, at and member"),
        ] {
            assert_eq!(faults(text), [why], "{text}");
        }
        let twice = "X1 account page\nwhat: a\ndo: b\nat: here\n\nX1 account page\nwhat: a\ndo: b\nat: here";
        assert_eq!(faults(twice), ["the code is there twice"]);
    }
}
