//! `run`: stand in front of the portals.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{FAILED, REFUSED, complain, report, report_warnings};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::server::{Service, StartError};
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
    match serve(loaded.config, clock) {
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
    Log(#[from] log::AlreadyLogging),
    #[error("the system did not give what a process needs")]
    System(#[from] std::io::Error),
}

fn serve(config: Config, clock: Clock) -> Result<(), RunError> {
    let log = log::init(&config.logging)?;
    let runtime = super::runtime()?;
    runtime.block_on(async {
        // Before anything listens: whoever can see that we are up can also stop us.
        let stop = super::stop_signal()?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let service = Service::start(config, clock, log.dropped_lines())?;
        let admin = service.admin_address()?;
        tracing::info!(address = %service.address(), admin = %admin, "ready");
        let look_again = service.look_again();
        let listening = async {
            while hang_up.recv().await.is_some() {
                look_again.notify_one();
            }
            std::future::pending().await
        };
        tokio::select! {
            () = service.attend(stop) => {}
            () = listening => {}
        }
        Ok(())
    })
}
