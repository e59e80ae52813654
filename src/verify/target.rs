//! A page of the operator's own choosing, called for an SMS. Unlike a webhook's it may be inside, and without TLS.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use rustls::ClientConfig;
use url::Url;

use crate::dial::{self, Answer, DialError, USER_AGENT};

/// How much of an answer is read, bytes.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// Nothing was sent.
    NotCalled,
    /// It may have been taken.
    NoAnswer,
}

impl From<DialError> for CallFault {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Connect | DialError::Tls => Self::NotCalled,
            DialError::Http => Self::NoAnswer,
        }
    }
}

/// Calls pages, each within its time.
#[derive(Clone)]
pub struct Dialler {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// The media type of most.
pub const JSON: &str = "application/json";

/// What is sent beside the URL.
pub struct Sent<'a> {
    pub method: Method,
    pub token: Option<&'a str>,
    pub media_type: &'static str,
    pub body: String,
}

impl Dialler {
    pub fn new(timeout: Duration) -> Result<Self, rustls::Error> {
        Ok(Self { tls: dial::system_tls()?, timeout })
    }

    /// Calls a page.
    pub async fn call(&self, url: &Url, sent: Sent<'_>) -> Result<Answer, CallFault> {
        // Out of time, nobody knows how far it came.
        tokio::time::timeout(self.timeout, self.call_untimed(url, sent)).await.unwrap_or(Err(CallFault::NoAnswer))
    }

    async fn call_untimed(&self, url: &Url, sent: Sent<'_>) -> Result<Answer, CallFault> {
        let request = request(url, sent).ok_or(CallFault::NotCalled)?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<IpAddr> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
            .await
            .map_err(|_| CallFault::NotCalled)?
            .map(|address| address.ip())
            .collect();
        let stream = dial::connect(&addresses, port).await?;
        let tls = (url.scheme() == "https").then_some((&self.tls, host));
        Ok(dial::exchange(stream, tls, request, ANSWER_MAX_BYTES).await?)
    }
}

fn request(url: &Url, sent: Sent<'_>) -> Option<Request<Full<Bytes>>> {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut request = Request::builder()
        .method(&sent.method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    if let Some(token) = sent.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if sent.method != Method::GET {
        request = request.header(header::CONTENT_TYPE, sent.media_type);
    }
    request.body(Full::new(Bytes::from(sent.body))).ok()
}
