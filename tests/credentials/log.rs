//! The log of this process, which all worlds write: a test holds it while its world runs.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tokio::sync::MutexGuard;

type Lines = Arc<Mutex<Vec<u8>>>;

static HELD: LazyLock<tokio::sync::Mutex<Lines>> = LazyLock::new(|| {
    let lines = Lines::default();
    let sink = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || Sink(Arc::clone(&sink)));
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    tokio::sync::Mutex::new(lines)
});

struct Sink(Lines);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log, from the moment on at which it was taken.
pub struct Log(MutexGuard<'static, Lines>);

impl Log {
    pub async fn hold() -> Self {
        let held = HELD.lock().await;
        held.lock().unwrap().clear();
        Self(held)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The fields of every line that is about a client credential.
    pub fn of_credentials(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut fields = lines.map(|line| line["fields"].clone()).collect::<Vec<_>>();
        fields.retain(|fields| fields.get("credential").is_some());
        fields
    }
}
