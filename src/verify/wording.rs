//! What the SMS says: one SMS of the GSM alphabet, so without Vietnamese marks.

use super::CODE_TTL_MINUTES;
use crate::domain::vocabulary::Language;

/// Where the code stands in a text.
pub const PLACE: &str = "{{code}}";

/// The text, with [`PLACE`] in it.
pub fn template(language: Language) -> String {
    match language {
        Language::Vi => format!(
            "Ma xac nhan cua ban: {PLACE}. Ma co hieu luc {CODE_TTL_MINUTES} phut. Khong dua ma nay cho bat ky ai, ke ca \
             nguoi xung la can bo."
        ),
        Language::En => format!(
            "Your code: {PLACE}. It is good for {CODE_TTL_MINUTES} minutes. Never tell it to anyone, whoever they say \
             they are."
        ),
    }
}

/// The text with the code in it, wherever its place stands.
pub fn fill(template: &str, code: &str) -> String {
    template.replace(PLACE, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sms_text::is_gsm;

    #[test]
    fn each_text_is_one_gsm_sms() {
        for language in Language::ALL {
            let text = fill(&template(*language), "012345");
            assert!(is_gsm(&text) && text.chars().count() <= 160 && text.contains("012345"), "{text}");
        }
        assert!(!is_gsm("mã") && is_gsm("@£\n"));
    }
}
