//! Waiting for what comes of something, in another task or another process.

use std::time::{Duration, Instant};

/// For something that happens at once on a machine that is not busy.
const SOON: Duration = Duration::from_secs(20);

pub async fn eventually(is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < SOON, "it does not come to be so");
        tokio::task::yield_now().await;
    }
}
