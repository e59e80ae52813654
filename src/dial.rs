//! One HTTP/1.1 request over a connection of our own making.
//!
//! Nothing of the environment has a say: no proxy, no redirect. The caller says where, bounds the time, and says how much
//! of the answer is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Largest head of an answer, bytes.
const ANSWER_HEAD_MAX_BYTES: usize = 16 * 1024;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 3;
/// How we call ourselves.
pub const USER_AGENT: &str = concat!("spamgate/", env!("CARGO_PKG_VERSION"));

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialError {
    /// Nobody there: nothing was sent.
    Connect,
    /// The certificate, or no TLS at all: nothing was sent.
    Tls,
    /// It broke off, or answered nonsense; whether the request was taken is not known.
    Http,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// As much of its body as was asked for; empty when it was longer, or not asked for.
    pub body: Bytes,
}

/// TLS that trusts the system's certificate authorities.
///
/// # Errors
/// When this build knows no protocol version that is safe; does not happen.
pub fn system_tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    tls_trusting(roots)
}

/// The same with other authorities.
///
/// # Errors
/// The same.
pub fn tls_trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(tls))
}

/// Connects to the first of these addresses that takes it.
///
/// # Errors
/// [`DialError::Connect`].
pub async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, DialError> {
    for address in addresses.iter().take(ADDRESSES_MAX) {
        if let Ok(stream) = TcpStream::connect(SocketAddr::new(*address, port)).await {
            return Ok(stream);
        }
    }
    Err(DialError::Connect)
}

/// Sends a request over a connection, with TLS to this host when there is some, and reads the answer: its head, and its
/// body when that is at most so long.
///
/// # Errors
/// [`DialError`].
pub async fn exchange(
    stream: TcpStream,
    tls: Option<(&Arc<ClientConfig>, &str)>,
    request: Request<Full<Bytes>>,
    body_max_bytes: usize,
) -> Result<Answer, DialError> {
    let Some((tls, host)) = tls else { return exchange_over(stream, request, body_max_bytes).await };
    let name = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| DialError::Tls)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(|_| DialError::Tls)?;
    exchange_over(stream, request, body_max_bytes).await
}

async fn exchange_over<S>(stream: S, request: Request<Full<Bytes>>, body_max_bytes: usize) -> Result<Answer, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_MAX_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| DialError::Http)?;
    // Ends with this function, also when it is given up: what of a body is not asked for is never read.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|_| DialError::Http)?;
    let status = answer.status().as_u16();
    if body_max_bytes == 0 {
        return Ok(Answer { status, body: Bytes::new() });
    }
    let body = Limited::new(answer.into_body(), body_max_bytes).collect().await;
    Ok(Answer { status, body: body.map(http_body_util::Collected::to_bytes).unwrap_or_default() })
}
