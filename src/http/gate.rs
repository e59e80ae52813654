//! What every request passes before it is routed: is there room, is it unambiguous, is this connection's time over.
//!
//! All of it is counted by the worker alone, in cells: it costs a request some tens of nanoseconds.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::http::{Method, header};
use actix_web::web::Bytes;

use super::body::refuse_unread;
use super::connection::{Connections, InHand, Watch};
use super::problem::Problem;
use crate::telemetry::metrics::Metrics;
use crate::verify::sign_in::BACK_PATH;

/// Bounds on requests and connections.
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Requests that one worker has in hand, at most.
    pub requests_max: u32,
    /// From so many on, those that only read are refused.
    pub reads_shed_from: u32,
    /// Requests on one connection.
    pub connection_requests_max: u32,
    /// Age of a connection.
    pub connection_age_max: Duration,
}

/// The gate before `inner`.
pub struct Gate<S> {
    inner: S,
    shared: Rc<Shared>,
}

struct Shared {
    limits: GateLimits,
    connections: Rc<Connections>,
    metrics: Arc<Metrics>,
    in_hand: Cell<u32>,
}

impl<S> Gate<S> {
    /// A gate of one worker.
    #[must_use]
    pub fn new(inner: S, limits: GateLimits, connections: Rc<Connections>, metrics: Arc<Metrics>) -> Self {
        Self { inner, shared: Rc::new(Shared { limits, connections, metrics, in_hand: Cell::new(0) }) }
    }
}

impl<S> ServiceFactory<Request> for Gate<S>
where
    S: ServiceFactory<Request, Config = ()>,
    S::Response: Into<Response<BoxBody>>,
    S::InitError: fmt::Debug,
    S::Future: 'static,
    <S::Service as Service<Request>>::Future: Unpin,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Config = ();
    type Service = Gate<S::Service>;
    type InitError = S::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, Self::InitError>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let inner = self.inner.new_service(());
        let shared = Rc::clone(&self.shared);
        Box::pin(async move { Ok(Gate { inner: inner.await?, shared }) })
    }
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request>,
    S::Response: Into<Response<BoxBody>>,
    S::Future: Unpin,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Future = Passing<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, mut request: Request) -> Self::Future {
        let watch = request.conn_data::<Rc<Watch>>();
        if watch.is_some_and(|watch| watch.end_if_over()) {
            return Passing { turn: None, step: Step::Refused(None) };
        }
        if let Err(problem) = self.shared.admit(&request) {
            problem.count(&self.shared.metrics);
            if let Some(watch) = watch {
                watch.set_over();
            }
            let mut answer: Response<BoxBody> = refuse_unread(problem, request.take_payload()).into();
            answer.head_mut().set_connection_type(ConnectionType::Close);
            return Passing { turn: None, step: Step::Refused(Some(answer)) };
        }
        let turn = self.shared.take(&request);
        Passing { turn: Some(turn), step: Step::Passed(self.inner.call(request)) }
    }
}

impl Shared {
    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let in_hand = self.in_hand.get();
        let is_crowded = in_hand >= self.limits.reads_shed_from;
        if is_crowded && (in_hand >= self.limits.requests_max || !brings_report(request)) {
            return Err(Problem::shed());
        }
        check_target(request)
    }

    fn take(self: &Rc<Self>, request: &Request) -> Turn {
        self.in_hand.set(self.in_hand.get() + 1);
        let watch = request.conn_data::<Rc<Watch>>();
        let is_last = watch.is_some_and(|watch| {
            watch.requests() + 1 >= self.limits.connection_requests_max
                || self.connections.age(watch) >= self.limits.connection_age_max
        });
        if let Some(watch) = watch.filter(|_| is_last || request.head().connection_type() == ConnectionType::Close) {
            watch.set_over();
        }
        Turn { shared: Rc::clone(self), is_last, in_hand: watch.map(Watch::take_in_hand) }
    }
}

/// Reports come before whatever only reads. Some SMS gateways bring theirs by GET, and so do browsers from an operator.
fn brings_report(request: &Request) -> bool {
    request.method() == Method::POST || request.path().starts_with("/v1/mo/") || request.path() == BACK_PATH
}

/// Refuses what actix takes and a proxy in front may read differently.
fn check_target(request: &Request) -> Result<(), Problem> {
    // `GET http://host/path`: which of two hosts is meant? (Also CONNECT, which has no other form.)
    if let Some(authority) = request.uri().authority() {
        let host = request.headers().get(header::HOST).map(|host| host.as_bytes());
        if request.method() == Method::CONNECT
            || !host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str().as_bytes()))
        {
            return Err(Problem::malformed_request());
        }
    }
    // actix takes all that follows for the body of a WebSocket, whatever its length says.
    let upgrade = request.headers().get(header::UPGRADE);
    if upgrade.is_some_and(|upgrade| upgrade.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")) {
        return Err(Problem::malformed_request());
    }
    Ok(())
}

/// A request's place among those in hand, given back when the answer is made, or, if it is a stream, sent.
struct Turn {
    shared: Rc<Shared>,
    is_last: bool,
    in_hand: Option<InHand>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.in_hand.set(self.shared.in_hand.get().saturating_sub(1));
    }
}

/// A request on its way through the gate.
pub struct Passing<F> {
    turn: Option<Turn>,
    step: Step<F>,
}

enum Step<F> {
    /// None: there is no answer, and the connection ends.
    Refused(Option<Response<BoxBody>>),
    Passed(F),
}

impl<F, R, E> Future for Passing<F>
where
    F: Future<Output = Result<R, E>> + Unpin,
    R: Into<Response<BoxBody>>,
{
    type Output = Result<Response<BoxBody>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match &mut this.step {
            Step::Refused(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            Step::Passed(future) => Pin::new(future).poll(context).map_ok(|response| {
                let mut response: Response<BoxBody> = response.into();
                let turn = this.turn.take();
                if turn.as_ref().is_some_and(|turn| turn.is_last) {
                    response.head_mut().set_connection_type(ConnectionType::Close);
                } else if response.head().connection_type() == ConnectionType::Close
                    && let Some(in_hand) = turn.as_ref().and_then(|turn| turn.in_hand.as_ref())
                {
                    in_hand.watch().set_over();
                }
                if response.body().size() == BodySize::Stream {
                    response = response.map_body(|_, body| BoxBody::new(Streaming { body, _turn: turn }));
                }
                response
            }),
        }
    }
}

/// An answer that is made while it is sent.
struct Streaming {
    body: BoxBody,
    _turn: Option<Turn>,
}

impl MessageBody for Streaming {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}
