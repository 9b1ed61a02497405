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

/// The step of a packet filter that ends it (`BPF_RET | BPF_K`), with how many bytes pass.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RETURN: u16 = 6;

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
/// kept out for this moment asks again, as after a lost packet, and then nobody listens.
pub(super) fn keep_out(listener: &TcpListener) {
    // A filter of one step: no packet passes. A system without it still works, with a reset now and
    // then.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(listener).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]);
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
    use std::io::{ErrorKind, Write as _};

    use super::*;

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
