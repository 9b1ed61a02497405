//! `anteport emulator` as an operator meets it: the example of docs/emulator.md, done as it says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anteport::demo::microsoft::{NEXT, SET, Word};
use folder::Folder;
use ports::free_ports;
use url::Url;

#[path = "kit/folder.rs"]
mod folder;
#[path = "kit/ports.rs"]
mod ports;

const BINARY: &str = env!("CARGO_BIN_EXE_anteport");
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/emulator.md");

/// Of another kind than the guide's.
const ENTRA: &str = "kind: entra_id\n    tenant: contoso.example\n";

/// A folder that goes with the test, and the processes that work in it.
struct Bench {
    folder: Folder,
    children: Vec<Child>,
}

impl Bench {
    fn new() -> Self {
        Self { folder: Folder::new(), children: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.at(name)
    }

    fn anteport(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(words)
            .current_dir(&self.folder.0)
            .env("CLIENT_SECRET", "any")
            .stdin(Stdio::null());
        command
    }

    /// Starts it, and reads what it says until it says that.
    fn start(&mut self, words: &[&str], until: &str) -> Vec<String> {
        Self::read(&mut self.spawn(words), until)
    }

    /// Starts it; what it says.
    fn spawn(&mut self, words: &[&str]) -> Said {
        let mut child =
            self.anteport(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out: Box<dyn std::io::Read> = match words[0] {
            "run" => Box::new(child.stderr.take().unwrap()),
            _ => Box::new(child.stdout.take().unwrap()),
        };
        self.children.push(child);
        BufReader::new(out).lines()
    }

    fn read(lines: &mut Said, until: &str) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said:?}")).unwrap();
            said.push(line);
            if said.last().unwrap().contains(until) {
                return said;
            }
        }
    }
}

type Said = std::io::Lines<BufReader<Box<dyn std::io::Read>>>;

impl Drop for Bench {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn guide() -> String {
    std::fs::read_to_string(GUIDE).unwrap()
}

/// The blocks of the guide in this language.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let blocks = guide.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The example's configuration, with ports that are free; nobody listens where the portal would be.
fn config(bench: &Bench) -> (PathBuf, u16) {
    let listen = free_ports(3);
    let mut text = blocks(&guide(), "yaml").remove(0);
    for (written, port) in [(":8080", listen), (":9090", listen + 1), (":3000", listen + 2)] {
        assert!(text.contains(written), "{written} is not in {text}");
        text = text.replace(written, &format!(":{port}"));
    }
    (bench.folder.write("config.yaml", &text), listen)
}

/// One request, and its answer.
fn ask(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> String {
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(&host).unwrap();
    let mut request = format!(
        "{method} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n",
        &url[url::Position::BeforePath..url::Position::AfterQuery],
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Signs somebody in at the portal: what the callback answers.
fn sign_in(portal: u16, username: &str) -> String {
    let page =
        [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let start = Url::parse(&format!("http://127.0.0.1:{portal}/reports")).unwrap();
    let off = ask("GET", &start, &page, "");
    let cookie = header(&off, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let mut login = Url::parse(header(&off, "location").unwrap()).unwrap();
    let path = login.path().replace("oauth2/v2.0/authorize", "login");
    login.set_path(&path);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let back = ask("POST", &login, &form, &format!("username={username}&password=demo"));
    let callback =
        Url::parse(header(&back, "location").unwrap_or_else(|| panic!("{back}"))).unwrap();
    ask("GET", &callback, &[page[0], page[1], page[2], ("Cookie", &cookie)], "")
}

/// The words of a line in the guide, with its `&` left out.
fn words(line: &str) -> Vec<String> {
    let line = line.strip_prefix("$ ").unwrap().trim_end_matches(" &");
    let plain = line.split('\'').enumerate().flat_map(|(index, part)| match index % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    });
    plain.collect()
}

#[test]
fn the_example_of_the_guide_does_what_it_says() {
    let mut bench = Bench::new();
    let (_, portal) = config(&bench);
    let (mut emulator, mut told) = (None, None);
    for block in blocks(&guide(), "console") {
        for line in block.lines() {
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["export", "CLIENT_SECRET=any"] => {}
                ["anteport", "emulator", rest @ ..] => {
                    let words = [&["emulator", "--port", "0"], rest].concat();
                    told = Some(bench.spawn(&words));
                }
                // As a shell does it: the second command comes when the first has its file.
                ["until", ..] => {
                    let line = line.strip_prefix("$ ").unwrap();
                    let mut shell = Command::new("timeout");
                    shell.args(["60", "sh", "-c", line]).current_dir(&bench.folder.0);
                    assert!(shell.status().unwrap().success(), "{line}");
                    let said = Bench::read(told.as_mut().unwrap(), "Ctrl-C stops it");
                    let url = said[0].split(' ').find(|word| word.starts_with("http://"));
                    emulator = Some(Url::parse(url.unwrap()).unwrap());
                    assert!(said[0].contains("NOT Microsoft"), "{said:?}");
                    assert!(said.iter().any(|line| line.contains("member@mail.example")));
                }
                ["anteport", rest @ ..] => {
                    bench.start(rest, "ready");
                    let landed = sign_in(portal, "member@mail.example");
                    assert_eq!(header(&landed, "location"), Some("/reports"), "{landed}");
                }
                ["curl", "-d", form, url] => {
                    let mut url = Url::parse(url).unwrap();
                    url.set_port(emulator.as_ref().unwrap().port()).unwrap();
                    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
                    let body = form.replace('+', "%2B");
                    let told = ask("POST", &url, &kind, &body);
                    assert!(told.starts_with("HTTP/1.1 200"), "{line}: {told}");
                }
                _ => panic!("the guide says: {line}"),
            }
        }
    }
    // What was told came together: the next sign-in comes back with an error.
    let refused = sign_in(portal, "member@mail.example");
    assert!(refused.starts_with("HTTP/1.1 4"), "{refused}");
    let log = ask("GET", &emulator.unwrap().join("/_emulator/log").unwrap(), &[], "");
    assert!(log.contains("/oauth2/v2.0/token") && !log.contains("\"any\""), "{log}");
}

#[test]
fn the_guide_and_the_help_have_every_word() {
    let guide = guide();
    let help = Bench::new();
    let help = help.anteport(&["emulator", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = one_line(&help);
    let rows = |words: &[Word]| -> String {
        words
            .iter()
            .map(|(word, takes, what)| format!("| `{word}` | {what} | {takes} |\n"))
            .collect()
    };
    let tables = ["Once, to the next", "Until it is set back"].map(|title| {
        let table = guide.split(title).nth(1).unwrap().split("|---|---|---|\n").nth(1).unwrap();
        format!("{}\n", table.split("\n\n").next().unwrap())
    });
    assert_eq!(tables[0], rows(NEXT), "docs/emulator.md wants these rows");
    assert_eq!(tables[1], rows(SET), "docs/emulator.md wants these rows");
    for (word, takes, what) in NEXT.iter().chain(SET) {
        assert!(help.contains(&format!("{word} {what} {}", one_line(takes))), "{word}: {help}");
    }
}

fn refused(bench: &Bench, words: &[&str]) -> (Option<i32>, String) {
    let output = bench.anteport(words).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn it_says_why_it_does_not_start() {
    let bench = Bench::new();
    let (_, _) = config(&bench);
    let start = ["emulator", "--config", "config.yaml", "--port", "0"];
    let with = |more: &[&str]| refused(&bench, &[&start[..], more].concat());
    let (code, said) = with(&["--next", "token=nonsense"]);
    assert!(code == Some(1) && said.contains("`token` takes wrong_nonce, "), "{said}");
    let (code, said) = with(&["--set", "clock"]);
    assert!(code == Some(2) && said.contains("WORD=VALUE"), "{said}");
    std::fs::write(bench.path("mine.yaml"), "mine").unwrap();
    for flag in ["--write", "--tls"] {
        let (code, said) = with(&[flag, "mine.yaml"]);
        assert!(code == Some(1) && said.contains("not written by this command"), "{said}");
        assert_eq!(std::fs::read_to_string(bench.path("mine.yaml")).unwrap(), "mine");
    }
    let (code, said) = refused(&bench, &["emulator", "--config", "absent.yaml"]);
    assert!(code == Some(78) && said.contains("cannot read the configuration"), "{said}");
    let text = std::fs::read_to_string(bench.path("config.yaml")).unwrap();
    let (before, after) = text.split_once("    kind: azure_ad_b2c").unwrap();
    let after = after.split_once("B2C_1_signupsignin").unwrap().1;
    let other = format!("{before}    kind: oidc\n    issuer: https://id.example.org{after}");
    std::fs::write(bench.path("other.yaml"), other).unwrap();
    let (code, said) = refused(&bench, &["emulator", "--config", "other.yaml"]);
    assert!(code == Some(1) && said.contains("nothing to emulate"), "{said}");
}

/// What is written beside the file first may be somebody else's, or lead elsewhere.
#[test]
fn what_is_in_its_way_is_left_alone() {
    let mut bench = Bench::new();
    let (_, _) = config(&bench);
    let words = "emulator --config config.yaml --port 0 --write emulated.yaml";
    let words: Vec<_> = words.split(' ').collect();
    let (beside, mine) = (bench.path("emulated.yaml.new"), bench.path("mine.yaml"));
    std::fs::write(&mine, "mine").unwrap();
    std::os::unix::fs::symlink(&mine, &beside).unwrap();
    let (code, said) = refused(&bench, &words);
    assert!(code == Some(1) && said.contains("emulated.yaml.new is there and was not"), "{said}");
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    std::fs::rename(&mine, &beside).unwrap();
    let (code, said) = refused(&bench, &words);
    assert!(code == Some(1) && said.contains("emulated.yaml.new is there and was not"), "{said}");
    assert_eq!(std::fs::read_to_string(&beside).unwrap(), "mine");
    assert!(!bench.path("emulated.yaml").exists());

    // One of its own, of a start that ended too soon; everybody can read it, and it is not used.
    let mark = "# Written by `anteport emulator`, and worth nothing without it.\n";
    std::fs::write(&beside, mark).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&beside, everybody).unwrap();
    bench.start(&words, "Ctrl-C stops it");
    assert_private(&bench.path("emulated.yaml"));
    assert!(!beside.exists());
}

/// Another process may have another value of a variable.
#[test]
fn cfg_05_no_variable_has_the_written_configuration_listen_for_everybody() {
    let mut bench = Bench::new();
    let (path, portal) = config(&bench);
    let text = std::fs::read_to_string(&path).unwrap();
    let listen = format!("listen: {{ address: \"127.0.0.1:{portal}\" }}");
    assert!(text.contains(&listen));
    let open = format!("listen: {{ address: \"${{PORT_OF_NOBODY:-0.0.0.0:{portal}}}\" }}");
    std::fs::write(&path, text.replace(&listen, &open)).unwrap();
    let words = "emulator --config config.yaml --port 0 --write emulated.yaml";
    bench.start(&words.split(' ').collect::<Vec<_>>(), "Ctrl-C stops it");
    let written = std::fs::read_to_string(bench.path("emulated.yaml")).unwrap();
    assert!(written.contains(&format!("\"127.0.0.1:{portal}\"")), "{written}");
    assert!(!written.contains("PORT_OF_NOBODY"), "{written}");
}

#[test]
fn a_managed_identity_asks_the_emulator_and_not_azure() {
    let mut bench = Bench::new();
    let (path, portal) = config(&bench);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("kind: azure_ad_b2c\n    tenant: contoso\n", ENTRA);
    let text = text.replace("    policy: B2C_1_signupsignin\n", "");
    let identity = "managed_identity: { client_id: 2f6d8e30-7b41-4c95-a6d2-0e9f1b3c5a78 }";
    let text = text.replace("secret: { env: CLIENT_SECRET }", identity);
    std::fs::write(&path, text).unwrap();
    let words = "emulator --config config.yaml --port 0 --write emulated.yaml";
    bench.start(&words.split(' ').collect::<Vec<_>>(), "Ctrl-C stops it");
    bench.start(&["run", "--config", "emulated.yaml"], "ready");
    let landed = sign_in(portal, "member@contoso.example");
    assert_eq!(header(&landed, "location"), Some("/reports"), "{landed}");
}

#[test]
fn its_graph_knows_the_groups_of_people_in_the_operators_own_tenant() {
    let mut bench = Bench::new();
    let (path, portal) = config(&bench);
    let text = std::fs::read_to_string(&path).unwrap();
    let entra = format!("{ENTRA}    groups: {{ source: graph }}\n");
    let text = text.replace("kind: azure_ad_b2c\n    tenant: contoso\n", &entra);
    let text = text.replace("    policy: B2C_1_signupsignin\n", "");
    let crew = "requires: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000007] }";
    let routes = format!("routes: [{{ path: \"/**\", access: signed_in, {crew} }}]\n    identity:");
    std::fs::write(&path, text.replace("identity:", &routes)).unwrap();
    let words = "emulator --config config.yaml --port 0 --write emulated.yaml";
    let said = bench.start(&words.split(' ').collect::<Vec<_>>(), "Ctrl-C stops it").join("\n");
    assert!(said.contains("graph: \"http://127.0.0.1:"), "{said}");
    bench.start(&["run", "--config", "emulated.yaml"], "ready");
    // Nobody listens where the portal would be; one of them gets as far as that.
    for (username, code) in [
        ("groups2000@contoso.example", "upstream-unreachable"),
        ("groups199@contoso.example", "upstream-unreachable"),
        ("member@contoso.example", "group-missing"),
    ] {
        let signed_in = sign_in(portal, username);
        let cookie = header(&signed_in, "set-cookie").unwrap_or_else(|| panic!("{signed_in}"));
        let cookie = cookie.split(';').next().unwrap();
        let page = Url::parse(&format!("http://127.0.0.1:{portal}/reports")).unwrap();
        let answer = ask("GET", &page, &[("Accept", "text/html"), ("Cookie", cookie)], "");
        assert!(answer.contains(code), "{username}: {answer}");
    }
}

#[test]
fn over_tls_the_written_configuration_trusts_its_authority() {
    let mut bench = Bench::new();
    let (_, portal) = config(&bench);
    let words = "emulator --config config.yaml --port 0 --write emulated.yaml --tls ca.pem";
    let said = bench.start(&words.split(' ').collect::<Vec<_>>(), "Ctrl-C stops it");
    assert!(said[0].contains("https://localhost:"), "{said:?}");
    let text = std::fs::read_to_string(bench.path("emulated.yaml")).unwrap();
    assert!(text.contains("\"authority\": \"https://localhost:"), "{text}");
    bench.start(&["run", "--config", "emulated.yaml"], "ready");
    let page =
        [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let start = Url::parse(&format!("http://127.0.0.1:{portal}/reports")).unwrap();
    let off = ask("GET", &start, &page, "");
    assert!(header(&off, "location").unwrap().starts_with("https://localhost:"), "{off}");
    assert_private(&bench.path("emulated.yaml"));
}

/// It may have secrets in it.
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}
