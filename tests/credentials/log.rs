//! The log of this process, which all worlds write: a test holds it while its world runs.

use std::sync::LazyLock;

use lines::Lines;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

#[path = "../kit/lines.rs"]
mod lines;

static HELD: LazyLock<Mutex<Lines>> = LazyLock::new(|| {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || sink.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    Mutex::new(lines)
});

/// The log, from the moment on at which it was taken.
pub struct Log(MutexGuard<'static, Lines>);

impl Log {
    pub async fn hold() -> Self {
        let held = HELD.lock().await;
        held.0.lock().unwrap().clear();
        Self(held)
    }

    pub fn text(&self) -> String {
        self.0.text()
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
