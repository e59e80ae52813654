//! The two listeners.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App as ActixApp, HttpServer, web};

use super::app::App;
use super::routes;
use crate::config::ServerSettings;

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that may wait to be taken.
const BACKLOG: u32 = 4_096;
/// Connections to the operators' listener.
const OPS_CONNECTIONS_MAX: usize = 64;

/// A listener that runs.
pub struct Listening {
    /// Where it listens; the port is known when 0 was asked for.
    pub address: SocketAddr,
    /// To stop it.
    pub handle: ServerHandle,
    /// Must be awaited or spawned.
    pub server: Server,
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
    let listener = bind(settings.listen)?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || ActixApp::new().app_data(app.clone()).configure(routes::public))
        .workers(workers)
        .max_connections(settings.connections_max_per_worker)
        .backlog(BACKLOG)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(settings.shutdown_timeout_s)
        .disable_signals()
        .server_hostname("localhost")
        .listen(listener)?
        .run();
    Ok(Listening { address, handle: server.handle(), server })
}

/// Starts the operators' listener.
///
/// # Errors
/// When the address cannot be bound.
pub fn start_operators(settings: &ServerSettings, app: web::Data<App>) -> std::io::Result<Listening> {
    let listener = bind(settings.ops_listen)?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || ActixApp::new().app_data(app.clone()).configure(routes::operators))
        .workers(1)
        .max_connections(OPS_CONNECTIONS_MAX)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(Listening { address, handle: server.handle(), server })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
