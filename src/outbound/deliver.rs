//! One message to one receiver, over a connection of our own making.
//!
//! Nothing of the environment has a say: no proxy, no redirect, no second look at the name. Of the answer only the status
//! is read.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use rustls::ClientConfig;

use super::address::{AddressError, Resolver, Target};
use crate::config::InternalTargets;
use crate::dial::{DialError, USER_AGENT, connect, exchange, system_tls};

/// Why there was no answer, in words that an operator reads.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Not a place to call.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody there.
    #[error("no connection")]
    Connect,
    /// The certificate, or no TLS at all.
    #[error("no TLS connection that can be trusted")]
    Tls,
    /// It broke off, or answered nonsense.
    #[error("no HTTP answer")]
    Http,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
}

impl From<DialError> for DeliveryError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Connect => Self::Connect,
            DialError::Tls => Self::Tls,
            DialError::Http => Self::Http,
        }
    }
}

/// What sends.
#[derive(Clone)]
pub struct Courier {
    tls: Arc<ClientConfig>,
    /// Who turns names into addresses.
    pub resolver: Resolver,
    /// Whether this machine may be called.
    pub allowed: InternalTargets,
    /// For everything from the name to the status.
    pub timeout: Duration,
}

/// A message.
pub struct Message<'a> {
    /// The receiver's URL.
    pub url: &'a str,
    /// Stays the same however often it is sent.
    pub id: &'a str,
    /// Of this attempt, seconds since 1970.
    pub timestamp_s: i64,
    /// See `signature::sign`.
    pub signature: &'a str,
    /// JSON.
    pub body: &'a str,
}

impl Courier {
    /// A courier that trusts the system's certificate authorities.
    ///
    /// # Errors
    /// When this build knows no protocol version that is safe; does not happen.
    pub fn new(resolver: Resolver, allowed: InternalTargets, timeout: Duration) -> Result<Self, rustls::Error> {
        Ok(Self { tls: system_tls()?, resolver, allowed, timeout })
    }

    /// Sends a message and returns the status of the answer.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn send(&self, message: &Message<'_>) -> Result<u16, DeliveryError> {
        tokio::time::timeout(self.timeout, self.send_untimed(message)).await.unwrap_or(Err(DeliveryError::TimedOut))
    }

    async fn send_untimed(&self, message: &Message<'_>) -> Result<u16, DeliveryError> {
        let target = Target::parse(message.url, self.allowed)?;
        let addresses = target.resolve(&self.resolver, self.allowed).await?;
        let request = request(&target, message)?;
        let stream = connect(&addresses, target.port()).await?;
        let tls = target.is_https.then(|| (&self.tls, target.url.host_str().unwrap_or_default()));
        Ok(exchange(stream, tls, request, 0).await?.status)
    }
}

fn request(target: &Target, message: &Message<'_>) -> Result<Request<Full<Bytes>>, DeliveryError> {
    Request::builder()
        .method(Method::POST)
        .uri(path_of(target))
        .header(header::HOST, host_of(target))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.timestamp_s)
        .header("webhook-signature", message.signature)
        .body(Full::new(Bytes::from(message.body.to_owned())))
        .map_err(|_| DeliveryError::Http)
}

fn path_of(target: &Target) -> String {
    match target.url.query() {
        Some(query) => format!("{}?{query}", target.url.path()),
        None => target.url.path().to_owned(),
    }
}

fn host_of(target: &Target) -> String {
    let host = target.url.host_str().unwrap_or_default();
    target.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use std::collections::HashMap;
    use std::net::IpAddr;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::dial::tls_trusting;

    /// Made for `receiver.test` and for this test alone; good for a hundred years.
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnTCCAUSgAwIBAgIUSU5s7oR5bLLM1tarM8hZ0lDt/ogwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcmVjZWl2ZXIudGVzdDAgFw0yNjExMjQxNjIyNDlaGA8yMTI2
MTAzMTE2MjI0OVowGDEWMBQGA1UEAwwNcmVjZWl2ZXIudGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABLnsBId24WTNvvGUfgWQftd1aJpJKnyButddqIONs6l4
WxAv/VuLJZYn6gX2b0xjO587Pay9ZAfoZboKJBjnQH+jajBoMB0GA1UdDgQWBBQM
spFOedNAoPoZl3L3x7KxxHewtTAfBgNVHSMEGDAWgBQMspFOedNAoPoZl3L3x7Kx
xHewtTAYBgNVHREEETAPgg1yZWNlaXZlci50ZXN0MAwGA1UdEwEB/wQCMAAwCgYI
KoZIzj0EAwIDRwAwRAIga5cKTctXs8TVTlQYccdk3KfiNKGcSp4Tyrn6CCyF7oMC
ICOxt0Z7jsfi2pGAmVlyVXVOK4WqKeGSttk07VWAeoao
-----END CERTIFICATE-----
";
    const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg29qZa7YX6MW1u3uE
4hQd10sBZJT7RP/GTfjKcTVIuT2hRANCAAS57ASHduFkzb7xlH4FkH7XdWiaSSp8
gbrXXaiDjbOpeFsQL/1biyWWJ+oF9m9MYzufOz2svWQH6GW6CiQY50B/
-----END PRIVATE KEY-----
";

    fn provider() -> Arc<rustls::crypto::CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    /// A server with the certificate. Its port.
    async fn serve() -> u16 {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read_buf(&mut Vec::new()).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        port
    }

    fn courier(is_trusted: bool) -> Courier {
        let here = |name: &str| (name.to_owned(), vec![IpAddr::from([127, 0, 0, 1])]);
        let resolver = Resolver::Table(HashMap::from([here("receiver.test"), here("another.test")]));
        let (allowed, timeout) = (InternalTargets::Loopback, Duration::from_secs(10));
        if !is_trusted {
            return Courier::new(resolver, allowed, timeout).unwrap();
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
        Courier { tls: tls_trusting(roots).unwrap(), resolver, allowed, timeout }
    }

    async fn send(courier: &Courier, url: &str) -> Result<u16, String> {
        let message = Message { url, id: "id", timestamp_s: 1, signature: "v1,", body: "{}" };
        courier.send(&message).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_a_trusted_certificate_of_the_receivers_name_is_spoken_to() {
        let port = serve().await;
        let url = |name| format!("https://{name}:{port}/hook");
        let no_tls = Err("no TLS connection that can be trusted".to_owned());
        assert_eq!(send(&courier(true), &url("receiver.test")).await, Ok(200));
        assert_eq!(send(&courier(true), &url("another.test")).await, no_tls);
        assert_eq!(send(&courier(false), &url("receiver.test")).await, no_tls);
    }

    #[tokio::test]
    async fn where_nobody_listens_there_is_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://receiver.test:{}/", listener.local_addr().unwrap().port());
        drop(listener);
        assert_eq!(send(&courier(true), &url).await, Err("no connection".to_owned()));
    }
}
