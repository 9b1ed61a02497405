//! When what of a stop happens: how long visitors are still let in, how long what is under way may
//! take, and when WebSockets are told. What that means for each connection is elsewhere (`stop`).

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::limits;
use super::service::Order;
use super::stop::Stop;
use super::worker::Workers;
use crate::config::Shutdown;
use crate::telemetry::metrics::Cut;

/// Whether somebody who has asked for a stop asks again.
#[derive(Debug)]
pub(super) struct Hurry<'a> {
    orders: &'a mut mpsc::Receiver<Order>,
    is_asked: bool,
}

impl<'a> Hurry<'a> {
    pub(super) fn new(orders: &'a mut mpsc::Receiver<Order>) -> Self {
        Self { orders, is_asked: false }
    }

    /// Returns once a stop is asked for, and from then on at once. What else is asked for meanwhile
    /// is too late.
    pub(super) async fn asked(&mut self) {
        while !self.is_asked {
            match self.orders.recv().await {
                Some(Order::Stop) => self.is_asked = true,
                Some(Order::HandOver) => {
                    tracing::warn!("another process is taking this one's place, or it ends");
                }
                // Whoever could ask is gone, and waits for the end.
                None => std::future::pending().await,
            }
        }
    }
}

/// Waits for so long, unless somebody is in a hurry.
pub(super) async fn delay(time: Duration, hurry: &mut Hurry<'_>) {
    if !time.is_zero() {
        tokio::select! {
            () = sleep(time) => {}
            () = hurry.asked() => {}
        }
    }
}

/// Waits until what is under way has ended, and cuts what has not in time, or once somebody is in a
/// hurry. A stop has been asked for by then.
pub(super) async fn drain(
    stop: &Stop,
    workers: Workers,
    times: Shutdown,
    cut: &Cut,
    hurry: &mut Hurry<'_>,
) {
    let begun = Instant::now();
    let told = begun + times.websockets;
    // Whoever is told at the end has a moment to take leave.
    let end = (begun + times.drain).max(told + limits::GOODBYE);
    // Its thread ends with its last connection.
    let mut joined = pin!(tokio::task::spawn_blocking(move || workers.join()));
    let mut is_told = false;
    let connections = loop {
        let next = if is_told { end } else { told.min(end) };
        tokio::select! {
            connections = &mut joined => break connections,
            () = sleep_until(next), if next < end => {
                is_told = true;
                stop.tell_websockets();
                continue;
            }
            () = sleep_until(end), if next == end => {}
            () = hurry.asked() => {}
        }
        cut.begin();
        stop.cut();
        // What is cut ends at once; a worker that hangs is not waited for.
        break match tokio::time::timeout(limits::CUT, &mut joined).await {
            Ok(connections) => connections,
            Err(_) => {
                tracing::error!("a worker does not end, and is left behind");
                Ok(0)
            }
        };
    };
    let was = cut.was();
    let connections = connections.unwrap_or_default();
    match connections {
        0 => tracing::info!("everything that was under way has finished"),
        _ => tracing::warn!(
            connections,
            requests = was.requests,
            answers = was.answers,
            websockets = was.websockets,
            "what was still under way was cut"
        ),
    }
}
