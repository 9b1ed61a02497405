//! The configuration and the files that it names. Reading it has looked into all of them already:
//! what was wrong, or is worth a warning, is told here as `check` tells it.

use std::os::unix::fs::PermissionsExt as _;

use super::finding::last_day;
use super::{Case, Check, Finding, Setting};
use crate::certificate::Certificate;
use crate::config::{Loaded, Problem, Problems, Severity, is_for_host};

const DAY: u64 = 24 * 60 * 60;
/// Days before its end from which on a certificate is spoken of: those that renew themselves do so
/// before.
const FORTNIGHT: u64 = 14;

/// What `check` says, and who can write to the file.
pub(super) fn configuration(setting: &Setting, loaded: &Result<Loaded, Problems>) -> Vec<Finding> {
    let name = setting.path.display().to_string();
    let mut findings = match loaded {
        Ok(loaded) => {
            let fine = Finding::ok(Check::Configuration, &name, "it can be used");
            let warnings = loaded.warnings.iter().map(of_problem);
            std::iter::once(fine).chain(warnings).collect()
        }
        Err(problems) => problems.iter().map(of_problem).collect::<Vec<_>>(),
    };
    let mode = std::fs::metadata(&setting.path).map(|file| file.permissions().mode() & 0o777);
    findings.extend(mode.ok().map(|mode| rights(&name, mode)));
    findings
}

/// The message says what would be right.
fn of_problem(problem: &Problem) -> Finding {
    let check = Check::Configuration;
    match problem.severity() {
        Severity::Error => Finding::error(check, &problem.place(), problem.message()),
        Severity::Warning => Finding::warning(check, &problem.place(), problem.message()),
    }
}

fn rights(name: &str, mode: u32) -> Finding {
    let check = Check::ConfigurationFile;
    match mode & 0o002 {
        0 => Finding::ok(check, name, "nobody but its owner and group can change it"),
        _ => {
            let told = format!("everybody on this machine can change it (mode {mode:04o})");
            Finding::error(check, name, told).fix(format!("`chmod o-w {name}`"))
        }
    }
}

/// The certificate that visitors are shown.
pub(super) fn certificate(case: &Case) -> Vec<Finding> {
    let (check, subject) = (Check::ListenerCertificate, "listen.tls");
    let Some(tls) = &case.config.listen.tls else {
        let told = "there is no TLS here: it has to end in front";
        return vec![Finding::skipped(check, subject, told)];
    };
    let mut findings = Vec::new();
    for portal in &case.config.portals {
        let host = portal.public_url.host_str().unwrap_or_default();
        if !is_for_host(tls, &portal.public_url) {
            let told = format!("the certificate is not for `{host}`, so browsers will refuse it");
            let fix = format!("get one that names `{host}`, such as by your ACME client");
            findings.push(Finding::error(check, subject, told).fix(fix));
        }
    }
    let own = tls.end_entity_cert().ok().and_then(|own| Certificate::read(own));
    let Some(own) = own else {
        return findings;
    };
    let (ends, now) = (own.ends(), case.setting.clock.now());
    let day = last_day(ends);
    let fix = "renew it, and see why it does not renew itself";
    if ends <= now {
        let told = format!("the certificate ended on {day}");
        findings.push(Finding::error(check, subject, told).fix(fix));
    } else if ends.since(now).as_secs() < FORTNIGHT * DAY {
        let told = format!("the certificate ends on {day}");
        findings.push(Finding::warning(check, subject, told).fix(fix));
    }
    if findings.is_empty() {
        let told = format!("it is for every portal's host, and ends on {day}");
        findings.push(Finding::ok(check, subject, told));
    }
    findings
}
