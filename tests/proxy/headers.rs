//! Header rules from the outside, with hostile inputs of many classes: raw bytes in, and what the
//! portal or the visitor got.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::browser::PAGE;
use crate::world::portal::Received;
use crate::world::{Plan, World};

const EVIL: &str = "evil-value";

/// Sends a request with these header lines, and reads the answer to its end.
async fn answer(world: &World, target: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let host = world.proxy;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What the portal got of a request for a public page.
async fn received(world: &World, lines: &str) -> Received {
    let answer = answer(world, "/public/x", lines).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{lines}: {answer}");
    world.portal.last()
}

/// The head of an answer to a visitor, where the portal's has these lines.
async fn passed_on(world: &World, lines: &str) -> String {
    let hex: String = lines.bytes().map(|byte| format!("{byte:02x}")).collect();
    let answer = answer(world, &format!("/say?{hex}"), "Accept: */*\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{lines}: {answer}");
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

#[tokio::test]
async fn hdr_01_what_connection_names_stays_here_and_frees_nothing_of_ours() {
    let world = World::start().await;
    for line in [
        "Connection: close, x-custom, x-user, cookie, host, x-forwarded-for, x-request-id",
        "Connection: X-Custom,Cookie,Host,X-Auth-User,X-Anteport-Assertion\r\nConnection: X-Forwarded-For",
        "Connection: ,, x-custom ,\tcookie\t, ,x-forwarded-host, x-forwarded-proto, accept",
        "Connection: keep-alive, X-CUSTOM, COOKIE, content-length, transfer-encoding",
    ] {
        let lines = format!(
            "{line}\r\nX-Custom: {EVIL}\r\nCookie: a={EVIL}\r\nX-User: {EVIL}\r\n\
             Keep-Alive: {EVIL}\r\nX-Forwarded-For: {EVIL}\r\nX-Kept: 1\r\n"
        );
        let got = received(&world, &lines).await;
        assert!(!format!("{got:?}").contains(EVIL), "{line}: {got:?}");
        assert_eq!(got.header("host"), Some(&*world.proxy.to_string()), "{line}");
        assert_eq!(got.header("x-forwarded-for"), Some("127.0.0.1"), "{line}");
        assert_eq!(got.header("x-forwarded-host"), Some(&*world.proxy.to_string()), "{line}");
        assert_eq!(got.header("x-kept"), Some("1"), "{line}");
        assert!(got.header("x-request-id").is_some(), "{line}");
    }
    // A member's identity cannot be named away.
    let member = world.treasurer().await;
    let name = "close, X-Auth-User, X-Anteport-Assertion, X-Auth-Email";
    member.send("GET", "/reports", &[PAGE, &[("connection", name)]].concat(), b"").await;
    let got = world.portal.last();
    assert!(got.line.starts_with("GET /reports"));
    assert!(got.header("x-auth-user").is_some() && got.header("x-anteport-assertion").is_some());
    assert!(got.header("x-auth-email").is_some());
    world.stop().await;
}

#[tokio::test]
async fn hdr_01_07_what_belongs_to_a_connection_stays_here() {
    let world = World::start().await;
    for name in [
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
        "Upgrade",
        "HTTP2-Settings",
        "Proxy",
    ] {
        let got = received(&world, &format!("{name}: {EVIL}\r\n")).await;
        assert!(!format!("{got:?}").contains(EVIL), "{name}: {got:?}");
    }
    world.stop().await;
}

/// Names by which other gates, servers and frameworks tell or rename something.
const FOREIGN: &str = "
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-HTTP-Method-Anything X-Original-URL
    X-Rewrite-URL X-Original-URI X-Original-Method X-Original-Path X-Forwarded-Uri X-Forwarded-Prefix
    X-Forwarded-Path X-Forwarded-Method X-Script-Name Script-Name X-Path-Info Path-Info X-Request-Uri
    X-Accel-Redirect X-Accel-Mapping X-Accel-Anything X-Sendfile X-Sendfile-Type Unencoded-Url
    X-Waws-Unencoded-Url X-Envoy-Original-Path X-Envoy-Original-Method X-Envoy-Internal
    X-Envoy-Decorator-Operation X-Envoy-Upstream-Alt-Route X-Replaced-Path X-Middleware-Subrequest
    X-Middleware-Rewrite X-Middleware-Next X-Matched-Path X-Invoke-Path X-Override-Url
    X-Akamai-Config-Log-Detail Proxy Script-Filename Path-Translated
    X-Auth-Request-User X-Auth-Request-Anything X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups
    X-Forwarded-Access-Token GAP-Auth GAP-Signature X-Pomerium-Jwt-Assertion X-Pomerium-Claim-Email
    X-Pomerium-Anything Remote-User Remote-Groups Remote-Name Remote-Email X-Authentik-Username
    X-Authentik-Anything Cf-Access-Jwt-Assertion Cf-Access-Authenticated-User-Email Cf-Access-Anything
    X-Goog-IAP-JWT-Assertion X-Goog-Authenticated-User-Email X-Goog-Authenticated-User-Anything
    X-Amzn-Oidc-Data X-Amzn-Oidc-Identity X-Amzn-Oidc-Accesstoken X-Amzn-Mtls-Clientcert
    X-Amzn-Mtls-Clientcert-Leaf X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-ID
    X-MS-TOKEN-AAD-ID-TOKEN X-ZUMO-AUTH Shib-Session-ID Shib-Identity-Provider Shib-Session-Index
    Eppn Persistent-Id Targeted-Id Unscoped-Affiliation EduPersonPrincipalName Mail Uid Cn
    Mellon-Name-Id OIDC-Claim-Sub OIDC-Claim-Anything OIDC-Access-Token OIDC-Anything SSL-Client-Cert
    SSL-Client-S-DN SSL-Client-S-DN-CN SSL-Client-Verify SSL-Client-M-Serial SSL-Client-I-DN
    X-SSL-Client-Cert X-SSL-Client-CN X-SSL-Client-Verify X-SSL-Anything X-Client-Cert X-Client-Dn
    X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info X-ARR-ClientCert
    X-ARR-SSL Client-Cert Client-Cert-Chain Tailscale-User-Login Tailscale-User-Name
    Tailscale-User-Profile-Pic X-Tailscale-Anything Teleport-Jwt-Assertion X-Teleport-Anything
    X-WebAuth-User X-WebAuth-Anything X-JWT-Assertion X-Jwt-Claim-Sub X-Token-Subject X-Userinfo
    X-Endpoint-API-UserInfo X-Apigateway-Api-Userinfo X-Consumer-Username X-Credential-Identifier
    X-Authenticated-Userid X-Authenticated-Anything SM-User SM-UserDN SM-AuthType SM-ServerSessionId
    IV-User IV-Groups IV-Creds IV-Remote-Address OAM-Remote-User OSSO-User-DN Impersonate-User
    Impersonate-Group X-Remote-User X-Remote-Group X-Remote-Extra-Scopes X-Remote-Anything
    X-MS-Proxy X-MS-ADFS-Proxy-Client-IP X-User X-User-Id X-Username X-Email X-Groups X-Roles X-Role
    X-Vouch-User X-Vouch-Idp-Claims-Name X-SSO-User X-Proxy-User Proxy-User Auth-User Auth-Type
    Logon-User Authenticated-User X-CAS-User X-Saml-NameId X-Principal X-Auth-Username
    X-Anteport-Assertion X-Anteport-Signature X-Anteport-Anything Signature Signature-Input
    X-Auth-User X-Auth-Email X-Auth-Name X-Auth-Roles X-Request-Id X-Serverless-Authorization Cookie2
";

#[tokio::test]
async fn hdr_02_to_05_path_14_foreign_names_arrive_in_no_spelling() {
    let world = World::start().await;
    let mut names: Vec<&str> = FOREIGN.split_whitespace().collect();
    assert!(names.len() > 150);
    // Few requests with many headers each: any that arrives shows.
    names.extend(["X-Forwarded-Port", "X-Forwarded-Ssl", "X-Real-IP"]);
    for name in names {
        let doubled = name.replacen('-', "--", 1);
        let without = name.replace('-', "");
        let spellings = [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.replace('-', "."),
            without,
            doubled,
            format!("{name}-"),
            format!("-{name}"),
            format!("{name}_"),
            format!("{name}!"),
        ];
        let lines: String = spellings.iter().map(|name| format!("{name}: {EVIL}\r\n")).collect();
        let got = received(&world, &lines).await;
        assert!(!format!("{got:?}").contains(EVIL), "{name}: {got:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn hdr_04_odd_names_go_and_ordinary_ones_stay() {
    let world = World::start().await;
    for odd in "x_a x.a x!a x#a x$a x%a x&a x'a x*a x+a x^a x`a x|a x~a _a ~ HTTP_REMOTE_USER $WSRU"
        .split(' ')
    {
        let got = received(&world, &format!("{odd}: {EVIL}\r\n")).await;
        assert!(!format!("{got:?}").contains(EVIL), "{odd}: {got:?}");
    }
    for ordinary in [
        "Accept",
        "Accept-Language",
        "Accept-Encoding",
        "Cache-Control",
        "If-None-Match",
        "Range",
        "Content-Type",
        "Origin",
        "Referer",
        "User-Agent",
        "Sec-Fetch-Mode",
        "Sec-CH-UA",
        "DNT",
        "X-Requested-With",
        "X-CSRF-Token",
        "X-XSRF-TOKEN",
        "X-Custom",
        "X-Api-Version",
        "Priority",
        "Traceparent",
        "Tracestate",
        "Baggage",
        "Last-Event-ID",
        "HX-Request",
        "X-Inertia",
        "Turbo-Frame",
        "X-Tenant-Id",
        "X-Amzn-Trace-Id",
        "Cf-Ray",
        "Idempotency-Key",
        "Prefer",
        "X-PJAX",
        "X-Livewire",
        "SOAPAction",
        "X-Access-Token",
        "Upgrade-Insecure-Requests",
        "Sec-GPC",
        "Save-Data",
        "Pragma",
        "Content-Language",
        "Destination",
        "Depth",
        "Want-Digest",
    ] {
        let got = received(&world, &format!("{ordinary}: a, b\r\n")).await;
        assert_eq!(got.header(ordinary), Some("a, b"), "{ordinary}");
    }
    world.stop().await;
}

#[tokio::test]
async fn hdr_11_an_answer_loses_what_a_portal_must_not_say() {
    let world = World::start_with(Plan { portal: "    mode: off\n", ..Plan::default() }).await;
    for line in [
        "Connection: X-Hop\r\nX-Hop: evil",
        "Keep-Alive: evil",
        "Proxy-Authenticate: evil",
        "Proxy-Connection: evil",
        "TE: evil",
        "Trailer: evil",
        "Upgrade: evil",
        "X-Anteport-Assertion: evil",
        "x-anteport-anything: evil",
        "X-Request-Id: evil",
        "Alt-Svc: h3=\":443\"; evil",
        "X-Accel-Redirect: /evil",
        "X-Accel-Buffering: evil",
        "X-Accel-Expires: evil",
        "X-Sendfile: /evil",
        "X-Sendfile-Type: evil",
        "X-Lighttpd-Send-File: evil",
        "X-LiteSpeed-Location: evil",
        "X-Reproxy-URL: evil",
        "X-Middleware-Rewrite: evil",
        "Set-Cookie2: evil",
        "Set-Cookie: __Host-anteport=evil",
        "Set-Cookie:   __Host-anteport =evil; Path=/",
        "Set-Cookie: __HOST-ANTEPORT=evil; Secure",
        "Set-Cookie: __host-anteport-login-1=evil",
        "Set-Cookie: __Host-anteport-2=evil; Max-Age=0",
        "Set-Cookie: __Host-anteport; evil",
        "Set-Cookie: =__Host-anteport=evil",
        "Set-Cookie: = __Host-anteport=evil; Path=/",
        "Set-Cookie:\t__Host-anteport=evil",
        "Set-Cookie: \"__Host-anteport\"=evil",
        "Set-Cookie: ok=1\r\nSet-Cookie: __Host-anteport=evil\r\nSet-Cookie: ok=2",
        "WWW-Authenticate: Negotiate evil",
        "WWW-Authenticate: NTLM evil",
        "WWW-Authenticate: Basic realm=\"a\", Negotiate evil",
        "Clear-Site-Data: \"cookies\"\r\nX-Evil-Not: 1",
        "Clear-Site-Data: \"COOKIES\"",
    ] {
        let head = passed_on(&world, &format!("{line}\r\n")).await;
        assert!(!head.replace("x-evil-not", "").contains("evil"), "{line}: {head}");
        assert!(!head.contains("__host-anteport") && !head.contains("cookies\""), "{line}: {head}");
        assert!(head.contains("x-request-id: "), "{line}: {head}");
    }
    for (line, kept) in [
        ("Set-Cookie: portal=1; Path=/; HttpOnly", "set-cookie: portal=1; path=/; httponly"),
        ("Set-Cookie: a=1\r\nSet-Cookie: b=2", "set-cookie: b=2"),
        ("Set-Cookie: __Host-portal=1; Secure; Path=/", "set-cookie: __host-portal=1"),
        ("Set-Cookie: __Host-anteportal=1; Secure; Path=/", "set-cookie: __host-anteportal=1"),
        ("WWW-Authenticate: Basic realm=\"a\"", "www-authenticate: basic realm=\"a\""),
        ("Clear-Site-Data: \"cache\", \"cookies\"", "clear-site-data: \"cache\"\r\n"),
        ("Clear-Site-Data: \"*\"", "clear-site-data: \"cache\", \"storage\"\r\n"),
        ("X-Frame-Options: DENY", "x-frame-options: deny"),
    ] {
        let head = format!("{}\r\n", passed_on(&world, &format!("{line}\r\n")).await);
        assert!(head.contains(kept), "{line}: {head}");
    }
    world.stop().await;
}

#[tokio::test]
async fn cook_01_02_03_cookies_that_can_be_read_in_two_ways_sign_nobody_in() {
    let world = World::start().await;
    let mut member = world.treasurer().await;
    let session = member.own_cookies()["__Host-anteport"].clone();
    let asked = |cookies: String| {
        let world = &world;
        async move {
            let lines = format!("Accept: text/html\r\n{cookies}\r\n");
            let answer = answer(world, "/reports", &lines).await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        }
    };
    let own = format!("__Host-anteport={session}");
    assert_eq!(asked(format!("Cookie: {own}")).await, "200");
    assert_eq!(asked(format!("Cookie: a=1;{own} ; b=2")).await, "200");
    assert_eq!(asked(format!("Cookie: a=1\r\nCookie: {own}")).await, "200");
    let before = world.portal.received().len();
    for cookies in [
        format!("Cookie: {own}; {own}"),
        format!("Cookie: {own}\r\nCookie: {own}"),
        format!("Cookie: {own}; __Host-anteport=x"),
        format!("Cookie: __Host-anteport; {own}"),
        format!("Cookie: {own}; =__Host-anteport=x"),
        format!("Cookie: {own}; \"__Host-anteport\"=x"),
        format!("Cookie: {own}; a=1, __Host-anteport=x"),
        format!("Cookie: {own}, b=2"),
        format!("Cookie: a=\"x,{own}\""),
        format!("Cookie: __HOST-ANTEPORT={session}"),
        format!("Cookie: __Host-anteport=\"{session}\""),
        format!("Cookie: __Host-anteport={session}x"),
        format!("Cookie: __Host-anteport-login={session}"),
        format!("X-Cookie: {own}"),
        format!("Cookie2: {own}"),
    ] {
        assert_ne!(asked(cookies.clone()).await, "200", "{cookies}");
    }
    assert_eq!(world.portal.received().len(), before);
    // On a page for everybody the portal gets its own cookies and none of ours, in any disguise.
    for (cookies, kept) in [
        (format!("a=1; {own}; b=2"), Some("a=1; b=2")),
        (format!("{own}; a=1"), Some("a=1")),
        (format!("=__Host-anteport={session}; a=1"), Some("a=1")),
        (format!("a=1; b=\"{own}\"; c=3"), Some("a=1; c=3")),
        (format!("a=1, {own}; c=3"), Some("c=3")),
        (format!("__host-ANTEPORT-7={session}"), None),
        (format!("__Host-anteport.x={session}; a"), Some("a")),
        (
            "__Host-anteportal=1; __Secure-a=\u{e4}; =; a==".to_owned(),
            Some("__Host-anteportal=1; __Secure-a=\u{e4}; =; a=="),
        ),
    ] {
        let got = received(&world, &format!("Cookie: {cookies}\r\n")).await;
        assert_eq!(got.header("cookie"), kept, "{cookies}");
    }
    world.stop().await;
}

const CREDENTIALS: &str = r#"
    mode: azure_only
    local_login: {}
    routes:
      - { path: "/public/**", access: public }
      - { path: "/public2/**", access: public, local_credentials: true }
      - { path: "/say", access: public, local_credentials: true }
      - { path: "/cookies", access: public }
"#;

#[tokio::test]
async fn path_15_http_12_local_credentials_pass_where_a_route_says_so() {
    let world = World::start_with(Plan { portal: CREDENTIALS, ..Plan::default() }).await;
    for (target, sent, passes) in [
        ("/public/x", "Basic eA==", false),
        ("/public/x", "Bearer x", false),
        ("/public2/x", "Basic eA==", true),
        ("/public2/x", "Bearer x", true),
        ("/public2/x", "Negotiate YII=", false),
        ("/public2/x", "NTLM TlRM", false),
        ("/public2/x", "ntlm\tTlRM", false),
    ] {
        let line = format!("Authorization: {sent}\r\n");
        assert!(answer(&world, target, &line).await.starts_with("HTTP/1.1 200"));
        let got = world.portal.last();
        assert_eq!(got.header("authorization"), passes.then_some(sent), "{target} {sent}");
    }
    let head =
        passed_on(&world, "WWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM\r\n").await;
    assert!(head.contains("basic realm=x") && !head.contains("ntlm"), "{head}");
    let stopped = answer(&world, "/cookies", "").await.to_lowercase();
    assert!(
        stopped.starts_with("http/1.1 200") && !stopped.contains("www-authenticate"),
        "{stopped}"
    );
    world.stop().await;
}

#[tokio::test]
async fn host_01_a_host_is_there_once_and_plain() {
    let world = World::start().await;
    let own = world.proxy.to_string();
    let port = world.proxy.port();
    for (line, host, status) in [
        ("GET /public/x", format!("Host: {own}"), 200),
        ("GET /public/x", format!("hOsT:\t{own} "), 200),
        ("GET /public/x", String::from("X: 1"), 400),
        ("GET /public/x", format!("Host: {own}\r\nHost: {own}"), 400),
        ("GET /public/x", format!("Host: {own}\r\nhost: evil.example"), 400),
        ("GET /public/x", "Host:".to_owned(), 400),
        ("GET /public/x", format!("Host: user@{own}"), 400),
        ("GET /public/x", format!("Host: evil.example#@{own}"), 400),
        ("GET /public/x", format!("Host: {own}/"), 400),
        ("GET /public/x", format!("Host: {own}?x"), 400),
        ("GET /public/x", format!("Host: {own}, {own}"), 400),
        ("GET /public/x", format!("Host: {own} evil.example"), 400),
        ("GET /public/x", format!("Host: http://{own}"), 400),
        ("GET /public/x", format!("Host: %31{own}"), 400),
        ("GET /public/x", "Host: m\u{e9}mbers.example".to_owned(), 400),
        ("GET /public/x", format!("Host: {own}\\"), 400),
        ("GET /public/x", "Host: evil.example".to_owned(), 421),
        ("GET /public/x", format!("Host: {own}0"), 421),
        ("GET /public/x", format!("Host: {own}."), 421),
        ("GET /public/x", format!("Host: 127.0.0.1.:{port}"), 421),
        ("GET /public/x", format!("Host: 127.0.0.1:0{port}"), 421),
        ("GET /public/x", "Host: 127.0.0.1".to_owned(), 421),
        ("GET /public/x", format!("Host: {own}\r\nX-Forwarded-Host: evil.example"), 200),
        ("GET http://OWN/public/x", format!("Host: {own}"), 200),
        ("GET http://OWN/public/x", "Host: evil.example".to_owned(), 400),
        ("GET http://evil.example/public/x", format!("Host: {own}"), 400),
        ("GET http://user@OWN/public/x", format!("Host: {own}"), 400),
        ("GET https://OWN/public/x", format!("Host: {own}"), 400),
        ("GET http://evil.example/public/x", "Host: evil.example".to_owned(), 421),
    ] {
        let line = line.replace("OWN", &own);
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line} {host}: {answer}");
    }
    let got = world.portal.received();
    assert!(
        got.iter()
            .all(|got| got.line == "GET /public/x HTTP/1.1" && got.header("host") == Some(&own))
    );
    world.stop().await;
}
