//! This machine: whether the listeners can be had, or are ours already, and how many files a
//! process may have open.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::running::Running;
use super::{Case, Check, Finding};

/// Connections of a process besides those of visitors and their portals.
const BESIDES: u64 = 64;

/// Looks at this machine.
pub(super) async fn look(case: &Case) -> Vec<Finding> {
    let admin = case.config.admin;
    let running = Running::at(admin).await;
    let is_ours = running.is_some();
    vec![
        listener(Check::Listener, case.config.listen.address, is_ours),
        listener(Check::AdminListener, admin, is_ours),
        descriptors(case, running.as_ref()).await,
    ]
}

fn listener(check: Check, address: SocketAddr, is_ours: bool) -> Finding {
    let subject = address.to_string();
    let error = match bind(address) {
        Ok(()) => return Finding::ok(check, &subject, "it can be listened at"),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::AddrInUse && is_ours {
        return Finding::ok(check, &subject, "an Anteport listens there");
    }
    let (told, fix) = match error.kind() {
        ErrorKind::AddrInUse => (
            "somebody else listens there, and no Anteport answers at the admin address".to_owned(),
            format!(
                "see who it is (`ss -ltnp sport = :{}`), and stop it or choose another port",
                address.port()
            ),
        ),
        // A unit may let it, which this is not started by.
        ErrorKind::PermissionDenied => {
            let told = format!("whoever runs this may not listen at port {}", address.port());
            return Finding::warning(check, &subject, told).fix(
                "see that the process has CAP_NET_BIND_SERVICE (`AmbientCapabilities=` of its \
                 unit), or choose a port from 1024 on",
            );
        }
        ErrorKind::AddrNotAvailable => (
            format!("this machine has no address {}", address.ip()),
            "name one of its own, or 0.0.0.0 or [::] for all".to_owned(),
        ),
        _ => (format!("it cannot be listened at: {error}"), "choose another address".to_owned()),
    };
    Finding::error(check, &subject, told).fix(fix)
}

/// Takes an address and gives it back. It is not listened at, so that nobody else who wants it just
/// now is kept from it.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// A visitor's connection needs one, and its request to the portal another.
async fn descriptors(case: &Case, running: Option<&Running>) -> Finding {
    let (check, connections) = (Check::Descriptors, case.config.listen.max_connections);
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2) + BESIDES;
    let files = match running {
        Some(running) => running.files().await,
        None => None,
    };
    let (subject, most) = match files {
        Some(files) => ("the running Anteport", Some(files)),
        None => ("a process started here", own_limit()),
    };
    let Some(most) = most else {
        return Finding::ok(check, subject, "it may have any number of files open");
    };
    if most >= needed {
        let told = format!("it may have {most} files open, and needs {needed} at most");
        return Finding::ok(check, subject, told);
    }
    let told = format!(
        "it may have {most} files open, and `max_connections: {connections}` can need {needed}"
    );
    let fix = format!(
        "set `LimitNOFILE={needed}` in its unit (`--ulimit nofile={needed}` of a container), or \
         lower `listen.max_connections`"
    );
    Finding::warning(check, subject, told).fix(fix)
}

/// `None` where there is no limit, or none that can be read.
fn own_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
