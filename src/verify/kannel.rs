//! Kannel's page `sendsms`, which Jasmin and others have as well.

use std::ops::RangeInclusive;

use hyper::Method;
use url::Url;

use super::sender::SendFault;
use super::target::{Dialler, Sent};
use crate::config::verify::HiddenText;
use crate::domain::msisdn::Msisdn;
use crate::domain::sms_text::is_gsm;

/// What Kannel answers when it has taken the SMS.
const TAKEN: u16 = 202;
/// What it answers when it has refused it: the request, the user, or the number.
const REFUSED: RangeInclusive<u16> = 400..=499;
/// `coding` of a text that the GSM alphabet cannot write.
const UCS2: &str = "2";

/// A Kannel, and as whom to use it.
pub struct Kannel {
    pub dialler: Dialler,
    pub url: Url,
    pub user: String,
    pub password: HiddenText,
    pub from: String,
}

impl Kannel {
    /// Has an SMS sent.
    pub async fn send(&self, number: Msisdn, text: &str) -> Result<(), SendFault> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("username", &self.user)
                .append_pair("password", self.password.as_str())
                .append_pair("from", &self.from)
                .append_pair("to", number.e164().as_str())
                .append_pair("charset", "UTF-8");
            if !is_gsm(text) {
                query.append_pair("coding", UCS2);
            }
            query.append_pair("text", text);
        }
        let sent = Sent { method: Method::GET, token: None, media_type: "", body: String::new() };
        let answer = self.dialler.call(&url, sent).await?;
        // "0: Accepted for delivery", or "3: Queued for later delivery".
        let is_taken = answer.status == TAKEN && (answer.body.starts_with(b"0:") || answer.body.starts_with(b"3:"));
        if is_taken {
            return Ok(());
        }
        tracing::error!(answer.status, "kannel does not take a code; look at its user, password and `from`");
        // What else it says, as when it is in trouble itself, does not tell whether the SMS goes out all the same.
        Err(if REFUSED.contains(&answer.status) { SendFault::NotSent } else { SendFault::NotKnown })
    }
}
