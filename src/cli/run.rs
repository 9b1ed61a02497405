//! `run`: stand in front of the portals.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::{FAILED, REFUSED, complain, report, report_warnings};
use crate::clock::Clock;
use crate::config::{self, Files, Loaded};
use crate::server::{
    HandOverError, Limits, Order, Reason, Service, Source, StartError, Surroundings,
};
use crate::supervisor::{self, HandedError, Notifier, NotifyError, Predecessor, SuccessionError};
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
    #[error(transparent)]
    Handed(#[from] HandedError),
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    #[error("the service manager cannot be told how it is")]
    Notify(#[from] NotifyError),
    #[error("logging could not be set up")]
    Log(#[from] log::LogError),
    #[error("the system did not give what a process needs")]
    System(#[from] std::io::Error),
}

fn serve(path: &Path, loaded: Loaded, clock: Clock) -> Result<(), RunError> {
    let log = log::init(&loaded.config.logging)?;
    let surroundings = surroundings()?;
    let runtime = super::runtime()?;
    let done = runtime.block_on(async {
        // Before anything listens: whoever can see that we are up can also stop us.
        let (order, orders) = mpsc::channel(8);
        for (kind, wanted) in [
            (SignalKind::interrupt(), Order::Stop),
            (SignalKind::terminate(), Order::Stop),
            (SignalKind::user_defined2(), Order::HandOver),
        ] {
            tokio::spawn(pass_on(signal(kind)?, wanted, order.clone()));
        }
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut moved = signal(SignalKind::user_defined1())?;
        // It says later that it is.
        let takes_over = surroundings.predecessor.is_some();
        let source = source(path.to_owned(), loaded.files, &clock, &log);
        let (dropped, limits) = (log.dropped_lines(), Limits::default());
        let mut service =
            Service::start_among(loaded.config, clock, dropped, limits, surroundings)?;
        let reloads = service.reload_from(source);
        let admin = service.admin_address()?;
        if !takes_over {
            tracing::info!(address = %service.address(), admin = %admin, "ready");
        }
        let (look_again, notifier) = (service.look_again(), service.notifier());
        let reopen = log.reopen();
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
                notifier.reloading();
                let reload = move || reloads.reload(Reason::Signal).is_ok();
                // What comes of it has been logged.
                notifier.reloaded(match tokio::task::spawn_blocking(reload).await {
                    Ok(true) => "Serving",
                    Ok(false) | Err(_) => "Serving; another configuration was refused",
                });
            }
            std::future::pending().await
        };
        tokio::select! {
            attended = service.attend_to(orders) => attended?,
            () = listening => {}
            () = reopening => {}
        }
        Ok(())
    });
    // A name that nobody resolves would be waited for.
    runtime.shutdown_background();
    done
}

/// Each signal of a kind is an order.
async fn pass_on(mut signals: Signal, order: Order, to: mpsc::Sender<Order>) {
    while signals.recv().await.is_some() {
        // More than a few at a time say nothing that one does not.
        let _ = to.try_send(order);
    }
}

/// Who has started us, and with what. Before anything else is opened.
fn surroundings() -> Result<Surroundings, RunError> {
    let notifier = Notifier::from_environment()?;
    Ok(match Predecessor::from_environment()? {
        Some((predecessor, sockets)) => {
            Surroundings { sockets, predecessor: Some(predecessor), notifier }
        }
        None => Surroundings { sockets: supervisor::handed_over()?, predecessor: None, notifier },
    })
}

/// The file, read again.
fn source(path: PathBuf, files: Files, clock: &Clock, log: &log::Log) -> Source {
    let (clock, levels) = (clock.clone(), log.levels());
    let load = move || config::load(&path, clock.now());
    Source::new(files, load, move |logging| levels.change(logging))
}
