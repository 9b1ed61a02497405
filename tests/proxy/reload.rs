//! Another configuration while we run: all of it for every request from then on, or nothing of it;
//! and nobody's connection, session or stream notices more of it than it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anteport::server::{ChangeError, ReloadError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::{AZURE_ONLY, Plan, World};

/// One connection that is kept.
struct Kept(TcpStream);

impl Kept {
    async fn new(world: &World) -> Self {
        Self(TcpStream::connect(world.proxy).await.unwrap())
    }

    /// The head of the answer and its body, which has a length.
    async fn get(&mut self, world: &World, path: &str, cookies: &str) -> (u16, String) {
        let host = world.proxy;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap_or("0");
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
    }
}

fn cookies(browser: &mut Browser) -> String {
    let pairs = browser.own_cookies().iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn cfg_02_what_is_reloaded_holds_for_the_next_request_of_a_member_who_stays_signed_in() {
    let world = World::start().await;
    let mut ada = world.treasurer().await;
    let shown = cookies(&mut ada);
    let mut kept = Kept::new(&world).await;
    assert_eq!(kept.get(&world, "/reports", &shown).await.0, 200);
    let before = world.portal.last();
    assert!(before.header("x-auth-name").is_some() && before.header("x-who").is_none());
    world.configure("X-Auth-Name: name", "X-Who: name");
    let entrance = "- { path: /login, methods: [POST] }";
    world.configure(entrance, &format!("{entrance}\n        - {{ path: /shut }}"));
    // Nobody has read it yet.
    assert_eq!(kept.get(&world, "/shut", &shown).await.0, 200);
    world.reload().await.unwrap();
    // On the same connection to us, and over the same one to the portal.
    assert_eq!(kept.get(&world, "/shut", &shown).await.0, 403);
    assert_eq!(kept.get(&world, "/reports", &shown).await.0, 200);
    let after = world.portal.last();
    assert_eq!(after.header("x-who"), before.header("x-auth-name"), "told anew");
    assert_eq!(after.header("x-auth-name"), None);
    assert_eq!(after.connection, before.connection);
    assert_ne!(
        after.header("x-anteport-assertion"),
        before.header("x-anteport-assertion"),
        "what was rendered before is not sent after"
    );
    // What visitors send under the new name goes, and what is counted goes on.
    let forged = ada.send("GET", "/public/x", &[("x-who", "forged")], b"").await;
    assert_eq!(forged.status, 200);
    assert_ne!(world.portal.last().header("x-who"), Some("forged"));
    world.comes_to("anteport_logins_total{provider=\"corporate\",result=\"success\"}", 1.0).await;
    world.stop().await;
}

#[tokio::test]
async fn cfg_02_a_configuration_that_cannot_be_used_changes_nothing_and_all_of_it_is_said() {
    let world = World::start().await;
    let mut ada = world.treasurer().await;
    world.configure("mode: azure_only", "mode: \"off\"\n    modes: x\n    button: 1");
    let error = world.reload().await.unwrap_err();
    let ReloadError::Problems(problems) = &error else { panic!("{error:?}") };
    assert_eq!(problems.errors(), 2, "{problems}");
    assert_eq!(error.name(), "config-refused");
    world.clock.advance(std::time::Duration::from_secs(30));
    let (_, ready) = world.readyz().await;
    let says = "configuration: in force for 30 s; another one was refused 30 s ago: config-refused";
    assert!(ready.contains(says), "{ready}");
    // In mode `off` everybody would get in.
    assert_eq!(world.browser().open("/reports").await.status, 303);
    assert_eq!(ada.open("/reports").await.status, 200);
    world.stop().await;
}

/// What cannot be changed while we run is named, and then nothing else is changed either.
#[tokio::test]
async fn cfg_02_what_takes_a_restart_is_named() {
    let world = World::start().await;
    let elsewhere = anteport::server::bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
    let elsewhere = elsewhere[0].local_addr().unwrap();
    let listen = format!("listen: {{ address: \"{}\"", world.proxy);
    world.configure(&listen, &format!("listen: {{ address: \"{elsewhere}\""));
    world.configure("sessions: {", "sessions: { absolute_timeout: 2h, capacity: 12, ");
    world.configure("\nsigning:", "\nlogging: { format: pretty }\nsigning:");
    world.configure("mode: azure_only", "mode: \"off\"");
    let error = world.reload().await.unwrap_err();
    let ReloadError::Change(ChangeError::Fixed(keys)) = &error else { panic!("{error:?}") };
    let expected =
        ["listen.address", "sessions.capacity", "sessions.absolute_timeout", "logging.format"];
    assert_eq!(*keys, expected);
    assert!(error.to_string().contains("listen.address, sessions.capacity"), "{error}");
    assert_eq!(world.browser().open("/reports").await.status, 303);
    world.stop().await;
}

#[tokio::test]
async fn a_provider_that_a_portal_has_no_more_signs_nobody_in_and_its_sessions_are_nobodys() {
    let world = World::start().await;
    let mut ada = world.treasurer().await;
    let shown = cookies(&mut ada);
    let mut kept = Kept::new(&world).await;
    assert_eq!(kept.get(&world, "/reports", &shown).await.0, 200);
    world.configure("  corporate:", "  other:");
    world.reload().await.unwrap();
    assert_eq!(kept.get(&world, "/reports", &shown).await.0, 303, "GEN-03");
    assert_eq!(world.browser().open("/.auth/login/corporate").await.status, 404);
    assert_eq!(world.browser().open("/.auth/login/other").await.status, 303);
    world.configure("  other:", "  corporate:");
    world.reload().await.unwrap();
    assert_eq!(kept.get(&world, "/reports", &shown).await.0, 200);
    world.stop().await;
}

/// AZ-06: what is known of a provider outlives a configuration, also while it is down.
#[tokio::test]
async fn az_06_a_reload_while_the_provider_is_down_keeps_what_is_known_of_it() {
    let mut world = World::start().await;
    drop(world.treasurer().await);
    world.microsoft_goes_down().await;
    // The provider is another one now, at the same place: it gets a label.
    world.configure("    client_id:", "    label: Harbor Club\n    client_id:");
    world.reload().await.unwrap();
    let off = world.browser().open("/reports").await;
    assert!(off.location().as_str().starts_with(&world.authority()), "{off:?}");
    // Elsewhere nothing is known of it.
    world.configure("3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11", "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e12");
    world.reload().await.unwrap();
    assert_eq!(world.browser().open("/reports").await.status, 503);
    world.stop().await;
}

/// A login that began under one configuration ends under the next.
#[tokio::test]
async fn a_login_under_way_outlives_a_reload() {
    let world = World::start().await;
    let mut ada = world.browser();
    let callback = ada.sign_in_to_callback("/reports", "treasurer@harborclub.example").await;
    world.configure("X-Auth-Name: name", "X-Who: name");
    world.reload().await.unwrap();
    let back = ada.open_url(&callback).await;
    assert_eq!(back.header("location"), Some("/reports"), "{back:?}");
    assert_eq!(ada.open("/reports").await.status, 200);
    assert!(world.portal.last().header("x-who").is_some());
    world.stop().await;
}

/// Secrets that sign are exchanged with the rest.
#[tokio::test]
async fn another_secret_signs_from_the_next_request_on() {
    let portal: &'static str = Box::leak(
        AZURE_ONLY
            .replace(
                "    identity:\n",
                "    identity:\n      signature: { algorithm: hmac-sha256, secret: { value: \
                 \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" } }\n",
            )
            .into_boxed_str(),
    );
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let mut ada = world.treasurer().await;
    let one = |world: &World| world.portal.last().header("signature").unwrap().to_owned();
    assert_eq!(ada.open("/reports").await.status, 200);
    let before = one(&world);
    world.configure("AAAAAAAA", "EEEEEEEE");
    world.reload().await.unwrap();
    assert_eq!(ada.open("/reports").await.status, 200);
    // That it verifies is shown where signatures are; here it is that nothing begun is used again.
    assert_ne!(one(&world), before);
    world.stop().await;
}

#[tokio::test]
async fn streams_that_are_open_go_on_though_their_portal_goes_elsewhere() {
    let portal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = "\n    mode: \"off\"\n    routes: [{ path: \"/**\", access: public }]";
    let port = portal.local_addr().unwrap().port();
    let upstream = Some(format!("{{ url: \"http://127.0.0.1:{port}\" }}"));
    let world = World::start_with(Plan { portal: open, upstream, ..Plan::default() }).await;
    let mut visitor = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    visitor.write_all(request.as_bytes()).await.unwrap();
    let (mut stream, _) = portal.accept().await.unwrap();
    let mut read = [0; 1024];
    assert!(stream.read(&mut read).await.unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none").await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"one") {
        heard.push(visitor.read_u8().await.unwrap());
    }
    let elsewhere = world.portal.address.to_string();
    world.configure(&format!("127.0.0.1:{port}"), &elsewhere);
    world.reload().await.unwrap();
    stream.write_all(b"two").await.unwrap();
    let mut rest = [0; 3];
    visitor.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"two");
    // The next request on this connection is answered there.
    visitor.write_all(request.replace("/events", "/elsewhere").as_bytes()).await.unwrap();
    assert!(visitor.read(&mut read).await.unwrap() > 0);
    assert!(world.portal.last().line.contains("/elsewhere"));
    // The one to the portal before is not kept for anybody.
    assert_eq!(stream.read(&mut read).await.unwrap(), 0);
    world.stop().await;
}

/// FWD-02: who was one of our proxies when they connected may not be any more.
#[tokio::test]
async fn fwd_02_a_proxy_that_is_not_trusted_any_more_speaks_for_nobody() {
    let listen = ", trusted_proxies: [127.0.0.1]";
    let world = World::start_with(Plan { listen, ..Plan::default() }).await;
    let mut kept = Kept::new(&world).await;
    let forwarded = "x\r\nX-Forwarded-For: 192.0.2.7";
    assert_eq!(kept.get(&world, "/public/a", forwarded).await.0, 200);
    assert_eq!(world.portal.last().header("x-forwarded-for"), Some("192.0.2.7"));
    world.configure("[127.0.0.1]", "[127.0.0.2]");
    world.reload().await.unwrap();
    assert_eq!(kept.get(&world, "/public/a", forwarded).await.0, 200);
    assert_eq!(world.portal.last().header("x-forwarded-for"), Some("127.0.0.1"));
    world.stop().await;
}

#[tokio::test]
async fn another_certificate_is_shown_to_whoever_connects_next() {
    let folder = Folder::new();
    let write = || {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        folder.write("tls.crt", &made.cert.pem());
        folder.write("tls.key", &made.signing_key.serialize_pem());
        made.cert.der().clone()
    };
    let first = write();
    let at = |name: &str| folder.at(name).display().to_string();
    let tls = format!("{{ certificate: {}, key: {} }}", at("tls.crt"), at("tls.key"));
    let world = World::start_with(Plan { listen_tls: Some(tls), ..Plan::default() }).await;
    let shown = async |trusted| {
        let stream = crate::tls::connect(&world, trusted, b"http/1.1").await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(shown(&first).await, first);
    let mut open = crate::tls::connect(&world, &first, b"http/1.1").await;
    let second = write();
    // Its key is one of another pair: half of an exchange is none.
    let key = std::fs::read_to_string(folder.at("tls.key")).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    folder.write("tls.key", &other.serialize_pem());
    assert!(matches!(world.reload().await, Err(ReloadError::Problems(_))));
    assert_eq!(shown(&first).await, first);
    folder.write("tls.key", &key);
    world.reload().await.unwrap();
    assert_eq!(shown(&second).await, second);
    let request = format!("GET /public/a HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    open.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    open.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    world.stop().await;
}

/// What was seen in `report_only` is still there, by the name of its portal.
#[tokio::test]
async fn what_was_discovered_outlives_a_reload() {
    let portal: &'static str =
        Box::leak(AZURE_ONLY.replace("azure_only", "report_only").into_boxed_str());
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sent = world.browser().send("POST", "/login", &form, b"user=a&password=b").await;
    assert_eq!(sent.status, 200);
    let more = format!(
        "portals:\n  - public_url: \"http://localhost:{}\"\n    upstream: {{ url: \
         \"http://127.0.0.1:1\" }}\n    mode: \"off\"\n    routes: [{{ path: \"/**\", access: \
         public }}]\n",
        world.proxy.port()
    );
    // Another one comes before it.
    world.configure("portals:\n", &more);
    world.reload().await.unwrap();
    let admin = Browser::new(format!("http://{}", world.admin));
    let seen = admin.send("GET", "/-/discoveries", &[], b"").await.json();
    assert_eq!(seen["places"][0]["portal"], world.proxy.to_string(), "{seen}");
    assert_eq!(seen["places"][0]["path"], "/login");
    world.stop().await;
}

const LOADERS: usize = 6;
const RELOADS: usize = 1000;
const BROKEN: usize = 200;

/// REL-06: members read and strangers are sent to sign in while the configuration is exchanged a thousand
/// times, and two hundred times cannot be.
#[tokio::test]
async fn rel_06_a_thousand_reloads_under_load_fail_no_request_and_two_hundred_broken_ones_change_nothing()
 {
    let world = World::start().await;
    let mut ada = world.treasurer().await;
    let shown = cookies(&mut ada);
    let world = Arc::new(world);
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let loaders = (0..LOADERS).map(|number| {
        let (world, shown) = (Arc::clone(&world), shown.clone());
        let (is_over, served) = (Arc::clone(&is_over), Arc::clone(&served));
        tokio::spawn(async move {
            let mut kept = Kept::new(&world).await;
            let mut since = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Those who connect anew are served, too; and no connection is for ever.
                if number == 0 || since == 900 {
                    (kept, since) = (Kept::new(&world).await, 0);
                }
                let member = number % 3 != 1;
                let (status, head) = match member {
                    true => kept.get(&world, "/reports", &shown).await,
                    false => kept.get(&world, "/reports", "x=1").await,
                };
                assert_eq!(status, if member { 200 } else { 303 }, "{head}");
                since += 1;
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let loaders: Vec<_> = loaders.collect();
    let names = ["X-Auth-Name: name", "X-Who: name"];
    let (mut done, mut refused) = (0, 0);
    while done < RELOADS {
        let before = served.load(Ordering::Relaxed);
        world.configure(names[done % 2], names[(done + 1) % 2]);
        world.reload().await.unwrap();
        done += 1;
        if done % (RELOADS / BROKEN) == 0 {
            let (right, wrong) = match refused % 4 {
                0 => ("mode: azure_only", "mode: azure-only"),
                1 => ("listen: {", "listen: { port: 1, "),
                2 => ("portals:", "portal:"),
                _ => ("providers:", "providers: ["),
            };
            world.configure(right, wrong);
            world.reload().await.unwrap_err();
            world.configure(wrong, right);
            refused += 1;
        }
        // Somebody was served in between.
        while served.load(Ordering::Relaxed) == before {
            assert!(loaders.iter().all(|loader| !loader.is_finished()), "a request failed");
            tokio::task::yield_now().await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for loader in loaders {
        loader.await.unwrap();
    }
    assert_eq!((done, refused), (RELOADS, BROKEN));
    assert!(served.load(Ordering::Relaxed) >= RELOADS);
    // Nothing is left of all the configurations: one idle connection for each worker at most, and
    // as many servers and portals as there are.
    let text = world.metrics().await;
    assert_eq!(text.matches("anteport_upstream_healthy{").count(), 1, "{text}");
    drop(ada);
    Arc::into_inner(world).unwrap().stop().await;
}
