//! Requests that two parsers could read in two ways. Each is refused and its connection closed, or has one meaning.

use std::time::Duration;

use crate::support::{Engine, Raw, TestApp};

const PATIENCE: Duration = Duration::from_secs(5);
/// A request whose answer would show that it was smuggled past the first.
const SECOND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ambiguous_is_refused_with_a_problem_document_and_the_connection_closed() {
    let app = TestApp::spawn(Engine::Memory).await;
    let post = "POST /v1/reports HTTP/1.1\r\nHost: a\r\n";
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9_000));
    let long_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(97));
    let endless_line = "a".repeat(20_000);
    let cases: Vec<(&str, String, u16)> = vec![
        (
            "a length beside chunks",
            format!("{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "chunks beside a length",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("two lengths", format!("{post}Content-Length: 0\r\nContent-Length: 5\r\n\r\n"), 400),
        ("the same length twice", format!("{post}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"), 400),
        ("a list of lengths", format!("{post}Content-Length: 0, 0\r\n\r\n"), 400),
        ("a length with a sign", format!("{post}Content-Length: +10\r\n\r\n0123456789"), 400),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n"), 400),
        ("a hexadecimal length", format!("{post}Content-Length: 0x10\r\n\r\n"), 400),
        ("a length with a space in it", format!("{post}Content-Length: 1 0\r\n\r\n"), 400),
        ("an empty length", format!("{post}Content-Length: \r\n\r\n"), 400),
        ("a length beyond 64 bits", format!("{post}Content-Length: 18446744073709551616\r\n\r\n"), 400),
        ("chunked, identity", format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 400),
        ("identity, chunked", format!("{post}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"), 400),
        ("identity alone", format!("{post}Transfer-Encoding: identity\r\n\r\n"), 400),
        ("an unknown encoding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400),
        (
            "two encodings",
            format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("an encoding behind a vertical tab", format!("{post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"), 400),
        ("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
        ("a folded line", format!("{post}X: a\r\n b\r\n\r\n"), 400),
        ("a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(), 400),
        ("a bare line feed behind the first line", "GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(), 400),
        ("a bare line feed behind a header", format!("{post}X: a\nContent-Length: 0\r\n\r\n"), 400),
        ("a bare line feed as the end", format!("{post}Content-Length: 0\r\n\n"), 400),
        ("a bare carriage return", format!("{post}X: a\rContent-Length: 0\r\n\r\n"), 400),
        ("a space before the colon", format!("{post}Content-Length : 0\r\n\r\n"), 400),
        ("a tab before the colon", format!("{post}Content-Length\t: 0\r\n\r\n"), 400),
        ("a space in a name", format!("{post}Content Length: 0\r\n\r\n"), 400),
        ("an empty name", format!("{post}: 0\r\n\r\n"), 400),
        ("a line without colon", format!("{post}Content-Length 0\r\n\r\n"), 400),
        ("NUL in a value", format!("{post}X: a\0b\r\n\r\n"), 400),
        ("NUL in a name", format!("{post}X\0: a\r\n\r\n"), 400),
        ("NUL in the address", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("the same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("another host in the address", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("another port in the address", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("another host by a user name", "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_owned(), 400),
        ("a WebSocket with a length", format!("{post}Upgrade: websocket\r\nContent-Length: 4\r\n\r\nabcd"), 400),
        (
            "a WebSocket",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n".to_owned(),
            400,
        ),
        ("HTTP/2 without being asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("HTTP/0.9", "GET /\r\n\r\n".to_owned(), 400),
        ("an unknown version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("no HTTP at all", "\x16\x03\x01\x02\x00\r\n\r\n".to_owned(), 400),
        ("two spaces in the first line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("a tab in the first line", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("a first line that is too long", long_line, 414),
        ("a head that is too long", long_head, 431),
        ("too many headers", many_headers, 431),
        ("a line without end", endless_line, 414),
    ];
    for (name, request, status) in cases {
        let mut raw = Raw::send_to(app.address(), format!("{request}{SECOND}")).await;
        let (_, text) = raw.end(PATIENCE).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {text:?}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{name} was taken for two requests: {text:?}");
        assert!(text.contains("content-type: application/problem+json\r\n"), "{name}: {text:?}");
        assert!(text.to_lowercase().contains("connection: close\r\n"), "{name}: {text:?}");
        let code = match status {
            414 => "target_too_long",
            431 => "head_too_large",
            _ => "malformed_request",
        };
        assert!(text.contains(&format!("\"code\":\"{code}\"")), "{name}: {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_no_chunk_ends_the_connection_and_nothing_behind_it_is_read() {
    let app = TestApp::spawn(Engine::Memory).await;
    let head = format!(
        "POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        app.local().api_key
    );
    for chunk in [
        "zz\r\n",
        "\r\n",
        "-1\r\n",
        "0x1\r\na\r\n",
        "+1\r\na\r\n",
        "10000000000000000\r\n",
        "1\na\r\n",
        "1;\na\r\n",
        "1;x=\"\n\"\r\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1 1\r\na\r\n",
        "1\ra\r\n",
        "0\nX: y\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ] {
        let mut raw = Raw::send_to(app.address(), format!("{head}{chunk}{SECOND}")).await;
        let (_, text) = raw.end(PATIENCE).await;
        assert!(!text.contains("not_found"), "{chunk:?} let a request through: {text:?}");
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{chunk:?}: {text:?}");
    }
    assert_eq!(app.journal_rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unusual_but_has_one_meaning_is_taken() {
    let app = TestApp::spawn(Engine::Memory).await;
    let key = &app.local().api_key;
    let get = format!("GET /v1/reports/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n");
    for (name, request) in [
        ("an empty line before", format!("\r\n{get}\r\n")),
        ("the whole address", format!("{}\r\n", get.replace(" /v1", " http://A/v1"))),
        ("a body with a GET", format!("{get}Content-Length: 3\r\n\r\nabc")),
        ("spaces round a length", format!("{get}Content-Length:  3\t\r\n\r\nabc")),
        ("chunks with a trailer", format!("{get}Transfer-Encoding: Chunked\r\n\r\n1;x=y\r\na\r\n0\r\nX: y\r\n\r\n")),
        ("HTTP/2 offered", format!("{get}Upgrade: h2c\r\nConnection: upgrade\r\n\r\n")),
    ] {
        let mut raw = Raw::send_to(app.address(), format!("{request}{get}Connection: close\r\n\r\n")).await;
        let (_, text) = raw.end(PATIENCE).await;
        assert_eq!(text.matches("HTTP/1.1 404 Not Found").count(), 2, "{name}: {text:?}");
        assert_eq!(text.matches("report_not_found").count(), 2, "{name}: {text:?}");
    }
}
