//! The command line: one file a verb. Deliberately not here: what the verbs do, which the rest of
//! the crate does; secrets, which never come as arguments (CFG-04).
//!
//! Exit codes: 0 fine · 1 failed · 2 usage · 3 `check` or `doctor` found errors · 69 a service that is needed
//! cannot be reached · 78 the configuration was refused.

mod admin_client;
mod break_glass;
pub mod check;
mod config;
mod definition;
pub mod demo;
pub mod discover;
pub mod doctor;
pub mod emulator;
pub mod explain;
pub mod healthcheck;
mod keys;
mod reference;
mod reload;
pub mod run;
pub mod sessions;
mod supposed;
mod verify_header;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use self::reference::page as reference;
use crate::config::{Problem, Problems};

/// What did not work for a reason that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line does not say what it has to.
pub const USAGE: u8 = 2;
/// `check` or `doctor` found errors.
pub const FOUND_ERRORS: u8 = 3;
/// A service that is needed cannot be reached: `EX_UNAVAILABLE` of `sysexits.h`.
pub const UNAVAILABLE: u8 = 69;
/// The configuration was refused: `EX_CONFIG` of `sysexits.h`.
pub const REFUSED: u8 = 78;

/// Where the configuration is unless somebody says otherwise.
const USUAL_CONFIG: &str = "/etc/anteport/config.yaml";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(
    name = "anteport",
    version,
    about = "Microsoft sign-in in front of a portal that nobody can change.",
    after_help = "Begin with `anteport demo`: it needs no configuration and no Azure.\n\
                  Exit codes: 0 fine, 1 failed, 2 usage, 3 `check` or `doctor` found errors, 69 a \
                  service that is needed cannot be reached, 78 configuration refused."
)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Try it: an emulated Microsoft, a small legacy portal, and the proxy between them
    ///
    /// Everything is on this machine only, with keys that are made at each start.
    #[command(after_help = "Example: anteport demo --port 8080")]
    Demo(demo::Demo),
    /// Stand in front of the portals
    #[command(after_help = "Example: anteport run --config /etc/anteport/config.yaml")]
    Run(ConfigPath),
    /// Say everything that is wrong with a configuration, and what to register in Azure
    ///
    /// Problems go to standard error, one line each as `file:line:column: key: message`, and a
    /// summary to standard output. It reads the secrets and key files that the configuration
    /// names, and connects to nobody. `--config -` reads standard input.
    #[command(after_help = "Examples:\n  anteport check --config config.yaml\n  \
                            kubectl exec -i deploy/portal --container anteport -- \
                            anteport check --config - <config.yaml")]
    Check(ConfigPath),
    /// Write, show or explain a configuration, or print its JSON Schema
    #[command(subcommand)]
    Config(config::Verb),
    /// Find out what is wrong with the configuration and with the world around it, and what to do
    ///
    /// It says what `check` says, and then looks: at DNS, TLS and clock, at the provider's metadata
    /// and keys, whether it accepts the client credentials, at the portal and its password forms,
    /// whether the portal can be reached past us, at the store of sessions and at this machine. It
    /// signs nobody in and sends no password, and changes nothing. Exit code 3 if something is wrong.
    #[command(after_help = "Examples:\n  anteport doctor --config config.yaml\n  \
                            anteport doctor --only provider credentials\n  \
                            anteport doctor --format json | jq '.findings[] | select(.status == \"error\")'\n  \
                            pbpaste | anteport doctor --token -")]
    Doctor {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        asked: doctor::Asked,
    },
    /// Say which route and rule decide a request, why, and what the portal would be sent
    ///
    /// It judges by the configuration as it is on disk, and connects to nobody.
    #[command(after_help = "Examples:\n  anteport explain GET /wp-login.php?action=logout\n  \
                            anteport explain POST https://members.example.org/session \
                            --form 'user=x&password=y'")]
    Explain {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        explain: explain::Request,
    },
    /// Propose password routes from what a running Anteport has seen in mode `report_only`
    ///
    /// It asks the admin listener where requests carried passwords or credentials, and prints rules
    /// for `local_login` as YAML. Names of fields are kept, values never.
    #[command(after_help = "Example: anteport discover --config /etc/anteport/config.yaml")]
    Discover(ConfigPath),
    /// Emulate Microsoft for your own configuration: try it, or test it, without Azure
    ///
    /// It knows the tenants, policies, client ids, secrets and redirect URIs of every provider of
    /// Microsoft's in the configuration, listens on this machine alone, makes new keys at each
    /// start, and says on each page that it is not Microsoft. What goes wrong at Microsoft's goes
    /// wrong here when it is told to, by `--next` and `--set` or, while it runs, by a POST to
    /// /_emulator/next and /_emulator/set.
    #[command(after_help = emulator::examples(), after_long_help = emulator::long_help())]
    Emulator {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        emulator: emulator::HowToRun,
    },
    /// Ask a running Anteport whether it is alive, as a container's health check does
    ///
    /// It asks for /livez on the admin listener and gives it 2 seconds. Exit code 0 or 1.
    #[command(after_help = "Examples:\n  anteport healthcheck\n  \
                            anteport healthcheck --url http://127.0.0.1:9090/livez")]
    Healthcheck {
        #[command(flatten)]
        config: ConfigPath,
        /// Ask here, and read no configuration
        #[arg(long, value_name = "URL", conflicts_with = "config")]
        url: Option<String>,
    },
    /// Make, exchange or print the keys that sign what portals are told
    ///
    /// They are in the files that `signing.keys` names. Portals know them by /.auth/jwks.json.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Have a running Anteport read its configuration again
    ///
    /// All of it is put in force, for every request from then on, or nothing: then everything that is
    /// wrong with it is said, and the one before goes on. Nobody's connection or session ends. It
    /// reads the file with which it was started: the one named here says where to ask. Exit code 0, 69
    /// if nobody runs, or 78 if it was refused.
    #[command(after_help = "Example: anteport reload --config /etc/anteport/config.yaml")]
    Reload(ConfigPath),
    /// List the sessions of a running Anteport, or end some of them
    ///
    /// It asks the admin listener. With a store that nodes share, any node tells and ends the
    /// sessions of all.
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// Make a link to a portal's own sign-in, for the night when nobody can sign in with Microsoft
    ///
    /// It asks the admin listener of a running Anteport on this machine, whose configuration has to
    /// have `break_glass: { link: {} }` for the portal. The link is on standard output, opens the
    /// way once and within minutes, and is written to the audit log.
    #[command(after_help = "Examples:\n  \
                            anteport break-glass --portal https://members.example.org --reason 'ticket 123'\n  \
                            anteport break-glass --portal https://members.example.org --revoke")]
    BreakGlass {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        what: break_glass::What,
    },
    /// Say what a captured assertion holds, and whether its portal would have to believe it
    ///
    /// It reads the assertion from a file or from standard input, never from an argument, asks what a
    /// verifier asks, by the configuration as it is on disk, and connects to nobody. Exit code 0 if
    /// all of it holds, else 1.
    #[command(after_help = "Examples:\n  anteport verify-header captured.txt\n  \
                            pbpaste | anteport verify-header --at 2027-01-15T08:00:00Z")]
    VerifyHeader {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        captured: verify_header::Captured,
    },
    /// Print the version
    Version,
    /// Print completions for a shell
    #[command(hide = true)]
    Completions(definition::Completions),
    /// Write the manual's pages
    #[command(hide = true)]
    Man(definition::Man),
}

impl Arguments {
    /// What was asked for. Ends the process where that is help, or nothing that can be done.
    #[must_use]
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            // What was given stands in clap's own usage as if it had to be.
            let said = with_plain_usage(Self::command()).try_get_matches();
            said.err().unwrap_or(error).exit()
        })
    }
}

/// The same command, whose usage in an error is that of its help, whatever was given.
fn with_plain_usage(command: Command) -> Command {
    fn each(command: Command, whole: &Command) -> Command {
        let usage = whole.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim().to_owned();
        let command = whole.get_subcommands().fold(command, |command, verb| {
            match command.find_subcommand(verb.get_name()).is_some() {
                true => command.mut_subcommand(verb.get_name(), |below| each(below, verb)),
                false => command,
            }
        });
        command.override_usage(usage)
    }
    let mut whole = command.clone();
    whole.build();
    each(command, &whole)
}

#[derive(Debug, Args)]
struct ConfigPath {
    /// The configuration [default: $ANTEPORT_CONFIG, else /etc/anteport/config.yaml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    fn resolve(self) -> PathBuf {
        let from_environment =
            || std::env::var_os("ANTEPORT_CONFIG").filter(|path| !path.is_empty());
        self.config.unwrap_or_else(|| {
            PathBuf::from(from_environment().unwrap_or_else(|| OsString::from(USUAL_CONFIG)))
        })
    }
}

/// How something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What other programs call `--format json`.
#[derive(Clone, Copy, Debug, Args)]
struct Json {
    /// The same as `--format json`
    #[arg(long, hide = true, conflicts_with = "format")]
    json: bool,
}

impl Json {
    const fn is_asked(self) -> bool {
        self.json
    }
}

/// Does what was asked for.
#[must_use]
pub fn dispatch(arguments: Arguments) -> ExitCode {
    match arguments.verb {
        Verb::Demo(demo) => demo::run(&demo),
        Verb::Run(config) => run::run(&config.resolve()),
        Verb::Check(config) => check::run(&config.resolve()),
        Verb::Config(verb) => config::run(verb),
        Verb::Doctor { config, asked } => doctor::run(&config.resolve(), &asked),
        Verb::Explain { config, explain } => explain::run(&config.resolve(), &explain),
        Verb::Discover(config) => discover::run(&config.resolve()),
        Verb::Emulator { config, emulator } => emulator::run(&config.resolve(), &emulator),
        Verb::Healthcheck { config, url } => match url {
            Some(url) => healthcheck::run_at(&url),
            None => healthcheck::run(&config.resolve()),
        },
        Verb::Keys(verb) => keys::run(verb),
        Verb::Reload(config) => reload::run(&config.resolve()),
        Verb::Sessions(verb) => sessions::run(verb),
        Verb::BreakGlass { config, what } => break_glass::run(config, &what),
        Verb::VerifyHeader { config, captured } => verify_header::run(&config.resolve(), &captured),
        Verb::Version => {
            say(concat!("anteport ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Verb::Completions(asked) => definition::completions(&asked),
        Verb::Man(asked) => definition::man(&asked),
    }
}

/// Writes problems to standard error, one line each.
pub fn report(problems: &Problems) {
    report_each(problems.iter());
}

/// Writes the warnings of a configuration that can be used to standard error, one line each.
pub fn report_warnings(warnings: &[Problem]) {
    report_each(warnings.iter());
}

fn report_each<'a>(problems: impl Iterator<Item = &'a Problem>) {
    for problem in problems {
        complain(&format!("{}: {problem}", problem.severity()));
    }
}

/// The event loop for everything that is not a visitor's request.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Listens there, for the event loop.
fn listen(address: std::net::SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Listens for SIGINT and SIGTERM from now on; the future returns at the first.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A line on standard output. Whoever closed it does not want to read it, which is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
