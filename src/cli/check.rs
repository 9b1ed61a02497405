//! `check`: everything that is wrong with a configuration, or what it will do.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{FOUND_ERRORS, complain, report, report_warnings, say};
use crate::clock::Clock;
use crate::config::{self, Config, Portal, Provider};
use crate::gate::Mode;

/// Checks the configuration at `path`; `-` is standard input.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    let now = Clock::system().now();
    let loaded = match path.as_os_str() == "-" {
        true => config::load_from("standard input", std::io::stdin().lock(), now),
        false => config::load(path, now),
    };
    match loaded {
        Ok(loaded) => {
            report_warnings(&loaded.warnings);
            say(&summary(&loaded.config));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            report(&problems);
            complain(&match problems.errors() {
                1 => "1 error: this configuration cannot be used".to_owned(),
                errors => format!("{errors} errors: this configuration cannot be used"),
            });
            ExitCode::from(FOUND_ERRORS)
        }
    }
}

/// What the configuration will do, and what has to be registered for it.
fn summary(config: &Config) -> String {
    let mut lines = vec![
        "The configuration can be used.".to_owned(),
        String::new(),
        match config.listen.tls {
            Some(_) => format!("listen  {} with TLS", config.listen.address),
            None => format!("listen  {} without TLS", config.listen.address),
        },
        format!("admin   {}", config.admin),
    ];
    for portal in &config.portals {
        lines.push(format!(
            "portal  {} ({}) to {}",
            portal.origin(),
            portal.policy.mode.name(),
            upstream(portal)
        ));
        lines.extend(switch(portal));
    }
    for (index, provider) in config.providers.iter().enumerate() {
        let portals: Vec<&Portal> = config
            .portals
            .iter()
            .filter(|portal| portal.policy.mode != Mode::Off)
            .filter(|portal| portal.sign_in.providers.contains(&index))
            .collect();
        if !portals.is_empty() {
            lines.push(String::new());
            lines.extend(to_register(provider, &portals));
        }
    }
    lines.join("\n")
}

/// For whom `azure_only` holds, and what undoes it.
fn switch(portal: &Portal) -> Vec<String> {
    let rollout = portal.policy.rollout.as_ref();
    let rollout = rollout.map(|rollout| format!("        azure_only for {}", rollout.in_words()));
    let mut lines: Vec<String> = rollout.into_iter().collect();
    let Some(glass) = &portal.break_glass else {
        return lines;
    };
    if let Some(link) = &glass.link {
        let minutes = |span: Duration| span.as_secs().div_ceil(60);
        lines.push(format!(
            "        break-glass by a link, good for {} min, and {} min for whoever opens it",
            minutes(link.lifetime),
            minutes(link.pass)
        ));
    }
    if !glass.networks.is_empty() {
        lines.push(format!("        break-glass at any time from {}", glass.networks));
    }
    lines
}

/// What has to be registered for a provider.
pub(super) fn to_register(provider: &Provider, portals: &[&Portal]) -> Vec<String> {
    let mut lines = vec![format!(
        "Redirect URIs to register for {} (provider {}, platform \"Web\"):",
        provider.client_id, provider.name
    )];
    for portal in portals {
        lines.extend(portal.to_register(provider).map(|uri| format!("  {uri}")));
    }
    // There is one for an application, and it ends the sessions of all portals.
    for (what, url) in portals.iter().take(1).flat_map(|portal| portal.sign_outs_at(provider)) {
        lines.push(format!("{what} for {}:", provider.client_id));
        lines.push(format!("  {url}"));
    }
    lines
}

fn upstream(portal: &Portal) -> String {
    let scheme = if portal.upstream.tls.is_some() { "https" } else { "http" };
    let servers = portal.upstream.servers.iter();
    servers.map(|server| format!("{scheme}://{server}")).collect::<Vec<_>>().join(", ")
}
