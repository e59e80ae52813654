//! An answer that is written while the request is still being read: a bounded buffer between whoever makes the answer
//! and the connection. Both are tasks of one thread.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::JoinHandle;
use actix_web::web::{Bytes, BytesMut};
use tokio::time::Instant;

/// How much of an answer may wait to be sent, bytes. Enough for the answers to a whole batch of good reports, so that a
/// caller that reads nothing before it has sent everything does not wait for us while we wait for it.
pub const WAITING_MAX_BYTES: usize = 2 << 20;
/// The largest piece handed to the connection, bytes.
const PIECE_MAX_BYTES: usize = 64 << 10;

struct Shared {
    waiting: BytesMut,
    taken_at: Instant,
    is_ended: bool,
    /// Whoever wrote went away before the end: what there is of the answer must not pass for all of it.
    is_broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// See [`AnswerWriter::end`].
    kept: Option<Box<dyn Any>>,
}

/// The end that the answer is written to.
pub struct AnswerWriter(Rc<RefCell<Shared>>);

/// The end that the connection reads: the body of the answer.
pub struct AnswerStream {
    shared: Rc<RefCell<Shared>>,
    writing: Option<JoinHandle<()>>,
}

/// An empty answer. `write` is what writes it; it ends at once when the connection does.
pub fn answer_stream<F: Future<Output = ()> + 'static>(write: impl FnOnce(AnswerWriter) -> F) -> AnswerStream {
    let shared = Rc::new(RefCell::new(Shared {
        waiting: BytesMut::new(),
        taken_at: Instant::now(),
        is_ended: false,
        is_broken: false,
        reader: None,
        writer: None,
        kept: None,
    }));
    let writing = actix_web::rt::spawn(write(AnswerWriter(Rc::clone(&shared))));
    AnswerStream { shared, writing: Some(writing) }
}

impl AnswerWriter {
    /// Adds to the answer, full or not: whoever writes asks before it makes more.
    pub fn push(&self, bytes: &[u8]) {
        let mut shared = self.0.borrow_mut();
        if shared.waiting.is_empty() {
            shared.taken_at = Instant::now();
        }
        shared.waiting.extend_from_slice(bytes);
        wake(shared.reader.take());
    }

    /// Ready when there is room for more.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.0.borrow_mut();
        if shared.waiting.len() < WAITING_MAX_BYTES {
            return Poll::Ready(());
        }
        shared.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// When the connection last took something, or had taken everything.
    #[must_use]
    pub fn taken_at(&self) -> Instant {
        self.0.borrow().taken_at
    }

    /// Ends the answer. `kept` is dropped when the answer is sent or the connection gone: what was not read of the request
    /// (dropped earlier, actix-http would read the rest for as long as its sender likes; kept, it closes the connection),
    /// and the leave to hold as much memory as an answer that nobody reads takes.
    pub fn end(self, kept: impl Any) {
        let mut shared = self.0.borrow_mut();
        shared.kept = Some(Box::new(kept));
        shared.is_ended = true;
    }

    /// Forgets what was not sent of the answer, which nobody reads, and breaks the connection.
    pub fn abandon(self) {
        self.0.borrow_mut().waiting = BytesMut::new();
    }
}

impl Drop for AnswerWriter {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        shared.is_broken = !shared.is_ended;
        wake(shared.reader.take());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl MessageBody for AnswerStream {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut shared = self.shared.borrow_mut();
        if shared.waiting.is_empty() {
            if shared.is_ended {
                return Poll::Ready(None);
            }
            if shared.is_broken {
                return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())));
            }
            shared.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = shared.waiting.len().min(PIECE_MAX_BYTES);
        let piece = shared.waiting.split_to(length).freeze();
        shared.taken_at = Instant::now();
        wake(shared.writer.take());
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            writing.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    // Fails when a batch counts as over while megabytes of its answer are still in memory.
    #[test]
    fn what_is_kept_is_kept_until_the_last_of_the_answer_is_taken_or_nobody_takes_it() {
        actix_web::rt::System::new().block_on(async {
            for is_read in [true, false] {
                let pass = Rc::new(());
                let kept = Rc::clone(&pass);
                let mut stream = answer_stream(|answers| async move {
                    answers.push(&[b'x'; PIECE_MAX_BYTES + 1]);
                    answers.end(kept);
                });
                let mut taken = 0;
                while let Some(piece) = poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
                    assert_eq!(Rc::strong_count(&pass), 2, "after {taken} bytes");
                    taken += piece.map_or(0, |piece| piece.len());
                    if !is_read {
                        break;
                    }
                }
                assert_eq!(taken, PIECE_MAX_BYTES + usize::from(is_read));
                drop(stream);
                assert_eq!(Rc::strong_count(&pass), 1);
            }
        });
    }
}
