//! The two listeners.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App as ActixApp, rt};

use super::app::App;
use super::connection::{Addresses, Connections, WatchedStream};
use super::gate::{Gate, GateLimits};
use super::routes;
use crate::config::ServerSettings;

/// How long the end of a connection may take, or its client may read what was said last.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections to the operators' listener.
const OPS_CONNECTIONS_MAX: usize = 64;
/// How long a stop waits for operators' requests, seconds.
const OPS_SHUTDOWN_TIMEOUT_S: u64 = 1;
/// Operators are never shed: nothing bounds their requests but their connections.
const OPS_LIMITS: GateLimits = GateLimits {
    requests_max: u32::MAX,
    reads_shed_from: u32::MAX,
    connection_requests_max: u32::MAX,
    connection_age_max: Duration::MAX,
};

/// A listener that runs.
pub struct Listening {
    /// Where it listens; the port is known when 0 was asked for.
    pub address: SocketAddr,
    /// To stop it.
    pub handle: ServerHandle,
    /// Must be awaited or spawned.
    pub server: Server,
}

struct Listener {
    address: SocketAddr,
    workers: usize,
    connections_max: usize,
    shutdown_timeout_s: u64,
    limits: GateLimits,
    addresses: Arc<Addresses>,
    routes: fn(&mut ServiceConfig),
}

/// Starts the public listener.
///
/// # Errors
/// When the address cannot be bound.
pub fn start_public(settings: &ServerSettings, app: web::Data<App>) -> std::io::Result<Listening> {
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, |count| count.get().saturating_sub(1).max(1)),
        workers => workers,
    };
    let proxies = settings.trusted_proxies.clone();
    let is_proxy = move |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let listener = Listener {
        address: settings.listen,
        workers,
        connections_max: settings.connections_max_per_worker,
        shutdown_timeout_s: settings.shutdown_timeout_s,
        limits: GateLimits {
            requests_max: settings.requests_max_per_worker,
            reads_shed_from: settings.reads_shed_from_per_worker.min(settings.requests_max_per_worker),
            connection_requests_max: settings.connection_requests_max,
            connection_age_max: Duration::from_secs(settings.connection_age_max_s),
        },
        addresses: Addresses::new(settings.connections_max_per_address, is_proxy),
        routes: routes::public,
    };
    listener.start(app)
}

/// Starts the operators' listener.
///
/// # Errors
/// When the address cannot be bound.
pub fn start_operators(settings: &ServerSettings, app: web::Data<App>) -> std::io::Result<Listening> {
    let listener = Listener {
        address: settings.ops_listen,
        workers: 1,
        connections_max: OPS_CONNECTIONS_MAX,
        shutdown_timeout_s: OPS_SHUTDOWN_TIMEOUT_S,
        limits: OPS_LIMITS,
        addresses: Addresses::new(0, |_| true),
        routes: routes::operators,
    };
    listener.start(app)
}

impl Listener {
    /// As actix-web's `HttpServer` does it, but with each connection wrapped and a gate before the routes, which it has
    /// no place for.
    fn start(self, app: web::Data<App>) -> std::io::Result<Listening> {
        let socket = TcpListener::bind(self.address)?;
        let address = socket.local_addr()?;
        let builder = Server::build()
            .workers(self.workers)
            .max_concurrent_connections(self.connections_max)
            .shutdown_timeout(self.shutdown_timeout_s)
            .disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        let Self { limits, addresses, routes, .. } = self;
        let serve = move || {
            let metrics = &app.metrics;
            let connections = Connections::start(Arc::clone(&addresses), Arc::clone(metrics));
            let router = map_config(ActixApp::new().app_data(app.clone()).configure(routes), |()| AppConfig::default());
            let gate = Gate::new(router, limits, Rc::clone(&connections), Arc::clone(metrics));
            let stopping = stopping.clone();
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                // Heads and idle connections are timed in `connection.rs`, all of them and without a timer each.
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .on_connect_ext(|stream: &WatchedStream, data| {
                    data.insert(stream.watch());
                })
                .h1(gate);
            let accept = fn_service(move |stream: rt::net::TcpStream| {
                let peer = stream.peer_addr().ok();
                std::future::ready(match connections.accept(stream) {
                    Ok(stream) => Ok((stream, peer)),
                    Err(error) => Err(actix_http::error::DispatchError::Io(error)),
                })
            });
            accept.and_then(http)
        };
        let server = builder.listen("spamgate", socket, serve)?.run();
        Ok(Listening { address, handle: server.handle(), server })
    }
}
