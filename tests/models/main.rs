//! PATH-20: whatever the gate forwards reaches, in no model of a server, a handler that its rules
//! shut. `kit.rs` lists the parts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

mod facts;
#[path = "kit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anteport::gate::{Asked, Decision, Mode, Policy, RawTarget, decide};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use kit::mutate::{Case, Numbers, RARE, open_holes};
use kit::portals::{NOON, policy};

/// How many cases without `ANTEPORT_CASES`; more are for a release build.
const CASES: u64 = 100_000;

/// What one worker saw: how much was forwarded, known holes by their line, others by report.
#[derive(Default)]
struct Seen {
    forwarded: u64,
    known: BTreeMap<&'static str, String>,
    unknown: BTreeMap<String, String>,
}

impl Seen {
    fn of(numbers: impl Iterator<Item = u64>) -> Self {
        let mut seen = Self::default();
        for number in numbers {
            let mut case = Case::of(number);
            let (breach, is_forwarded) = case.breach();
            seen.forwarded += u64::from(is_forwarded);
            if breach.is_none() {
                continue;
            }
            let breach = case.shrink().unwrap();
            let report = format!("case {number}: {}", case.report(&breach));
            match case.known_hole(&breach) {
                Some(line) => seen.known.entry(line).or_insert(report),
                None => {
                    let class =
                        report.lines().next().unwrap().split_once(": ").unwrap().1.to_owned();
                    seen.unknown.entry(class).or_insert(report)
                }
            };
        }
        seen
    }
}

#[test]
fn path_20_what_is_forwarded_reaches_no_shut_handler() {
    let cases = std::env::var("ANTEPORT_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<Seen> = std::thread::scope(|scope| {
        let run = |worker: u64| scope.spawn(move || Seen::of((worker..cases).step_by(workers)));
        let running: Vec<_> = (0..workers as u64).map(run).collect();
        running.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut total = Seen::default();
    for seen in all {
        total.forwarded += seen.forwarded;
        total.known.extend(seen.known);
        total.unknown.extend(seen.unknown);
    }
    println!("{cases} cases, {} forwarded", total.forwarded);
    for report in total.known.values() {
        println!("open: {report}");
    }
    let unknown: Vec<&str> = total.unknown.values().map(String::as_str).collect();
    assert!(unknown.is_empty(), "{} new holes\n{}", unknown.len(), unknown.join("\n"));
    // A test of refusals alone would prove nothing.
    assert!(total.forwarded > cases / 20, "{} forwarded", total.forwarded);
    if cases == CASES {
        let closed: Vec<_> = open_holes()
            .filter(|line| !line.ends_with(RARE) && !total.known.contains_key(line))
            .collect();
        assert!(
            closed.is_empty(),
            "closed: take these lines out of open.txt\n{}",
            closed.join("\n")
        );
    }
}

#[test]
fn path_20_the_targets_of_ordinary_sites_pass_as_they_are() {
    let policy = Policy { mode: Mode::Off, ..policy("members.example") };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("members.example"));
    let lines = include_str!("../fixtures/ordinary.txt").lines();
    let targets: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("# ")).collect();
    let mut refused = Vec::new();
    for target in &targets {
        let raw = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
        match Asked::read(std::slice::from_ref(&policy), &Method::GET, &raw, &headers) {
            Ok(asked) => {
                let Decision::Forward(permit) = decide(&policy, asked, None, NOON) else {
                    panic!("{target}")
                };
                assert_eq!(permit.target(), *target);
            }
            Err(refusal) => refused.push(format!("{target} {}", refusal.code())),
        }
    }
    assert!(targets.len() >= 260, "{}", targets.len());
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[test]
fn sup_05_the_corpus_and_random_bytes_hold() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, body) in kit::bodies::ALL {
        let mut seeds = Vec::new();
        for file in fs::read_dir(fuzz.join(name)).into_iter().flatten() {
            seeds.push(fs::read(file.unwrap().path()).unwrap());
        }
        assert!((1..=40).contains(&seeds.len()), "{name}: {} files", seeds.len());
        seeds.iter().for_each(|seed| body(seed));
        // The corpus with bytes changed, cut and doubled.
        for number in 0..3000 {
            let mut numbers = Numbers::of(number);
            let mut bytes = seeds[numbers.below(seeds.len())].clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(bytes.len());
                match numbers.below(4) {
                    0 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
                    1 => bytes.truncate(at),
                    2 => bytes.extend_from_within(at..),
                    _ => bytes.insert(at, b"/%;.=\n ?"[numbers.below(8)]),
                }
            }
            body(&bytes);
        }
    }
}
