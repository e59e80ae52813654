//! What goes wrong, in the standard's shape: `{"status", "code", "message"}`, the codes those of its table.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use crate::carrier_api::authenticate::RateFields;
use crate::http::problem::Problem;
use crate::verify::{CodeFault, LimitOf, NotSentForPartner};

/// A fault, for its caller.
pub struct Fault {
    status: StatusCode,
    /// Of the standard's table.
    pub code: &'static str,
    message: Cow<'static, str>,
    retry_after_s: Option<u64>,
    // Boxed, because every answer may be one.
    rate: Option<Box<RateFields>>,
}

#[derive(Serialize)]
struct Document<'a> {
    status: u16,
    code: &'static str,
    message: &'a str,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None, rate: None }
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// With these rate limit fields, unless it has some that say more.
    pub fn with_rate(mut self, rate: RateFields) -> Self {
        self.rate.get_or_insert_with(|| Box::new(rate));
        self
    }

    /// This gateway does not serve it.
    pub fn not_served() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing at this address.")
    }

    /// Something of the body.
    pub fn invalid(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
    }

    /// The answer.
    pub fn to_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.rate.is_none() {
            // Strangers hold no connection.
            response.force_close();
        }
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let status = self.status.as_u16();
        let mut response = response.json(Document { status, code: self.code, message: &self.message });
        if let Some(rate) = &self.rate {
            rate.insert_into(response.headers_mut());
        }
        response
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let told = problem.told();
        let (status, code) = match told.status {
            StatusCode::UNAUTHORIZED => (told.status, "UNAUTHENTICATED"),
            StatusCode::FORBIDDEN => (told.status, "PERMISSION_DENIED"),
            StatusCode::TOO_MANY_REQUESTS if problem.code() == "carrier_day_quota_exceeded" => {
                (told.status, "QUOTA_EXCEEDED")
            }
            StatusCode::TOO_MANY_REQUESTS => (told.status, "TOO_MANY_REQUESTS"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (told.status, "UNSUPPORTED_MEDIA_TYPE"),
            StatusCode::SERVICE_UNAVAILABLE => (told.status, "UNAVAILABLE"),
            StatusCode::INTERNAL_SERVER_ERROR => (told.status, "INTERNAL"),
            // Bodies that are too long, too slow, or broken off.
            _ => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        };
        Self {
            status,
            code,
            message: Cow::Owned(told.detail.to_owned()),
            retry_after_s: told.retry_after_s,
            rate: told.rate.cloned().map(Box::new),
        }
    }
}

impl From<NotSentForPartner> for Fault {
    fn from(why: NotSentForPartner) -> Self {
        let forbidden = |code, message: &'static str| Self::new(StatusCode::FORBIDDEN, code, message);
        let too_many = |code, message: &'static str| Self::new(StatusCode::TOO_MANY_REQUESTS, code, message);
        match why {
            NotSentForPartner::NotAMobile => forbidden(
                "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED",
                "Codes are sent to mobile numbers of this gateway's countries alone.",
            ),
            NotSentForPartner::Blocked => forbidden(
                "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED",
                "The operator of this number sends it no codes.",
            ),
            NotSentForPartner::Full { of: LimitOf::Number, retry_after_s } => forbidden(
                "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED",
                "Too many codes were asked for this number. Ask again later.",
            )
            .retry_after(retry_after_s),
            NotSentForPartner::Full { of: LimitOf::Asker, retry_after_s } => {
                too_many("QUOTA_EXCEEDED", "Your codes for this day are used up.").retry_after(retry_after_s)
            }
            NotSentForPartner::Full { of: LimitOf::Prefix | LimitOf::All, retry_after_s } => {
                too_many("TOO_MANY_REQUESTS", "As many codes as may be were sent. Ask again later.")
                    .retry_after(retry_after_s)
            }
            NotSentForPartner::Unavailable { retry_after_s } => unavailable(retry_after_s),
        }
    }
}

impl From<CodeFault> for Fault {
    fn from(fault: CodeFault) -> Self {
        let bad = |code, message: &'static str| Self::new(StatusCode::BAD_REQUEST, code, message);
        match fault {
            CodeFault::Wrong => bad(
                "ONE_TIME_PASSWORD_SMS.INVALID_OTP",
                "This is not the code that was sent under this authenticationId.",
            ),
            CodeFault::Expired => bad(
                "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED",
                "This authenticationId is good no longer: used, too old, or none of yours. Have another code sent.",
            ),
            CodeFault::TooManyTries { .. } => bad(
                "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED",
                "Too many codes for this authenticationId were wrong. Have another code sent.",
            ),
            CodeFault::Unavailable { retry_after_s } => unavailable(retry_after_s),
        }
    }
}

fn unavailable(retry_after_s: u64) -> Fault {
    let message = "Codes can be neither sent nor checked at the moment. Try again as `Retry-After` says.";
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message).retry_after(retry_after_s)
}
