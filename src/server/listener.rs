//! Sockets that visitors connect to: one a worker, on the same address (`SO_REUSEPORT`), so that
//! the kernel spreads connections and no worker hands one to another.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::{SockFilter, SockRef};

/// How many connections the kernel may hold for us before we take them.
const BACKLOG: i32 = 1024;
/// How many bytes of answers, not yet on their way, the kernel may hold for one connection, beside
/// what is. Without it that grows to megabytes, and a visitor who reads nothing for minutes looks
/// like one who has taken everything (LIM-03, LIM-07). It is no limit of how fast anybody may read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 * 1024;

/// A packet filter that keeps out whoever begins to connect: a segment with `SYN` and without
/// `ACK`. What it sees begins with the TCP header, whose flags are its fourteenth byte (RFC 9293,
/// section 3.1).
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOBODY_NEW: [SockFilter; 5] = {
    /// The steps: `BPF_LD | BPF_B | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, `BPF_JMP | BPF_JEQ |
    /// BPF_K`, and `BPF_RET | BPF_K`, which says how many bytes pass.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const SKIP_UNLESS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(SKIP_UNLESS, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
};

/// Binds `workers` sockets to one address. Port 0 lets the system choose, once for all of them.
///
/// # Errors
/// The system's, with the address in it.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let mut address = address;
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers.max(1) {
        let listener = bind_one(address)
            .map_err(|cause| io::Error::new(cause.kind(), format!("{address}: {cause}")))?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Makes a socket that somebody else has opened like one of ours.
pub(super) fn adopt(listener: &TcpListener) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT);
    listener.set_nonblocking(true)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Connections inherit it. A system without it still works, with more memory.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Nobody new from here on, while those whom the kernel has let in already are taken: a listener
/// that is closed resets those in its queue, however soon after the last of them was taken. Who is
/// kept out for this moment asks again, as after a lost packet, and then nobody listens. Who is
/// half-way in, and takes themselves to be connected, is not kept out: what they say next would
/// meet nobody.
pub(super) fn keep_out(listener: &TcpListener) {
    // A system without it still works, with a reset now and then.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(listener).attach_filter(&NOBODY_NEW);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = listener;
}

/// How many workers there are: one for each core that we may use.
#[must_use]
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::{ErrorKind, Write as _};
    use std::time::{Duration, Instant};

    use super::*;

    /// Far more than the second after which the kernel says something again that was not heard.
    const SOON: Duration = Duration::from_secs(20);

    /// Whether somebody is half-way in at this port.
    fn is_half_way_in(port: u16) -> bool {
        let all = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let here = format!(":{port:04X}");
        all.lines().map(|line| line.split_whitespace().collect()).any(|parts: Vec<&str>| {
            // 3 is SYN_RECV.
            parts.get(1).is_some_and(|at| at.ends_with(&here)) && parts.get(3) == Some(&"03")
        })
    }

    #[test]
    fn who_is_half_way_in_gets_in_and_nobody_else_once_a_listener_lets_nobody_in() {
        let [listener] =
            <[_; 1]>::try_from(bind("127.0.0.1:0".parse().unwrap(), 1).unwrap()).unwrap();
        let at = listener.local_addr().unwrap();
        let visitor = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        // Does not hear that it is welcome.
        let first = visitor();
        first.attach_filter(&[SockFilter::new(6, 0, 0, 0)]).unwrap();
        first.set_nonblocking(true).unwrap();
        assert!(first.connect(&at.into()).is_err(), "not yet");
        let begun = Instant::now();
        while !is_half_way_in(at.port()) {
            assert!(begun.elapsed() < SOON, "nobody comes");
        }
        keep_out(&listener);
        first.detach_filter().unwrap();
        let late = visitor().connect_timeout(&at.into(), Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        // Until it is told again.
        SockRef::from(&listener).set_read_timeout(Some(SOON)).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(Some(from), first.local_addr().unwrap().as_socket());
    }

    #[test]
    fn lim_03_the_kernel_holds_little_for_a_visitor_who_does_not_read() {
        let [listener] =
            <[_; 1]>::try_from(bind("127.0.0.1:0".parse().unwrap(), 1).unwrap()).unwrap();
        let visitor = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        visitor.set_recv_buffer_size(4096).unwrap();
        visitor.connect(&listener.local_addr().unwrap().into()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut taken = 0;
        let full = loop {
            match stream.write(&[0; 16 * 1024]) {
                Ok(count) => taken += count,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
        assert!(taken < 512 * 1024, "{taken}");
    }
}
