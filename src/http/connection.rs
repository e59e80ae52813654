//! Connections, watched: nobody may hold one by being slow.
//!
//! actix-http times the first head of a connection and the time between two requests, and nothing else. Here each
//! connection is wrapped in a [`WatchedStream`] that keeps a few marks, and one task per worker looks at the marks of
//! all its connections twice a second. So a request costs no timer. Ended are connections that
//! - have begun a request, or sent nothing at all, and do not come to its end ([`SLOW_MAX`]),
//! - do not take their answer (the same, and a byte rate),
//! - have been idle for [`IDLE_MAX`].
//!
//! While a handler works, slowness of the body is the handler's: `BodyLimits`, and the pace of a batch.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::framing::{Framing, Unreadable};
use super::problem::Problem;
use crate::telemetry::metrics::Metrics;

/// How long a request may be on its way, its body while no handler waits for it, or an answer may not be taken.
pub const SLOW_MAX: Duration = Duration::from_secs(8);
/// How long a connection is kept between two requests.
pub const IDLE_MAX: Duration = Duration::from_secs(75);
/// How often connections are looked at: none lives longer than [`SLOW_MAX`] and twice this.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// As much of a long answer must be taken in each [`SLOW_MAX`], bytes.
const ANSWER_STEP_BYTES: u64 = 64 * 1024;
/// How the answers begin that actix-http gives itself, without a body.
const EMPTY_400: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n";
const EMPTY_431: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n";

/// The time by which connections are judged: looks since the worker began.
type Looks = u32;

const fn looks_in(duration: Duration) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "minutes")]
    let looks = (duration.as_millis() / LOOK_EVERY.as_millis()) as u32;
    looks
}

/// What is known of one connection.
#[derive(Default)]
pub struct Watch {
    opened: Looks,
    /// Requests that handlers have and have not answered to the end.
    in_hand: Cell<u32>,
    /// Requests that handlers were given.
    requests: Cell<u32>,
    is_at_rest: Cell<bool>,
    is_in_head: Cell<bool>,
    /// Bytes written since the client last took everything; none while it does.
    written_late: Cell<Option<u64>>,
    /// An answer was the last one, or a request said that it is.
    is_over: Cell<bool>,
    ending: Cell<Option<Ending>>,
    waker: RefCell<Option<Waker>>,
    // The looker's own notes.
    last_state: Cell<State>,
    since: Cell<Looks>,
}

/// How a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// As if the client had closed it.
    Quietly,
    /// After a problem document.
    TooSlow,
    /// At once: the client does not read.
    NotTaken,
    /// When the last answer is written.
    Answered,
}

/// What a connection does at the moment; a time limit runs while this stays the same.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    InHand,
    /// A request is on its way; the number of those before it.
    Sending(u32),
    /// Between two requests; the number of those before.
    Idle(u32),
    /// An answer is not taken; how many steps of it were.
    NotTaking(u64),
}

impl Watch {
    fn state(&self) -> State {
        let requests = self.requests.get();
        if let Some(bytes) = self.written_late.get() {
            State::NotTaking(bytes / ANSWER_STEP_BYTES)
        } else if self.in_hand.get() > 0 {
            State::InHand
        } else if self.is_at_rest.get() && requests > 0 {
            State::Idle(requests)
        } else {
            State::Sending(requests)
        }
    }

    /// Looks at it once; `now` counts looks.
    fn look(&self, now: Looks) {
        let state = self.state();
        if state != self.last_state.get() {
            self.last_state.set(state);
            self.since.set(now);
            return;
        }
        let lasted = now.wrapping_sub(self.since.get());
        let ending = match state {
            State::InHand => None,
            State::Sending(_) => (lasted >= looks_in(SLOW_MAX)).then_some(Ending::TooSlow),
            State::Idle(_) => (lasted >= looks_in(IDLE_MAX)).then_some(Ending::Quietly),
            State::NotTaking(_) => (lasted >= looks_in(SLOW_MAX)).then_some(Ending::NotTaken),
        };
        if ending.is_some() {
            self.ending.set(ending);
            if let Some(waker) = self.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
    }

    fn remember_waker(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match waker.as_mut() {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
    }

    /// A handler gets a request; until the guard is dropped the connection's slowness is the handler's.
    pub fn take_in_hand(self: &Rc<Self>) -> InHand {
        self.in_hand.set(self.in_hand.get() + 1);
        self.requests.set(self.requests.get().saturating_add(1));
        InHand(Rc::clone(self))
    }

    /// The answer to the request that is in hand ends the connection.
    pub fn set_over(&self) {
        self.is_over.set(true);
    }

    /// Whether a request came behind the last one. actix would answer it; nobody waits for that answer, and what stands
    /// there may have been smuggled. So it must be left alone, and the connection ends when what was said is written.
    #[must_use]
    pub fn end_if_over(&self) -> bool {
        if self.is_over.get() {
            self.ending.set(Some(Ending::Answered));
        }
        self.is_over.get()
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }
}

/// A request that a handler has.
pub struct InHand(Rc<Watch>);

impl InHand {
    /// Of its connection.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.0
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.set(self.0.in_hand.get().saturating_sub(1));
    }
}

/// The connections of one worker.
pub struct Connections {
    now: Cell<Looks>,
    watches: RefCell<Vec<Weak<Watch>>>,
    addresses: Arc<Addresses>,
    metrics: Arc<Metrics>,
}

impl Connections {
    /// None yet. Must be called in the worker's own runtime: starts the task that looks at them, which ends when the
    /// worker drops this.
    #[must_use]
    pub fn start(addresses: Arc<Addresses>, metrics: Arc<Metrics>) -> Rc<Self> {
        let connections = Rc::new(Self { now: Cell::new(0), watches: RefCell::default(), addresses, metrics });
        let looked_at = Rc::downgrade(&connections);
        actix_web::rt::spawn(async move {
            let mut every = tokio::time::interval(LOOK_EVERY);
            // After a halt of the process nobody is blamed for the time that nobody looked.
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                let Some(connections) = looked_at.upgrade() else { return };
                connections.look();
            }
        });
        connections
    }

    fn look(&self) {
        let now = self.now.get().wrapping_add(1);
        self.now.set(now);
        self.watches.borrow_mut().retain(|watch| match watch.upgrade() {
            Some(watch) => {
                watch.look(now);
                true
            }
            None => false,
        });
    }

    /// How old a connection is.
    #[must_use]
    pub fn age(&self, watch: &Watch) -> Duration {
        LOOK_EVERY.saturating_mul(self.now.get().wrapping_sub(watch.opened))
    }

    /// Watches a new connection.
    ///
    /// # Errors
    /// When its address has too many. It was told so.
    pub fn accept(self: &Rc<Self>, stream: TcpStream) -> io::Result<WatchedStream> {
        let peer = stream.peer_addr()?.ip();
        let Some(counted) = self.addresses.count_in(peer) else {
            let problem = Problem::too_many_connections();
            problem.count(&self.metrics);
            // A buffer that is empty takes it whole. Tokio would first want to hear that it is.
            if let Ok(mut stream) = stream.into_std() {
                let _ = stream.write(&problem.to_http());
            }
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let watch = Rc::new(Watch { opened: self.now.get(), ..Watch::default() });
        watch.is_at_rest.set(true);
        self.watches.borrow_mut().push(Rc::downgrade(&watch));
        let metrics = Arc::clone(&self.metrics);
        Ok(WatchedStream { stream, watch, framing: Framing::default(), instead: None, metrics, _counted: counted })
    }
}

/// How many connections each address has, over all workers.
pub struct Addresses {
    open: Mutex<HashMap<IpAddr, u32>>,
    max: u32,
    exempt: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Addresses {
    /// At most `max` connections an address, 0 for any number; those of `exempt` addresses do not count.
    #[must_use]
    pub fn new(max: u32, exempt: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), max, exempt: Box::new(exempt) })
    }

    fn count_in(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        if self.max == 0 || (self.exempt)(address) {
            return Some(Counted(None));
        }
        let address = subscriber(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Counted(Some((Arc::clone(self), address))))
    }
}

/// Who has IPv6 has at least 2^64 addresses.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// A connection of an address; gives its place back when dropped.
struct Counted(Option<(Arc<Addresses>, IpAddr)>);

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((addresses, address)) = &self.0 else { return };
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(address);
            }
        }
    }
}

/// A connection that is watched.
pub struct WatchedStream {
    stream: TcpStream,
    watch: Rc<Watch>,
    framing: Framing,
    /// What is written in place of an empty answer of actix, and how much of it is.
    instead: Option<(Vec<u8>, usize)>,
    metrics: Arc<Metrics>,
    _counted: Counted,
}

impl WatchedStream {
    /// What is known of it.
    #[must_use]
    pub fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    /// Tells the client why this is the end, unless an answer is on its way.
    fn tell(&self, problem: &Problem) {
        problem.count(&self.metrics);
        if self.watch.in_hand.get() == 0 && self.watch.written_late.get().is_none() {
            // What does not go out at once is not worth a wait.
            let _ = self.stream.try_write(&problem.to_http());
        }
    }

    fn note_framing(&self) {
        self.watch.is_at_rest.set(self.framing.is_at_rest());
        self.watch.is_in_head.set(self.framing.is_in_head());
    }
}

fn problem_of(unreadable: Unreadable) -> Problem {
    match unreadable {
        Unreadable::Malformed => Problem::malformed_request(),
        Unreadable::HeadTooLarge => Problem::head_too_large(),
        Unreadable::TargetTooLong => Problem::target_too_long(),
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(ending) = this.watch.ending.get() {
            // Read as the end of the stream, so that actix closes it in good order.
            if ending == Ending::TooSlow {
                this.watch.ending.set(Some(Ending::Quietly));
                this.tell(&if this.watch.is_in_head.get() {
                    Problem::head_too_slow()
                } else {
                    Problem::body_too_slow()
                });
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => {
                this.watch.remember_waker(context);
                Poll::Pending
            }
            Poll::Ready(Ok(())) => {
                let outcome = this.framing.follow(buffer.filled().get(before..).unwrap_or_default());
                this.note_framing();
                if let Err(unreadable) = outcome {
                    this.watch.ending.set(Some(Ending::Quietly));
                    this.tell(&problem_of(unreadable));
                    buffer.set_filled(before);
                }
                Poll::Ready(Ok(()))
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.watch.ending.get() == Some(Ending::NotTaken) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if this.instead.is_none() && bytes.starts_with(b"HTTP/1.1 4") {
            let problem = if bytes.starts_with(EMPTY_400) {
                Problem::malformed_request()
            } else if bytes.starts_with(EMPTY_431) {
                Problem::head_too_large()
            } else {
                return this.write_on(context, bytes);
            };
            problem.count(&this.metrics);
            this.instead = Some((problem.to_http(), 0));
        }
        let Some((document, written)) = &mut this.instead else { return this.write_on(context, bytes) };
        while let Some(rest) = document.get(*written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(context, rest)) {
                Ok(0) => break,
                Ok(count) => *written += count,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        this.instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // actix comes here when all was taken.
        this.watch.written_late.set(None);
        if this.watch.ending.get() == Some(Ending::Answered) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl WatchedStream {
    fn write_on(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        let late = self.watch.written_late.get();
        match &outcome {
            Poll::Pending => {
                self.watch.written_late.set(Some(late.unwrap_or(0)));
                self.watch.remember_waker(context);
            }
            Poll::Ready(Ok(count)) if late.is_some() => {
                let more = u64::try_from(*count).unwrap_or(u64::MAX);
                self.watch.written_late.set(late.map(|bytes| bytes.saturating_add(more)));
            }
            Poll::Ready(_) => {}
        }
        outcome
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ended_after(watch: &Rc<Watch>, looks: u32) -> Option<Ending> {
        for now in 0..looks {
            watch.look(now);
        }
        watch.ending.get()
    }

    fn slow() -> u32 {
        looks_in(SLOW_MAX)
    }

    #[test]
    fn who_sends_nothing_or_half_a_request_is_ended_in_time() {
        for (is_at_rest, requests) in [(true, 0), (false, 0), (false, 7)] {
            let watch = Rc::new(Watch::default());
            watch.is_at_rest.set(is_at_rest);
            watch.requests.set(requests);
            assert_eq!(ended_after(&watch, slow()), None);
            assert_eq!(ended_after(&watch, slow() + 3), Some(Ending::TooSlow));
        }
    }

    #[test]
    fn who_waits_between_two_requests_is_kept_longer() {
        let watch = Rc::new(Watch::default());
        watch.is_at_rest.set(true);
        watch.requests.set(1);
        assert_eq!(ended_after(&watch, looks_in(IDLE_MAX)), None);
        assert_eq!(ended_after(&watch, looks_in(IDLE_MAX) + 3), Some(Ending::Quietly));
    }

    #[test]
    fn a_request_that_a_handler_has_is_the_handlers() {
        let watch = Rc::new(Watch::default());
        let in_hand = watch.take_in_hand();
        assert_eq!(ended_after(&watch, 10 * looks_in(IDLE_MAX)), None);
        drop(in_hand);
        assert_eq!(ended_after(&watch, slow() + 3), Some(Ending::TooSlow));
    }

    #[test]
    fn an_answer_may_take_as_long_as_it_is_taken() {
        let watch = Rc::new(Watch::default());
        let _in_hand = watch.take_in_hand();
        for step in 0..9 {
            watch.written_late.set(Some(step * ANSWER_STEP_BYTES));
            assert_eq!(ended_after(&watch, slow()), None);
        }
        assert_eq!(ended_after(&watch, slow() + 3), Some(Ending::NotTaken));
    }

    #[test]
    fn an_address_has_so_many_connections_and_gets_them_back() {
        let addresses = Addresses::new(2, |address| address.is_loopback());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = addresses.count_in(ip("192.0.2.1"));
        let second = addresses.count_in(ip("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some() && addresses.count_in(ip("192.0.2.1")).is_none());
        assert!(addresses.count_in(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(addresses.count_in(ip("192.0.2.1")).is_some());
        let network: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|text| addresses.count_in(ip(text))).into();
        assert!(network.iter().all(Option::is_some) && addresses.count_in(ip("2001:db8::ffff:3")).is_none());
        assert!(addresses.count_in(ip("2001:db8:0:1::1")).is_some());
        let many: Vec<_> = (0..9).map(|_| addresses.count_in(ip("127.0.0.1"))).collect();
        assert!(many.iter().all(Option::is_some));
        drop((second, network, many));
        assert!(addresses.open.lock().unwrap().is_empty(), "nothing is kept of those that left");
    }
}
