//! The binary as an operator and an SRE meet it: started, asked, read and stopped.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anteport::demo::Ports;
use ask::ask;
use folder::Folder;
use microsoft::{microsoft, providers};
use ports::free_ports;

#[path = "kit/ask.rs"]
mod ask;
#[path = "proxy/world/browser.rs"]
#[allow(dead_code, unreachable_pub, clippy::indexing_slicing)]
mod browser;
#[path = "kit/folder.rs"]
mod folder;
#[path = "kit/microsoft.rs"]
mod microsoft;
#[path = "binary/mistaken.rs"]
mod mistaken;
#[path = "kit/ports.rs"]
mod ports;
#[path = "binary/reload.rs"]
mod reload;

const BINARY: &str = env!("CARGO_BIN_EXE_anteport");

/// The ports of everybody, from the first on.
const fn ports(first: u16) -> Ports {
    Ports { proxy: first, microsoft: first + 3, portal: first + 2, admin: first + 1 }
}

fn config(first: u16) -> String {
    let Ports { proxy, microsoft, portal, admin } = ports(first);
    let providers = providers(microsoft);
    format!(
        r#"
listen: {{ address: "127.0.0.1:{proxy}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
{providers}
portals:
  - public_url: "http://127.0.0.1:{proxy}"
    upstream: {{ url: "http://127.0.0.1:{portal}" }}
    local_login: {{ login_pages: [/login], password_routes: [ {{ path: /login }} ] }}
    routes: [ {{ path: "/public/**", access: public }}, {{ path: "/**", access: signed_in }} ]
"#
    )
}

fn run(config: &Path) -> Child {
    Command::new(BINARY)
        .args(["run", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Stops a process as an operator would, and waits for its end.
fn stop(child: &mut Child, signal: &str) -> ExitStatus {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    child.wait().unwrap()
}

#[test]
fn log_01_03_one_access_event_a_request_and_nothing_secret_in_it() {
    let folder = Folder::new();
    let first = free_ports(4);
    let mut child = run(&folder.write("config.yaml", &config(first)));
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("\"ready\"")) {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
        lines.push(line);
    }
    let answers = [
        ask(first, "GET /public/page?canary-of-the-query HTTP/1.1\r\nCookie: a=canary-of-a-cookie"),
        ask(first, "GET /reports?canary-of-the-query HTTP/1.1\r\nAccept: text/html"),
        ask(
            first,
            "POST /login HTTP/1.1\r\nContent-Length: 25\r\nAuthorization: canary-of-a-credential",
        ),
        ask(
            first,
            "GET /.auth/login/corporate/callback?code=canary-of-a-code&state=canary HTTP/1.1",
        ),
    ];
    let statuses: Vec<_> = answers.iter().map(|answer| answer.get(9..12).unwrap()).collect();
    assert_eq!(statuses, ["502", "503", "403", "400"]);
    assert!(
        ask(first + 1, "GET /readyz HTTP/1.1").contains("200 OK"),
        "an outage there is not ours"
    );
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    lines.extend(rest.lines().map(str::to_owned));
    let events: Vec<serde_json::Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| event["target"] == "anteport::access")
        .collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["url.path"].as_str().unwrap(),
                event["decision"].as_str().unwrap(),
                event["http.response.status_code"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("/public/page", "forward", 502),
            ("/reports", "refuse", 503),
            ("/login", "refuse", 403),
            ("/.auth/login/corporate/callback", "refuse", 400),
        ]
    );
    for (event, answer) in events.iter().zip(&answers) {
        assert!(answer.contains(event["request.id"].as_str().unwrap()), "the page names the line");
        assert!(event["code"].as_str().unwrap().contains('-') && event["duration_ms"].is_number());
    }
    let all = lines.join("\n");
    assert!(!all.contains("canary"), "{all}");
    assert!(!all.contains("request_id"), "one name in all streams: {all}");
    let unanswered = lines.iter().find(|line| line.contains("the portal did not answer")).unwrap();
    assert!(unanswered.contains(events[0]["request.id"].as_str().unwrap()), "{unanswered}");
    assert_eq!(all.matches("password-route-refused").count(), 1, "one audit event");
    assert_eq!(all.matches("\"login-failed\"").count(), 2, "one line a failed login");
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn oidc_16_the_log_says_what_microsoft_refused_and_what_to_do() {
    let folder = Folder::new();
    let first = free_ports(4);
    let microsoft = microsoft(&ports(first));
    let mut child = run(&folder.write("config.yaml", &config(first)));
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"ready\"") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
    }
    microsoft.authorize_error(
        "unsupported_response_type",
        None,
        Some(
            "AADSTS700054: canary of the text\r\nTrace ID: 0d1f-1\r\nCorrelation ID: 9b3e-2\r\n\
             Timestamp: 2026-03-02 08:15:30Z",
        ),
    );
    let off = ask(first, "GET /reports HTTP/1.1\r\nAccept: text/html");
    let cookie = header(&off, "set-cookie").split(';').next().unwrap();
    let there = header(&off, "location").split_once(&format!(":{}", first + 3)).unwrap().1;
    let back = ask(first + 3, &format!("GET {there} HTTP/1.1"));
    let back = header(&back, "location").split_once(&format!(":{first}")).unwrap().1;
    let page = ask(first, &format!("GET {back} HTTP/1.1\r\nAccept: text/html\r\nCookie: {cookie}"));
    assert!(page.starts_with("HTTP/1.1 500"), "{page}");
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    let failed = rest.lines().find(|line| line.contains("\"login-failed\"")).unwrap();
    let failed: serde_json::Value = serde_json::from_str(failed).unwrap();
    for (name, value) in [
        ("code", "login-misconfigured"),
        ("provider.code", "AADSTS700054"),
        ("provider.correlation_id", "9b3e-2"),
        ("provider.trace_id", "0d1f-1"),
        ("provider.time", "2026-03-02 08:15:30Z"),
    ] {
        assert_eq!(failed[name], value, "{failed}");
    }
    let advice = failed["advice"].as_str().unwrap();
    assert!(advice.contains("implicit grant") && advice.contains("> Authentication"), "{advice}");
    assert!(!rest.contains("canary"), "{rest}");
}

#[test]
fn a_configuration_with_errors_is_refused_with_78_and_all_of_them() {
    let folder = Folder::new();
    let text = config(free_ports(4)).replace("mode", "mood").replace("tenant:", "tenent:");
    let text = text.replace("access: public", "acess: public");
    let output = run(&folder.write("config.yaml", &text)).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    for wanted in
        ["tenent", "did you mean `tenant`", "acess", "did you mean `access`", "config.yaml:7:"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn an_address_in_use_is_said_and_ends_with_1() {
    let folder = Folder::new();
    let first = free_ports(4);
    let taken = TcpListener::bind(("127.0.0.1", first + 1)).unwrap();
    let output = run(&folder.write("config.yaml", &config(first))).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("admin.address") && said.contains("in use"), "{said}");
    drop(taken);
}

#[test]
fn the_demo_is_ready_on_four_ports_and_stops_on_both_signals() {
    for signal in ["-INT", "-TERM"] {
        let first = free_ports(4);
        let mut child = Command::new(BINARY)
            .args(["demo", "--port", &first.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("Anteport demo is ready"), "{line}");
        for port in first..first + 4 {
            TcpStream::connect(("127.0.0.1", port)).unwrap();
        }
        assert!(ask(first, "GET /reports?year=2026 HTTP/1.1\r\nAccept: text/html").contains("303"));
        assert_eq!(stop(&mut child, signal).code(), Some(0));
    }
}

#[test]
fn a_demo_whose_port_is_taken_says_which() {
    let first = free_ports(4);
    let taken = TcpListener::bind(("127.0.0.1", first + 2)).unwrap();
    let output =
        Command::new(BINARY).args(["demo", "--port", &first.to_string()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("port {}", first + 2)) && said.contains("--port"), "{said}");
    drop(taken);
}

fn anteport(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn explain_says_route_rule_and_what_would_be_sent() {
    let folder = Folder::new();
    let file = folder.write("config.yaml", &config(free_ports(4)));
    let file = file.to_str().unwrap();
    let explain = |more: &[&str]| {
        let (code, said, complained) = anteport(&[&["explain", "--config", file], more].concat());
        assert_eq!((code, complained.as_str()), (Some(0), ""), "{said}");
        said
    };
    let said = explain(&["POST", "/%4cogin/", "--form", "a=b"]);
    for wanted in [
        "path            /Login/\n",
        "compared as     /login\n",
        "password route  `/login`: path /login\n",
        "route           2 of 2: /** signed_in\n",
        "refused: the portal's own password sign-in is closed (local-login-blocked)\n",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let header = ["--header", "X-Anteport-Assertion: x", "--header", "Accept: text/html"];
    let said = explain(&[&["GET", "/reports?a=1"][..], &header].concat());
    for wanted in [
        "stranger        signs in first, and comes back\n",
        "member          goes to the portal with identity\n",
        "sent            GET /reports?a=1 HTTP/1.1\n",
        "                accept: text/html\n",
        "of a member     x-anteport-assertion\n",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains("assertion: x"), "a forged header is not sent: {said}");
    assert!(explain(&["GET", "/a%2Fb"]).contains("(path-encoded-separator)"));
    assert!(explain(&["OPTIONS", "*"]).contains("answered by a page of ours"));
    assert!(explain(&["GET", "http://elsewhere.example/"]).contains("(host-unknown)"));
    let (code, _, complained) =
        anteport(&["explain", "--config", file, "GET", "/", "--header", "x"]);
    assert_eq!(code, Some(1));
    assert!(complained.contains("write it as `Name: value`"), "{complained}");
}

#[test]
fn explain_says_what_is_required_and_what_becomes_of_a_member() {
    let folder = Folder::new();
    let line = "{ path: \"/**\", access: signed_in }";
    let vault = "{ path: \"/vault/**\", access: signed_in, \
                 requires: { roles: [Board, Treasurer], authentication_context: c1 } }";
    let text = config(free_ports(4));
    assert!(text.contains(line), "{text}");
    let file = folder.write("config.yaml", &text.replace(line, &format!("{vault}, {line}")));
    let file = file.to_str().unwrap();
    let explain = |claims: Option<&str>, path: &str| {
        let claims = claims.map(|claims| folder.write("claims.json", claims));
        let mut arguments = vec!["explain", "--config", file, "GET", path];
        arguments.extend(["--header", "Accept: text/html"]);
        if let Some(claims) = &claims {
            arguments.extend(["--claims", claims.to_str().unwrap()]);
        }
        let (code, said, complained) = anteport(&arguments);
        (code, said + &complained)
    };
    let has = |(code, said): (Option<i32>, String), wanted: &str| {
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
    };
    let needs = "requires        roles Board or Treasurer; authentication_context c1 (line 2)\n";
    has(explain(None, "/Vault/x"), needs);
    has(explain(None, "/vault/x"), "goes to the portal with identity, with what is required\n");
    let nobody = r#"{ "tid": "t", "oid": "o", "roles": ["Member"] }"#;
    has(explain(Some(nobody), "/vault/x"), "requires (role-missing)\n");
    has(explain(Some(nobody), "/x"), "with these claims goes to the portal with identity\n");
    let board = r#"{ "iss": "i", "sub": "s", "roles": ["Board"] }"#;
    has(explain(Some(board), "/vault/x"), "with these claims signs in in the context c1\n");
    let strong = r#"{ "iss": "i", "sub": "s", "roles": ["Board"], "acrs": ["c1"] }"#;
    has(explain(Some(strong), "/vault/x"), "with these claims goes to the portal with identity\n");
    let large = " ".repeat(1024 * 1024 + 1);
    for (claims, why) in [
        ("[]", "is not a JSON object"),
        ("{}", "names nobody"),
        (&large, "cannot be read: it is larger than 1048576 bytes"),
    ] {
        let (code, said) = explain(Some(claims), "/");
        assert_eq!(code, Some(1));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn explain_says_what_the_portal_is_told_of_a_member_and_what_refuses_them() {
    let folder = Folder::new();
    let line = "{ path: \"/**\", access: signed_in }";
    let text = config(free_ports(4));
    let text = text.replace(
        line,
        &format!("{{ path: \"/api/**\", access: signed_in, identity: [X-Auth-Login] }}, {line}"),
    );
    let at = text.find("    local_login:").unwrap();
    let headers = "    identity:\n      headers:\n        \
                   X-Auth-Login: { claim: upn, transform: [lower, { before: \"@\" }] }\n        \
                   X-Auth-Roles: { claim: roles, join: \";\" }\n";
    let text = format!("{}{headers}{}", &text[..at], &text[at..]);
    let file = folder.write("config.yaml", &text);
    let file = file.to_str().unwrap();
    let explain = |claims: &str, path: &str| {
        let claims = folder.write("claims.json", claims);
        let claims = claims.to_str().unwrap();
        let (code, said, complained) =
            anteport(&["explain", "--config", file, "--claims", claims, "GET", path]);
        assert_eq!((code, complained.as_str()), (Some(0), ""), "{said}");
        said
    };
    let good = r#"{ "tid": "t", "oid": "o", "upn": "Ines@x.example", "roles": ["a;b", "ł"] }"#;
    let said = explain(good, "/x");
    let told = "of a member     x-anteport-assertion, x-auth-login, x-auth-roles\n\
                \x20               x-auth-login: ines\n\
                \x20               x-auth-roles: a%3Bb;%C5%82\n\
                \x20               x-anteport-assertion: a token that says {";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("\"sub\":\"t.o\"") && !said.contains("eyJ"), "{said}");
    let said = explain(good, "/api/x");
    let told = "of a member     x-auth-login\n                x-auth-login: ines\nin all          ";
    assert!(said.contains(told) && !said.contains("a token"), "{said}");
    let said = explain(r#"{ "tid": "t", "oid": "o", "upn": "canary" }"#, "/x");
    let why = "but cannot sign in: `before: \"@\"` of header `x-auth-login` does not apply to what \
               claim `upn` says (identity-claim-transform)\n";
    assert!(said.contains(why) && !said.contains("canary"), "{said}");
}

#[test]
fn explain_says_what_presets_would_tell_and_how_large_all_of_it_is() {
    let folder = Folder::new();
    let text = config(free_ports(4));
    let at = text.find("    local_login:").unwrap();
    let explain = |identity: &str, claims: &str| {
        let identity = format!("    identity:\n      {identity}\n");
        let text = format!("{}{identity}{}", &text[..at], &text[at..]);
        let (file, claims) = (folder.write("config.yaml", &text), folder.write("c.json", claims));
        let (file, claims) = (file.to_str().unwrap(), claims.to_str().unwrap());
        let cookie = ["--header", "Cookie: a=1; CF_Authorization=canary"];
        let asked = ["explain", "--config", file, "--claims", claims, "GET", "/x"];
        let (code, said, complained) = anteport(&[&asked[..], &cookie].concat());
        assert_eq!((code, complained.as_str()), (Some(0), ""), "{said}");
        said
    };
    let access = "preset: cloudflare_access\n      only_way_in: true\n      \
                  cloudflare_access: { audience: a }\n      signature: {}\n      \
                  addresses_are_theirs: true";
    let ines = r#"{ "tid": "t", "oid": "o", "email": "ines@x.example" }"#;
    let said = explain(access, ines);
    for wanted in [
        "cf-access-jwt-assertion: a token that says {",
        "\"aud\":[\"a\"]",
        "cf-access-authenticated-user-email: ines@x.example\n",
        "no cookie of a preset's gate",
        " bytes of 5120, with what signs a request\n",
        "cookie: a=1\n",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains("canary") && !said.contains("eyJ"), "{said}");
    let many: Vec<String> = (0..200).map(|group| format!("\"group-{group:030}\"")).collect();
    let many = format!("{{ \"tid\": \"t\", \"oid\": \"o\", \"groups\": [{}] }}", many.join(","));
    let said = explain("headers: { X-Auth-Groups: groups }", &many);
    assert!(
        said.contains("but cannot sign in: ") && said.contains("(identity-too-large)"),
        "{said}"
    );
    let comma =
        r#"{ "tid": "t", "oid": "o", "sub": "s", "preferred_username": "i", "groups": ["a,b"] }"#;
    let said = explain("preset: authelia\n      only_way_in: true", comma);
    assert!(said.contains("(identity-preset-value)"), "{said}");
}

#[test]
fn discover_proposes_rules_that_can_be_used() {
    let folder = Folder::new();
    let first = free_ports(4);
    let text = config(first).replace("    local_login:", "    mode: report_only\n    local_login:");
    let file = folder.write("config.yaml", &text);
    let mut child = run(&file);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"ready\"") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let file = file.to_str().unwrap();
    let (_, said, _) = anteport(&["discover", "--config", file]);
    assert!(said.starts_with("# No request has carried a password"), "{said}");
    // Nobody listens where the portal would be, which discovers as well.
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14";
    for target in ["/members/7/session", "/login"] {
        let mut stream = TcpStream::connect(("127.0.0.1", first)).unwrap();
        let head = format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{first}\r\n{form}\r\n");
        let request = format!("{head}Connection: close\r\n\r\nu=a&pwd=canary");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    }
    ask(first, "GET /dav HTTP/1.1\r\nAuthorization: Basic Y2FuYXJ5");
    let (code, said, _) = anteport(&["discover", "--config", file]);
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    assert_eq!(code, Some(0));
    assert!(!said.contains("canary") && !said.contains("Y2Fu"), "{said}");
    for wanted in [
        "- { path: \"/members/*/session\", methods: [POST], form: { \"pwd\": \"*\" } }",
        "- { path: \"/dav\", headers: { Authorization: \"Basic *\" } }",
        "# `/login` would refuse POST /login (1 request)",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    // What is proposed can be pasted.
    let rules: String = said.lines().map(|line| format!("    {line}\n")).collect();
    let pasted = config(first);
    let own = pasted.lines().find(|line| line.contains("local_login")).unwrap();
    let checked = folder.write("pasted.yaml", &pasted.replace(own, rules.trim_end()));
    let (code, _, complained) = anteport(&["check", "--config", checked.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{complained}");
}

/// The log of a process, line by line.
struct Log(BufReader<std::process::ChildStderr>);

impl Log {
    /// The first line that has this in it, and all before it.
    fn until(&mut self, wanted: &str) -> String {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.contains(wanted)) {
            assert!(self.0.read_line(&mut said).unwrap() > 0, "it ended without {wanted}: {said}");
        }
        said
    }

    fn rest(&mut self) -> String {
        let mut said = String::new();
        self.0.read_to_string(&mut said).unwrap();
        said
    }
}

fn up(config: &Path) -> (Child, Log) {
    let mut child = run(config);
    let mut log = Log(BufReader::new(child.stderr.take().unwrap()));
    log.until("\"ready\"");
    (child, log)
}

#[test]
fn sess_09_a_member_does_not_notice_a_planned_restart() {
    use std::os::unix::fs::PermissionsExt as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let folder = Folder::new();
    let first = free_ports(4);
    let _microsoft = microsoft(&ports(first));
    let write_key = |byte: u8| folder.write("key", &STANDARD.encode([byte; 32]));
    write_key(1);
    write_key(2);
    std::fs::copy(folder.at("key"), folder.at("other")).unwrap();
    write_key(1);
    let sessions = "sessions: { keys: [{ file: key }, { file: other }], snapshot: sessions }\n";
    let file = folder.write("config.yaml", &(config(first) + sessions));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ada = browser::Browser::new(format!("http://127.0.0.1:{first}"));
    // There is no portal, so whoever may pass gets a 502, and everybody else is sent to sign in.
    let open = |browser: &mut browser::Browser| runtime.block_on(browser.open("/reports")).status;

    let (mut child, mut log) = up(&file);
    let landed = runtime.block_on(ada.sign_in("/reports", "treasurer@harborclub.example"));
    assert_eq!(landed.status, 502, "{}", landed.text());
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let said = log.rest();
    assert!(said.contains("the snapshot is written") && said.contains("\"sessions\":1"), "{said}");
    let snapshot = folder.at("sessions");
    assert_eq!(std::fs::metadata(&snapshot).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = std::fs::read(&snapshot).unwrap();
    assert!(!String::from_utf8_lossy(&copy).contains("harborclub"));

    let (mut child, mut log) = up(&file);
    log.until("sessions go on from the snapshot");
    assert_eq!(open(&mut ada), 502, "she is still signed in");
    assert!(!snapshot.exists());
    // The keys change places, which SIGHUP hurries along, and which ends nothing.
    let is_looked_at = |log: &mut Log, wanted: &str| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
        log.until(wanted)
    };
    std::fs::write(folder.at("other"), "canary of a key").unwrap();
    let said = is_looked_at(&mut log, "those before stay in force");
    assert!(!said.contains("canary"), "{said}");
    write_key(3);
    std::fs::write(folder.at("other"), STANDARD.encode([1; 32])).unwrap();
    let said = is_looked_at(&mut log, "sealing-keys-changed");
    assert!(said.contains("\"keys\":2"), "{said}");
    assert_eq!(open(&mut ada), 502);
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));

    // Under the new key; and then the first one again.
    let (mut child, mut log) = up(&file);
    log.until("sessions go on from the snapshot");
    assert_eq!(open(&mut ada), 502);
    assert_eq!(stop(&mut child, "-INT").code(), Some(0));
    // What one process refused the next one does not believe, however the first ended.
    let mode = |mode| {
        std::fs::set_permissions(&snapshot, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let (mut child, mut log) = up(&file);
    log.until("others can get at it");
    assert_eq!(open(&mut ada.clone()), 303);
    assert_eq!(stop(&mut child, "-KILL").code(), None);
    mode(0o600);
    let (mut child, mut log) = up(&file);
    log.until("another process has lived since");
    assert_eq!(open(&mut ada.clone()), 303);
    assert_eq!(stop(&mut child, "-INT").code(), Some(0));
    std::fs::write(&snapshot, &copy).unwrap();
    let (mut child, mut log) = up(&file);
    let said = log.until("the snapshot is refused");
    assert!(said.contains("read before"), "{said}");
    assert_eq!(open(&mut ada), 303, "a copy signs nobody in");
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    assert!(!log.rest().contains("harborclub"), "LOG-01");
}

/// Signs somebody in at the emulator as a browser does, and gives the session's cookie.
fn signed_in(first: u16) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut browser = browser::Browser::new(format!("http://127.0.0.1:{first}"));
    runtime.block_on(browser.sign_in("/reports", "treasurer@harborclub.example"));
    format!("__Host-anteport={}", browser.own_cookies().get("__Host-anteport").unwrap())
}

#[test]
fn sessions_are_listed_and_ended_from_a_command_line() {
    let folder = Folder::new();
    let first = free_ports(4);
    let _microsoft = microsoft(&ports(first));
    let file = folder.write("config.yaml", &config(first));
    let config = file.to_str().unwrap();
    let sessions = |more: &[&str]| {
        let (verb, more) = more.split_first().unwrap();
        anteport(&[&["sessions", verb, "--config", config], more].concat())
    };
    let (code, _, said) = sessions(&["list"]);
    assert_eq!(code, Some(69), "nobody is there: {said}");
    assert_eq!(sessions(&["revoke", "--session", "x"]).0, Some(69));
    let mut child = run(&file);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"ready\"") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
    }
    let (code, said, count) = sessions(&["list"]);
    assert_eq!((code, count.as_str()), (Some(0), "0 sessions\n"));
    assert!(said.starts_with("SESSION  SIGNED IN"), "{said}");
    let cookies = [signed_in(first), signed_in(first), signed_in(first)];
    let is_in = |cookie: &str| {
        // Nobody listens where the portal would be.
        let answer = ask(first, &format!("GET /reports HTTP/1.1\r\nCookie: {cookie}"));
        answer.starts_with("HTTP/1.1 502")
    };
    let who_is_in = || cookies.iter().filter(|cookie| is_in(cookie)).count();
    assert_eq!(who_is_in(), 3);
    let (code, said, count) = sessions(&["list", "--provider", "corporate"]);
    assert_eq!((code, said.lines().count(), count.as_str()), (Some(0), 4, "3 sessions\n"));
    assert!(!cookies.iter().any(|cookie| said.contains(&cookie["__Host-anteport=".len()..])));
    let (code, said, count) = sessions(&["list", "--format", "json"]);
    assert_eq!((code, count.as_str()), (Some(0), ""));
    assert_eq!(sessions(&["list", "--json"]).1.lines().count(), 3, "another spelling of it");
    let listed: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |name: &str| listed[0][name].as_str().unwrap();
    let (code, said, _) = sessions(&["revoke", "--session", text("session")]);
    assert_eq!((code, said.as_str()), (Some(0), "ended: 1 session\n"));
    assert_eq!(who_is_in(), 2);
    let (code, _, complained) = sessions(&["revoke", "--member", text("member")]);
    assert_eq!(code, Some(2), "nobody can be asked: {complained}");
    assert!(complained.contains("--yes") && who_is_in() == 2);
    let (code, said, _) = sessions(&["revoke", "--member", text("member"), "--yes"]);
    assert_eq!((code, said.as_str()), (Some(0), "ended: 2 sessions\n"));
    assert_eq!(who_is_in(), 0);
    let (code, said, _) = sessions(&["revoke", "--everybody", "--yes"]);
    assert_eq!((code, said.as_str()), (Some(0), "ended: 0 sessions\n"));
    let (code, said, complained) = sessions(&["revoke", "--session", "nope"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "ended: 0 sessions\n"),
        "it is over, whoever it was"
    );
    assert!(complained.starts_with("warning: no session has this handle now"), "{complained}");
    let (_, _, complained) = sessions(&["list", "--portal", "elsewhere.example"]);
    assert!(
        complained.contains(&format!("has one: 127.0.0.1:{first} (portal-unknown)")),
        "{complained}"
    );
    let (_, _, complained) = sessions(&["revoke", "--sid", "a", "--provider", "b"]);
    assert!(complained.contains(": corporate (provider-unknown)"), "{complained}");
    for (arguments, code, why) in [
        (&["revoke"][..], 2, "--session"),
        (&["revoke", "--session", "a", "--everybody", "--yes"], 2, "--session"),
        (&["revoke", "--sid", "a"], 2, "--provider"),
        (&["revoke", "--session", "a", "--provider", "b"], 2, "--"),
        (&["revoke", "--session", "a", "--before", "1"], 2, "--before"),
        (&["revoke", "--sid", "a", "--provider", "b"], 1, "provider-unknown"),
        (
            &["revoke", "--everybody", "--yes", "--before", "2999-01-01T00:00:00Z"],
            1,
            "moment-in-future",
        ),
        (&["revoke", "--everybody", "--yes", "--before", "noon"], 1, "(moment)"),
        (&["list", "--portal", "elsewhere.example"], 1, "portal-unknown"),
    ] {
        let (found, _, complained) = sessions(arguments);
        assert_eq!(found, Some(code), "{arguments:?} {complained}");
        assert!(complained.contains(why), "{arguments:?} {complained}");
    }
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    let audited: Vec<serde_json::Value> = rest
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| event["event.name"] == "session-revoked")
        .collect();
    assert_eq!(audited.len(), 3, "LOG-03: {rest}");
    for event in &audited {
        assert!(listed.iter().any(|known| known["session"] == event["session"]), "{event}");
        assert_eq!(event["member"], listed[0]["member"]);
    }
    assert_eq!(rest.matches("\"everybody-revoked\"").count(), 1);
    let refused = folder.write("refused.yaml", "admin: { address: x }");
    let (code, _, said) = anteport(&["sessions", "list", "--config", refused.to_str().unwrap()]);
    assert_eq!(code, Some(78), "{said}");
}

/// The same configuration with a way to the portal's own sign-in, and a switch of a part.
fn with_break_glass(first: u16) -> String {
    let portal = format!("  - public_url: \"http://127.0.0.1:{first}\"\n");
    let more =
        "    break_glass: { link: {}, networks: [192.0.2.7] }\n    rollout: { share: 100% }\n";
    config(first).replace(&portal, &format!("{portal}{more}"))
}

#[test]
fn log_01_03_a_break_glass_link_is_made_and_opened_and_all_of_it_is_told_but_the_link() {
    let folder = Folder::new();
    let first = free_ports(4);
    let plain = folder.write("plain.yaml", &config(first));
    let file = folder.write("config.yaml", &with_break_glass(first));
    let verb = |file: &Path, more: &[&str]| {
        anteport(&[&["break-glass", "--config", file.to_str().unwrap()], more].concat())
    };
    assert_eq!(verb(&file, &[]).0, Some(2), "a reason is wanted");
    let (code, _, complained) = verb(&file, &["--reason", "x"]);
    assert_eq!(code, Some(69), "nobody is there: {complained}");

    // Off unless it is switched on, and the answer says how.
    let (mut child, _log) = up(&plain);
    let (code, said, complained) = verb(&plain, &["--reason", "x"]);
    assert_eq!((code, said.as_str()), (Some(1), ""), "{complained}");
    assert!(complained.contains("break_glass: { link: {} }"), "{complained}");
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));

    let mut child = run(&file);
    let mut log = Log(BufReader::new(child.stderr.take().unwrap()));
    assert!(log.until("\"ready\"").contains("break_glass.networks is set"), "said at the start");
    let url = format!("http://127.0.0.1:{first}");
    let arguments = ["--portal", &url, "--reason", "ticket 123", "--by", "robin"];
    let (code, said, complained) = verb(&file, &arguments);
    assert_eq!(code, Some(0), "{complained}");
    let link = said.trim_end();
    assert!(link.starts_with(&format!("{url}/.auth/break-glass?link=")), "{said}");
    assert!(complained.contains("Only this node can open it"), "{complained}");
    let secret = link.split_once("link=").unwrap().1.to_owned();
    assert!(complained.contains(&secret), "to be typed in: {complained}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut browser = browser::Browser::new(url.clone());
    let page = runtime.block_on(browser.open(link));
    let opened = runtime.block_on(browser.fill(&page, 0, &[]));
    assert_eq!(opened.status, 200, "{}", opened.text());
    let cookie = browser.own_cookies().get("__Host-anteport-break-glass").unwrap().clone();
    // Nobody listens where the portal would be.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let door = runtime.block_on(browser.send("POST", "/login", &form, b"password=canary-word"));
    assert_eq!(door.status, 502, "{}", door.text());
    assert_eq!(runtime.block_on(browser.fill(&page, 0, &[])).status, 409);
    // Nobody has said who asks, nor has the environment: the user has a number all the same.
    let ended = Command::new(BINARY)
        .args(["break-glass", "--revoke", "--reason", "it is over", "--config"])
        .arg(&file)
        .env_remove("SUDO_USER")
        .env_remove("USER")
        .output()
        .unwrap();
    let (code, said) = (ended.status.code(), String::from_utf8(ended.stdout).unwrap());
    assert_eq!((code, said.contains("1 pass was in use")), (Some(0), true), "{said}");
    let door = runtime.block_on(browser.send("POST", "/login", &form, b"password=canary-word"));
    assert_eq!(door.status, 403, "{}", door.text());
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let rest = log.rest();
    assert!(!rest.contains(&secret) && !rest.contains(&cookie), "LOG-01: {rest}");
    assert!(!rest.contains("canary"), "{rest}");
    let events: Vec<serde_json::Value> = rest
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| {
            event["event.name"].as_str().is_some_and(|name| name.starts_with("break-glass-"))
        })
        .collect();
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            (
                text("event.name"),
                if text("cause").is_empty() { text("code") } else { text("cause") },
            )
        })
        .collect();
    assert_eq!(told[0], ("break-glass-made", "robin: ticket 123"));
    assert_eq!(told[1].0, "break-glass-opened");
    assert_eq!(told[2], ("break-glass-used", "`/login`, by link"));
    assert_eq!(told[3], ("break-glass-refused", "break-glass-used"));
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    assert_eq!(told[4], ("break-glass-ended", format!("uid {uid}: it is over").as_str()));
    assert_eq!(told.len(), 5, "{rest}");
    for event in events.iter().take(3) {
        assert_eq!(event["session"], events[0]["session"], "all by the name of the link");
    }
    assert_eq!(events[2]["client.address"], "127.0.0.1");
}

#[test]
fn check_and_explain_say_what_a_switch_and_a_broken_glass_do() {
    let folder = Folder::new();
    let first = free_ports(4);
    let text = with_break_glass(first).replace("share: 100%", "share: 25%, groups: [pilots]");
    let file = folder.write("config.yaml", &text);
    let file = file.to_str().unwrap();
    let (code, said, complained) = anteport(&["check", "--config", file]);
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("break_glass.networks[0]"), "{complained}");
    for line in [
        "azure_only for 25 % of visitors, and groups pilots",
        "break-glass by a link, good for 10 min, and 30 min for whoever opens it",
        "break-glass at any time from 192.0.2.7/32",
    ] {
        assert!(said.contains(line), "{said}");
    }
    for (method, target, lines) in [
        (
            "POST",
            "/login",
            &[
                "those left out  go to the portal, as in report_only",
                "break-glass     with a pass goes to the portal as nobody",
                "(local-login-blocked)",
            ][..],
        ),
        ("GET", "/reports", &["break-glass     with a pass goes to the portal as nobody"]),
        ("GET", "/public/x", &["break-glass     changes nothing"]),
        ("GET", "/.auth/break-glass", &["break-glass     changes nothing"]),
    ] {
        let (code, said, complained) = anteport(&["explain", "--config", file, method, target]);
        assert_eq!(code, Some(0), "{complained}");
        for line in lines {
            assert!(said.contains(line), "{line} in\n{said}");
        }
    }
}
