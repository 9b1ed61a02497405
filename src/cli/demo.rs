//! `demo`: see it work, without a configuration and without Azure. An emulated Microsoft, a small
//! legacy portal and the proxy between them, all on loopback, with keys made at each start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use super::{FAILED, complain, say};
use crate::clock::Clock;
use crate::config::{self, Problems};
use crate::demo::microsoft::{self, ACCOUNTS, Microsoft, PASSWORD};
use crate::demo::portal::{self, Portal};
use crate::demo::story::Story;
use crate::demo::{self, Ports};
use crate::server::{Service, StartError, Stop};
use crate::telemetry::log;

/// How a demo is started.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// The port of the proxy; emulator, portal and admin listener take the three after it
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65532))]
    port: u16,
    /// A portal of your own on this machine's loopback, in place of the demo's
    #[arg(long, value_name = "PORT")]
    portal_port: Option<u16>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("port {port} cannot be used for {what}; choose others with `--port`")]
    Listen {
        what: &'static str,
        port: u16,
        #[source]
        cause: io::Error,
    },
    #[error("the demo's own configuration is refused: {0}")]
    Configuration(Problems),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("logging could not be set up")]
    Log(#[from] log::AlreadyLogging),
    #[error("the system did not give what a process needs")]
    System(#[from] io::Error),
}

/// Runs the demo until it is told to stop.
#[must_use]
pub fn run(demo: &Demo) -> ExitCode {
    match super::runtime()
        .map_err(DemoError::System)
        .and_then(|runtime| runtime.block_on(play(demo)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", super::with_causes(&error)));
            ExitCode::from(FAILED)
        }
    }
}

async fn play(demo: &Demo) -> Result<(), DemoError> {
    let stop_signal = super::stop_signal()?;
    let clock = Clock::system();
    let mut ports = Ports::starting_at(demo.port);
    ports.portal = demo.portal_port.unwrap_or(ports.portal);
    let secret = demo::new_client_secret();
    let text = demo::configuration(&ports, &secret);
    let loaded = config::parse("demo.yaml", &text, &|_| None, clock.now());
    let config = loaded.map_err(DemoError::Configuration)?.config;
    let log = log::init(&config.logging)?;

    let emulator = listen("the emulated Microsoft", ports.microsoft)?;
    let own_portal = match demo.portal_port {
        None => Some(listen("the portal", ports.portal)?),
        Some(_) => None,
    };
    let service = Service::start(config, clock.clone(), log.dropped_lines())?;
    let story = Story::new(clock.clone());
    let options = microsoft::Options::demo(&ports, secret, Arc::clone(&story));
    let emulated = Microsoft::new(ports.authority(), clock.clone(), options);
    let (stop, mut shutdown) = Stop::new();
    let mut until = shutdown.clone();
    let emulating = tokio::spawn(async move {
        microsoft::serve(emulator, emulated, async move { until.asked().await }).await
    });
    let serving = own_portal.map(|listener| {
        let portal = Portal::new(clock, portal::Options::demo(&ports, story));
        tokio::spawn(async move {
            portal::serve(listener, portal, async move { shutdown.asked().await }).await
        })
    });
    announce(&ports);
    service.attend(stop_signal).await;
    stop.ask();
    // How the partners end is of no interest: the process ends with them.
    let _ = emulating.await;
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    Ok(())
}

fn listen(what: &'static str, port: u16) -> Result<tokio::net::TcpListener, DemoError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(tokio::net::TcpListener::from_std);
    listener.map_err(|cause| DemoError::Listen { what, port, cause })
}

fn announce(ports: &Ports) {
    say(&format!("Anteport demo is ready: open {}/reports?year=2026", ports.public_url()));
    say("");
    for account in ACCOUNTS {
        say(&format!(
            "  sign in as  {:<31} password {PASSWORD}   ({})",
            account.username,
            account.roles.join(", ")
        ));
    }
    say("");
    say(&format!("  what just happened     {}/demo", ports.public_url()));
    say(&format!("  the emulated Microsoft {}", ports.authority()));
    say(&format!("  the portal, around us  {}", ports.portal_url()));
    say(&format!("  health and metrics     http://127.0.0.1:{}/metrics", ports.admin));
    say("");
    say("Everything is on this machine only. Ctrl-C stops it.");
}
