//! What we tell the outside, as an operator's tools see it: the metrics' text, the admin listener
//! by plain TCP, log lines in a sink that takes them, and in one that does not.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use anteport::config::{LogFormat, Logging, Sink};
use anteport::gate::Timestamp;
use anteport::gate::identity::{Covered, Envelope, Lines as Covering};
use anteport::identity::Outbound;
use anteport::telemetry::admin::{self, AdminState, Readiness};
use anteport::telemetry::log::{self, DroppedLines};
use anteport::telemetry::metrics::{
    CallOutcome, Handshake, Metrics, ProviderCall, SessionEnd, UpstreamFailure,
};
use anteport::telemetry::reasons::{LOGIN_FAILURES, REASONS};
use anteport::telemetry::{Verdict, access_log, audit};
use anteport::upstream::Forwarding;
use http::{HeaderName, HeaderValue, Method};
use lines::{Lines, hear_every_thread};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tracing::Subscriber;

#[path = "kit/lines.rs"]
mod lines;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn metrics() -> Metrics {
    Metrics::new(&["members.example", "other.example"], &["corporate"], DroppedLines::default())
}

/// Every series of a text, after a look at its form: `# HELP` and `# TYPE` once for each family and
/// before its samples, a finite number in each sample, no series twice.
fn series(text: &str) -> Vec<String> {
    let mut families: Vec<&str> = Vec::new();
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(!families.contains(&name), "{name} is there twice");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            families.push(name);
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        assert!(name.starts_with(families.last().unwrap()), "{line} is not below its family");
        assert!(!found.iter().any(|known| known == name), "{name} twice");
        found.push(name.to_owned());
    }
    found
}

#[test]
fn every_family_is_there_from_the_start() {
    let text = metrics().render(NOON);
    series(&text);
    for family in [
        "anteport_requests_total",
        "anteport_decisions_total",
        "anteport_request_duration_seconds",
        "anteport_request_overhead_seconds",
        "anteport_forms_resent_total",
        "anteport_rollout_requests_total",
        "anteport_break_glass_links_total",
        "anteport_break_glass_requests_total",
        "anteport_break_glass_passes",
        "anteport_members_total",
        "anteport_directory_call_duration_seconds",
        "anteport_upstream_requests_total",
        "anteport_upstream_connections",
        "anteport_logins_total",
        "anteport_provider_call_duration_seconds",
        "anteport_sessions",
        "anteport_requests_in_flight",
        "anteport_upstream_requests_max",
        "anteport_connections_max",
        "anteport_sessions_max",
        "anteport_form_room_bytes",
        "anteport_form_room_max_bytes",
        "anteport_audit_events_total",
        "anteport_config_reloads_total",
        "anteport_config_last_reload_successful",
        "anteport_trace_spans_sent_total",
        "anteport_trace_spans_dropped_total",
        "anteport_sessions_created_total",
        "anteport_session_store_up",
        "anteport_session_store_unheard_seconds",
        "anteport_session_store_calls_total",
        "anteport_session_store_call_duration_seconds",
        "anteport_session_store_reconnects_total",
        "anteport_session_lookups_total",
        "anteport_session_copies",
        "anteport_session_revocations_owed",
        "anteport_sealing_keys",
        "anteport_sealing_keys_read_timestamp_seconds",
        "anteport_signing_keys",
        "anteport_signing_keys_read_timestamp_seconds",
        "anteport_sessions_restored_total",
        "anteport_sessions_ended_total",
        "anteport_streams_ended_total",
        "anteport_connections",
        "anteport_connections_refused_total",
        "anteport_tls_handshakes_total",
        "anteport_log_lines_dropped_total",
        "anteport_panics_total",
        "anteport_build_info",
        "anteport_sealing_keys_faulty",
        "anteport_signing_keys_faulty",
        "process_start_time_seconds",
    ] {
        assert!(text.contains(&format!("# TYPE {family} ")), "{family}");
    }
}

#[test]
fn what_the_documentation_names_is_there() {
    let text = metrics().render(NOON);
    let members = include_str!("../docs/members.md").split('`');
    let documented = include_str!("../docs/sessions.md").split('`').chain(members);
    let documented: Vec<&str> = documented
        .filter(|name| name.starts_with("anteport_"))
        .map(|name| name.split('{').next().unwrap())
        .collect();
    for name in &documented {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
    for line in text.lines() {
        let family = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next());
        let is_of_store = |name: &&str| {
            ["anteport_session_store", "anteport_session_lookups", "anteport_sealing"]
                .iter()
                .any(|begins| name.starts_with(begins))
        };
        if let Some(name) = family.filter(is_of_store) {
            assert!(documented.contains(&name), "{name} is not in docs/sessions.md");
        }
    }
}

/// What a page of ours is compared with: each family's type, and each label's values in their order.
struct Catalogue {
    types: BTreeMap<String, String>,
    labels: BTreeMap<String, Vec<(String, Vec<String>)>>,
}

impl Catalogue {
    /// Of a process to which everything has happened once that makes a series.
    fn read() -> Self {
        let mut metrics = metrics();
        metrics.add_upstreams(0, std::iter::once("127.0.0.1:3000".to_owned()));
        metrics.add_credentials(0, 1);
        metrics.credential(0, 0, Some(NOON), std::iter::empty());
        metrics.provider_keys_fetched(0, NOON);
        metrics.service.configured("1f2e3d4c", NOON);
        metrics.service.certificate_ends(Some(NOON));
        for code in REASONS.iter().chain(LOGIN_FAILURES).copied().chain(["no such code"]) {
            for verdict in [Verdict::Forward, Verdict::Login, Verdict::Own, Verdict::Refuse] {
                metrics.portal(0).answered(verdict, Some(code), 200, Duration::ZERO);
            }
        }
        let text = metrics.render(NOON);
        let mut read = Self { types: BTreeMap::new(), labels: BTreeMap::new() };
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                family = name;
                read.types.insert(name.to_owned(), kind.to_owned());
                read.labels.insert(name.to_owned(), Vec::new());
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let Some((_, labels)) = line.rsplit_once(' ').unwrap().0.split_once('{') else {
                continue;
            };
            let known = read.labels.get_mut(family).unwrap();
            for pair in labels.trim_end_matches('}').split(',') {
                let (label, value) = pair.split_once('=').unwrap();
                let value = value.trim_matches('"').to_owned();
                match known.iter_mut().find(|(name, _)| name == label) {
                    Some((_, values)) if values.contains(&value) => {}
                    Some((_, values)) => values.push(value),
                    None => known.push((label.to_owned(), vec![value])),
                }
            }
        }
        read
    }

    /// As the page ends: what each label can be that does not come from the configuration.
    fn values(&self) -> String {
        const OPEN: [&str; 7] =
            ["portal", "provider", "upstream", "credential", "version", "fingerprint", "le"];
        let mut page = "| metric | label | values |\n|---|---|---|\n".to_owned();
        for (family, labels) in &self.labels {
            for (label, values) in labels {
                if !OPEN.contains(&label.as_str()) {
                    let values = values.join("`, `");
                    writeln!(page, "| `{family}` | `{label}` | `{values}` |").unwrap();
                }
            }
        }
        page
    }
}

#[test]
fn the_page_of_metrics_is_current() {
    const MARK: &str = "which a test makes:\n\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let catalogue = Catalogue::read();
    let page = std::fs::read_to_string(path).unwrap();
    let (written, values) = page.split_once(MARK).unwrap();
    let mut documented = BTreeMap::new();
    for row in written.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let name = cells.next().unwrap().trim_matches('`');
        let (name, labels) = name.trim_end_matches('}').split_once('{').unwrap_or((name, ""));
        let (kind, unit) = cells.next().unwrap().split_once(", ").unwrap();
        for (suffix, expected) in [("_timestamp_seconds", "Unix time"), ("_seconds", "seconds")] {
            let is_told = !name.trim_end_matches("_total").ends_with(suffix);
            assert!(is_told || unit.contains(expected), "{name} is in {unit}");
        }
        let labels: Vec<&str> = labels.split(", ").filter(|label| !label.is_empty()).collect();
        assert!(documented.insert(name, (kind, labels)).is_none(), "{name} twice");
    }
    let exported: BTreeMap<&str, (&str, Vec<&str>)> = catalogue
        .types
        .iter()
        .map(|(name, kind)| {
            let labels = catalogue.labels[name].iter().map(|(label, _)| label.as_str());
            (name.as_str(), (kind.as_str(), labels.filter(|label| *label != "le").collect()))
        })
        .collect();
    for (name, described) in &exported {
        assert_eq!(documented.get(name), Some(described), "{name} in docs/metrics.md");
    }
    for name in documented.keys() {
        assert!(exported.contains_key(name), "{name} is in docs/metrics.md alone");
    }
    let made = catalogue.values();
    if std::env::var_os("WRITE_REFERENCES").is_some() {
        std::fs::write(path, format!("{written}{MARK}{made}")).unwrap();
    } else {
        assert!(values == made, "run: WRITE_REFERENCES=1 cargo test --test telemetry");
    }
}

#[test]
fn a_configuration_shows_with_what_became_of_it() {
    let metrics = metrics();
    let value = |name: &str| {
        let text = metrics.render(NOON);
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).next_back()
    };
    let (successful, read) =
        ("anteport_config_last_reload_successful", "anteport_config_last_reload_timestamp_seconds");
    assert_eq!((value(read), value("anteport_config_info")), (None, None));
    metrics.service.configured("11111111", NOON);
    metrics.service.reload_refused();
    assert_eq!(value(successful).as_deref(), Some("0"));
    assert_eq!(value(read).as_deref(), Some("1800000000"), "that before stays in force");
    metrics.service.reloaded("22222222", NOON.after(Duration::from_secs(60)));
    assert_eq!(value(successful).as_deref(), Some("1"));
    assert_eq!(value(read).as_deref(), Some("1800000060"));
    for (series, expected) in [
        ("anteport_config_info{fingerprint=\"22222222\"}", Some("1")),
        ("anteport_config_info{fingerprint=\"11111111\"}", None),
        ("anteport_config_reloads_total{outcome=\"ok\"}", Some("1")),
        ("anteport_config_reloads_total{outcome=\"refused\"}", Some("1")),
    ] {
        assert_eq!(value(series).as_deref(), expected, "{series}");
    }
}

#[test]
fn no_request_can_make_a_series_of_its_own() {
    let metrics = metrics();
    let record = |code: &str| {
        for portal in [metrics.portal(0), metrics.portal(7), metrics.unrouted()] {
            for verdict in [Verdict::Forward, Verdict::Login, Verdict::Own, Verdict::Refuse] {
                portal.answered(verdict, Some(code), 999, Duration::MAX);
            }
            portal.forwarded(0, Duration::MAX, Duration::ZERO);
            portal.upstream_failed(UpstreamFailure::Broken);
        }
        metrics.login_failed(0, code);
        metrics.login_failed(9, code);
        metrics.session_ended(SessionEnd::Logout);
        metrics.tls_handshake(Handshake::Failed);
        metrics.provider_called(
            0,
            ProviderCall::Token,
            CallOutcome::Refused,
            Duration::from_secs(1),
        );
        metrics.provider_keys_fetched(0, NOON);
        series(&metrics.render(NOON)).len()
    };
    let after_one = record("code-0");
    for number in 1..100 {
        assert_eq!(record(&format!("code-{number}")), after_one);
    }
}

/// What a request costs in metrics, loosely: a hot loop far under what a lock or a search would
/// take even on a busy machine without optimisation.
#[test]
fn recording_a_forwarded_request_is_cheap() {
    const REQUESTS: u32 = 200_000;
    let metrics = metrics();
    let portal = metrics.portal(0);
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..REQUESTS {
                portal.forwarded(200, Duration::from_millis(3), Duration::from_micros(30));
            }
            start.elapsed() / REQUESTS
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_micros(3), "{best:?} a request");
    println!("{best:?} a request");
}

/// An admin listener on a free port.
struct Admin {
    address: SocketAddr,
    state: Arc<AdminState>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Admin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counted = Arc::new(metrics());
        let state = AdminState::new(Clock::at(NOON))
            .with_metrics(move || {
                counted.sessions.set(42);
                Arc::clone(&counted)
            })
            .with_details(|| vec![("provider corporate".to_owned(), "unreachable".to_owned())]);
        let state = Arc::new(state);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(admin::serve(listener, Arc::clone(&state), async {
            let _ = stopped.await;
        }));
        Self { address, state, stop, serving }
    }

    /// The whole answer to these bytes.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A connection that is cut may end in a reset; what came before counts.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\n{headers}\r\n")).await
    }
}

const LOCAL: &str = "host: 127.0.0.1:9090\r\n";

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status in {answer:?}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_admin_listener_tells_health_version_and_metrics() {
    let admin = Admin::start().await;
    let alive = admin.get("/livez", LOCAL).await;
    assert_eq!((status(&alive), body(&alive)), (200, "ok\n"));
    let version = admin.get("/version", LOCAL).await;
    let version: serde_json::Value = serde_json::from_str(body(&version)).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let metrics = admin.get("/metrics", LOCAL).await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"));
    assert!(series(body(&metrics)).contains(&"anteport_sessions".to_owned()));
    assert!(body(&metrics).contains("anteport_sessions 42\n"), "levels are refreshed");
    assert_eq!(status(&admin.get("/", LOCAL).await), 404);
    assert_eq!(status(&admin.get("/metrics/x", LOCAL).await), 404);
    let posted = admin.exchange(&format!("POST /livez HTTP/1.1\r\n{LOCAL}\r\n")).await;
    assert_eq!(status(&posted), 405);
    assert!(posted.contains("allow: GET, HEAD"));
    let head = admin.exchange(&format!("HEAD /livez HTTP/1.1\r\n{LOCAL}\r\n")).await;
    assert_eq!((status(&head), body(&head)), (200, ""));
}

#[tokio::test]
async fn readiness_is_the_process_s_own_and_not_the_provider_s() {
    let admin = Admin::start().await;
    for (readiness, expected) in
        [(Readiness::Starting, 503), (Readiness::Ready, 200), (Readiness::Draining, 503)]
    {
        admin.state.set_readiness(readiness);
        assert_eq!(admin.state.readiness(), readiness);
        assert_eq!(status(&admin.get("/readyz", LOCAL).await), expected);
        let verbose = admin.get("/readyz?verbose", LOCAL).await;
        assert_eq!(status(&verbose), expected);
        assert!(body(&verbose).contains("provider corporate: unreachable\n"));
        assert_eq!(status(&admin.get("/livez", LOCAL).await), 200);
    }
}

#[tokio::test]
async fn cfg_03_a_name_that_is_not_ours_is_refused() {
    let admin = Admin::start().await;
    for ours in ["127.0.0.1", "localhost:9090", "[::1]:9090", "10.0.0.7:9090"] {
        let answer = admin.get("/metrics", &format!("host: {ours}\r\n")).await;
        assert_eq!(status(&answer), 200, "{ours}");
    }
    for other in ["rebound.example", "rebound.example:9090", "127.0.0.1.rebound.example", ""] {
        let answer = admin.get("/metrics", &format!("host: {other}\r\n")).await;
        assert_eq!(status(&answer), 421, "{other:?}");
        assert!(!answer.contains("rebound"), "nothing is reflected");
    }
    let two = format!("{LOCAL}host: rebound.example\r\n");
    assert_eq!(status(&admin.get("/metrics", &two).await), 421);
    assert_eq!(status(&admin.get("/metrics", "").await), 421);
    let absolute = admin.get("http://rebound.example/metrics", LOCAL).await;
    assert_eq!(status(&absolute), 421);
}

#[tokio::test]
async fn cfg_03_a_page_of_another_site_is_refused() {
    let admin = Admin::start().await;
    for from_elsewhere in [
        "origin: https://evil.example",
        "origin: null",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
        "sec-fetch-site: none\r\nsec-fetch-site: cross-site",
    ] {
        let answer = admin.get("/metrics", &format!("{LOCAL}{from_elsewhere}\r\n")).await;
        assert_eq!(status(&answer), 403, "{from_elsewhere}");
    }
    for by_hand in ["sec-fetch-site: none", "sec-fetch-site: same-origin"] {
        let answer = admin.get("/metrics", &format!("{LOCAL}{by_hand}\r\n")).await;
        assert_eq!(status(&answer), 200, "{by_hand}");
    }
}

/// Takes its five seconds: tokio's virtual clock is not among our dependencies.
#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let admin = Admin::start().await;
    let answer = admin.exchange("GET /livez HTTP/1.1\r\nhost: 127");
    let answer = tokio::time::timeout(Duration::from_secs(9), answer).await;
    let answer = answer.expect("before the connection's own ten seconds");
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn the_admin_listener_stops_when_told() {
    let admin = Admin::start().await;
    let _idle = TcpStream::connect(admin.address).await.unwrap();
    admin.stop.send(()).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), admin.serving).await;
    stopped.expect("within its drain time").unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err());
}

const QUIET: Logging = Logging {
    format: LogFormat::Auto,
    level: tracing::Level::WARN,
    access: false,
    to: Sink::Stderr,
    access_to: Sink::Stderr,
    audit_to: Sink::Stderr,
};

fn request(path: &str) -> access_log::Access<'_> {
    access_log::Access {
        request_id: "01JD3Q8V6W7K9R2M",
        trace_id: None,
        portal: Some("members.example"),
        method: "GET",
        path: Some(path),
        verdict: Verdict::Refuse,
        code: Some("no-route"),
        status: 403,
        duration: Duration::from_micros(1250),
    }
}

/// Does it while this subscriber hears what is said on this thread.
fn listening(subscriber: impl Subscriber + Send + Sync + 'static, act: impl FnOnce()) {
    hear_every_thread();
    tracing::subscriber::with_default(subscriber, act);
}

/// The lines that `act` leaves in a sink.
fn logged(logging: &Logging, is_terminal: bool, act: impl FnOnce()) -> String {
    let sink = Lines::default();
    let (subscriber, log) = log::subscriber(logging, sink.clone(), is_terminal, 1024);
    listening(subscriber, act);
    drop(log);
    sink.text()
}

#[test]
fn without_a_terminal_a_line_is_one_json_object() {
    let logging = Logging { access: true, ..QUIET };
    let text = logged(&logging, false, || {
        access_log::write(&request("/reports"));
        audit::write(
            audit::Event::LoginSucceeded,
            &audit::Audit {
                request_id: Some("01JD3Q8V6W7K9R2M"),
                provider: Some("corporate"),
                member: Some("3f1c2a64.5b1e"),
                ..audit::Audit::default()
            },
        );
    });
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let access = &lines[0];
    assert!(access["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(access["target"], "anteport::access");
    assert_eq!(access["request.id"], "01JD3Q8V6W7K9R2M");
    assert_eq!(access["http.request.method"], "GET");
    assert_eq!(access["url.path"], "/reports");
    assert_eq!(access["http.response.status_code"], 403);
    assert_eq!(access["decision"], "refuse");
    assert_eq!(access["code"], "no-route");
    assert_eq!(access["duration_ms"], 1.25);
    let audit = &lines[1];
    assert_eq!(audit["event.name"], "login-succeeded");
    assert_eq!(audit["member"], "3f1c2a64.5b1e");
    assert!(audit.get("code").is_none(), "what does not apply is absent");
}

#[test]
fn access_events_can_be_off_while_audit_events_stay() {
    let text = logged(&QUIET, false, || {
        access_log::write(&request("/reports"));
        tracing::info!("too quiet to be wanted");
        audit::write(audit::Event::LoggedOut, &audit::Audit::default());
        tracing::warn!("wanted");
    });
    assert!(!text.contains("/reports") && !text.contains("too quiet"));
    assert!(text.contains("logged-out") && text.contains("\"wanted\""));
}

#[test]
fn log_02_logged_input_is_escaped_and_bounded() {
    let logging = Logging { access: true, ..QUIET };
    for is_terminal in [false, true] {
        let hostile = format!("/a\n2026-01-01 forged \u{1b}[31m\u{202e}{}", "x".repeat(9000));
        let text = logged(&logging, is_terminal, || access_log::write(&request(&hostile)));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains("\u{1b}[31m"));
        assert!(text.len() < 1200, "{}", text.len());
    }
}

#[test]
fn what_another_thread_said_first_is_heard_on_this_one_too() {
    let say = || tracing::warn!("said");
    let text = logged(&QUIET, false, || {
        std::thread::scope(|scope| scope.spawn(say).join().unwrap());
        say();
    });
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn log_01_a_request_to_the_portal_shows_nothing_of_its_member() {
    const HOST: HeaderValue = HeaderValue::from_static("members.example");
    const CANARY: HeaderValue = HeaderValue::from_static("canary");
    let told = vec![(HeaderName::from_static("x-anteport-assertion"), CANARY)];
    let covered = Covered {
        lines: Covering::Written(b"canary".as_slice().into()),
        names: b"".as_slice().into(),
    };
    let envelope = Envelope {
        headers: told.clone(),
        renew: NOON,
        version: 0,
        covered: Some(covered),
        parts: Vec::new(),
    };
    let outbound = Outbound {
        method: &Method::GET,
        authority: &HOST,
        target: "/reports/a?code=canary",
        envelope: Some(&envelope),
        body: Some(b"canary"),
        nonce: &CANARY,
    };
    let forwarding = Forwarding {
        host: &HOST,
        scheme: &HeaderValue::from_static("https"),
        address: &CANARY,
        request_id: &CANARY,
        signature: &told,
    };
    // A body's bytes would be shown as numbers.
    for shown in [format!("{outbound:?}"), format!("{forwarding:?}")] {
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    }
}

/// A sink that takes nothing until its channel says so, as a full pipe does.
struct Blocked {
    entered: Sender<()>,
    release: Receiver<()>,
}

impl Write for Blocked {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.release.recv();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_02_a_blocked_sink_costs_lines_and_nobody_waits() {
    const LINES: u64 = 1000;
    const WAITING: usize = 16;
    let (entered, is_entered) = channel();
    let (unblock, release) = channel();
    let sink = Blocked { entered, release };
    let (subscriber, log) = log::subscriber(&QUIET, sink, false, WAITING);
    let begun = Instant::now();
    listening(subscriber, || {
        tracing::warn!("the line that the sink is stuck with");
        is_entered.recv().unwrap();
        for _ in 0..LINES {
            tracing::warn!("a line");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    let dropped = log.dropped_lines();
    assert_eq!(dropped.total(), LINES - WAITING as u64);
    let metrics = Metrics::new(&[], &[], dropped);
    let line = format!("anteport_log_lines_dropped_total {}\n", LINES - 16);
    assert!(metrics.render(NOON).contains(&line));
    let ended = Instant::now();
    drop(log);
    assert!(ended.elapsed() < Duration::from_secs(4), "the end does not wait for it either");
    drop(unblock);
}

/// A disk without room.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

#[test]
fn log_02_a_full_sink_costs_lines_that_are_counted() {
    let (subscriber, log) = log::subscriber(&QUIET, Full, false, 1024);
    listening(subscriber, || {
        for _ in 0..10 {
            tracing::warn!("a line");
        }
    });
    let dropped = log.dropped_lines();
    drop(log);
    assert_eq!(dropped.total(), 10);
}
