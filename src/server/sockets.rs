//! Which sockets are listened on: those that whoever started us has opened, as far as there are
//! any, and our own for the rest. What was opened for us has to be what the configuration says.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use super::listener;
use crate::supervisor::Handed;

/// What visitors connect to: one socket a worker.
#[derive(Debug)]
pub struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    /// Somebody else listens there too, or will: a service manager keeps what it has opened.
    pub(super) are_shared: bool,
    /// Where servers ask over gRPC, one a worker, if any may.
    pub(super) questions: Vec<TcpListener>,
    /// As of the others.
    pub(super) questions_are_shared: bool,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Public,
    Questions,
    Admin,
}

/// Everything that is listened on.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) public: Listeners,
    pub(super) admin: TcpListener,
    /// The same sockets once more, each once, for whoever takes our place.
    pub(super) heirlooms: Vec<Handed>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// The system does not give it.
    #[error("{what} cannot be listened on{advice}")]
    Listen {
        /// `listen.address`, `verify.grpc.address` or `admin.address`.
        what: &'static str,
        /// What to do about it.
        advice: Advice,
        /// The system's reason, with the address.
        #[source]
        cause: io::Error,
    },
    /// What was opened for us is not what was configured.
    #[error(
        "the socket that was handed over as `{name}` listens on {found}, and the configuration \
         says {expected}"
    )]
    Elsewhere {
        /// As whoever opened it calls it.
        name: String,
        /// Its address.
        found: SocketAddr,
        /// What is configured, in words.
        expected: String,
    },
    /// Health and metrics need one.
    #[error("two sockets were handed over for `admin.address`, and it takes one")]
    TwoForAdmin,
    /// The system's.
    #[error("a socket that was handed over cannot be used")]
    Unusable(#[from] io::Error),
}

/// What an operator can do about an address that cannot be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Another program has it.
    InUse(u16),
    /// Ports below 1024 are not for everybody.
    Forbidden,
    /// It is another machine's.
    NotOurs,
    /// Nothing that is known.
    None,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(port) => {
                write!(
                    f,
                    ": another program has that port (`ss -ltnp 'sport = :{port}'` says which)"
                )
            }
            Self::Forbidden => f.write_str(
                ": this user may not (a port below 1024 takes CAP_NET_BIND_SERVICE, or a socket \
                 unit)",
            ),
            Self::NotOurs => f.write_str(": no interface of this machine has that address"),
            Self::None => Ok(()),
        }
    }
}

impl Advice {
    fn on(kind: io::ErrorKind, address: SocketAddr) -> Self {
        match kind {
            io::ErrorKind::AddrInUse => Self::InUse(address.port()),
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            io::ErrorKind::AddrNotAvailable => Self::NotOurs,
            _ => Self::None,
        }
    }
}

/// Takes what was handed over, and opens what was not.
pub(super) fn open(
    handed: Vec<Handed>,
    (public, admin, questions): (SocketAddr, SocketAddr, Option<SocketAddr>),
) -> Result<Opened, SocketsError> {
    let (mut for_public, mut for_questions, mut for_admin) = (Vec::new(), Vec::new(), None);
    let (mut are_shared, mut questions_are_shared, mut admin_is_shared) = (false, false, false);
    for Handed { name, listener, is_shared } in handed {
        let found = listener.local_addr()?;
        match use_of(&name, found, (public, admin, questions))? {
            Use::Public => {
                are_shared |= is_shared;
                for_public.push(listener);
            }
            Use::Questions => {
                questions_are_shared |= is_shared;
                for_questions.push(listener);
            }
            Use::Admin if for_admin.is_some() => return Err(SocketsError::TwoForAdmin),
            Use::Admin => (for_admin, admin_is_shared) = (Some(listener), is_shared),
        }
    }
    let failed = |what, address: SocketAddr| {
        move |cause: io::Error| SocketsError::Listen {
            what,
            advice: Advice::on(cause.kind(), address),
            cause,
        }
    };
    if for_public.is_empty() {
        for_public = listener::bind(public, listener::workers())
            .map_err(failed("listen.address", public))?;
    }
    let admin = match for_admin {
        Some(listener) => listener,
        None => bind_admin(admin).map_err(failed("admin.address", admin))?,
    };
    admin.set_nonblocking(true)?;
    let heirloom = |name: &str, listener: &TcpListener, is_shared| {
        let listener = listener.try_clone()?;
        Ok::<_, io::Error>(Handed { name: name.to_owned(), listener, is_shared })
    };
    let mut heirlooms = vec![heirloom("admin", &admin, admin_is_shared)?];
    for listener in &for_public {
        listener::adopt(listener)?;
        heirlooms.push(heirloom("public", listener, are_shared)?);
    }
    if let Some(address) = questions.filter(|_| for_questions.is_empty()) {
        for_questions = listener::bind(address, listener::workers())
            .map_err(failed("verify.grpc.address", address))?;
    }
    for listener in &for_questions {
        listener::adopt(listener)?;
        heirlooms.push(heirloom("grpc", listener, questions_are_shared)?);
    }
    let sockets = spread(for_public)?;
    let questions = if for_questions.is_empty() { Vec::new() } else { spread(for_questions)? };
    let public = Listeners { sockets, are_shared, questions, questions_are_shared };
    Ok(Opened { public, admin, heirlooms })
}

fn bind_admin(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|cause| io::Error::new(cause.kind(), format!("{address}: {cause}")))
}

/// What a socket is for: what its name says, and else what its address does.
fn use_of(
    name: &str,
    found: SocketAddr,
    (public, admin, questions): (SocketAddr, SocketAddr, Option<SocketAddr>),
) -> Result<Use, SocketsError> {
    let is = |configured: SocketAddr| {
        configured == found || (configured.port() == 0 && configured.ip() == found.ip())
    };
    let elsewhere =
        |expected| Err(SocketsError::Elsewhere { name: name.to_owned(), found, expected });
    match name {
        "public" | "anteport" if is(public) => Ok(Use::Public),
        "public" | "anteport" => elsewhere(format!("`listen.address` {public}")),
        "admin" if is(admin) => Ok(Use::Admin),
        "admin" => elsewhere(format!("`admin.address` {admin}")),
        "grpc" if questions.is_some_and(is) => Ok(Use::Questions),
        "grpc" => elsewhere("another `verify.grpc.address`, or none".to_owned()),
        _ if is(public) => Ok(Use::Public),
        _ if is(admin) => Ok(Use::Admin),
        _ if questions.is_some_and(is) => Ok(Use::Questions),
        _ => elsewhere(format!("`listen.address` {public} and `admin.address` {admin}")),
    }
}

/// Every worker has a socket and every socket a worker: those of one socket take turns on it.
fn spread(listeners: Vec<TcpListener>) -> io::Result<Vec<TcpListener>> {
    let more = listener::workers().saturating_sub(listeners.len());
    let again: io::Result<Vec<TcpListener>> =
        listeners.iter().cycle().take(more).map(TcpListener::try_clone).collect();
    Ok(listeners.into_iter().chain(again?).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(address: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn handed(name: &str, listener: TcpListener) -> Handed {
        Handed { name: name.to_owned(), listener, is_shared: true }
    }

    #[test]
    fn a_socket_is_for_what_its_name_says_and_else_its_address() {
        let public: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let admin: SocketAddr = "127.0.0.1:9090".parse().unwrap();
        let found = |name, at: &str| use_of(name, at.parse().unwrap(), (public, admin, None));
        for (name, at, wanted) in [
            ("public", "127.0.0.1:8443", Use::Public),
            ("anteport", "127.0.0.1:8443", Use::Public),
            ("admin", "127.0.0.1:9090", Use::Admin),
            ("unknown", "127.0.0.1:9090", Use::Admin),
            ("anteport.socket", "127.0.0.1:8443", Use::Public),
        ] {
            assert_eq!(found(name, at).unwrap(), wanted, "{name} {at}");
        }
        for (name, at, said) in [
            ("public", "127.0.0.1:9090", "listens on 127.0.0.1:9090"),
            ("admin", "0.0.0.0:9090", "`admin.address` 127.0.0.1:9090"),
            ("other", "[::1]:8443", "`listen.address` 127.0.0.1:8443 and `admin.address`"),
        ] {
            let error = found(name, at).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_handed_over_is_used_by_all_workers_and_the_rest_is_opened() {
        let ((first, public), (_, any)) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let opened = open(vec![handed("public", first)], (public, any, None)).unwrap();
        assert!(opened.public.are_shared);
        assert!(opened.public.sockets.len() >= listener::workers());
        for socket in &opened.public.sockets {
            assert_eq!(socket.local_addr().unwrap(), public);
        }
        assert_eq!(opened.admin.local_addr().unwrap(), any);
        assert_eq!(opened.heirlooms.len(), 2, "each once");
        let (one, two) = (opened.admin.try_clone().unwrap(), opened.admin);
        let twice = vec![handed("admin", one), handed("admin", two)];
        assert!(matches!(open(twice, (public, any, None)), Err(SocketsError::TwoForAdmin)));
    }

    #[test]
    fn an_address_in_use_is_named_with_a_way_to_find_out_who_has_it() {
        let (_held, taken) = bound("127.0.0.1:0");
        let (_, free) = bound("127.0.0.1:0");
        let error = open(Vec::new(), (free, taken, None)).unwrap_err();
        let said = crate::telemetry::causes(&error);
        for wanted in ["admin.address", &taken.to_string(), &format!("sport = :{}", taken.port())] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let elsewhere = open(Vec::new(), ("192.0.2.1:1".parse().unwrap(), free, None)).unwrap_err();
        assert!(elsewhere.to_string().contains("no interface of this machine"), "{elsewhere}");
    }
}
