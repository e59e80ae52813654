//! What the SMS says: one SMS of the GSM alphabet, so without Vietnamese marks.

use super::{CODE_TTL_MINUTES, Purpose};
use crate::domain::vocabulary::Language;

/// Where the code stands in a text.
pub const PLACE: &str = "{{code}}";

/// The text, with [`PLACE`] in it. It says what the code is for: somebody who is asked for it by phone can tell.
pub fn template(language: Language, purpose: Purpose) -> String {
    match language {
        Language::Vi => {
            let what_for = match purpose {
                Purpose::Report => "gui bao cao",
                Purpose::Withdraw => "rut lai bao cao",
                Purpose::Respond => "xem va tra loi bao cao ve so cua ban",
            };
            format!(
                "Ma de {what_for}: {PLACE}. Co hieu luc {CODE_TTL_MINUTES} phut. Khong dua ma nay cho bat ky ai, ke ca \
                 nguoi xung la can bo."
            )
        }
        Language::En => {
            let what_for = match purpose {
                Purpose::Report => "to send your report",
                Purpose::Withdraw => "to withdraw your report",
                Purpose::Respond => "to see and answer reports about your number",
            };
            format!(
                "Code {what_for}: {PLACE}. It is good for {CODE_TTL_MINUTES} minutes. Never tell it to anyone, whoever \
                 they say they are."
            )
        }
    }
}

/// The text with the code in it, wherever its place stands.
pub fn fill(template: &str, code: &str) -> String {
    template.replace(PLACE, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sms_text::{is_gsm, is_one_sms};

    #[test]
    fn each_text_is_one_gsm_sms() {
        for language in Language::ALL {
            for purpose in [Purpose::Report, Purpose::Withdraw, Purpose::Respond] {
                let text = fill(&template(*language, purpose), "012345");
                assert!(is_gsm(&text) && is_one_sms(&text) && text.contains("012345"), "{text}");
            }
        }
        assert!(!is_gsm("mã") && is_gsm("@£\n"));
        assert!(is_one_sms(&"a".repeat(160)) && !is_one_sms(&"a".repeat(161)));
        assert!(is_one_sms(&"ã".repeat(70)) && !is_one_sms(&"ã".repeat(71)));
    }
}
