//! Streams in files: each where it belongs, and opened anew for whoever moves them away.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::kit::{Folder, Running, free_ports, read_all, until};
use crate::open::open;

fn config(port: u16, logging: &str) -> String {
    open(port, port + 1, port + 2, &format!("logging: {logging}"))
}

fn targets(lines: &str) -> Vec<String> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["target"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_stream_goes_where_it_belongs_and_files_are_opened_anew() {
    let folder = Folder::new();
    let port = free_ports(3);
    // Relative paths begin at the folder of the configuration.
    let logging = "{ to: stdout, access_to: ./access.log, audit_to: ./audit.log }";
    let mut running = Running::start(&folder.write("config.yaml", &config(port, logging)), port);
    let (stdout, stderr) = (read_all(running.stdout()), read_all(running.stderr()));
    running.ask("GET", "/before", &[], "");
    until("the line is there", || folder.read("access.log").contains("/before"));
    std::fs::rename(folder.at("access.log"), folder.at("access.log.1")).unwrap();
    running.ask("GET", "/moved", &[], "");
    until("who was not told goes on", || folder.read("access.log.1").contains("/moved"));
    running.signal("-USR1");
    until("the file is there again", || {
        running.ask("GET", "/after", &[], "");
        folder.read("access.log").contains("/after")
    });
    assert!(!folder.read("access.log").contains("/before"));
    // Where it cannot be opened anew, lines go where they went.
    std::fs::rename(folder.at("access.log"), folder.at("access.log.2")).unwrap();
    std::fs::create_dir(folder.at("access.log")).unwrap();
    running.signal("-USR1");
    running.ask("GET", "/last", &[], "");
    until("nothing is lost", || folder.read("access.log.2").contains("/last"));
    assert_eq!(running.stop_within(Duration::from_secs(20)).code(), Some(0));

    let access = folder.read("access.log.1") + &folder.read("access.log.2");
    assert!(targets(&access).iter().all(|target| target == "anteport::access"), "{access}");
    let audit = folder.read("audit.log");
    assert_eq!(targets(&audit), ["anteport::audit", "anteport::audit"], "{audit}");
    assert!(audit.contains("\"started\"") && audit.contains("\"stopped\""), "{audit}");
    let stdout = stdout.join().unwrap();
    let is_other = |target: &String| target != "anteport::access" && target != "anteport::audit";
    assert!(targets(&stdout).iter().all(is_other), "{stdout}");
    assert!(stdout.contains("\"ready\""), "{stdout}");
    let stderr = stderr.join().unwrap();
    let of_configuration = |line: &str| line.starts_with("warning: ");
    assert!(stderr.lines().all(of_configuration), "nothing else goes there: {stderr}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder.at("audit.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "others have no business in it");
}

#[test]
fn a_file_that_cannot_be_written_is_said_at_the_start() {
    let folder = Folder::new();
    let port = free_ports(3);
    for (logging, why) in [
        ("{ audit_to: ./missing/audit.log }", "missing/audit.log"),
        ("{ access_to: /dev/null }", "not a file"),
    ] {
        let file = folder.write("config.yaml", &config(port, logging));
        let output = Command::new(env!("CARGO_BIN_EXE_anteport"))
            .args(["run", "--config"])
            .arg(file)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
