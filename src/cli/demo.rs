//! `demo`: see it work, without a configuration and without Azure. An emulated Microsoft, a small
//! legacy portal and the proxy between them, all on loopback, with keys made at each start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::{FAILED, complain, say};
use crate::clock::Clock;
use crate::config::{self, Problems};
use crate::demo::microsoft::{self, ACCOUNTS, Microsoft, PASSWORD};
use crate::demo::portal::{self, Portal};
use crate::demo::story::Story;
use crate::demo::{self, Before, Ports};
use crate::server::{Service, StartError, Stop};
use crate::telemetry::causes;
use crate::telemetry::log;

/// For a connection on loopback.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// How a demo is started.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// The port of the proxy; emulator, portal and admin listener take the three after it
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65532))]
    port: u16,
    /// A portal of your own on this machine's loopback, in place of the demo's
    #[arg(long, value_name = "PORT", conflicts_with = "upstream")]
    portal_port: Option<u16>,
    /// A portal that runs already on this machine's loopback, as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL", value_parser = loopback_origin)]
    upstream: Option<String>,
    /// Which product that portal is: the name of a profile, as `wordpress`; `generic` for one that is
    /// not known
    #[arg(long, value_name = "NAME", requires = "upstream", value_parser = profile_name)]
    profile: Option<String>,
}

impl Demo {
    fn before(&self) -> Before<'_> {
        match &self.upstream {
            None => Before::OwnPortal,
            Some(url) => Before::Upstream { url, profile: self.profile.as_deref() },
        }
    }
}

/// The keys of a demo are worth nothing, so it stands before nothing that others can reach
/// (CFG-05).
fn loopback_origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let on_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !on_loopback {
        return Err("a demo stands only before a loopback address, such as 127.0.0.1".to_owned());
    }
    let is_origin = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match url.scheme() {
        "http" | "https" if is_origin => Ok(url.origin().ascii_serialization()),
        _ => Err("scheme, host and port are wanted, as in `http://127.0.0.1:3000`".to_owned()),
    }
}

/// One of those that there are: what is wrong here is no fault of the demo's own configuration.
fn profile_name(text: &str) -> Result<String, String> {
    match config::profile_names().contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "there is no such profile; there are {}, and `generic` is for a product that is not known",
            config::profile_names().join(", ")
        )),
    }
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
    Log(#[from] log::LogError),
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
            complain(&format!("error: {}", causes(&error)));
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
    let text = demo::configuration(&ports, demo.before(), &secret);
    let loaded = config::parse("demo.yaml", &text, &|_| None, clock.now());
    let config = loaded.map_err(DemoError::Configuration)?.config;
    let log = log::init(&config.logging)?;

    let emulator = listen("the emulated Microsoft", ports.microsoft)?;
    let own_portal = match (demo.portal_port, &demo.upstream) {
        (None, None) => Some(listen("the portal", ports.portal)?),
        _ => None,
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
    announce(demo, &ports);
    if let Some(url) = &demo.upstream
        && !somebody_answers(url).await
    {
        complain(&format!(
            "warning: nobody answers at {url}: start the portal there, until then its pages are a 502"
        ));
    }
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
    super::listen(address).map_err(|cause| DemoError::Listen { what, port, cause })
}

/// Whether somebody listens at an origin on loopback, where it shows at once.
async fn somebody_answers(origin: &str) -> bool {
    let url = Url::parse(origin).ok();
    let place = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let Some((host, port)) = place else {
        return false;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connecting = tokio::net::TcpStream::connect((host, port));
    matches!(tokio::time::timeout(CONNECT_TIME, connecting).await, Ok(Ok(_)))
}

fn announce(demo: &Demo, ports: &Ports) {
    // The page is one of the demo's own portal.
    let page = if demo.upstream.is_none() { "/reports?year=2026" } else { "/" };
    say(&format!("Anteport demo is ready: open {}{page}", ports.public_url()));
    say("(by this address: `localhost` is another name, and no portal is known under it)");
    say("");
    for account in ACCOUNTS {
        say(&format!(
            "  sign in as  {:<31} password {PASSWORD}   ({})",
            account.username,
            account.roles.join(", ")
        ));
    }
    say("");
    if demo.upstream.is_none() {
        say(&format!("  what just happened     {}/demo", ports.public_url()));
    }
    say(&format!("  the emulated Microsoft {}", ports.authority()));
    let portal_url = demo.upstream.clone().unwrap_or_else(|| ports.portal_url());
    say(&format!("  the portal, around us  {portal_url}"));
    say(&format!("  health and metrics     http://127.0.0.1:{}/metrics", ports.admin));
    say("");
    say("Everything is on this machine only. Ctrl-C stops it.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_05_a_demo_stands_before_loopback_only() {
        let origin = |text| loopback_origin(text).ok();
        assert_eq!(origin("http://127.0.0.1:80/"), Some("http://127.0.0.1".to_owned()));
        assert_eq!(origin("http://127.9.0.1:3000"), Some("http://127.9.0.1:3000".to_owned()));
        assert_eq!(origin("http://[::1]:3000"), Some("http://[::1]:3000".to_owned()));
        assert_eq!(origin("http://LOCALHOST:3000"), Some("http://localhost:3000".to_owned()));
        for other in [
            "http://10.0.0.1:3000",
            "http://0.0.0.0:3000",
            "http://portal.example",
            "http://127.0.0.1.example",
            "http://localhost@portal.example",
            "http://user@127.0.0.1",
            "http://127.0.0.1/blog",
            "http://127.0.0.1?a",
            "ftp://127.0.0.1",
            "127.0.0.1:3000",
        ] {
            assert_eq!(origin(other), None, "{other}");
        }
        assert!(profile_name("rails_devise").is_ok());
        for odd in ["", "WordPress", "a b", "a}", "../a", "1"] {
            let said = profile_name(odd).unwrap_err();
            assert!(said.contains("wordpress, dokuwiki, ") && said.contains("`generic`"), "{said}");
        }
    }

    #[test]
    fn a_profile_is_of_an_upstream() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            _demo: Demo,
        }
        let refused = |words: &[&str]| {
            let words = ["demo"].iter().chain(words);
            <Line as clap::Parser>::try_parse_from(words).err().map(|error| error.kind())
        };
        let (missing, conflict) = (
            Some(clap::error::ErrorKind::MissingRequiredArgument),
            Some(clap::error::ErrorKind::ArgumentConflict),
        );
        let upstream = "http://127.0.0.1:3000";
        assert_eq!(refused(&["--upstream", upstream, "--profile", "wordpress"]), None);
        assert_eq!(refused(&["--profile", "wordpress"]), missing);
        assert_eq!(refused(&["--upstream", upstream, "--portal-port", "1"]), conflict);
    }
}
