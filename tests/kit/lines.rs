//! Where a log goes that a test reads.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

/// A sink that keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Has every line made on every thread, for whoever listens there. Without it, `tracing` asks only
/// the thread that comes to a place of the code first: if nobody listens on that one, the place says
/// nothing on any other either.
pub(crate) fn hear_every_thread() {
    static HEARD: LazyLock<()> = LazyLock::new(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    });
    LazyLock::force(&HEARD);
}
