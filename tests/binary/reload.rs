//! Reloading as an operator does it: by a file, by a signal, by the admin listener and by the
//! command line.

use std::os::unix::fs::symlink;

use super::*;

/// The files as Kubernetes mounts them: links into a folder that is a link itself.
struct Mounted {
    folder: Folder,
    version: usize,
}

impl Mounted {
    fn new(text: &str, secret: &str) -> Self {
        let mut mounted = Self { folder: Folder::new(), version: 0 };
        mounted.swap(text, secret);
        for name in ["config.yaml", "client_secret"] {
            symlink(format!("..data/{name}"), mounted.folder.at(name)).unwrap();
        }
        mounted
    }

    /// All of them are others, in one moment.
    fn swap(&mut self, text: &str, secret: &str) {
        self.version += 1;
        let version = format!("..{}", self.version);
        std::fs::create_dir(self.folder.at(&version)).unwrap();
        for (name, text) in [("config.yaml", text), ("client_secret", secret)] {
            let path = self.folder.at(&version).join(name);
            std::fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(path, mode).unwrap();
        }
        symlink(version, self.folder.at("..next")).unwrap();
        std::fs::rename(self.folder.at("..next"), self.folder.at("..data")).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.at("config.yaml")
    }
}

fn with_secret_file(first: u16) -> String {
    config(first).replace("{ value: \"canary-of-the-secret\" }", "{ file: client_secret }")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// CFG-02, CFG-03, LOG-03.
#[test]
fn cfg_02_a_mounted_configuration_is_reloaded_when_it_changes_and_when_somebody_asks() {
    let first = free_ports(4);
    let _microsoft = microsoft(&ports(first));
    let text = with_secret_file(first);
    let mut mounted = Mounted::new(&text, "canary-one");
    let file = mounted.file();
    let (mut child, mut log) = up(&file);
    // There is no portal: whoever may pass gets a 502, and everybody else is sent to sign in.
    let opened = |path: &str| status(&ask(first, &format!("GET {path} HTTP/1.1"))).to_owned();
    assert_eq!((opened("/open/a"), opened("/public/a")), ("303".into(), "502".into()));

    let opener = text.replace("/public/**", "/open/**");
    mounted.swap(&opener, "canary-one");
    let said = log.until("configuration-reloaded");
    assert!(said.contains("\"reason\":\"files\""), "{said}");
    assert_eq!((opened("/open/a"), opened("/public/a")), ("502".into(), "303".into()));

    // A secret alone is a change as well.
    mounted.swap(&opener, "canary-two");
    log.until("configuration-reloaded");

    // Broken ones are refused, with all that is wrong.
    mounted.swap(&opener.replace("azure_only", "x").replace("routes:", "rotes:"), "canary-two");
    let said = log.until("configuration-refused");
    assert!(said.contains("did you mean `routes`") && said.contains("config-refused"), "{said}");
    let severe = said.lines().filter(|line| line.contains("\"severity\":\"error\""));
    let levels: Vec<bool> = severe.map(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert!(levels.len() >= 2 && levels.iter().all(|is_error| *is_error), "{said}");
    assert_eq!(opened("/open/a"), "502");
    let admin = first + 1;
    let json = "POST /-/reload HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2";
    let host = format!("Host: 127.0.0.1:{admin}\r\nConnection: close\r\n\r\n{{}}");
    let post = |head: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", admin)).unwrap();
        stream.write_all(format!("{head}\r\n{host}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let refused = post(json);
    assert_eq!(status(&refused), "422", "{refused}");
    let body: serde_json::Value =
        serde_json::from_str(refused.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["reloaded"], &body["error"]), (&false.into(), &"config-refused".into()));
    let problem = &body["problems"][0];
    assert!(problem["line"].as_u64().unwrap() > 0 && problem["key"].is_string(), "{body}");
    log.until("configuration-refused");
    // No page can ask for it.
    assert_eq!(status(&post(&json.replace("POST", "GET"))), "405");
    assert_eq!(status(&post(&json.replace("application/json", "text/plain"))), "415");
    assert_eq!(status(&post(&format!("{json}\r\nOrigin: https://evil.example"))), "403");

    let anteport = |verb: &str| super::anteport(&[verb, "--config", file.to_str().unwrap()]);
    let (code, out, err) = anteport("reload");
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    assert!(err.contains("nothing was changed") && err.contains("rotes"), "{err}");
    log.until("configuration-refused");

    // What takes a restart is named.
    mounted.swap(&opener.replace(&format!("{first}\" }}"), "1\" }"), "canary-two");
    let said = log.until("configuration-refused");
    assert!(said.contains("config-needs-restart") && said.contains("listen.address"), "{said}");

    // By a signal, after which access is logged no more.
    let quiet = opener.clone() + "logging: { access: false }\nreload: { watch: false }\n";
    mounted.swap(&quiet, "canary-two");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    log.until("configuration-reloaded");
    opened("/open/never-written");
    let (code, out, err) = anteport("reload");
    let path = file.display();
    let same = format!("no file has changed since what is in force was read: {path}");
    assert_eq!((code, out.trim()), (Some(0), same.as_str()), "{err}");
    log.until("configuration-reloaded");
    mounted.swap(&format!("{quiet}# another\n"), "canary-two");
    let (code, out, err) = anteport("reload");
    let another = format!("another configuration is in force: {path}");
    assert_eq!((code, out.trim()), (Some(0), another.as_str()), "{err}");
    assert!(!err.contains("only said where to ask"), "{err}");
    log.until("configuration-reloaded");
    // Another file says where to ask, and nothing more.
    let other = mounted.folder.write("other.yaml", &opener);
    let (code, out, err) = super::anteport(&["reload", "--config", other.to_str().unwrap()]);
    assert_eq!((code, out.trim()), (Some(0), same.as_str()), "{err}");
    let (read, named) = (format!("reads {path},"), format!("not {}, which", other.display()));
    assert!(err.contains(&read) && err.contains(&named), "{err}");
    log.until("configuration-reloaded");
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let said = log.rest();
    assert!(!said.contains("never-written"), "{said}");
    assert!(!said.contains("canary"), "LOG-01: {said}");
    let (code, _, err) = anteport("reload");
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains(&format!("127.0.0.1:{admin}")), "{err}");
}
