//! `emulator`: an emulated Microsoft for an operator's own configuration. It is on this machine
//! alone, and what it is told to do wrong has words that the control endpoint shares (CFG-05).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{FAILED, REFUSED, complain, report, say};
use crate::clock::Clock;
use crate::config::{self, Config, GroupSource, Problems, ProviderKind};
use crate::demo::certificates::{CertificateError, LoopbackTls};
use crate::demo::microsoft::{self, ControlError, Microsoft, NEXT, Options, PASSWORD, SET, Word};
use crate::telemetry::causes;

/// What a file begins with that this verb wrote, and that it may write again. Readers of YAML and
/// of PEM pass it over.
const MARK: &str = "# Written by `anteport emulator`, and worth nothing without it.\n";

/// How the emulator is run.
#[derive(Debug, Args)]
pub struct HowToRun {
    /// The port on 127.0.0.1; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    port: u16,
    /// Once it listens, write the configuration with its providers pointed at the emulator there
    ///
    /// Put it beside the original if that names files by relative paths. `anteport run --config
    /// FILE` then runs against the emulator.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Serve https as `localhost`, and write the certificate of its private authority there, in PEM
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// What goes wrong once, as `token=expired`; --help has the words
    #[arg(long, value_name = "WORD=VALUE", value_parser = pair)]
    next: Vec<(String, String)>,
    /// What stays other than usual, as `clock=+5m`; --help has the words
    #[arg(long, value_name = "WORD=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (word, value) = text.split_once('=').ok_or("WORD=VALUE is wanted, as `clock=+5m`")?;
    Ok((word.to_owned(), value.to_owned()))
}

/// Examples, for `-h`.
#[must_use]
pub fn examples() -> String {
    "Examples:\n  \
     anteport emulator --config config.yaml --write emulated.yaml\n  \
     anteport run --config emulated.yaml\n  \
     curl -d token=expired http://127.0.0.1:8081/_emulator/next"
        .to_owned()
}

/// The same with all words, for `--help`.
#[must_use]
pub fn long_help() -> String {
    let words = |title: &str, words: &[Word]| {
        let lines =
            words.iter().map(|(word, takes, what)| format!("\n  {word}  {what}\n      {takes}"));
        format!("{title}{}", lines.collect::<String>())
    };
    format!(
        "{}\n\n{}\n\n{}",
        words("What --next and POST /_emulator/next take:", NEXT),
        words("What --set and POST /_emulator/set take:", SET),
        examples()
    )
}

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
enum EmulatorError {
    #[error("port {port} cannot be used; choose another with `--port`")]
    Listen {
        port: u16,
        #[source]
        cause: io::Error,
    },
    #[error("no provider of the configuration is Microsoft's, so there is nothing to emulate")]
    Nothing,
    #[error(transparent)]
    Word(#[from] ControlError),
    #[error(transparent)]
    Tls(#[from] CertificateError),
    #[error("{} is there and was not written by this command; choose another name", .0.display())]
    NotOurs(PathBuf),
    #[error("{} cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the configuration could not be pointed at the emulator: {0}")]
    Configuration(Problems),
    #[error("the system did not give what a process needs")]
    System(#[from] io::Error),
}

/// Emulates Microsoft for the configuration at `path` until it is told to stop.
#[must_use]
pub fn run(path: &Path, emulator: &HowToRun) -> ExitCode {
    let loaded = match config::load(path, Clock::system().now()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&problems);
            return ExitCode::from(REFUSED);
        }
    };
    let served = super::runtime()
        .map_err(EmulatorError::System)
        .and_then(|runtime| runtime.block_on(serve(path, &loaded.config, emulator)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", causes(&error)));
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(path: &Path, config: &Config, emulator: &HowToRun) -> Result<(), EmulatorError> {
    let stop_signal = super::stop_signal()?;
    let options = Options::operator(config);
    if options.client_ids.is_empty() {
        return Err(EmulatorError::Nothing);
    }
    for file in emulator.write.iter().chain(&emulator.tls) {
        check_ours(file)?;
    }
    let listener = listen(emulator.port)?;
    let port = listener.local_addr()?.port();
    let tls = emulator.tls.as_ref().map(|_| LoopbackTls::new()).transpose()?;
    let base = match tls {
        // A certificate is for a name, and some clients take no address for one.
        Some(_) => format!("https://localhost:{port}"),
        None => format!("http://127.0.0.1:{port}"),
    };
    let microsoft = Microsoft::new(&base, Clock::system(), options);
    for (word, value) in &emulator.set {
        microsoft.set(word, value)?;
    }
    for (word, value) in &emulator.next {
        microsoft.plan(word, value)?;
    }
    if let (Some(tls), Some(file)) = (&tls, &emulator.tls) {
        put(file, &tls.authority)?;
    }
    if let Some(file) = &emulator.write {
        let ca = emulator.tls.as_ref().map(std::path::absolute).transpose()?;
        let ca = ca.as_ref().map(|path| path.display().to_string());
        put(file, &pointed(path, file, (&base, ca.as_deref()), config.listen.address)?)?;
    }
    announce(config, emulator, &base, &microsoft);
    microsoft::serve_over(tls.as_ref(), listener, microsoft, stop_signal).await?;
    Ok(())
}

/// The configuration as it is to be written to `file`, where it has to be good as well.
fn pointed(
    path: &Path,
    file: &Path,
    (base, ca): (&str, Option<&str>),
    listen: SocketAddr,
) -> Result<String, EmulatorError> {
    let text = config::emulated(path, base, ca, listen).map_err(EmulatorError::Configuration)?;
    let name = file.display().to_string();
    let environment = |name: &str| std::env::var(name).ok();
    match config::parse(&name, &text, &environment, Clock::system().now()) {
        Ok(_) => Ok(text),
        Err(problems) => Err(EmulatorError::Configuration(problems)),
    }
}

/// A file of the operator's is not written over; one of an earlier start is taken away, so that
/// whoever waits for it waits for this one.
fn check_ours(file: &Path) -> Result<(), EmulatorError> {
    let cannot = |cause| EmulatorError::Write { path: file.to_owned(), cause };
    // What a link leads to is not here, and reading a pipe would not end.
    let read = std::fs::symlink_metadata(file).and_then(|is| match is.is_file() {
        true => std::fs::read(file),
        false => Ok(Vec::new()),
    });
    match read {
        Ok(content) if content.starts_with(MARK.as_bytes()) => {
            std::fs::remove_file(file).map_err(cannot)
        }
        Ok(_) => Err(EmulatorError::NotOurs(file.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot(error)),
    }
}

/// All of it or nothing, readable by us alone: a configuration may have secrets in it. What is
/// written first is a file that was not there, so nobody else has it open or has laid a link there.
fn put(file: &Path, text: &str) -> Result<(), EmulatorError> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    check_ours(&beside)?;
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&beside)?.write_all(format!("{MARK}{text}").as_bytes())?;
        std::fs::rename(&beside, file)
    };
    write().map_err(|cause| EmulatorError::Write { path: file.to_owned(), cause })
}

fn listen(port: u16) -> Result<tokio::net::TcpListener, EmulatorError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    super::listen(address).map_err(|cause| EmulatorError::Listen { port, cause })
}

fn announce(config: &Config, emulator: &HowToRun, base: &str, microsoft: &Arc<Microsoft>) {
    say(&format!("Anteport emulator is ready: {base} (this is NOT Microsoft)"));
    say("");
    for provider in &config.providers {
        say(&match &provider.kind {
            ProviderKind::Oidc(_) => {
                format!("  provider {}  is not Microsoft's, and not emulated", provider.name)
            }
            _ => format!("  provider {}  needs  authority: \"{base}\"", provider.name),
        });
    }
    let graph = |groups: &config::Groups| matches!(groups.source, GroupSource::Graph { .. });
    if config.providers.iter().any(|provider| graph(&provider.groups)) {
        say(&format!("  and, to be asked for groups,  graph: \"{base}/graph\""));
    }
    if let Some(file) = &emulator.tls {
        say(&format!("  and needs  ca: [\"{}\"]", file.display()));
    }
    if let Some(file) = &emulator.write {
        say(&format!("  all that is in  {}", file.display()));
    }
    say("");
    for account in microsoft.directory().named() {
        say(&format!(
            "  sign in as  {:<40} password {PASSWORD}   ({})",
            account.username,
            account.persona.summary()
        ));
    }
    say("");
    say(&format!("  what was asked   {base}/_emulator/log"));
    say(&format!("  what goes wrong  curl -d token=expired {base}/_emulator/next"));
    say("");
    say("Everything is on this machine only. Ctrl-C stops it.");
}
