//! Traces, as a collector and a portal get them: spans with the names of OpenTelemetry, W3C context
//! on both sides, and nothing that a collector does or does not do is felt by a visitor.

use std::time::{Duration, Instant};

use crate::world::collector::{Collector, Span, TAKEN};
use crate::world::patience::eventually;
use crate::world::{Plan, World};

const THEIRS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const THEIR_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const THEIR_SPAN: &str = "b7ad6b7169203331";

fn plan(collector: &Collector, more: &str) -> Plan {
    Plan { top: collector.section(more), ..Plan::default() }
}

/// The span of the one request for this path.
fn of_path<'a>(spans: &'a [Span], path: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.attribute("url.path") == Some(path));
    let span = found.next().unwrap_or_else(|| panic!("no span for {path}: {spans:?}"));
    assert!(found.next().is_none(), "one span a request: {path}");
    span
}

fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let parent = parent.text("spanId");
    spans.iter().filter(|span| span.text("parentSpanId") == parent).collect()
}

#[tokio::test]
async fn a_sign_in_and_what_it_asks_for_are_spans_that_belong_together() {
    let collector = Collector::start(TAKEN).await;
    let world = World::start_with(plan(&collector, ", sample: 1, service: members-gate")).await;
    let mut browser = world.browser();
    let callback = browser
        .sign_in_to_callback("/reports?year=canary-of-a-query", "treasurer@harborclub.example")
        .await;
    let landed = browser.open_url(&callback).await;
    let landed = browser.follow_from(landed).await;
    assert_eq!(landed.status, 200);
    let told = world.portal.last().header("traceparent").unwrap().to_owned();
    assert_eq!(browser.open("/a%2Fb").await.status, 400);
    assert_eq!(browser.open("/close").await.status, 502);
    world.stop().await;

    let spans = collector.spans();
    let page = spans
        .iter()
        .find(|span| {
            span.attribute("url.path") == Some("/reports")
                && span.attribute("decision") == Some("forward")
        })
        .unwrap();
    assert_eq!(page.0["kind"], 2);
    assert_eq!((page.text("name"), page.text("parentSpanId")), ("GET", ""));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("server.address", "127.0.0.1"),
        ("server.port", &*landed.url.port().unwrap().to_string()),
        ("http.response.status_code", "200"),
        ("decision", "forward"),
        ("request.id", landed.header("x-request-id").unwrap()),
    ] {
        assert_eq!(page.attribute(name), Some(value), "{name}");
    }
    assert_eq!(page.attribute("error.type"), None);
    let steps = children(&spans, page);
    assert_eq!(steps.len(), 1, "{steps:?}");
    let portal = steps[0];
    assert_eq!(
        (&portal.0["kind"], portal.attribute("http.response.status_code")),
        (&3.into(), Some("200"))
    );
    let expected = format!("00-{}-{}-01", page.text("traceId"), portal.text("spanId"));
    assert_eq!(told, expected, "the portal's spans belong to our wait for it");

    let back = of_path(&spans, "/.auth/login/corporate/callback");
    let steps = children(&spans, back);
    let token = steps.iter().find(|step| step.text("name") == "provider token").unwrap();
    assert_eq!(token.attribute("provider"), Some("corporate"));
    assert_eq!(token.text("traceId"), back.text("traceId"));
    let nanos = |span: &Span, name: &str| span.text(name).parse::<u64>().unwrap();
    assert!(nanos(back, "startTimeUnixNano") <= nanos(token, "startTimeUnixNano"));
    assert!(nanos(token, "startTimeUnixNano") < nanos(token, "endTimeUnixNano"));
    assert!(nanos(token, "endTimeUnixNano") <= nanos(back, "endTimeUnixNano"));

    let broken = of_path(&spans, "/close");
    assert_eq!(broken.0["status"]["code"], 2);
    assert_eq!(broken.attribute("error.type"), Some("upstream-broken"));
    let portal = children(&spans, broken)[0];
    assert_eq!(portal.attribute("error.type"), Some("upstream-broken"));
    assert_eq!(portal.attribute("http.response.status_code"), None, "it was ours");
    let refused =
        spans.iter().find(|span| span.attribute("code") == Some("path-encoded-separator")).unwrap();
    assert_eq!(refused.attribute("error.type"), Some("path-encoded-separator"));
    assert_eq!((refused.attribute("url.path"), refused.0.get("status")), (None, None));

    let posted = collector.posted();
    let resource = posted[0].body["resourceSpans"][0]["resource"].to_string();
    assert!(resource.contains("members-gate"), "{resource}");
    assert!(posted[0].head.starts_with("POST /v1/traces HTTP/1.1"));
    let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1;
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1;
    for one in &posted {
        let all = one.body.to_string();
        for canary in ["canary", &*code, &*state, "treasurer", "?"] {
            assert!(!all.contains(canary), "LOG-01: {canary} in {all}");
        }
    }
}

#[tokio::test]
async fn what_a_visitor_says_of_traces_is_not_believed() {
    let collector = Collector::start(TAKEN).await;
    let world = World::start_with(plan(&collector, ", sample: 1")).await;
    let browser = world.browser();
    let theirs = [("traceparent", THEIRS), ("tracestate", "a=b")];
    assert_eq!(browser.send("GET", "/public/a", &theirs, b"").await.status, 200);
    let told = world.portal.last();
    let ours = told.header("traceparent").unwrap();
    assert!(!ours.contains(THEIR_TRACE) && ours.ends_with("-01"), "{ours}");
    assert_eq!(told.header("tracestate"), None, "it belongs to the other");
    let two = [("traceparent", THEIRS), ("traceparent", THEIRS)];
    assert_eq!(browser.send("GET", "/public/b", &two, b"").await.status, 200);
    assert_eq!(world.portal.last().all("traceparent").len(), 1);
    world.stop().await;
    assert!(!collector.spans().iter().any(|span| span.text("traceId") == THEIR_TRACE));
}

#[tokio::test]
async fn a_request_that_is_not_traced_goes_on_as_it_came() {
    let collector = Collector::start(TAKEN).await;
    let world = World::start_with(plan(&collector, ", sample: 0")).await;
    let browser = world.browser();
    let theirs = [("traceparent", THEIRS), ("tracestate", "a=b")];
    assert_eq!(browser.send("GET", "/public/a", &theirs, b"").await.status, 200);
    let told = world.portal.last();
    assert_eq!(
        (told.header("traceparent"), told.header("tracestate")),
        (Some(THEIRS), Some("a=b"))
    );
    assert_eq!(browser.send("GET", "/public/a", &[], b"").await.status, 200);
    assert_eq!(world.portal.last().header("traceparent"), None);
    world.stop().await;
    assert!(collector.posted().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn fwd_02_a_proxy_of_ours_decides_what_is_traced() {
    let collector = Collector::start(TAKEN).await;
    for (sample, flag, is_traced) in
        [("0", "-01", true), ("1", "-00", false), ("0", "-00", false), ("1", "-01", true)]
    {
        let more = format!(", sample: {sample}");
        let trusted = ", trusted_proxies: [127.0.0.1]";
        let world = World::start_with(Plan { listen: trusted, ..plan(&collector, &more) }).await;
        let theirs = THEIRS.replace("-01", flag);
        let headers = [("traceparent", &*theirs), ("tracestate", "a=b")];
        let path = format!("/public/{sample}{flag}");
        let answer = world.browser().send("GET", &path, &headers, b"").await;
        assert_eq!(answer.status, 200);
        let told = world.portal.last();
        assert_eq!(told.header("tracestate"), Some("a=b"), "it is still theirs");
        world.stop().await;
        let spans = collector.spans();
        let ours = spans.iter().find(|span| span.attribute("url.path") == Some(&path));
        assert_eq!(ours.is_some(), is_traced, "{sample} {flag}");
        match ours {
            Some(ours) => {
                assert_eq!(ours.text("traceId"), THEIR_TRACE);
                assert_eq!(ours.text("parentSpanId"), THEIR_SPAN);
                let waited = children(&spans, ours)[0].text("spanId").to_owned();
                let expected = format!("00-{THEIR_TRACE}-{waited}-01");
                assert_eq!(told.header("traceparent"), Some(&*expected));
            }
            None => assert_eq!(told.header("traceparent"), Some(&*theirs)),
        }
    }
}

/// The spans that the collector does not have, by why.
async fn dropped(world: &World, reason: &str) -> f64 {
    let series = format!("anteport_trace_spans_dropped_total{{reason=\"{reason}\"}}");
    world.metric(&series).await
}

#[tokio::test]
async fn rel_09_a_collector_that_is_down_costs_spans_and_no_request() {
    let gone = Collector::start(TAKEN).await.address;
    let section = format!("traces: {{ endpoint: \"http://{gone}/v1/traces\", sample: 1 }}").leak();
    let world = World::start_with(Plan { top: section, ..Plan::default() }).await;
    let browser = world.browser();
    for _ in 0..20 {
        assert_eq!(browser.send("GET", "/public/a", &[], b"").await.status, 200);
    }
    let lost = async {
        while dropped(&world, "unreachable").await < 40.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), lost).await.expect("each request has two spans");
    assert_eq!(browser.send("GET", "/public/a", &[], b"").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn rel_09_a_collector_that_never_answers_costs_spans_and_holds_up_no_stop() {
    let collector = Collector::start("").await;
    let world = World::start_with(plan(&collector, ", sample: 1")).await;
    let browser = world.browser();
    for _ in 0..20 {
        assert_eq!(browser.send("GET", "/public/a", &[], b"").await.status, 200);
    }
    collector.is_asked().await;
    for _ in 0..20 {
        assert_eq!(browser.send("GET", "/public/a", &[], b"").await.status, 200);
    }
    let stopping = Instant::now();
    world.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(8), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn rel_09_what_a_collector_answers_is_believed_of_its_spans_alone() {
    for (answer, sent, refused) in [
        (TAKEN, 2.0, 0.0),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 0.0, 2.0),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            0.0,
            2.0,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}\n",
            1.0,
            1.0,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"9999999\"}}",
            0.0,
            2.0,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 2.0, 0.0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", 2.0, 0.0),
    ] {
        let collector = Collector::start(answer).await;
        let world = World::start_with(plan(&collector, ", sample: 1")).await;
        assert_eq!(world.browser().send("GET", "/public/a", &[], b"").await.status, 200);
        let told = async {
            while world.metric("anteport_trace_spans_sent_total").await != sent
                || dropped(&world, "refused").await != refused
            {
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), told).await;
        told.unwrap_or_else(|_| panic!("{answer}"));
        assert_eq!(dropped(&world, "unreachable").await, 0.0);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_collector_asks_for_comes_along_and_is_shown_nowhere() {
    let collector = Collector::start(TAKEN).await;
    let headers = ", sample: 1, headers: { Authorization: { value: \"Bearer canary-of-a-key\" } }";
    let world = World::start_with(plan(&collector, headers)).await;
    assert_eq!(world.browser().send("GET", "/public/a", &[], b"").await.status, 200);
    assert!(!world.metrics().await.contains("canary"));
    world.stop().await;
    let head = &collector.posted()[0].head;
    assert!(head.to_lowercase().contains("authorization: bearer canary-of-a-key"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
}

#[tokio::test]
async fn cfg_02_what_is_traced_changes_with_the_configuration_and_no_span_is_lost() {
    let (first, second) = (Collector::start(TAKEN).await, Collector::start(TAKEN).await);
    let world = World::start_with(plan(&first, ", sample: 1")).await;
    let browser = world.browser();
    assert_eq!(browser.send("GET", "/public/first", &[], b"").await.status, 200);
    // To somebody else from now on; what waits goes where it was to go.
    world.configure(&first.address.to_string(), &second.address.to_string());
    world.reload().await.unwrap();
    assert_eq!(browser.send("GET", "/public/second", &[], b"").await.status, 200);
    world.configure("sample: 1", "sample: 0");
    world.reload().await.unwrap();
    assert_eq!(browser.send("GET", "/public/none", &[], b"").await.status, 200);
    let paths = |collector: &Collector| {
        let spans = collector.spans().into_iter();
        spans.filter_map(|span| span.attribute("url.path").map(str::to_owned)).collect::<Vec<_>>()
    };
    eventually(async || !paths(&first).is_empty() && !paths(&second).is_empty()).await;
    world.stop().await;
    assert_eq!(paths(&first), ["/public/first"]);
    assert_eq!(paths(&second), ["/public/second"]);
}
