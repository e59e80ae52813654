//! Signed requests: RFC 9421 over the head, RFC 9530 over the body.
//!
//! `fields` reads structured fields, `base` makes what is signed, `verify` decides, `nonces` keeps one from counting twice,
//! `digest` looks at the body.

pub mod base;
pub mod digest;
pub mod fields;
pub mod nonces;
pub mod verify;

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;

use self::base::Message;
use self::nonces::{Nonce, NonceMemory, REMEMBERED_S};
use self::verify::{SignatureFault, Signed, SigningKey, verify};
use crate::domain::clock::MICROS_PER_SECOND;
use crate::domain::public_url::PublicUrl;
use crate::fast::NonceTag;
use crate::http::app::App;
use crate::http::problem::Problem;

/// Checks the request's signature; [`claim_nonce`] does the rest. None when it bears none of these keys and `is_required`
/// is false.
///
/// # Errors
/// 401 with the class of the fault, never with what would be right.
pub fn check_signature(
    request: &HttpRequest,
    app: &App,
    keys: &[SigningKey],
    is_required: bool,
) -> Result<Option<Signed>, Problem> {
    let now_s = app.intake.clock.now().0.div_euclid(MICROS_PER_SECOND);
    match verify_request(request, app.public_url.as_ref(), keys, now_s) {
        Ok(signed) => Ok(Some(signed)),
        Err(SignatureFault::Missing | SignatureFault::KeyUnknown) if !is_required => Ok(None),
        Err(fault) => Err(Problem::signature(fault)),
    }
}

/// Claims the nonce of a signature that is right. Only then, and only for what is not refused anyway: a nonce under a wrong
/// signature is nobody's, and who has to wait sends the same again. `max` bounds what is remembered.
///
/// # Errors
/// 401 when it was claimed before; 503 when there is no room for it.
pub async fn claim_nonce(
    app: &App,
    carrier_id: &[u8],
    signed: &Signed,
    nonces: &NonceMemory,
    max: usize,
) -> Result<(), Problem> {
    let tag = app.intake.keys.nonce_tag(carrier_id, &signed.key_id, &signed.nonce);
    let mut nonce = NonceTag { name: [0; 16], proof: [0; 8] };
    nonce.name.iter_mut().chain(&mut nonce.proof).zip(tag).for_each(|(to, from)| *to = from);
    match nonces.claim(nonce.name, app.intake.clock.now(), max) {
        Nonce::Fresh => {}
        Nonce::Replayed => return Err(Problem::signature_replayed()),
        Nonce::NoRoom => return Err(Problem::nonces_full()),
    }
    let remembered = Duration::from_secs(REMEMBERED_S.unsigned_abs());
    if app.intake.fast.claim_nonce(&nonce, remembered).await { Ok(()) } else { Err(Problem::signature_replayed()) }
}

fn verify_request(
    request: &HttpRequest,
    public_url: Option<&PublicUrl>,
    keys: &[SigningKey],
    now_s: i64,
) -> Result<Signed, SignatureFault> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let seen;
    let url = match public_url {
        Some(url) => url,
        None => {
            seen = PublicUrl::of_host(host);
            &seen
        }
    };
    let message = Message {
        method: request.method().as_str(),
        scheme: url.scheme(),
        authority: url.authority(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
    };
    verify(&message, keys, now_s)
}
