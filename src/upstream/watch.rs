//! Asking a portal's servers how they are, once for the whole process, beside the requests.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::limits;
use super::servers::Servers;
use crate::config::{HealthCheck, Protocol};

impl Servers {
    /// Asks every server again and again, if that is configured; it does not end before it is
    /// dropped. `host` is what the portal is called by visitors.
    pub async fn watch(self: Arc<Self>, host: HeaderValue) {
        let mut asking = JoinSet::new();
        if self.settings.health_check.is_some() {
            for index in 0..self.len() {
                let (servers, host) = (Arc::clone(&self), host.clone());
                asking.spawn(async move { servers.watch_one(index, &host).await });
            }
        }
        while asking.join_next().await.is_some() {}
    }

    async fn watch_one(&self, index: usize, host: &HeaderValue) {
        let (Some(check), Some(server)) = (&self.settings.health_check, self.get(index)) else {
            return;
        };
        let mut every = interval(check.interval);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Good answers in a row, and bad ones.
        let (mut good, mut bad) = (0_u32, 0_u32);
        loop {
            every.tick().await;
            let asked = timeout(check.timeout, self.ask(index, check, host)).await;
            let found = match asked {
                Ok(Ok(status)) if status.is_success() || status.is_redirection() => {
                    (good, bad) = (good.saturating_add(1), 0);
                    status.to_string()
                }
                other => {
                    (good, bad) = (0, bad.saturating_add(1));
                    match other {
                        Ok(Ok(status)) => status.to_string(),
                        Ok(Err(reason)) => reason,
                        Err(_) => format!("no answer within {:?}", check.timeout),
                    }
                }
            };
            if good >= check.healthy_after {
                server.health.judged(true, &found);
            } else if bad >= check.unhealthy_after {
                server.health.judged(false, &found);
            }
        }
    }

    /// One question on a connection of its own, and the status of its answer.
    async fn ask(
        &self,
        index: usize,
        check: &HealthCheck,
        host: &HeaderValue,
    ) -> Result<StatusCode, String> {
        let stream = self.connect(index).await.map_err(|error| error.to_string())?;
        let stream = TokioIo::new(stream);
        let broken = |error: hyper::Error| error.to_string();
        let path = check.path.as_str();
        let user_agent = concat!("anteport/", env!("CARGO_PKG_VERSION"), " (health check)");
        let request = Request::get(path).header(USER_AGENT, user_agent);
        let body = Empty::<Bytes>::new();
        match self.settings.protocol {
            Protocol::Http1 => {
                let request = request.header(HOST, host).body(body);
                let request = request.map_err(|error| error.to_string())?;
                let (mut sender, connection) = http1::Builder::new()
                    .max_buf_size(limits::CHECK_HEAD)
                    .handshake(stream)
                    .await
                    .map_err(broken)?;
                while_driven(sender.send_request(request), connection).await.map_err(broken)
            }
            Protocol::Http2 => {
                let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
                let uri = Uri::builder().scheme(scheme).authority(host.as_bytes());
                let uri = uri.path_and_query(path).build().map_err(|error| error.to_string())?;
                let request = request.uri(uri).body(body).map_err(|error| error.to_string())?;
                let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .max_header_list_size(limits::HTTP2_HEADERS)
                    .handshake(stream)
                    .await
                    .map_err(broken)?;
                while_driven(sender.send_request(request), connection).await.map_err(broken)
            }
        }
    }
}

/// The status of an answer; its connection is driven until then and closed.
async fn while_driven<B>(
    answer: impl Future<Output = hyper::Result<http::Response<B>>>,
    connection: impl Future,
) -> hyper::Result<StatusCode> {
    let mut answer = std::pin::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // The connection may be done while the answer waits to be taken.
        _ = &mut connection => answer.await,
    };
    answer.map(|answer| answer.status())
}
