//! The cookie that makes what an address carries its reader's alone: whoever else learns the address sees nothing by it.
//!
//! It says nothing of its reader but that it is the same browser as before, and nothing needs it: without it a page is the
//! answer to the form that was sent, and cannot be gone back to. It lives some hours, not as long as the browser runs: a small
//! phone ends its browser while its owner reads the SMS with the code.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// `__Host-`: of this host alone, and by TLS alone (a browser takes this machine itself for as safe).
const NAME: &str = "__Host-visit";
const HOLDER_BYTES: usize = 16;
/// How long a browser keeps it after the last first page, seconds: a form lies open four hours at most, its draft waits one,
/// and its receipt can be opened for one.
const KEPT_S: u32 = 6 * 60 * 60;

/// What its browser alone has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Holder([u8; HOLDER_BYTES]);

impl Holder {
    /// The one that the browser has sent.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let value = cookie(request, NAME)?;
        BASE64.decode(value).ok()?.try_into().ok().map(Self)
    }

    /// What is sealed for it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Gives the browser one, or the one that it has for longer. Without random bytes it gets none.
pub fn give(response: &mut HttpResponse, held: Option<Holder>) {
    let mut bytes = [0; HOLDER_BYTES];
    if let Some(Holder(held)) = held {
        bytes = held;
    } else if getrandom::fill(&mut bytes).is_err() {
        return;
    }
    set(response, NAME, &BASE64.encode(bytes), KEPT_S);
}

/// The value of a cookie.
#[must_use]
pub fn cookie<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    cookies(request).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The names of the cookies that begin so.
#[must_use]
pub fn names_of<'r>(request: &'r HttpRequest, prefix: &str) -> Vec<&'r str> {
    cookies(request).map(|(name, _)| name).filter(|name| name.starts_with(prefix)).collect()
}

fn cookies(request: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let lists = request.headers().get_all(header::COOKIE).filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Sets a cookie of this host, for so many seconds. No script reads it, and no form of another site is sent with it.
pub fn set(response: &mut HttpResponse, name: &str, value: &str, kept_s: u32) {
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={kept_s}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
