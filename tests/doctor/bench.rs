//! A whole world for one run of `doctor`: an emulated Microsoft over TLS, a portal that answers as
//! it is told and keeps what it was asked, and the files of a configuration.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use anteport::clock::Clock;
use anteport::demo::certificates::LoopbackTls;
use anteport::demo::microsoft::tenants::Product;
use anteport::demo::microsoft::{self, Microsoft, Options};
use anteport::gate::Secret;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::folder::Folder;

pub const BINARY: &str = env!("CARGO_BIN_EXE_anteport");
pub const TENANT: &str = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";
pub const CLIENT: &str = "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20";
pub const SECRET: &str = "canary-of-the-secret";

/// The claims of somebody's ID token.
pub const TOKEN: &str = r#"{ "aud": "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20",
  "oid": "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57", "email": "canary@mail.example" }"#;

/// The one provider, unless a test says otherwise.
pub const ENTRA: &str = "
    kind: entra_id
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";

/// A user flow of the emulated B2C.
pub const B2C: &str = "
    kind: azure_ad_b2c
    tenant: harbormembers.onmicrosoft.com
    policy: B2C_1_signupsignin";

/// The portal's login page, with what nobody may see of it.
pub const LOGIN: &str = "<html><form action=\"/session\" method=\"post\"><input name=user>\
    <input type=hidden name=csrf value=canary-of-a-form><input type=password name=pass></form>";

/// What a portal answers to the head of a request.
pub type Answers = fn(head: &str) -> String;

pub fn page(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n{headers}\
         connection: close\r\n\r\n{body}"
    )
}

/// As a portal should be.
pub fn good_portal(head: &str) -> String {
    match head.split(' ').nth(1) {
        Some("/login") => page("200 OK", "", LOGIN),
        _ => page("200 OK", "set-cookie: session=canary-of-a-cookie; Secure\r\n", "<p>Welcome"),
    }
}

/// What is otherwise than usual.
pub struct Plan {
    /// The keys of the provider that say what it is.
    pub provider: String,
    /// What stands at `credentials`.
    pub credentials: String,
    /// What stands at `sessions`; `FOLDER` is that of the test.
    pub sessions: String,
    /// Text of the configuration, each with what stands in its place.
    pub instead: Vec<(&'static str, String)>,
    pub answers: Answers,
    /// Changes the app registration.
    pub registration: fn(&mut Options),
    /// What the emulator is told.
    pub set: Vec<(&'static str, &'static str)>,
    pub next: Vec<(&'static str, &'static str)>,
    /// The hosts of the listener's certificate.
    pub certificate_for: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            provider: ENTRA.to_owned(),
            credentials: "[ { secret: { file: secret }, expires: 2099-01-01 } ]".to_owned(),
            sessions: "{ store: memory, snapshot: FOLDER/sessions.snapshot, keys: [ { file: \
                       FOLDER/sealing.key } ] }"
                .to_owned(),
            instead: Vec::new(),
            answers: good_portal,
            registration: |_| {},
            set: Vec::new(),
            next: Vec::new(),
            certificate_for: "localhost",
        }
    }
}

pub struct Bench {
    pub folder: Folder,
    pub portal: Portal,
    pub microsoft: Arc<Microsoft>,
    pub listen: u16,
    /// Its addresses, so that nobody else is given them meanwhile.
    _held: [Socket; 2],
}

/// What `doctor` said.
#[derive(Debug)]
pub struct Report {
    pub code: i32,
    pub status: String,
    pub findings: Vec<Value>,
}

impl Report {
    /// The finding of a check that is no `ok`, with what it says and what to do.
    #[track_caller]
    pub fn finds(&self, check: &str, status: &str, words: &[&str]) -> &Value {
        let of_check = || self.findings.iter().filter(|found| found["check"] == check);
        let all = |found: &Value| {
            let text = ["subject", "message", "fix", "code"]
                .map(|name| found[name].as_str().unwrap_or_default().to_owned());
            let text = text.join(" | ");
            words.iter().all(|word| text.contains(word))
        };
        let found = of_check().find(|found| found["status"] == status && all(found));
        found.unwrap_or_else(|| {
            let there: Vec<_> = of_check().collect();
            panic!("no {check} is `{status}` with {words:?}; there are {there:#?}")
        })
    }

    /// Nothing but this is wrong.
    #[track_caller]
    pub fn nothing_else_is_wrong_than(&self, checks: &[&str]) {
        let is_other = |found: &&Value| {
            let name = found["check"].as_str().unwrap();
            let is_trouble = matches!(found["status"].as_str().unwrap(), "error" | "warning");
            is_trouble && !checks.contains(&name)
        };
        let others: Vec<_> = self.findings.iter().filter(is_other).collect();
        assert!(others.is_empty(), "{others:#?}");
    }
}

impl Bench {
    pub fn start(plan: Plan) -> Self {
        let folder = Folder::new();
        let portal = Portal::start("127.0.0.1:0".parse().unwrap(), plan.answers);
        let ((listen, first), (admin, second)) = (held_port(), held_port());
        let tls = Arc::new(LoopbackTls::new().unwrap());
        let product = match &plan.provider {
            provider if provider.contains("azure_ad_b2c") => Product::AzureAdB2c,
            provider if provider.contains("external_id") => Product::ExternalId,
            _ => Product::EntraId,
        };
        let (microsoft, authority) = start_microsoft(listen, plan.registration, &tls, product);
        for (word, value) in &plan.set {
            microsoft.set(word, value).unwrap();
        }
        for (word, value) in &plan.next {
            microsoft.plan(word, value).unwrap();
        }
        let bench = Self { folder, portal, microsoft, listen, _held: [first, second] };
        bench.write("secret", SECRET);
        bench.write("sealing.key", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=");
        bench.write("ca.pem", &tls.authority);
        let own = rcgen::generate_simple_self_signed(vec![plan.certificate_for.to_owned()]);
        let own = own.unwrap();
        bench.write("tls.crt", &own.cert.pem());
        bench.write("tls.key", &own.signing_key.serialize_pem());
        let upstream = bench.portal.address;
        let (provider, credentials) = (plan.provider, plan.credentials);
        let sessions = plan.sessions.replace("FOLDER", &bench.folder.0.display().to_string());
        let mut text = format!(
            r#"
listen:
  address: "127.0.0.1:{listen}"
  tls: {{ certificate: tls.crt, key: tls.key }}
  max_connections: 100
  max_connections_per_address: 50
admin: {{ address: "127.0.0.1:{admin}" }}
providers:
  corporate:{provider}
    authority: "https://AUTHORITY"
    ca: [ca.pem]
    client_id: {CLIENT}
    credentials: {credentials}
portals:
  - public_url: "https://localhost:{listen}"
    upstream: {{ url: "http://{upstream}" }}
    mode: azure_only
    local_login:
      login_pages: [/login]
      password_routes: [ {{ path: /session, methods: [POST] }} ]
    routes:
      - {{ path: "/assets/**", access: public }}
      - {{ path: "/**", access: signed_in }}
    identity:
      headers: {{ X-Auth-User: oid, X-Auth-Email: email }}
sessions: {sessions}
"#
        );
        for (written, instead) in &plan.instead {
            assert!(text.contains(written), "{written} is not in {text}");
            text = text.replace(written, instead);
        }
        bench.write("config.yaml", &text.replace("AUTHORITY", &authority));
        bench
    }

    /// A file that nobody else can read.
    pub fn write(&self, name: &str, text: &str) -> String {
        self.folder.write(name, text).display().to_string()
    }

    pub fn rights(&self, name: &str, mode: u32) {
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.folder.at(name), rights).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(words)
            .current_dir(&self.folder.0)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it, as a program would.
    pub fn doctor(&self, more: &[&str]) -> Report {
        let words = [&["doctor", "--config", "config.yaml", "--format", "json"], more].concat();
        let output = self.command(&words).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.is_empty(), "{told}");
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        // LOG-01, whatever is wrong.
        assert!(!text.contains("canary"), "{text}");
        Report {
            code: output.status.code().unwrap(),
            status: report["status"].as_str().unwrap().to_owned(),
            findings: report["findings"].as_array().unwrap().clone(),
        }
    }
}

/// A port that can be listened at, and is given to nobody who asks for any.
fn held_port() -> (u16, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address.port(), socket)
}

/// It runs as long as the tests do.
fn start_microsoft(
    listen: u16,
    registration: fn(&mut Options),
    tls: &Arc<LoopbackTls>,
    product: Product,
) -> (Arc<Microsoft>, String) {
    let own = format!("https://localhost:{listen}/.auth");
    let redirect_uris =
        vec![format!("{own}/login/corporate/callback"), format!("{own}/logout/done")];
    let secret = Secret::new(SECRET.to_owned());
    let mut options = Options {
        secrets: vec![microsoft::ClientSecret { value: secret, expires: None }],
        redirect_uris,
        ..Options::default()
    };
    registration(&mut options);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let authority = format!("localhost:{}", listener.local_addr().unwrap().port());
    let microsoft = Microsoft::new(format!("https://{authority}"), Clock::system(), options);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (serving, tls) = (Arc::clone(&microsoft), Arc::clone(tls));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            serving.prepare(product).await;
            ready.send(()).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let served =
                microsoft::serve_over(Some(&tls), listener, serving, std::future::pending());
            served.await.unwrap();
        });
    });
    is_ready.recv().unwrap();
    (microsoft, authority)
}

/// A portal of a few lines.
pub struct Portal {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Portal {
    pub fn start(address: SocketAddr, answers: Answers) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || converse(stream, answers, &kept));
            }
        });
        Self { address, asked }
    }

    /// The heads of what it was asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A portal that speaks TLS, with a certificate of this name that ends then.
pub fn secure_portal(name: &str, ends: (i32, u8, u8)) -> (SocketAddr, String) {
    portal_over_tls(name, ends, rcgen::IsCa::NoCa)
}

/// One whose certificate is that of an authority, as careless tools make it.
pub fn portal_of_an_authority(name: &str) -> (SocketAddr, String) {
    portal_over_tls(name, (2099, 1, 1), rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained))
}

fn portal_over_tls(name: &str, ends: (i32, u8, u8), is_ca: rcgen::IsCa) -> (SocketAddr, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(ends.0, ends.1, ends.2);
    parameters.is_ca = is_ca;
    let certificate = parameters.self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || {
                let stream = rustls::StreamOwned::new(session, stream);
                converse(stream, |_| page("200 OK", "", "<p>Welcome"), &Mutex::default());
            });
        }
    });
    (address, certificate.pem())
}

fn converse(mut stream: impl Read + Write, answers: Answers, kept: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let answer = answers(&head);
    kept.lock().unwrap().push(head);
    let _ = stream.write_all(answer.as_bytes());
}
