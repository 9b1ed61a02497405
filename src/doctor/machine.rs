//! This machine: whether the listeners can be had, or are ours already, and how many files a
//! process may have open.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use url::Url;

use super::{Case, Check, Finding};
use crate::outgoing::{Bounds, Http};

/// For an answer of an Anteport on this machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections of a process besides those of visitors and their portals.
const BESIDES: u64 = 64;

/// Looks at this machine.
pub(super) async fn look(case: &Case) -> Vec<Finding> {
    let admin = case.config.admin;
    let running = Running::at(admin).await;
    vec![
        listener(Check::Listener, case.config.listen.address, running.is_ours),
        listener(Check::AdminListener, admin, running.is_ours),
        descriptors(case, &running),
    ]
}

/// The Anteport that runs here, if one does.
struct Running {
    is_ours: bool,
    /// As many files as it may have open.
    files: Option<u64>,
}

impl Running {
    async fn at(mut admin: SocketAddr) -> Self {
        match admin {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
                admin.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
                admin.set_ip(Ipv6Addr::LOCALHOST.into());
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => {}
        }
        let answer_bytes = 4 * 1024 * 1024;
        let bounds = Bounds { connect: PATIENCE, total: PATIENCE, answer_bytes, posts: 1 };
        let http = Http::new(bounds, None);
        let ask = async |path: &str| {
            let url = Url::parse(&format!("http://{admin}{path}")).ok()?;
            http.get(&url, http.deadline()).await.ok()
        };
        let version = ask("/version").await.and_then(|told| serde_json::from_slice(&told).ok());
        let name = version.as_ref().and_then(|told: &Value| told.get("name")?.as_str());
        if name != Some(env!("CARGO_PKG_NAME")) {
            return Self { is_ours: false, files: None };
        }
        let metrics = ask("/metrics").await.unwrap_or_default();
        let metrics = String::from_utf8_lossy(&metrics);
        let files = metrics.lines().find_map(|line| line.strip_prefix("process_max_fds "));
        Self { is_ours: true, files: files.and_then(|files| files.trim().parse().ok()) }
    }
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
fn descriptors(case: &Case, running: &Running) -> Finding {
    let (check, connections) = (Check::Descriptors, case.config.listen.max_connections);
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2) + BESIDES;
    let (subject, most) = match running.files {
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
