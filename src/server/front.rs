//! What stands in front of us: the proxies that may say whose a connection is (FWD-04), and the
//! connections that we do not take.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::admission::{Crowded, Seat};
use super::peer::Peer;
use super::proxy_protocol::{self, Conveyed, Malformed, Reading};
use super::{Portal, Proxy};
use crate::config::Networks;
use crate::telemetry::metrics::ConnectionRefusal;
use crate::telemetry::seldom::Seldom;

/// Who may speak for others, and how.
#[derive(Debug)]
pub(super) struct Front {
    /// Every connection begins with a PROXY protocol header.
    pub(super) proxy_protocol: bool,
    pub(super) trusted: Networks,
    log: Seldom,
}

impl Front {
    pub(super) fn new(proxy_protocol: bool, trusted: Networks) -> Self {
        Self { proxy_protocol, trusted, log: Seldom::new(Instant::now()) }
    }
}

impl Proxy {
    /// Whose a connection is; `None` if it is to be closed, which is then counted.
    ///
    /// With the PROXY protocol it is the conveyed address that counts from here on. A balancer that
    /// names nobody says nothing about who writes the headers, so those are not believed then.
    pub(super) async fn peer(&self, stream: &mut TcpStream, address: IpAddr) -> Option<Peer> {
        let address = address.to_canonical();
        let front = &self.front;
        if !front.proxy_protocol {
            return self.seated(Peer::new(address, front.trusted.contain(address)));
        }
        if !front.trusted.contain(address) {
            self.refuse_connection(ConnectionRefusal::ProxyPeer, address);
            return None;
        }
        // Boxed, because few listeners need it and every connection would have room for it.
        let header = tokio::time::timeout(self.limits.proxy_header, Box::pin(header(stream)));
        match header.await {
            Ok(Ok(Conveyed::Visitor(visitor))) => {
                self.seated(Peer::new(visitor, front.trusted.contain(visitor)))
            }
            Ok(Ok(Conveyed::Nobody)) => self.seated(Peer::new(address, false)),
            Ok(Err(_)) => {
                self.refuse_connection(ConnectionRefusal::ProxyHeader, address);
                None
            }
            Err(_) => {
                self.refuse_connection(ConnectionRefusal::ProxyTimeout, address);
                None
            }
        }
    }

    /// One address has so many connections (LIM-02); our own proxies have those of all visitors.
    pub(super) fn seated(&self, peer: Peer) -> Option<Peer> {
        if self.front.trusted.contain(peer.address()) {
            return Some(peer);
        }
        let Some(seat) = self.admission.seat(peer.address()) else {
            self.refuse_connection(ConnectionRefusal::PerAddress, peer.address());
            return None;
        };
        Some(peer.seated(seat))
    }

    /// One address has so many of a portal's requests (LIM-08).
    pub(super) fn share(&self, portal: &Portal, visitor: IpAddr) -> Result<Option<Seat>, Crowded> {
        let taken = portal.servers.requests();
        let stranger = self.stranger(visitor).filter(|_| portal.shares.are_counted(taken));
        let Some(stranger) = stranger else {
            return Ok(None);
        };
        portal.shares.seat(stranger, 1, taken).ok_or(Crowded).map(Some)
    }

    /// Whom a limit for one address is for; our own proxies have what all their visitors have.
    pub(super) fn stranger(&self, visitor: IpAddr) -> Option<IpAddr> {
        (!self.front.trusted.contain(visitor)).then_some(visitor)
    }

    /// Counts a connection that is closed unserved, and now and then says so.
    pub(super) fn refuse_connection(&self, why: ConnectionRefusal, address: IpAddr) {
        self.metrics.connection_refused(why);
        if let Some(left_out) = self.front.log.is_due(Instant::now()) {
            tracing::warn!(
                client.address = %address,
                reason = why.as_str(),
                left_out,
                "a connection was closed unserved"
            );
        }
    }
}

/// Reads a header and not a byte more: what is there is looked at before it is taken.
async fn header(stream: &mut TcpStream) -> io::Result<Conveyed> {
    let malformed = |error: Malformed| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut bytes = Vec::new();
    let mut piece = [0; 536];
    loop {
        let seen = stream.peek(&mut piece).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let had = bytes.len();
        bytes.extend_from_slice(piece.get(..seen).unwrap_or_default());
        let (conveyed, taken) = match proxy_protocol::read(&bytes).map_err(malformed)? {
            Reading::Incomplete => (None, seen),
            Reading::Whole { conveyed, length } => (Some(conveyed), length.saturating_sub(had)),
        };
        if let Some(piece) = piece.get_mut(..taken) {
            stream.read_exact(piece).await?;
        }
        if let Some(conveyed) = conveyed {
            return Ok(conveyed);
        }
    }
}
