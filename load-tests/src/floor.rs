//! `floor`: a server that does nothing but read and parse a report: the upper bound that a gateway is measured against.

use std::borrow::Cow;
use std::hint::black_box;
use std::net::SocketAddr;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, PayloadConfig, post};
use actix_web::{App, HttpResponse, HttpServer};
use clap::Args;
use serde::Deserialize;

use crate::output::say;

/// The longest body, bytes: the same as the gateway's.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Listens and answers 201 to every report that can be parsed.
#[derive(Args)]
pub struct FloorArgs {
    /// Address and port
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Worker threads; on 2 cores shared with the load generator one is faster than two
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
}

/// serde copies the text of a bare `Option<Cow<str>>`, even with `borrow`; inside a type of its own it is borrowed.
#[derive(Deserialize)]
#[cfg_attr(not(test), expect(dead_code, reason = "parsed only to pay for the parsing"))]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Every field of a report, borrowed from the body wherever the JSON has no escapes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "parsed only to pay for the parsing")]
struct Report<'a> {
    #[serde(borrow)]
    report_id: Cow<'a, str>,
    #[serde(borrow)]
    reporter: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow)]
    harm: Option<Text<'a>>,
    money_lost: Option<bool>,
    #[serde(borrow)]
    province: Option<Text<'a>>,
}

/// Serves until it is stopped.
///
/// # Errors
/// When the address cannot be listened on.
pub fn run(args: &FloorArgs) -> anyhow::Result<()> {
    let app = || App::new().app_data(PayloadConfig::new(BODY_MAX_BYTES)).route("/v1/reports", post().to(take));
    let server = HttpServer::new(app).workers(usize::from(args.workers)).bind(args.listen)?;
    for address in server.addrs() {
        say(&format!("listening on {address}, {} workers", args.workers));
    }
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}

async fn take(body: Bytes) -> HttpResponse {
    match serde_json::from_slice::<Report<'_>>(&body) {
        Ok(report) => {
            black_box(&report);
            HttpResponse::Created().content_type(ContentType::json()).body(r#"{"status":"accepted"}"#)
        }
        Err(_) => HttpResponse::BadRequest().finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_parsed_without_a_copy() {
        let body = r#"{"report_id":"r-1","reporter":"0985931054","sender":"hidden","channel":"sms","category":"spam",
            "content":"Trúng thưởng","occurred_at":"2026-11-24T08:00:00Z"}"#;
        let content = serde_json::from_str::<Report<'_>>(body).ok().and_then(|report| report.content);
        assert!(matches!(content, Some(Text(Cow::Borrowed("Trúng thưởng")))));
    }
}
