//! `run`: stand in front of the portals.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{FAILED, REFUSED, complain, report, report_warnings};
use crate::clock::Clock;
use crate::config::{self, Files, Loaded};
use crate::server::{Reason, Service, Source, StartError};
use crate::telemetry::causes;
use crate::telemetry::log;

/// Runs with the configuration at `path` until it is told to stop.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    let clock = Clock::system();
    let loaded = match config::load(path, clock.now()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&problems);
            return ExitCode::from(REFUSED);
        }
    };
    report_warnings(&loaded.warnings);
    match serve(path, loaded, clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", causes(&error)));
            ExitCode::from(FAILED)
        }
    }
}

/// Why a proxy did not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("logging could not be set up")]
    Log(#[from] log::LogError),
    #[error("the system did not give what a process needs")]
    System(#[from] std::io::Error),
}

fn serve(path: &Path, loaded: Loaded, clock: Clock) -> Result<(), RunError> {
    let log = log::init(&loaded.config.logging)?;
    let runtime = super::runtime()?;
    runtime.block_on(async {
        // Before anything listens: whoever can see that we are up can also stop us.
        let stop = super::stop_signal()?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut moved = signal(SignalKind::user_defined1())?;
        let source = source(path.to_owned(), loaded.files, &clock, &log);
        let mut service = Service::start(loaded.config, clock, log.dropped_lines())?;
        let reloads = service.reload_from(source);
        let admin = service.admin_address()?;
        tracing::info!(address = %service.address(), admin = %admin, "ready");
        let reopen = log.reopen();
        let look_again = service.look_again();
        let reopening = async {
            while moved.recv().await.is_some() {
                reopen.ask();
                tracing::info!("the files of the log are opened anew");
            }
            std::future::pending().await
        };
        let listening = async {
            while hang_up.recv().await.is_some() {
                look_again.notify_one();
                let reloads = Arc::clone(&reloads);
                // What comes of it has been logged.
                let _ = tokio::task::spawn_blocking(move || reloads.reload(Reason::Signal)).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = service.attend(stop) => {}
            () = listening => {}
            () = reopening => {}
        }
        Ok(())
    })
}

/// The file, read again.
fn source(path: PathBuf, files: Files, clock: &Clock, log: &log::Log) -> Source {
    let (clock, levels) = (clock.clone(), log.levels());
    let load = move || config::load(&path, clock.now());
    Source::new(files, load, move |logging| levels.change(logging))
}
