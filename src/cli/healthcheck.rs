//! `healthcheck`: one question to the admin listener, for container images without a shell.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use url::Url;

use super::admin_client::{self, AskError, Question};
use super::{FAILED, complain};

/// For the whole of it, from the name of the host to the status.
const LIMIT: Duration = Duration::from_secs(2);

/// Why nobody can be said to be alive.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("`--url` is a URL such as `http://127.0.0.1:9090/livez`")]
    Url,
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Asks the Anteport of the configuration at `path`.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    match admin_client::address_of(path, FAILED) {
        Ok(address) => told(ask(&address, "/livez")),
        Err(code) => code,
    }
}

/// Asks at `url`, for `/livez` unless it names something else.
#[must_use]
pub fn run_at(url: &str) -> ExitCode {
    told(read(url).and_then(|(address, target)| ask(&address, &target)))
}

fn told(answer: Result<(), HealthError>) -> ExitCode {
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            complain(&format!("error: {error}{cause}"));
            ExitCode::from(FAILED)
        }
    }
}

fn read(url: &str) -> Result<(String, String), HealthError> {
    let url = Url::parse(url).map_err(|_| HealthError::Url)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(HealthError::Url);
    };
    if url.scheme() != "http" {
        return Err(HealthError::Url);
    }
    let target = match url.path() {
        "/" => "/livez".to_owned(),
        path => path.to_owned(),
    };
    Ok((format!("{host}:{port}"), target))
}

fn ask(address: &str, target: &str) -> Result<(), HealthError> {
    // As much as holds a status.
    let most = "HTTP/1.1 200".len() as u64;
    admin_client::ask(address, Question { target, posted: None, most, limit: LIMIT })?;
    Ok(())
}
