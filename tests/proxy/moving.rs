//! Each metric of docs/metrics.md moves for the event that it names. Most of them do so here; of the
//! others it is said which test shows it. A metric that is in neither list fails this.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::tls;
use crate::world::browser::PAGE;
use crate::world::collector::{Collector, TAKEN};
use crate::world::folder::Folder;
use crate::world::patience::eventually;
use crate::world::{Plan, World, free_port};

/// What is shown elsewhere: by which test, in which file. The file names the metric.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "anteport_forms_resent_total",
        "tests/proxy/forms_kept.rs",
        "ret_04_a_form_that_meets_an_expired_session_is_sent_once_its_member_is_back",
    ),
    (
        "anteport_streams_ended_total",
        "tests/proxy/ended.rs",
        "sess_10_a_sign_out_closes_what_is_open_in_its_name_and_nothing_else",
    ),
    (
        "anteport_client_credential_expiry_timestamp_seconds",
        "tests/credentials/ends.rs",
        "ends_are_metrics_and_lines_of_health_and_are_warned_of_thrice",
    ),
    (
        "anteport_client_credential_refusals_total",
        "tests/credentials/load.rs",
        "secret_a_expires_under_load_and_nobody_notices",
    ),
    (
        "anteport_sealing_keys_faulty",
        "tests/proxy/restart.rs",
        "cry_02_keys_change_under_load_and_nobody_notices",
    ),
    (
        "anteport_signing_keys_faulty",
        "tests/proxy/signing.rs",
        "env_04_keys_that_cannot_be_used_change_nothing",
    ),
    (
        "anteport_sessions_restored_total",
        "tests/proxy/restart.rs",
        "sess_09_a_planned_restart_signs_nobody_out_and_nobody_in",
    ),
    ("anteport_session_store_up", STORES, STORE_SEEN),
    ("anteport_session_store_unheard_seconds", STORES, STORE_SEEN),
    ("anteport_session_store_calls_total", STORES, STORE_SEEN),
    ("anteport_session_store_call_duration_seconds", STORES, STORE_SEEN),
    ("anteport_session_store_reconnects_total", STORES, STORE_SEEN),
    ("anteport_session_copies", STORES, STORE_SEEN),
    ("anteport_session_revocations_owed", STORES, STORE_SEEN),
    (
        "anteport_log_lines_dropped_total",
        "tests/streams/sinks.rs",
        "log_02_a_reader_that_goes_costs_lines_and_no_request",
    ),
    ("anteport_break_glass_links_total", GLASS, LINK_LEADS),
    ("anteport_break_glass_requests_total", GLASS, LINK_LEADS),
    ("anteport_break_glass_passes", GLASS, LINK_LEADS),
    (
        "anteport_rollout_requests_total",
        "tests/proxy/rollout.rs",
        "a_share_of_visitors_is_switched_and_each_stays_where_they_are",
    ),
    ("anteport_panics_total", "src/server/worker.rs", "rel_14_a_panic_is_counted"),
    (
        "process_start_time_seconds",
        "src/telemetry/metrics/process.rs",
        "the_start_stays_where_it_was",
    ),
];
const GLASS: &str = "tests/proxy/break_glass.rs";
const LINK_LEADS: &str =
    "a_link_leads_one_browser_to_the_portals_own_sign_in_while_microsoft_is_down";
const STORES: &str = "tests/stores/seen.rs";
const STORE_SEEN: &str = "rel_04_a_store_is_seen_to_come_to_go_and_to_come_back";

/// What nothing moves while a process runs; it only has to be there.
const FIXED: [&str; 3] = ["anteport_build_info", "anteport_form_room_max_bytes", "process_max_fds"];

/// The sum of each family: of its series, or of what its histograms count.
fn sums(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    let (mut family, mut is_histogram) = ("", false);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            (family, is_histogram) = (name, kind == "histogram");
            sums.insert(name.to_owned(), 0.0);
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            if !is_histogram || name.ends_with("_count") {
                *sums.get_mut(family).unwrap() += value.parse::<f64>().unwrap();
            }
        }
    }
    sums
}

/// What has been seen to move.
#[derive(Default)]
struct Moved(BTreeSet<&'static str>);

impl Moved {
    /// Each of these is another one after the event than before.
    async fn by(
        &mut self,
        world: &World,
        event: impl Future<Output = ()>,
        families: &[&'static str],
    ) {
        let before = sums(&world.metrics().await);
        event.await;
        for family in families {
            let moves = async || sums(&world.metrics().await).get(*family) != before.get(*family);
            let waiting = tokio::time::timeout(Duration::from_secs(30), async {
                while !moves().await {
                    tokio::task::yield_now().await;
                }
            });
            waiting.await.unwrap_or_else(|_| panic!("{family} does not move"));
            self.0.insert(family);
        }
    }

    /// Each of these has this value.
    async fn is(&mut self, world: &World, family: &'static str, value: f64) {
        assert_eq!(sums(&world.metrics().await).get(family), Some(&value), "{family}");
        self.0.insert(family);
    }
}

/// What stands at `members` with a directory that nobody answers for.
fn with_members(address: SocketAddr) -> &'static str {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    format!(
        "
    mode: azure_only
    local_login: {{}}
    members:
      unknown: allow
      directory: {{ webhook: {{ url: \"http://{address}/\", secret: {{ value: \"{secret}\" }}, deadline: 500ms }} }}
    routes: [ {{ path: \"/**\", access: signed_in }} ]
"
    )
    .leak()
}

const OPEN: &str = r#"
    mode: azure_only
    local_login: { password_routes: [ { path: "/silent", form: { password: "*" } } ] }
    routes: [ { path: "/**", access: public } ]
"#;

async fn of_requests(moved: &mut Moved) {
    let collector = Collector::start(TAKEN).await;
    let world = World::start_with(Plan {
        portal: OPEN,
        top: collector.section(", sample: 1"),
        listen: ", max_connections: 5000, max_connections_per_address: 4",
        ..Plan::default()
    })
    .await;
    let browser = world.browser();
    let page = async {
        assert_eq!(browser.send("GET", "/page", &[], b"").await.status, 200);
    };
    moved
        .by(
            &world,
            page,
            &[
                "anteport_requests_total",
                "anteport_decisions_total",
                "anteport_request_duration_seconds",
                "anteport_request_overhead_seconds",
                "anteport_upstream_requests_total",
                "anteport_upstream_connections",
                "anteport_trace_spans_sent_total",
            ],
        )
        .await;
    let silent = async {
        let (waiting, body) = (browser.clone(), vec![b'x'; 1000]);
        tokio::spawn(async move {
            let form = [("content-type", "application/x-www-form-urlencoded")];
            waiting.send("POST", "/silent", &form, &body).await
        });
    };
    moved.by(&world, silent, &["anteport_requests_in_flight", "anteport_form_room_bytes"]).await;
    world.comes_to(&in_flight(&world), 0.0).await;
    let mut held = Vec::new();
    let crowd = async {
        for _ in 0..8 {
            held.push(tokio::net::TcpStream::connect(world.proxy).await.unwrap());
        }
    };
    moved
        .by(
            &world,
            crowd,
            &["anteport_connections", "anteport_connections_refused_total", "process_open_fds"],
        )
        .await;
    drop(held);
    moved.is(&world, "anteport_connections_max", 5000.0).await;
    moved.is(&world, "anteport_upstream_requests_max", 1024.0).await;
    let work = async {
        for _ in 0..200 {
            browser.send("GET", "/page", &[], b"").await;
        }
    };
    moved.by(&world, work, &["process_cpu_seconds_total"]).await;
    let memory: Vec<u8> = vec![1; 64 << 20];
    let before = sums(&world.metrics().await)["process_resident_memory_bytes"];
    assert!(before > memory.len() as f64 / 2.0, "{before}");
    moved.0.insert("process_resident_memory_bytes");
    world.stop().await;
}

fn in_flight(world: &World) -> String {
    format!("anteport_requests_in_flight{{portal=\"{}\"}}", world.proxy)
}

async fn of_sessions(moved: &mut Moved) {
    let world = World::start_with(Plan { sessions: "{ capacity: 4321 }", ..Plan::default() }).await;
    moved.is(&world, "anteport_sessions_max", 4321.0).await;
    let mut browser = world.browser();
    let sign_in = async {
        browser.sign_in("/", "treasurer@harborclub.example").await;
    };
    moved
        .by(
            &world,
            sign_in,
            &[
                "anteport_logins_total",
                "anteport_provider_call_duration_seconds",
                "anteport_sessions",
                "anteport_sessions_created_total",
                "anteport_session_lookups_total",
                "anteport_audit_events_total",
            ],
        )
        .await;
    let refresh = async {
        world.clock.advance(Duration::from_secs(15 * 60));
        assert_eq!(browser.open("/reports").await.status, 200);
    };
    moved.by(&world, refresh, &["anteport_session_refreshes_total"]).await;
    let later = async { world.clock.advance(Duration::from_secs(60)) };
    moved.by(&world, later, &["anteport_provider_keys_age_seconds"]).await;
    let out = async {
        assert_eq!(browser.open("/.auth/logout").await.status, 303);
    };
    moved.by(&world, out, &["anteport_sessions_ended_total"]).await;
    world.stop().await;
}

async fn of_members(moved: &mut Moved) {
    let portal = with_members(free_port());
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let sign_in = async {
        let mut browser = world.browser();
        let callback = browser.sign_in_to_callback("/", "treasurer@harborclub.example").await;
        assert_eq!(browser.open_url(&callback).await.status, 503);
    };
    let families = ["anteport_members_total", "anteport_directory_call_duration_seconds"];
    moved.by(&world, sign_in, &families).await;
    world.stop().await;
}

async fn of_doors(moved: &mut Moved) {
    let portal = OPEN.replace("azure_only", "report_only").replace("/silent", "/login").leak();
    let mut world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let browser = world.browser();
    let password = async {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(browser.send("POST", "/login", &form, b"password=x").await.status, 200);
    };
    moved.by(&world, password, &["anteport_would_be_refused_total"]).await;
    world.portal.goes_down().await;
    let nobody = async {
        assert_eq!(browser.send("GET", "/", PAGE, b"").await.status, 502);
    };
    moved.by(&world, nobody, &["anteport_upstream_healthy"]).await;
    world.stop().await;
}

async fn of_keys(moved: &mut Moved) {
    let folder = Folder::new();
    let pem = || rcgen::KeyPair::generate().unwrap().serialize_pem();
    let first = pem();
    folder.write("signing", &first);
    folder.write("sealing", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let at = |name: &str| format!("{{ keys: [ {{ file: \"{}\" }} ] }}", folder.at(name).display());
    let plan =
        Plan { kept_sessions: Some(at("sealing")), signing: at("signing"), ..Plan::default() };
    let world = World::start_with(plan).await;
    let exchanged = async {
        world.clock.advance(Duration::from_secs(60));
        folder.write("signing", &format!("{first}{}", pem()));
        folder.write("sealing", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
        world.look_again.notify_one();
    };
    moved
        .by(
            &world,
            exchanged,
            &[
                "anteport_signing_keys",
                "anteport_signing_keys_read_timestamp_seconds",
                "anteport_sealing_keys_read_timestamp_seconds",
            ],
        )
        .await;
    eventually(async || world.metric("anteport_sealing_keys").await == 1.0).await;
    moved.0.insert("anteport_sealing_keys");
    world.stop().await;
}

async fn of_tls(moved: &mut Moved) {
    let collector = Collector::start("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let plan = Plan { top: collector.section(", sample: 1"), portal: OPEN, ..Plan::default() };
    let (world, certificate) = tls::world_with(plan).await;
    let shaken = async {
        tls::connect(&world, &certificate, b"http/1.1").await;
    };
    moved.by(&world, shaken, &["anteport_tls_handshakes_total"]).await;
    // As rcgen makes them: for ever, or nearly so.
    let ends = sums(&world.metrics().await)["anteport_tls_certificate_expiry_timestamp_seconds"];
    assert_eq!(ends, 67_090_118_400.0, "4096-01-01");
    moved.0.insert("anteport_tls_certificate_expiry_timestamp_seconds");
    let request = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tls::connect(&world, &certificate, b"http/1.1").await;
        let host = world.proxy;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    moved.by(&world, request, &["anteport_trace_spans_dropped_total"]).await;
    world.stop().await;
}

async fn of_configuration(moved: &mut Moved) {
    let world = World::start_with(Plan { portal: OPEN, ..Plan::default() }).await;
    let is = async |series: &str| world.metrics().await.contains(&format!("\n{series} 1\n"));
    let fingerprint = async || {
        let text = world.metrics().await;
        text.split("anteport_config_info{").nth(1).unwrap()[..24].to_owned()
    };
    let before = fingerprint().await;
    let another = async {
        world.clock.advance(Duration::from_secs(60));
        world.configure("access: public", "access: signed_in");
        world.reload().await.unwrap();
    };
    let families =
        ["anteport_config_last_reload_timestamp_seconds", "anteport_config_reloads_total"];
    moved.by(&world, another, &families).await;
    let after = fingerprint().await;
    assert_ne!(before, after);
    moved.0.insert("anteport_config_info");
    let unusable = async {
        world.configure("access: signed_in", "access: everybody");
        world.reload().await.unwrap_err();
    };
    moved.by(&world, unusable, &["anteport_config_last_reload_successful"]).await;
    assert!(is("anteport_config_reloads_total{outcome=\"refused\"}").await);
    assert_eq!(fingerprint().await, after, "that before is in force");
    world.stop().await;
}

#[tokio::test]
async fn each_metric_of_the_page_moves_for_the_event_that_it_names() {
    let mut moved = Moved::default();
    of_requests(&mut moved).await;
    of_sessions(&mut moved).await;
    of_members(&mut moved).await;
    of_doors(&mut moved).await;
    of_keys(&mut moved).await;
    of_tls(&mut moved).await;
    of_configuration(&mut moved).await;

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (family, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{family}: {file} has no {test}");
        assert!(text.contains(family), "{file} does not name {family}");
    }
    let page = include_str!("../../docs/metrics.md");
    let mut documented = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let name = cells[0].trim_start_matches("| `").trim_end_matches('`');
        let is_family = ["counter, ", "gauge, ", "histogram, "];
        if is_family.iter().any(|kind| cells[1].starts_with(kind)) {
            documented.insert(name.split('{').next().unwrap());
        }
    }
    assert!(documented.len() > 50, "{documented:?}");
    for family in &documented {
        let is_elsewhere = ELSEWHERE.iter().any(|(known, ..)| known == family);
        let is_shown = moved.0.contains(family) || is_elsewhere || FIXED.contains(family);
        assert!(is_shown, "{family} has no event here: make it happen, or name the test that does");
    }
    for family in moved.0.iter().chain(ELSEWHERE.iter().map(|(family, ..)| family)) {
        assert!(documented.contains(family), "{family} is not in docs/metrics.md");
    }
}
