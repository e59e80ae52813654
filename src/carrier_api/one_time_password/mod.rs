//! CAMARA One Time Password SMS 1.1, served to carriers with the scope `verify`: a code is sent to a number in their text,
//! and checked. Paths, fields and errors are the standard's, so that its clients need nothing else.

mod fault;
pub mod send_code;
pub mod validate_code;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use self::fault::Fault;
use super::authenticate::{Caller, authenticate};
use crate::domain::carrier::Scope;
use crate::http::app::App;
use crate::http::body::{keep_unread, read_json_body};

/// Names a request over all services that it comes through.
const CORRELATOR: HeaderName = HeaderName::from_static("x-correlator");
/// The longest of those that is given back, characters.
const CORRELATOR_MAX: usize = 55;

/// Lets a carrier in that has the scope, takes one of its limit, reads the body, and has `work` answer it. Whatever comes of
/// it has the standard's shape, and the correlator.
async fn answer_partner(
    request: &HttpRequest,
    mut body: Payload,
    app: &App,
    work: impl AsyncFnOnce(&Caller, &[u8]) -> Result<HttpResponse, Fault>,
) -> HttpResponse {
    let mut response = match take(request, &mut body, app, work).await {
        Ok(response) => response,
        Err(fault) => {
            app.metrics.count_refused(fault.code);
            keep_unread(fault.to_response(), body)
        }
    };
    let correlator = request.headers().get(CORRELATOR).filter(|value| is_correlator(value));
    if let Some(correlator) = correlator {
        response.headers_mut().insert(CORRELATOR, correlator.clone());
    }
    response
}

async fn take(
    request: &HttpRequest,
    body: &mut Payload,
    app: &App,
    work: impl AsyncFnOnce(&Caller, &[u8]) -> Result<HttpResponse, Fault>,
) -> Result<HttpResponse, Fault> {
    if !app.verifier.serves_partners() {
        return Err(Fault::not_served());
    }
    let carrier = authenticate(request, app, Some(Scope::Verify)).await?;
    let rate = carrier.take_one(app).await?;
    let taken = async {
        let body = read_json_body(request, body, &app.body_limits, &carrier).await?;
        work(&carrier, &body).await
    };
    match taken.await {
        Ok(mut response) => {
            rate.insert_into(response.headers_mut());
            Ok(response)
        }
        Err(fault) => Err(fault.with_rate(rate)),
    }
}

fn is_correlator(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    bytes.len() <= CORRELATOR_MAX && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}
