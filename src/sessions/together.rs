//! Several questions at once, and never too many: what ten thousand wait for is not asked one
//! after the other, and requests find room between. Deliberately not here: what is asked.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// How many are under way at a time.
const AT_ONCE: usize = 64;

/// What `ask` answers for each of these, in the order of the answers. They begin in their own
/// order, each when there is room for it.
pub(super) async fn together<T, F: Future>(
    all: impl IntoIterator<Item = T>,
    ask: impl Fn(T) -> F,
) -> Vec<F::Output> {
    let mut waiting = all.into_iter();
    let mut asking: Vec<Pin<Box<F>>> = Vec::new();
    let mut answers = Vec::new();
    poll_fn(|cx| {
        loop {
            asking.retain_mut(|one| match one.as_mut().poll(cx) {
                Poll::Ready(answer) => {
                    answers.push(answer);
                    false
                }
                Poll::Pending => true,
            });
            let before = asking.len();
            let room = AT_ONCE.saturating_sub(before);
            asking.extend(waiting.by_ref().take(room).map(|next| Box::pin(ask(next))));
            if asking.is_empty() {
                return Poll::Ready(());
            }
            // Who has just begun is polled before anybody waits.
            if asking.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    answers
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn each_is_asked_once_and_never_too_many_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for count in [0, 1, AT_ONCE, AT_ONCE + 1, 1000] {
            let ask = async |number: usize| {
                let under_way = now.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(under_way, Ordering::Relaxed);
                for _ in 0..number % 4 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::Relaxed);
                number
            };
            let mut answers = together(0..count, ask).await;
            answers.sort_unstable();
            assert!(answers.into_iter().eq(0..count), "{count}");
        }
        assert!((AT_ONCE / 2..=AT_ONCE).contains(&most.load(Ordering::Relaxed)), "{most:?}");
    }
}
