//! What the command line says to somebody who is mistaken: what is wrong, and what would be right.

use super::*;

/// Not what was found is of interest here, but that it says all of these.
fn says(arguments: &[&str], code: i32, wanted: &[&str]) -> String {
    let (found, _, said) = anteport(arguments);
    assert_eq!(found, Some(code), "{arguments:?}: {said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "{arguments:?} does not say {wanted}: {said}");
    }
    said
}

#[test]
fn a_configuration_that_is_not_there_is_said_with_what_names_another() {
    let wanted = ["No such file", "`--config`", "$ANTEPORT_CONFIG", "`anteport config init`"];
    says(&["check", "--config", "/nonexistent/config.yaml"], 3, &wanted);
}

#[test]
fn who_is_not_there_and_who_is_somebody_else_are_told_apart() {
    let folder = Folder::new();
    let first = free_ports(4);
    let file = folder.write("config.yaml", &config(first));
    let file = file.to_str().unwrap();
    let nobody = [&*format!("nobody answers at 127.0.0.1:{}", first + 1), "`admin.address`"];
    for verb in [&["discover"][..], &["reload"], &["sessions", "list"]] {
        says(&[verb, &["--config", file]].concat(), 69, &nobody);
    }
    says(&["healthcheck", "--config", file], 1, &nobody);

    let other = TcpListener::bind(("127.0.0.1", first + 1)).unwrap();
    let answering = std::thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = other.accept().unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.1 501 Not Implemented\r\n\r\n").unwrap();
        }
    });
    let stranger = ["501: another program is there", "`admin.address`"];
    for verb in [&["discover"][..], &["reload"], &["healthcheck"]] {
        says(&[verb, &["--config", file]].concat(), 1, &stranger);
    }
    let stranger = ["knows nothing of sessions", "another program is there"];
    says(&["sessions", "list", "--config", file], 1, &stranger);
    answering.join().unwrap();
}

#[test]
fn log_01_an_assertion_on_the_command_line_is_not_said_again() {
    let folder = Folder::new();
    let file = folder.write("config.yaml", &config(free_ports(4)));
    let short = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary";
    let long = format!("eyJ{}.canary.canary", "a".repeat(600));
    for assertion in [short, &long] {
        let arguments = ["verify-header", assertion, "--config", file.to_str().unwrap()];
        let said = says(&arguments, 1, &["a file is wanted, or `-`"]);
        assert!(!said.contains("eyJ") && !said.contains("canary"), "{said}");
    }
    // As it is copied from a head, without quotes.
    let copied = [
        "verify-header",
        "X-Anteport-Assertion:",
        "eyJ.canary.x",
        "--config",
        file.to_str().unwrap(),
    ];
    let said = says(&copied, 1, &["a file is wanted, or `-`"]);
    assert!(!said.contains("eyJ") && !said.contains("canary"), "{said}");
    let missing = ["verify-header", "captured.txt", "--config", file.to_str().unwrap()];
    says(&missing, 1, &["cannot read captured.txt: No such file"]);
    // Nobody has piped anything in.
    let nothing = ["verify-header", "-", "--config", file.to_str().unwrap()];
    says(&nothing, 1, &["there is no assertion in it"]);
}

#[test]
fn keys_that_are_not_there_are_not_written() {
    says(&["keys", "rotate", "--file", "nope.pem"], 1, &["no nope.pem", "`keys generate`"]);
}

#[test]
fn an_option_without_a_value_is_named() {
    says(&["break-glass", "--reason", ""], 2, &["--reason <TEXT>"]);
    says(&["sessions", "revoke", "--session", ""], 2, &["--session <HANDLE>"]);
}

#[test]
fn what_may_be_left_out_is_not_said_to_be_required() {
    for verb in [&["sessions", "revoke"][..], &["explain"]] {
        let said = says(&[verb, &["--config", "config.yaml"]].concat(), 2, &["[OPTIONS]"]);
        assert!(!said.contains("--config"), "{said}");
    }
}

#[test]
fn a_profile_that_there_is_not_is_the_only_thing_that_a_demo_says() {
    let upstream = "http://127.0.0.1:1";
    let said = says(
        &["demo", "--upstream", upstream, "--profile", "nosuch"],
        2,
        &["there is no such profile", "wordpress", "`generic`"],
    );
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn a_demo_before_nobody_says_so_and_by_which_name_it_is_asked() {
    let first = free_ports(4);
    let upstream = format!("http://127.0.0.1:{}", first + 2);
    let mut child = Command::new(BINARY)
        .args(["demo", "--port", &first.to_string(), "--upstream", &upstream])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut warned = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut warned).unwrap();
    assert!(warned.contains(&format!("nobody answers at {upstream}")), "{warned}");
    assert_eq!(stop(&mut child, "-TERM").code(), Some(0));
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("`localhost` is another name"), "{said}");
}

#[test]
fn explain_says_as_what_the_first_page_is_compared() {
    let folder = Folder::new();
    let file = folder.write("config.yaml", &config(free_ports(4)));
    let (code, said, _) = anteport(&["explain", "GET", "/", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(said.contains("\ncompared as     /\n"), "{said}");
}

#[test]
fn a_tenant_is_one_of_two_keys() {
    let (code, said, _) = anteport(&["config", "explain", "providers.corporate.tenant"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("exactly one of `tenant` and `tenants` has to be there"), "{said}");
    assert!(!said.contains("may be left out"), "{said}");
}

#[test]
fn one_spelling_of_a_format_is_as_good_as_the_other() {
    let folder = Folder::new();
    let file = folder.write("config.yaml", &config(free_ports(4)));
    let file = file.to_str().unwrap();
    for verb in [&["doctor", "--only", "machine"][..], &["config", "show"]] {
        for format in [&["--json"][..], &["--format", "json"]] {
            let (_, said, complained) = anteport(&[verb, format, &["--config", file]].concat());
            let is_json = serde_json::from_str::<serde_json::Value>(&said).is_ok();
            assert!(is_json, "{verb:?} {format:?}: {said}{complained}");
        }
    }
}

/// As where the file is, and not where its secrets are: `kubectl exec -i … check --config - <config.yaml`.
#[test]
fn a_configuration_is_checked_from_a_pipe() {
    let folder = Folder::new();
    let text = config(free_ports(4));
    for (text, code, wanted) in [
        (text.clone(), 0, "The configuration can be used"),
        (text.replace("portals:", "portal:"), 3, "standard input:"),
        (String::new(), 3, "the configuration is empty"),
    ] {
        let mut check = Command::new(env!("CARGO_BIN_EXE_anteport"))
            .args(["check", "--config", "-"])
            .current_dir(&folder.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}
