//! `anteport config` as an operator and a script meet it: what is printed, what is written, and how
//! it ends.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use folder::Folder;

#[path = "kit/folder.rs"]
mod folder;

const BINARY: &str = env!("CARGO_BIN_EXE_anteport");
const CLIENT_ID: &str = "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20";

/// Without a terminal, as a script runs it.
fn config(arguments: &[&str]) -> (i32, String, String) {
    let done: Output = Command::new(BINARY)
        .arg("config")
        .args(arguments)
        .env_remove("ANTEPORT_CONFIG")
        .env("CANARY_OF_A_VARIABLE", "canary-of-the-environment")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// Flags that are enough, with the secret in this file.
fn flags<'a>(output: &'a str, secret: &'a str) -> Vec<&'a str> {
    let url = "https://members.example.org";
    let mut flags = vec!["init", "--public-url", url, "--upstream", "http://127.0.0.1:3000"];
    flags.extend(["--tenant", "contoso.onmicrosoft.com", "--client-id", CLIENT_ID]);
    flags.extend(["--secret-file", secret, "--output", output]);
    flags
}

fn check(path: &Path) -> (i32, String) {
    let done = Command::new(BINARY).args(["check", "--config"]).arg(path).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn what_init_writes_can_be_used_and_says_what_to_register() {
    let folder = Folder::new();
    let output = folder.at("config.yaml");
    let secret = folder.write("secret", "canary-of-the-secret\n");
    let (output, secret) = (output.to_str().unwrap(), secret.to_str().unwrap());
    let mut flags = flags(output, secret);
    flags.extend(["--profile", "wordpress"]);
    let (code, said, complained) = config(&flags);
    assert_eq!(code, 0, "{complained}");
    for line in [
        "  https://members.example.org/.auth/login/corporate/callback",
        "  https://members.example.org/.auth/logout/done",
        "  https://members.example.org/.auth/front-channel-logout/corporate",
    ] {
        assert!(said.lines().any(|there| there == line), "{line}\n{said}");
    }
    assert!(said.contains(&format!("anteport check --config {output}")), "{said}");
    assert!(said.contains(&format!("anteport doctor --config {output}")), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let text = std::fs::read_to_string(output).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./config.schema.json\n"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(check(Path::new(output)).0, 0);

    // CFG-04, and nobody's work is lost.
    let (code, _, complained) = config(&flags);
    assert_eq!(code, 1, "{complained}");
    assert!(complained.contains("is there already"), "{complained}");
    assert_eq!(std::fs::read_to_string(output).unwrap(), text);
    flags.push("--force");
    flags.extend(["--mode", "report_only"]);
    assert_eq!(config(&flags).0, 0);
    assert!(std::fs::read_to_string(output).unwrap().contains("mode: report_only"));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
}

#[test]
fn every_kind_can_be_written() {
    let folder = Folder::new();
    for (kind, more) in [
        ("entra_id", &["--tenant", "contoso.onmicrosoft.com"][..]),
        ("azure_ad_b2c", &["--tenant", "contoso", "--user-flow", "B2C_1_in"]),
        (
            "azure_ad_b2c",
            &["--tenant", "contoso", "--user-flow", "B2C_1_in", "--domain", "login.example.org"],
        ),
        ("external_id", &["--tenant", "contoso", "--mode", "optional"]),
        ("oidc", &["--issuer", "https://accounts.example.org", "--listen", "0.0.0.0:80"]),
    ] {
        let output = folder.at("config.yaml");
        let url = "https://members.example.org";
        let mut flags = vec!["init", "--force", "--kind", kind, "--client-id", CLIENT_ID];
        flags.extend(["--public-url", url, "--upstream", "http://127.0.0.1:3000"]);
        flags.extend(["--secret-env", "CANARY_OF_A_VARIABLE"]);
        flags.extend(["--output", output.to_str().unwrap()]);
        flags.extend(more);
        let (code, said, complained) = config(&flags);
        assert_eq!(code, 0, "{kind}: {complained}");
        assert!(said.contains("/.auth/login/corporate/callback"), "{said}");
        assert!(!said.contains("canary"), "{said}");
        let show = ["show", "--config", output.to_str().unwrap()];
        let (code, said, complained) = config(&show);
        assert_eq!(code, 0, "{complained}");
        assert!(said.contains(&format!("kind: {kind}  # config.yaml:")), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn without_a_terminal_all_that_is_missing_or_wrong_is_said_at_once() {
    let folder = Folder::new();
    let output = folder.at("config.yaml");
    let path = output.to_str().unwrap();
    let (code, said, complained) = config(&["init", "--output", path, "--upstream", "127.0.0.1"]);
    assert_eq!((code, said.as_str()), (2, ""), "{complained}");
    for flag in ["public-url", "tenant", "client-id", "secret-file"] {
        assert!(complained.contains(&format!("error: --{flag} is missing: ")), "{complained}");
    }
    assert!(complained.contains("error: --upstream: expected a URL"), "{complained}");
    assert!(!complained.contains("--user-flow"), "{complained}");

    let mut wrong = flags(path, "Zx8Q~canary-of-a-secret");
    wrong.extend(["--kind", "oidc", "--issuer", "https://accounts.example.org"]);
    let (code, _, complained) = config(&wrong);
    assert_eq!(code, 2);
    assert!(complained.contains("--tenant: there is no tenant with `--kind oidc`"), "{complained}");
    assert!(complained.contains("--secret-file: this is no path"), "{complained}");
    assert!(!complained.contains("canary"), "{complained}");
    for (flag, value) in
        [("--kind", "entra"), ("--mode", "azure"), ("--profile", "wordpres"), ("--listen", "x")]
    {
        let mut wrong = flags(path, "/run/secrets/client_secret");
        wrong.extend([flag, value]);
        let (code, _, complained) = config(&wrong);
        assert_eq!(code, 2, "{flag}");
        assert_eq!(complained.lines().count(), 1, "{complained}");
        assert!(complained.starts_with(&format!("error: {flag}: expected ")), "{complained}");
    }
    assert!(!output.exists());
}

/// What is not there yet is no reason not to write, and is said.
#[test]
fn a_secret_that_is_yet_to_come_is_said() {
    let folder = Folder::new();
    let output = folder.at("config.yaml");
    let (path, secret) = (output.to_str().unwrap(), folder.at("none"));
    let (code, said, complained) = config(&flags(path, secret.to_str().unwrap()));
    assert_eq!(code, 0, "{complained}");
    assert!(said.contains("Before it can run:"), "{said}");
    assert!(said.contains("cannot read the secret"), "{said}");
    assert!(complained.contains("`local_login` is missing"), "{complained}");
    assert_eq!(check(&output).0, 3);
    // A folder instead of a file, of which nothing is left.
    let mut forced = flags(folder.0.to_str().unwrap(), "/run/secrets/x");
    forced.push("--force");
    let (code, _, complained) = config(&forced);
    assert_eq!(code, 1, "{complained}");
    let beside = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let name = folder.0.file_name().unwrap().to_str().unwrap();
    let left = beside.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_str().is_some_and(|there| there.starts_with(name))
    });
    assert_eq!(left.count(), 1);
    // A folder that is not there.
    let (code, _, complained) = config(&flags("/no/such/folder/config.yaml", "/run/secrets/x"));
    assert_eq!(code, 1);
    assert!(complained.contains("cannot write /no/such/folder/config.yaml"), "{complained}");
}

#[test]
fn show_and_explain_end_as_they_should() {
    let folder = Folder::new();
    let broken = folder.write("broken.yaml", "listen: 1\n");
    let (code, said, complained) = config(&["show", "--config", broken.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (78, ""));
    assert!(complained.contains("broken.yaml:1:9: listen: "), "{complained}");
    let (code, _, complained) = config(&["show", "--config", "/no/such/file"]);
    assert_eq!(code, 78, "{complained}");
    let (code, said, _) = config(&["explain", "local_login.profile"]);
    assert_eq!(code, 0);
    assert!(said.contains("example  profile: [wordpress]"), "{said}");
    let (code, said, _) = config(&["explain"]);
    assert_eq!(code, 0);
    assert!(said.lines().count() > 250, "{said}");
    let (code, _, complained) = config(&["explain", "local_logn"]);
    assert_eq!(code, 2);
    assert!(complained.contains("did you mean `local_login`?"), "{complained}");
    let (code, said, _) = config(&["schema"]);
    assert_eq!(code, 0);
    assert_eq!(said, include_str!("../config.schema.json"));
}
