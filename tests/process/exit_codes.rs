//! How a process that does not run says why.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::running::{BINARY, Folder, free_port, open};

fn run(text: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let file = folder.write("config.yaml", text);
    let Output { status, stderr, .. } = Command::new(BINARY)
        .args(["run", "--config"])
        .arg(&file)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn an_address_in_use_is_1_and_says_which_and_how_to_find_out_whose() {
    for what in ["listen.address", "admin.address"] {
        let (port, admin) = (free_port(), free_port());
        let taken = if what == "listen.address" { port } else { admin };
        let _held = TcpListener::bind(("127.0.0.1", taken)).unwrap();
        let (code, said) = run(&open(port, admin, free_port(), ""), &[]);
        assert_eq!(code, Some(1), "{said}");
        for wanted in
            [what, &format!("127.0.0.1:{taken}"), "another program", &format!("sport = :{taken}")]
        {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
}

#[test]
fn an_address_of_another_machine_is_1() {
    let text = open(free_port(), free_port(), free_port(), "");
    let text = text.replacen("127.0.0.1", "192.0.2.1", 1);
    let (code, said) = run(&text, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no interface of this machine"), "{said}");
}

#[test]
fn a_refused_configuration_is_78_and_a_missing_one_too() {
    let (code, said) = run("shutdown: { drain: long }", &[]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("shutdown.drain"), "{said}");
    let missing = Command::new(BINARY).args(["run", "--config", "/nobody/here.yaml"]).output();
    assert_eq!(missing.unwrap().status.code(), Some(78));
}

#[test]
fn a_command_line_that_says_nothing_of_use_is_2() {
    let output = Command::new(BINARY).args(["run", "--fast"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_service_that_is_needed_and_cannot_be_reached_is_69() {
    let folder = Folder::new();
    let text = open(free_port(), free_port(), free_port(), "");
    let file = folder.write("config.yaml", &text);
    let output =
        Command::new(BINARY).args(["sessions", "list", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "nobody runs whose sessions those would be");
}

#[test]
fn what_a_service_manager_hands_over_and_is_not_there_is_1() {
    let text = open(free_port(), free_port(), free_port(), "");
    // It cannot know its own process before it starts, so a shell says it.
    for (sockets, wanted) in [("x", "LISTEN_FDS is not a number"), ("1", "no TCP socket")] {
        let folder = Folder::new();
        let file = folder.write("config.yaml", &text);
        let script = format!(
            "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS={sockets} exec \"$0\" run --config \"$1\""
        );
        let output = Command::new("sh").args(["-c", &script, BINARY]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    let (code, said) = run(&text, &[("NOTIFY_SOCKET", "nowhere")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("NOTIFY_SOCKET"), "{said}");
}

#[test]
fn who_says_to_be_a_predecessor_has_to_be_one() {
    let text = open(free_port(), free_port(), free_port(), "");
    let (code, said) = run(&text, &[("ANTEPORT_PREDECESSOR", "1")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("whose place is to be taken"), "{said}");
}
