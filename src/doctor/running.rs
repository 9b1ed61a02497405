//! The Anteport that runs on this machine, if one does: what its admin listener says.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::outgoing::{Bounds, Http};
use crate::telemetry::admin::reachable;

/// For an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest answer that is read.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// An Anteport that answers.
pub(super) struct Running {
    admin: SocketAddr,
    http: Http,
}

impl Running {
    /// The one at this admin address; `None` if nobody answers there, or somebody else.
    pub(super) async fn at(admin: SocketAddr) -> Option<Self> {
        let bounds =
            Bounds { connect: PATIENCE, total: PATIENCE, answer_bytes: ANSWER_BYTES, posts: 1 };
        let it = Self { admin: reachable(admin), http: Http::new(bounds, None) };
        let version: Value = serde_json::from_slice(&it.ask("/version").await?).ok()?;
        let is_ours = version.get("name")?.as_str() == Some(env!("CARGO_PKG_NAME"));
        is_ours.then_some(it)
    }

    /// What it says at a path, if all is well with that.
    pub(super) async fn ask(&self, path: &str) -> Option<Bytes> {
        let url = Url::parse(&format!("http://{}{path}", self.admin)).ok()?;
        self.http.get(&url, self.http.deadline()).await.ok()
    }

    /// As many files as it may have open.
    pub(super) async fn files(&self) -> Option<u64> {
        let metrics = self.ask("/metrics").await?;
        let metrics = String::from_utf8_lossy(&metrics);
        let files = metrics.lines().find_map(|line| line.strip_prefix("process_max_fds "));
        files.and_then(|files| files.trim().parse().ok())
    }
}
