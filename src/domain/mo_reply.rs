//! What a subscriber is told by SMS: Vietnamese without accents, so that one message of the GSM alphabet holds it.
//!
//! One reply is one SMS, whatever stands in it: at most 160 characters of GSM 03.38, checked by a test over all replies
//! with the longest values. `09xxxxxxxx` stands for a number, because any real one would be somebody's.

use super::mo_syntax::{FakeNewsWord, Keyword};

/// Characters of one SMS in the GSM alphabet.
pub const REPLY_MAX_SEPTETS: usize = 160;

/// The answer to a subscriber's message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The report is stored.
    Received {
        /// For the subscriber to keep.
        receipt: String,
    },
    /// The report is stored; who was it?
    Asked {
        /// For the subscriber to keep.
        receipt: String,
    },
    /// The report is stored, and now with its sender.
    Amended {
        /// Of the report.
        receipt: String,
    },
    /// The number is proven to the page that waits for it.
    Proven,
    /// Neither report nor answer.
    Help,
    /// A report that says nothing, or an SMS without what it said.
    ContentMissing(Keyword),
    /// The sender is nearly a number.
    SourceRefused,
    /// More than a report may hold.
    TooLong,
    /// In an alphabet that is not known.
    Unreadable,
    /// A command to the do-not-call list.
    DoNotCall,
    /// Only mobile subscribers of this country may report.
    ReporterRefused,
    /// The reporter has used up the day.
    OverQuota,
    /// The SMS gateway used one message id for two texts.
    IdReused,
}

impl Reply {
    /// The words that are sent.
    #[must_use]
    pub fn text(&self, fake_news: &FakeNewsWord) -> String {
        let word = fake_news.as_str();
        match self {
            Self::Received { receipt } => format!("Da nhan bao cao cua ban. Ma bien nhan: {receipt}. Cam on ban."),
            Self::Asked { receipt } => format!(
                "Da nhan bao cao, ma {receipt}. Hay gui so dien thoai, dau so hoac ten da lam phien ban trong 10 phut \
                 de bo sung. VD: 09xxxxxxxx"
            ),
            Self::Amended { receipt } => format!("Da bo sung nguon lam phien vao bao cao, ma {receipt}. Cam on ban."),
            Self::Proven => "Da nhan ma xac nhan. Hay quay lai trang bao cao va bam Tiep tuc.".to_owned(),
            Self::Help => format!(
                "Chua nhan: sai cu phap. Tin rac: S (so)(noi dung). Cuoc goi rac: V (so)(noi dung). Lua dao: LD \
                 (so)(noi dung). Tin gia: {word} (so)(noi dung)"
            ),
            Self::ContentMissing(keyword) => {
                let (word, example) = match keyword {
                    Keyword::SpamSms => ("S", "vay tien nhanh"),
                    Keyword::SpamCall => ("V", "moi mua dat"),
                    Keyword::ScamCall => ("LD", "gia danh cong an"),
                    Keyword::FakeNews => (word, "nuoc la chua khoi benh"),
                };
                format!("Chua nhan: thieu noi dung. Hay gui: {word} (so)(noi dung). VD: {word} (09xxxxxxxx)({example})")
            }
            Self::SourceRefused => "Chua nhan: so bi bao cao khong dung. Hay viet dung nhu may hien, so khong lan chu \
                                    cai. VD: S (09xxxxxxxx)(vay tien nhanh)"
                .to_owned(),
            Self::TooLong => "Chua nhan: noi dung qua dai. Hay gui phan chinh cua tin nhan.".to_owned(),
            Self::Unreadable => {
                "Chua nhan: khong doc duoc tin nhan. Hay gui lai bang chu khong dau. VD: S (09xxxxxxxx)(vay tien)"
                    .to_owned()
            }
            Self::DoNotCall => {
                "Yeu cau ve danh sach khong quang cao (DNC) chua duoc ghi nhan o day. Hay hoi nha mang. \
                                De bao cao tin rac: S (so)(noi dung)"
                    .to_owned()
            }
            Self::ReporterRefused => "Chua nhan: chi nhan bao cao tu so di dong Viet Nam.".to_owned(),
            Self::OverQuota => "Chua nhan: ban da gui du so bao cao cua mot ngay. Hay gui lai sau vai gio.".to_owned(),
            Self::IdReused => "Chua nhan: loi ma tin nhan. Hay gui lai bao cao.".to_owned(),
        }
    }

    /// The word under which it is counted as refused; none when something was stored.
    #[must_use]
    pub const fn refusal_code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Received { .. } | Self::Asked { .. } | Self::Amended { .. } | Self::Proven => return None,
            Self::Help => "mo_not_understood",
            Self::ContentMissing(_) => "mo_content_missing",
            Self::SourceRefused => "mo_source_refused",
            Self::TooLong => "mo_too_long",
            Self::Unreadable => "mo_unreadable",
            Self::DoNotCall => "mo_do_not_call",
            Self::ReporterRefused => "mo_reporter_refused",
            Self::OverQuota => "reporter_quota_exceeded",
            Self::IdReused => "report_id_reused",
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::domain::mo_syntax::FAKE_NEWS_WORD_MAX_LETTERS;

    fn all() -> Vec<Reply> {
        let receipt = || "W".repeat(12);
        let keywords = [Keyword::SpamSms, Keyword::SpamCall, Keyword::ScamCall, Keyword::FakeNews];
        let mut replies = vec![
            Reply::Received { receipt: receipt() },
            Reply::Asked { receipt: receipt() },
            Reply::Amended { receipt: receipt() },
            Reply::Proven,
            Reply::Help,
            Reply::SourceRefused,
            Reply::TooLong,
            Reply::Unreadable,
            Reply::DoNotCall,
            Reply::ReporterRefused,
            Reply::OverQuota,
            Reply::IdReused,
        ];
        replies.extend(keywords.map(Reply::ContentMissing));
        replies
    }

    #[test]
    fn every_reply_with_the_longest_values_is_one_sms_of_the_gsm_alphabet() {
        let word = FakeNewsWord::parse(&"W".repeat(FAKE_NEWS_WORD_MAX_LETTERS)).unwrap();
        for reply in all() {
            let text = reply.text(&word);
            // ASCII without these is one septet a character in GSM 03.38, and the same character.
            let is_plain = |character: char| character == ' ' || character.is_ascii_graphic();
            assert!(text.chars().all(|c| is_plain(c) && !"[]{}\\^|~`$@_".contains(c)), "{text}");
            assert!(text.len() <= REPLY_MAX_SEPTETS, "{} {text}", text.len());
            assert!(!text.contains("  "), "Kannel squeezes spaces: {text}");
        }
    }

    #[test]
    fn only_what_is_stored_is_said_to_be_received() {
        let word = FakeNewsWord::parse("TG").unwrap();
        for reply in all() {
            let text = reply.text(&word);
            let says_received = text.starts_with("Da ");
            assert_eq!(says_received, reply.refusal_code().is_none(), "{text}");
            assert!(says_received || text.contains("hua "), "it must say that nothing was taken: {text}");
        }
    }
}
