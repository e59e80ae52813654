//! A carrier's webhook receiver: a real server that answers as it is told and remembers what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver answers.
#[derive(Clone)]
pub enum Reply {
    /// This status line's end, such as `204 No Content`, and a header.
    Status(&'static str, String),
    /// Nothing, for as long as the caller waits.
    Silence,
    /// A head that never ends.
    EndlessHead,
}

impl Reply {
    pub fn status(line: &'static str) -> Self {
        Self::Status(line, "X-Test: 1".to_owned())
    }
}

/// A message that came.
#[derive(Clone)]
pub struct Received {
    pub path: String,
    headers: BTreeMap<String, String>,
    pub text: String,
    pub json: Value,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}"))
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// Whether one of the signatures was made with this secret, as the standard says.
    pub fn is_signed_with(&self, secret: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(format!("{}.{}.{}", self.id(), self.header("webhook-timestamp"), self.text).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

struct Shared {
    received: Mutex<Vec<Received>>,
    replies: Mutex<VecDeque<Reply>>,
    usual: Mutex<Reply>,
}

/// A receiver that listens until it is dropped.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::answering(Reply::status("204 No Content")).await
    }

    /// One that answers everything so.
    pub async fn answering(usual: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?from=spamgate", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { received: Mutex::default(), replies: Mutex::default(), usual: Mutex::new(usual) });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, shared, task }
    }

    /// From now on it answers so.
    pub fn answer(&self, reply: Reply) {
        *self.shared.usual.lock().unwrap() = reply;
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// What came, once it is so much.
    pub async fn wait_for(&self, messages: usize) -> Vec<Received> {
        super::wait_until("the receiver is called", Duration::from_secs(20), async || {
            self.received().len() >= messages
        })
        .await;
        let received = self.received();
        assert_eq!(received.len(), messages);
        received
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let received = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(received) = parse(&bytes) {
            break received;
        }
    };
    shared.received.lock().unwrap().push(received);
    let next = shared.replies.lock().unwrap().pop_front();
    let reply = next.unwrap_or_else(|| shared.usual.lock().unwrap().clone());
    match reply {
        Reply::Status(line, header) => {
            let head = format!("HTTP/1.1 {line}\r\n{header}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
        }
        Reply::Silence => {
            let _ = stream.read_buf(&mut bytes).await;
        }
        Reply::EndlessHead => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(format!("X-More: {}\r\n", "x".repeat(1_000)).as_bytes()).await.is_ok() {}
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Received> {
    let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Received {
        path,
        headers,
        text: body.to_owned(),
        json: serde_json::from_str(body).expect("a message is JSON"),
    })
}
