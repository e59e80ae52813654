//! Connections that say exactly what a test wants, also what no HTTP library would.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, RawAnswer};

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A connection of the test's own.
pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// Connects and sends.
    pub async fn send_to(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut raw = Self::open(address).await;
        raw.send(bytes).await;
        raw
    }

    /// Sends; whether it is taken is for the answer to show.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// One answer; none when the connection ends without.
    pub async fn answer(&mut self) -> Option<Answer> {
        let mut answer = RawAnswer::default();
        while !answer.is_whole() {
            let read = tokio::time::timeout(ANSWER_WAIT, self.stream.read_buf(&mut answer.0)).await;
            if read.expect("an answer or an end").unwrap_or(0) == 0 {
                break;
            }
        }
        answer.parse("")
    }

    /// Reads to the end of the connection: after how long it came and what was read; panics when it does not come.
    pub async fn end(&mut self, at_most: Duration) -> (Duration, String) {
        let began = Instant::now();
        let mut all = Vec::new();
        let ended = tokio::time::timeout(at_most, self.stream.read_to_end(&mut all)).await;
        assert!(ended.is_ok(), "still open after {at_most:?}: {}", String::from_utf8_lossy(&all));
        (began.elapsed(), String::from_utf8_lossy(&all).into_owned())
    }

    /// Whether the gateway keeps it open so long.
    pub async fn stays_open(&mut self, for_so_long: Duration) -> bool {
        tokio::time::timeout(for_so_long, self.stream.read_u8()).await.is_err()
    }
}
