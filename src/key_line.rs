//! The line between whoever verifies deliveries and the worker that fetches missing keys.
//!
//! Some PSPs sign with a key that is named in the delivery and must be fetched first. The one who
//! verifies may not call out, and the worker sees no delivery: nothing passes here but the wish,
//! and an end that tells when the worker has looked at every adapter. Knows neither of the two.

use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Wishes that may wait for the worker; past it a delivery is told to come again.
pub const WISHES_MAX: usize = 64;

/// The wish that missing keys be fetched: told when the worker has looked, whatever it found.
pub type KeyWish = oneshot::Sender<()>;

/// The asking end; clones share it.
#[derive(Clone, Debug)]
pub struct KeyLine {
    wishes: mpsc::Sender<KeyWish>,
    news: Arc<Notify>,
}

impl KeyLine {
    /// A line to a worker that is woken by `news`, with the worker's end of it.
    pub fn new(news: Arc<Notify>) -> (KeyLine, mpsc::Receiver<KeyWish>) {
        let (wishes, received) = mpsc::channel(WISHES_MAX);
        (KeyLine { wishes, news }, received)
    }

    /// Waits until the worker has looked; false when it cannot be asked now. The caller bounds
    /// the wait.
    pub async fn ask(&self) -> bool {
        let (wish, looked) = oneshot::channel();
        if self.wishes.try_send(wish).is_err() {
            return false;
        }
        self.news.notify_one();
        looked.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_is_answered_when_the_worker_has_looked() {
        let news = Arc::new(Notify::new());
        let (line, mut wishes) = KeyLine::new(news.clone());
        let worker = async {
            news.notified().await;
            let wish = wishes.recv().await.unwrap();
            wish.send(()).unwrap();
        };
        let (is_answered, ()) = tokio::join!(line.ask(), worker);
        assert!(is_answered);
        drop(wishes);
        assert!(!line.ask().await);
    }
}
