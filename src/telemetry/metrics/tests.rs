//! What is counted is shown, and goes on being so.

use super::*;
use crate::kept::KeyState;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn metrics() -> Metrics {
    Metrics::new(&["members.example"], &["corporate"], DroppedLines::default())
}

fn line(metrics: &Metrics, series: &str) -> Option<String> {
    let text = metrics.render(NOON);
    text.lines().find_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        (name == series).then(|| value.to_owned())
    })
}

#[test]
fn a_forwarded_request_shows_in_every_series_about_it() {
    let metrics = metrics();
    let portal = metrics.portal(0);
    portal.forwarded(200, Duration::from_millis(7), Duration::from_micros(30));
    for series in [
        "anteport_requests_total{portal=\"members.example\",status_class=\"2xx\"}",
        "anteport_decisions_total{portal=\"members.example\",decision=\"forward\",reason=\"none\"}",
        "anteport_upstream_requests_total{portal=\"members.example\",outcome=\"ok\"}",
        "anteport_request_duration_seconds_bucket{portal=\"members.example\",le=\"0.01\"}",
        "anteport_request_duration_seconds_count{portal=\"members.example\"}",
        "anteport_request_overhead_seconds_bucket{portal=\"members.example\",le=\"0.000035\"}",
    ] {
        assert_eq!(line(&metrics, series).as_deref(), Some("1"), "{series}");
    }
    let below = "anteport_request_duration_seconds_bucket{portal=\"members.example\",le=\"0.005\"}";
    assert_eq!(line(&metrics, below).as_deref(), Some("0"));
    let sum = "anteport_request_duration_seconds_sum{portal=\"members.example\"}";
    assert_eq!(line(&metrics, sum).as_deref(), Some("0.007"));
}

#[test]
fn what_was_counted_outlives_a_configuration() {
    let before = metrics();
    before.portal(0).forwarded(200, Duration::ZERO, Duration::ZERO);
    before.login_started(0);
    before.panics.add();
    let mut next = before.next(&["new.example", "members.example"], &["other", "corporate"]);
    next.add_upstreams(1, ["10.0.0.1:80".to_owned()].into_iter());
    // A request that began before, and a new one.
    before.portal(0).forwarded(200, Duration::ZERO, Duration::ZERO);
    next.portal(1).forwarded(200, Duration::ZERO, Duration::ZERO);
    next.login_started(1);
    let requests = |portal: &str| {
        format!("anteport_requests_total{{portal=\"{portal}\",status_class=\"2xx\"}}")
    };
    assert_eq!(line(&next, &requests("members.example")).as_deref(), Some("3"));
    assert_eq!(line(&next, &requests("new.example")).as_deref(), Some("0"));
    let started = "anteport_logins_total{provider=\"corporate\",result=\"started\"}";
    assert_eq!(line(&next, started).as_deref(), Some("2"));
    assert_eq!(line(&next, "anteport_panics_total").as_deref(), Some("1"));
    let server = "anteport_upstream_healthy{portal=\"members.example\",upstream=\"10.0.0.1:80\"}";
    assert_eq!(line(&next, server).as_deref(), Some("1"));
    // Nobody is shown who is not there any more.
    let last = next.next(&["new.example"], &[]);
    assert_eq!(line(&last, &requests("members.example")), None);
}

#[test]
fn a_code_that_is_not_listed_is_counted_as_other() {
    let metrics = metrics();
    let portal = metrics.portal(0);
    portal.answered(Verdict::Refuse, Some("no-route"), 403, Duration::ZERO);
    portal.answered(Verdict::Refuse, Some("made-up"), 403, Duration::ZERO);
    metrics.login_failed(0, "token-expired");
    metrics.login_failed(0, "made-up");
    for series in [
        "anteport_decisions_total{portal=\"members.example\",decision=\"refuse\",reason=\"no-route\"}",
        "anteport_decisions_total{portal=\"members.example\",decision=\"refuse\",reason=\"other\"}",
        "anteport_logins_total{provider=\"corporate\",result=\"token-expired\"}",
        "anteport_logins_total{provider=\"corporate\",result=\"other\"}",
    ] {
        assert_eq!(line(&metrics, series).as_deref(), Some("1"), "{series}");
    }
    assert!(!metrics.render(NOON).contains("made-up"));
}

#[test]
fn requests_of_many_threads_are_added_up() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for _ in 0..2 * SHARDS {
            scope.spawn(|| {
                for _ in 0..100 {
                    metrics.portal(0).forwarded(304, Duration::ZERO, Duration::ZERO);
                }
            });
        }
    });
    let series = "anteport_requests_total{portal=\"members.example\",status_class=\"3xx\"}";
    assert_eq!(line(&metrics, series), Some((200 * SHARDS).to_string()));
}

#[test]
fn keys_have_an_age_once_they_were_fetched() {
    let metrics = metrics();
    let series = "anteport_provider_keys_age_seconds{provider=\"corporate\"}";
    assert_eq!(line(&metrics, series), None);
    metrics.provider_keys_fetched(0, NOON.before(Duration::from_secs(90)));
    assert_eq!(line(&metrics, series).as_deref(), Some("90"));
}

#[test]
fn keys_that_cannot_be_used_show_until_they_can() {
    let metrics = metrics();
    let series = "anteport_signing_keys_faulty";
    let mut state = KeyState { count: 2, read: NOON, fault: None };
    metrics.signing_keys.set(&state);
    assert_eq!(line(&metrics, series).as_deref(), Some("0"));
    state.fault = Some(("no key in it".to_owned(), NOON));
    metrics.signing_keys.set(&state);
    assert_eq!(line(&metrics, series).as_deref(), Some("1"));
    assert_eq!(line(&metrics, "anteport_sealing_keys_faulty").as_deref(), Some("0"));
    state.fault = None;
    metrics.signing_keys.set(&state);
    assert_eq!(line(&metrics, series).as_deref(), Some("0"));
}

#[test]
fn every_code_of_the_gate_is_listed() {
    use crate::gate::{PathError, Refusal};
    let paths = [
        PathError::NotAbsolute,
        PathError::Character,
        PathError::Escape,
        PathError::EncodedSeparator,
        PathError::Utf8,
        PathError::Segment,
        PathError::Parameter,
        PathError::TooLong,
    ];
    let refusals = [
        Refusal::Host,
        Refusal::UnknownHost,
        Refusal::Method,
        Refusal::RepeatedHeader,
        Refusal::NoRoute,
        Refusal::PasswordRoute { rule: 0 },
        Refusal::SignInRequired,
    ];
    for refusal in paths.map(Refusal::Path).into_iter().chain(refusals) {
        assert!(REASONS.contains(&refusal.code()), "{}", refusal.code());
    }
}
