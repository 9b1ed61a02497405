//! Mistakes about this machine, and about files and claims.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use super::bench::{Bench, Plan};

#[test]
fn an_address_that_somebody_has_is_named() {
    let bench = Bench::start(Plan::default());
    let _taken = TcpListener::bind(("127.0.0.1", bench.listen)).unwrap();
    let report = bench.doctor(&["--only", "machine"]);
    let port = format!("sport = :{}", bench.listen);
    report.finds("listener", "error", &["somebody else listens there", &port]);
    report.finds("admin-listener", "ok", &["it can be listened at"]);
}

#[test]
fn an_address_that_is_not_ours_to_have_is_named() {
    let bench = Bench::start(Plan::default());
    let text = std::fs::read_to_string(bench.folder.at("config.yaml")).unwrap();
    let here = format!("127.0.0.1:{}", bench.listen);
    bench.write("config.yaml", &text.replace(&here, "203.0.113.7:8443"));
    let report = bench.doctor(&["--only", "machine"]);
    report.finds("listener", "error", &["no address 203.0.113.7", "0.0.0.0"]);
}

#[test]
fn an_anteport_that_runs_already_is_known() {
    let bench = Bench::start(Plan::default());
    let mut running = bench.command(&["run", "--config", "config.yaml"]).spawn().unwrap();
    let mut log = BufReader::new(running.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("\"ready\"")));
    let report = bench.doctor(&["--only", "machine"]);
    running.kill().unwrap();
    running.wait().unwrap();
    report.finds("listener", "ok", &["an Anteport listens there"]);
    report.finds("admin-listener", "ok", &["an Anteport listens there"]);
    report.finds("descriptors", "ok", &["the running Anteport"]);
}

#[test]
fn too_few_descriptors_are_named() {
    let instead = vec![("max_connections: 100", "max_connections: 1000000".to_owned())];
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&["--only", "machine"]);
    report.finds("descriptors", "warning", &["max_connections: 1000000", "LimitNOFILE=2000064"]);
}

#[test]
fn a_certificate_for_another_host_is_named() {
    let certificate_for = "portal.harbor.example";
    let report =
        Bench::start(Plan { certificate_for, ..Plan::default() }).doctor(&["--only", "files"]);
    let words = ["listen.tls", "the certificate is not for `localhost`", "get one that names"];
    report.finds("listener-certificate", "error", &words);
}

#[test]
fn cry_02_files_that_others_can_get_at_are_named() {
    let bench = Bench::start(Plan::default());
    bench.rights("secret", 0o644);
    let report = bench.doctor(&["--only", "files"]);
    let words =
        ["credentials[0].secret.file", "every user of this machine can read", "chmod o-rwx"];
    report.finds("configuration", "warning", &words);
    assert_eq!(report.code, 0);
    bench.rights("config.yaml", 0o666);
    let report = bench.doctor(&["--only", "files"]);
    report.finds("configuration-file", "error", &["mode 0666", "chmod o-w"]);
    bench.rights("tls.key", 0o644);
    let report = bench.doctor(&["--only", "files"]);
    report.finds("configuration", "error", &["listen.tls.key", "chmod 0640"]);
}

#[test]
fn a_claim_that_the_token_lacks_is_named() {
    let bench = Bench::start(Plan::default());
    let token = bench.write(
        "token.json",
        r#"{ "aud": ["a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20"], "oid": "canary-of-a-claim" }"#,
    );
    let report = bench.doctor(&["--only", "claims", "--token", &token]);
    let words = ["`x-auth-email` would be absent", "no `email`", "Token configuration"];
    report.finds("mapped-claims", "warning", &words);
    report.finds("token", "ok", &["the client id of corporate"]);
    let token = bench.write("token.json", r#"{ "aud": "canary-of-another", "oid": "x" }"#);
    let report = bench.doctor(&["--only", "claims", "--token", &token]);
    report.finds("token", "warning", &["its `aud` is no `client_id`"]);
}

#[test]
fn a_claim_without_which_nobody_signs_in_is_an_error() {
    let instead =
        vec![("X-Auth-Email: email", "X-Auth-Email: { claim: email, required: true }".to_owned())];
    let bench = Bench::start(Plan { instead, ..Plan::default() });
    let token = bench.write("token.json", r#"{ "oid": "canary" }"#);
    let report = bench.doctor(&["--only", "claims", "--token", &token]);
    report.finds("mapped-claims", "error", &["nobody could sign in", "`email`"]);
}
