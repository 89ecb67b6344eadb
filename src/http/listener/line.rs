//! A stream that loses patience: with half a head, with silence, with a reader who stands still.
//!
//! Counts time and bytes only; what the bytes mean is the parser's business.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};

/// With fewer free seats than this, an unused connection is no longer kept for a proxy's sake.
const SCARCE_SEATS: usize = 128;
/// Bytes read away at a time.
const SCRATCH_BYTES: usize = 4096;

/// Whose turn it is to speak: odd counts mean that a request is being served.
#[derive(Debug, Default)]
pub(super) struct Turn {
    count: AtomicUsize,
    must_linger: AtomicBool,
}

impl Turn {
    /// A request's head is complete.
    pub(super) fn begin(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Its answer is known.
    pub(super) fn end(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer leaves a body unread: keep reading for a moment after it.
    pub(super) fn linger(&self) {
        self.must_linger.store(true, Ordering::Relaxed);
    }
}

/// How long a line waits for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of a head.
    pub(super) head: Duration,
    /// For the next request.
    pub(super) idle: Duration,
    /// For a reader to take what is written.
    pub(super) stall: Duration,
    /// For an unread body to end.
    pub(super) linger: Duration,
    /// … and how many of its bytes.
    pub(super) linger_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Head,
    Idle,
    End,
}

/// A stream with patience.
pub(super) struct Line<S> {
    stream: S,
    patience: Patience,
    turn: Arc<Turn>,
    seats: Arc<Semaphore>,
    seen_turn: usize,
    /// Bytes of a head have come, or it is the first one, which is owed at once.
    is_head_begun: bool,
    waiting: Waiting,
    timer: Pin<Box<Sleep>>,
    stall: Option<Pin<Box<Sleep>>>,
    lingered_bytes: usize,
}

impl<S> Line<S> {
    pub(super) fn new(
        stream: S,
        patience: Patience,
        turn: Arc<Turn>,
        seats: Arc<Semaphore>,
    ) -> Line<S> {
        Line {
            stream,
            patience,
            turn,
            seats,
            seen_turn: 0,
            is_head_begun: true,
            waiting: Waiting::Nothing,
            timer: Box::pin(sleep(patience.head)),
            stall: None,
            lingered_bytes: 0,
        }
    }

    /// Notices turns that passed; true while a request is being served.
    fn is_serving(&mut self) -> bool {
        let count = self.turn.count.load(Ordering::Relaxed);
        if count != self.seen_turn {
            self.seen_turn = count;
            self.is_head_begun = false;
            self.waiting = Waiting::Nothing;
        }
        count % 2 == 1
    }

    fn idle(&self) -> Duration {
        if self.seats.available_permits() < SCARCE_SEATS {
            self.patience.idle.min(self.patience.head)
        } else {
            self.patience.idle
        }
    }

    /// Ready when the wait for this has lasted too long.
    fn poll_waited(&mut self, what: Waiting, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting != what {
            self.waiting = what;
            self.timer.set(sleep(limit));
        }
        self.timer.as_mut().poll(cx)
    }

    /// Turns a write that cannot go on into an error when it has stood still too long. While it
    /// stands, no other limit counts; once it goes on, the reader is woken to begin its wait,
    /// which the parser does not do by itself.
    fn poll_stall(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            self.waiting = Waiting::Nothing;
            cx.waker().wake_by_ref();
            return written;
        }
        let limit = self.patience.stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Line<S> {
    /// Reads away what still comes, within limits of time and bytes.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; SCRATCH_BYTES];
        while self.lingered_bytes < self.patience.linger_bytes_max {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.lingered_bytes = self.lingered_bytes.saturating_add(buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    return self.poll_waited(Waiting::End, self.patience.linger, cx);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut line.stream).poll_read(cx, buffer);
        let is_serving = line.is_serving();
        match read {
            Poll::Ready(outcome) => {
                if !is_serving && buffer.filled().len() > before {
                    line.is_head_begun = true;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending if is_serving || line.stall.is_some() => Poll::Pending,
            Poll::Pending => {
                if line.is_head_begun {
                    ready!(line.poll_waited(Waiting::Head, line.patience.head, cx));
                } else {
                    ready!(line.poll_waited(Waiting::Idle, line.idle(), cx));
                }
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write(cx, bytes);
        line.poll_stall(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write_vectored(cx, slices);
        line.poll_stall(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let shut = ready!(Pin::new(&mut line.stream).poll_shutdown(cx));
        if shut.is_ok() && line.turn.must_linger.load(Ordering::Relaxed) {
            ready!(line.poll_linger(cx));
        }
        Poll::Ready(shut)
    }
}
