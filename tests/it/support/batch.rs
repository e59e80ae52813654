//! Batches: sent whole, or piece by piece on a connection of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TestApp;

/// How long an answer to a line may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Members that every problem document has.
const PROBLEM_MEMBERS: &[&str] = &["type", "title", "status", "code", "detail"];

/// What came back for a batch.
pub struct BatchAnswer {
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub lines: Vec<Value>,
}

/// Reads the answers to lines, and checks what holds for all of them.
pub fn read_lines(text: &str) -> Vec<Value> {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let mut last = 0;
    for line in &lines {
        let number = line["line"].as_u64().expect("a line says which it answers");
        assert!(number > last, "in order, each once: {line}");
        last = number;
        let status = line["status"].as_u64().expect("a line has a status");
        let Some(problem) = line.get("problem") else {
            assert!(matches!(status, 200 | 201), "{line}");
            continue;
        };
        assert!(status >= 400 && status != 500 && problem["status"] == status, "{line}");
        let document = problem.as_object().expect("a problem is an object");
        PROBLEM_MEMBERS.iter().for_each(|member| assert!(document.contains_key(*member), "{member}: {line}"));
        let known = |name: &String| {
            PROBLEM_MEMBERS.contains(&name.as_str()) || matches!(name.as_str(), "field" | "retry_after_s")
        };
        assert!(document.keys().all(known), "{line}");
        assert_eq!(matches!(status, 429 | 503), document.contains_key("retry_after_s"), "{line}");
    }
    lines
}

impl BatchAnswer {
    /// Statuses of the lines, in order.
    pub fn statuses(&self) -> Vec<u64> {
        self.lines.iter().map(|line| line["status"].as_u64().unwrap()).collect()
    }

    /// Number, code and field of each line that was not taken.
    pub fn problems(&self) -> Vec<(u64, &str, &str)> {
        let not_taken = self.lines.iter().filter(|line| line.get("problem").is_some());
        not_taken
            .map(|line| {
                let problem = &line["problem"];
                let field = problem["field"].as_str().unwrap_or_default();
                (line["line"].as_u64().unwrap(), problem["code"].as_str().unwrap(), field)
            })
            .collect()
    }
}

impl TestApp {
    /// Sends a batch whole and reads all answers.
    pub async fn post_batch(&self, body: impl Into<Vec<u8>>) -> BatchAnswer {
        let request = self.request(Method::POST, "/v1/reports/batch", Some(&self.local().api_key));
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(body.into());
        let response = request.send().await.expect("the gateway answers");
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let text = response.text().await.expect("the answer ends");
        let lines = read_lines(&text);
        BatchAnswer { headers, text, lines }
    }

    /// Begins a batch on a connection of its own.
    pub async fn begin_batch(&self) -> OpenBatch {
        let url = self.url("");
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/reports/batch HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
            self.local().api_key,
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        OpenBatch { stream, received: Vec::new() }
    }
}

/// A batch whose body has not ended.
pub struct OpenBatch {
    stream: TcpStream,
    received: Vec<u8>,
}

impl OpenBatch {
    /// Sends a piece of the body; false when the gateway has closed the connection.
    pub async fn send(&mut self, piece: &str) -> bool {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        self.stream.write_all(chunk.as_bytes()).await.is_ok()
    }

    /// Ends the body.
    pub async fn end(&mut self) {
        self.stream.write_all(b"0\r\n\r\n").await.unwrap();
    }

    /// Reads until there are answers to this many lines.
    pub async fn answers(&mut self, count: usize) -> Vec<Value> {
        loop {
            let text = self.body();
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            if whole.lines().count() >= count {
                return read_lines(whole);
            }
            let read = tokio::time::timeout(ANSWER_WAIT, self.stream.read_buf(&mut self.received)).await;
            assert!(read.expect("an answer comes").unwrap() > 0, "the connection ended: {text}");
        }
    }

    /// Reads until the gateway closes the connection; all answers.
    pub async fn until_closed(&mut self) -> Vec<Value> {
        let reading = self.stream.read_to_end(&mut self.received);
        // A reset ends it as well.
        let _ = tokio::time::timeout(ANSWER_WAIT, reading).await.expect("the connection is closed");
        let text = self.body();
        read_lines(text.rfind('\n').map_or("", |end| &text[..=end]))
    }

    /// What has come of the body, without the transfer coding.
    fn body(&self) -> String {
        let text = std::str::from_utf8(&self.received).unwrap();
        let Some((head, mut rest)) = text.split_once("\r\n\r\n") else { return String::new() };
        assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
        let mut body = String::new();
        while let Some((length, after)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
            let Some(chunk) = after.get(..length) else { return body + after };
            body.push_str(chunk);
            rest = after.get(length + 2..).unwrap_or_default();
        }
        body
    }
}
