//! What subscribers write to the reporting numbers (156, 5656), and what is meant by it.
//!
//! The published forms are `S (source)(content)` for a spam SMS, `V (..)(..)` for a spam call and `LD (..)(..)` for a
//! call with signs of scam; a word of our own, `TG` by default, is for false news. People write them by thumb: in any
//! case, with or without spaces, in `()` or `[]`, one group or two, text behind a group, a group that is never closed.
//! Content is what the message said, so nothing of it is changed; it may hold brackets itself.
//!
//! Where a text could name somebody by accident it is read as content: the subscriber is then asked who it was.

use std::borrow::Cow;

use super::content::Content;
use super::msisdn::{self, HomeCountry};
use super::sender::{self, Sender, SenderError};
use super::vocabulary::{Category, Channel};

/// The longest word for fake news, letters.
pub const FAKE_NEWS_WORD_MAX_LETTERS: usize = 8;
/// Words that have a meaning already.
const TAKEN_WORDS: &[&str] = &["S", "V", "LD", "DK", "HUY", "DNC", PROOF_WORD];
/// The word before the digits that a page of ours shows, to prove a number by texting them (xác nhận: confirm).
pub const PROOF_WORD: &str = "XN";
/// How many digits those are.
pub const PROOF_DIGITS: usize = 10;
/// A number is written in at most this many pieces: `+84 985 93 10 54`.
const NUMBER_MAX_PIECES: usize = 6;
/// The fewest digits of something that is meant as a number, though it is none.
const MALFORMED_MIN_DIGITS: usize = 3;
/// The fewest characters of a name that stands alone.
const LONE_NAME_MIN_CHARACTERS: usize = 3;
/// How Vietnamese say that no number was shown, without accents.
const HIDDEN_PHRASES: &[&str] =
    &["an danh", "an so", "so an", "so giau", "giau so", "khong ro", "khong ro so", "khong co so", "khong hien so"];
/// What people answer that is no name of a sender, without accents.
const COURTESIES: &[&str] = &[
    "alo", "cam", "chao", "cho", "dang", "dung", "hello", "help", "hoi", "huong", "huy", "khong", "oke", "okay",
    "okie", "roi", "sai", "stop", "thank", "thanks", "thoi", "tks", "vang", "yes", "xin",
];

/// The word that begins a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keyword {
    /// `S`: a spam SMS.
    SpamSms,
    /// `V`: a spam call.
    SpamCall,
    /// `LD` (lừa đảo): a call with signs of scam.
    ScamCall,
    /// `TG` (tin giả) or as configured: an SMS with false news.
    FakeNews,
}

impl Keyword {
    /// How the message came to the reporter.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::SpamSms | Self::FakeNews => Channel::Sms,
            Self::SpamCall | Self::ScamCall => Channel::Call,
        }
    }

    /// What the report claims.
    #[must_use]
    pub const fn category(self) -> Category {
        match self {
            Self::SpamSms | Self::SpamCall => Category::Spam,
            Self::ScamCall => Category::Scam,
            Self::FakeNews => Category::FakeNews,
        }
    }
}

/// The word for fake news: 1 to 8 Latin letters, in capitals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FakeNewsWord(String);

impl FakeNewsWord {
    /// Reads the word, in any case.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(word: &str) -> Result<Self, String> {
        let well_formed = (1..=FAKE_NEWS_WORD_MAX_LETTERS).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !well_formed {
            return Err(format!("write 1 to {FAKE_NEWS_WORD_MAX_LETTERS} Latin letters, such as `TG`"));
        }
        let word = word.to_ascii_uppercase();
        if TAKEN_WORDS.contains(&word.as_str()) {
            return Err(format!("`{word}` has a meaning already"));
        }
        Ok(Self(word))
    }

    /// The word, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is reported, as far as the text tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The text does not say.
    Missing,
    /// A sender; hidden when the text says so.
    Named {
        /// The sender.
        sender: Sender,
        /// It was an old 11-digit number.
        renumbered: bool,
    },
    /// Meant as a sender, but nearly a number: read generously it would accuse a stranger.
    Refused(SenderError),
}

/// A report as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct MoReport<'a> {
    /// Its first word.
    pub keyword: Keyword,
    /// Who is reported.
    pub source: Source,
    /// What the message said, as it was written; none when there is nothing.
    pub content: Option<Cow<'a, str>>,
}

// By hand, because the text is personal.
impl std::fmt::Debug for MoReport<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content_bytes = self.content.as_ref().map_or(0, |content| content.len());
        write!(f, "MoReport({:?}, {:?}, {content_bytes} bytes of content)", self.keyword, self.source)
    }
}

/// What a subscriber's message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MoMessage<'a> {
    /// A report, which may lack something.
    Report(MoReport<'a>),
    /// A sender and nothing else: the answer to our question who it was.
    Sender(Source),
    /// What a page of ours shows, as [`PROOF_WORD`], a space and the digits: it proves the number that it comes from.
    Proof(String),
    /// A command to the do-not-call list, which is kept elsewhere.
    DoNotCall,
    /// None of these.
    Unknown,
}

/// Reads a message. Every text is something; none is an error.
#[must_use]
pub fn read<'a>(text: &'a str, fake_news: &FakeNewsWord, home: HomeCountry) -> MoMessage<'a> {
    let text = text.trim_matches(is_blank);
    let (word, rest) = split_word(text);
    let keyword = match word.as_str() {
        "S" => Keyword::SpamSms,
        "V" => Keyword::SpamCall,
        "LD" => Keyword::ScamCall,
        _ if word == fake_news.as_str() => Keyword::FakeNews,
        PROOF_WORD if let Some(words) = read_proof(rest) => return MoMessage::Proof(words),
        _ if is_do_not_call(text) => return MoMessage::DoNotCall,
        _ => return read_lone_sender(text, home).map_or(MoMessage::Unknown, MoMessage::Sender),
    };
    let (source, content) = read_groups(rest.trim_start_matches(is_separator), home);
    let content = content.filter(|content| !content.trim_matches(is_blank).is_empty());
    MoMessage::Report(MoReport { keyword, source, content })
}

/// The digits behind [`PROOF_WORD`], with or without spaces; none when anything else stands there.
fn read_proof(rest: &str) -> Option<String> {
    let digits: String = rest.chars().filter(|character| !is_separator(*character)).map(msisdn::to_ascii).collect();
    let is_proof = digits.len() == PROOF_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_proof.then(|| format!("{PROOF_WORD} {digits}"))
}

/// The letters that the text begins with, in capitals and without the bar of Đ, and what follows them.
fn split_word(text: &str) -> (String, &str) {
    let end = text.find(|character: char| !character.is_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    // No keyword is longer, and a message may be one long word.
    if word.len() > 4 * FAKE_NEWS_WORD_MAX_LETTERS {
        return (String::new(), text);
    }
    (word.chars().map(plain_letter).collect(), rest)
}

fn plain_letter(character: char) -> char {
    match character {
        'đ' | 'Đ' => 'D',
        // Full-width forms.
        '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character).to_ascii_uppercase()
        }
        _ => character.to_ascii_uppercase(),
    }
}

/// `DK DNC`, `HUY DNC`, with or without `S` or `V`.
fn is_do_not_call(text: &str) -> bool {
    /// No command is longer.
    const COMMAND_MAX_BYTES: usize = 64;
    let Some(plain) = plain_words(text, COMMAND_MAX_BYTES) else { return false };
    let words: Vec<&str> = plain.split(is_separator).filter(|word| !word.is_empty()).collect();
    matches!(words.as_slice(), ["dk" | "huy", "dnc"] | ["dk" | "huy", "dnc", "s" | "v"])
}

/// A short text without accents and capitals.
fn plain_words(text: &str, max_bytes: usize) -> Option<String> {
    if text.len() > max_bytes {
        return None;
    }
    Content::parse(text).ok().flatten().map(|text| text.same_text())
}

/// White space, and what has no shape.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control() || msisdn::is_invisible(character)
}

/// What people put between the keyword and the rest.
fn is_separator(character: char) -> bool {
    is_blank(character) || matches!(character, ':' | '-' | ',' | ';' | '.' | '/' | '_' | '=')
}

/// The bracket that closes what this one opens.
const fn closing(open: char) -> Option<char> {
    Some(match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        '（' => '）',
        '［' => '］',
        '【' => '】',
        _ => return None,
    })
}

fn is_closing(character: char) -> bool {
    matches!(character, ')' | ']' | '}' | '>' | '）' | '］' | '】')
}

/// A group at the start of a text: what is in it, and what follows.
struct Group<'a> {
    inner: &'a str,
    rest: &'a str,
}

/// Takes the group that `text` begins with, up to the bracket that balances its first. None without one.
fn take_group(text: &str) -> Option<Group<'_>> {
    let open = text.chars().next()?;
    let close = closing(open)?;
    let mut depth = 0_usize;
    for (place, character) in text.char_indices() {
        if character == open {
            depth += 1;
        } else if character == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                let inner = text.get(open.len_utf8()..place)?;
                return Some(Group { inner, rest: text.get(place + close.len_utf8()..)? });
            }
        }
    }
    None
}

/// Takes the sender's group as people leave it: balanced; closed by another bracket, as in `(0985931054]`; or never
/// closed, as in `(0985931054 vay tien` and `(0985931054(vay tien)`.
fn take_first_group(text: &str) -> Option<Group<'_>> {
    let open = text.chars().next().filter(|open| closing(*open).is_some())?;
    let within = text.get(open.len_utf8()..)?;
    let balanced = take_group(text);
    // A second group that opens within the first, which is a number by then, ends it: no number has text in brackets.
    if let Some(nested) = within.find(|character| closing(character).is_some() || is_closing(character)) {
        let (before, from) = within.split_at_checked(nested)?;
        let is_closed = from.starts_with(is_closing);
        if !is_closed && balanced.is_none() && is_number_like(before) {
            return Some(Group { inner: before, rest: from });
        }
        if is_closed && balanced.as_ref().is_none_or(|group| group.inner.len() > before.len()) {
            let rest = from.get(from.chars().next().map_or(0, char::len_utf8)..)?;
            return is_number_like(before).then_some(Group { inner: before, rest }).or(balanced);
        }
    }
    balanced
}

/// Reads what follows the keyword.
fn read_groups(text: &str, home: HomeCountry) -> (Source, Option<Cow<'_, str>>) {
    let Some(first) = take_first_group(text) else { return read_without_groups(text, home) };
    let rest = without_separators_before_group(first.rest);
    let beginning = first.inner.trim_matches(is_blank);
    if rest.is_empty() {
        return read_one_group(first.inner, home);
    }
    let is_group_next = rest.starts_with(|character| closing(character).is_some());
    if beginning.is_empty() {
        return (Source::Missing, Some(read_content(rest)));
    }
    let source = read_source(beginning, home);
    if is_group_next
        && is_wordy(&source)
        && let Some(second) = take_group(rest)
        && second.rest.trim_matches(is_blank).is_empty()
        && let swapped @ Source::Named { sender: Sender::Msisdn(_), .. } = read_source(second.inner, home)
    {
        // `S (what it said)(0985931054)`.
        return (swapped, Some(Cow::Borrowed(first.inner)));
    }
    if !is_group_next && is_wordy(&source) {
        // `S (Khuyen mai) vay tien nhanh`: the bracket belongs to the message.
        return (Source::Missing, Some(Cow::Borrowed(text)));
    }
    (source, Some(read_content(rest)))
}

/// The content behind the sender's group. Its own brackets may be missing, unclosed, or closed in the middle.
fn read_content(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(is_blank);
    let Some(open) = text.chars().next().filter(|open| closing(*open).is_some()) else {
        return Cow::Borrowed(text.trim_start_matches(is_separator));
    };
    let within = text.get(open.len_utf8()..).unwrap_or_default();
    let whole = closing(open).and_then(|close| within.strip_suffix(close));
    match (take_group(text), whole) {
        // `(what it said)`, also with brackets of its own.
        (Some(group), _) if group.rest.is_empty() => Cow::Borrowed(group.inner),
        // `(buy now :) cheap)`: the text closes more than it opens, so the last bracket is the group's.
        (Some(group), Some(whole)) if !is_balanced(group.rest) => Cow::Borrowed(whole),
        // `(what it said) and more`.
        (Some(group), _) => Cow::Owned(format!("{} {}", group.inner, group.rest.trim_start_matches(is_blank))),
        // `(what :( it said)` and a group that never ends.
        (None, Some(whole)) => Cow::Borrowed(whole),
        (None, None) => Cow::Borrowed(within.strip_suffix(is_closing).unwrap_or(within)),
    }
}

/// The text from its first character that is not blank, or from a group that stands behind nothing but separators.
fn without_separators_before_group(text: &str) -> &str {
    let group = text.trim_start_matches(is_separator);
    if group.starts_with(|character| closing(character).is_some()) { group } else { text.trim_start_matches(is_blank) }
}

/// Whether no bracket of the text closes what it does not open.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_usize;
    for character in text.chars() {
        if closing(character).is_some() {
            depth += 1;
        } else if is_closing(character) {
            let Some(less) = depth.checked_sub(1) else { return false };
            depth = less;
        }
    }
    true
}

/// One group and nothing else: a sender when it looks like one, else content.
fn read_one_group(inner: &str, home: HomeCountry) -> (Source, Option<Cow<'_, str>>) {
    match read_lone_sender(inner.trim_matches(is_blank), home) {
        Some(source) => (source, None),
        // `(0985931054 vay tien)`: both in one.
        None => read_without_groups(inner, home),
    }
}

/// Text without groups: a number it begins with is the sender, if it is a whole number. A short number is not taken for
/// one: `S 2000 dong mot phut` accuses nobody.
fn read_without_groups(text: &str, home: HomeCountry) -> (Source, Option<Cow<'_, str>>) {
    let text = text.trim_matches(is_blank);
    if let Some(source) = read_lone_sender(text, home) {
        return (source, None);
    }
    let bare = text.trim_start_matches(|character| is_blank(character) || closing(character).is_some());
    let number_end = bare.find(|character| !is_number_character(character)).unwrap_or(bare.len());
    let head = bare.get(..number_end).unwrap_or_default();
    let ends = head.char_indices().filter(|(_, character)| *character == ' ').map(|(place, _)| place);
    for end in ends.chain([head.len()]).take(NUMBER_MAX_PIECES) {
        let Some((piece, rest)) = bare.split_at_checked(end) else { continue };
        if msisdn::parse(piece, home).is_ok() {
            let rest = rest.trim_start_matches(|character| is_separator(character) || is_closing(character));
            return (read_source(piece, home), Some(read_content(rest)));
        }
    }
    (Source::Missing, Some(read_content(text)))
}

fn is_number_character(character: char) -> bool {
    msisdn::to_ascii(character).is_ascii_digit() || matches!(character, '+' | '.' | '-' | ' ')
}

fn is_number_like(text: &str) -> bool {
    let digits = text.chars().filter(|character| msisdn::to_ascii(*character).is_ascii_digit()).count();
    digits >= MALFORMED_MIN_DIGITS
        && text.chars().all(|character| is_number_character(character) || is_blank(character))
}

/// Whether it is kept as a sender only because of where it stands.
fn is_wordy(source: &Source) -> bool {
    match source {
        Source::Named { sender: Sender::Malformed(typed), .. } => !is_number_like(typed),
        Source::Named { sender: Sender::Brandname(name), .. } => name.as_str().contains(' '),
        Source::Refused(SenderError::TooLong | SenderError::ControlCharacter | SenderError::Empty) => true,
        Source::Named { .. } | Source::Refused(_) | Source::Missing => false,
    }
}

fn read_source(text: &str, home: HomeCountry) -> Source {
    let text = text.trim_matches(is_blank);
    if is_hidden_phrase(text) {
        return Source::Named { sender: Sender::Hidden, renumbered: false };
    }
    match sender::parse(text, home) {
        Ok(parsed) => Source::Named { sender: parsed.sender, renumbered: parsed.renumbered },
        Err(SenderError::Empty) => Source::Missing,
        Err(error) => Source::Refused(error),
    }
}

/// A text that is a sender and nothing else. A name is one only when it is one word with a capital or a digit in it, as
/// brands write themselves: `OK` and `lua dao` name nobody.
fn read_lone_sender(text: &str, home: HomeCountry) -> Option<Source> {
    let (text, was_grouped) = match take_group(text) {
        Some(group) if group.rest.trim_matches(is_blank).is_empty() => (group.inner.trim_matches(is_blank), true),
        _ => (text, false),
    };
    let source = read_source(text, home);
    let is_sender = match &source {
        Source::Named { sender: Sender::Msisdn(_) | Sender::ShortCode(_) | Sender::Hidden, .. } => true,
        Source::Named { sender: Sender::Brandname(_), .. } => is_lone_name(text),
        Source::Named { sender: Sender::Malformed(typed), .. } => is_number_like(typed),
        Source::Refused(SenderError::LetterInNumber | SenderError::Extension) => was_grouped || !text.contains(' '),
        Source::Refused(_) | Source::Missing => false,
    };
    is_sender.then_some(source)
}

fn is_lone_name(text: &str) -> bool {
    let lower = text.to_lowercase();
    text.chars().count() >= LONE_NAME_MIN_CHARACTERS
        && !text.contains(is_blank)
        && text.chars().any(|character| character.is_uppercase() || character.is_ascii_digit())
        && !COURTESIES.contains(&lower.as_str())
}

fn is_hidden_phrase(text: &str) -> bool {
    /// No phrase is longer, accents as characters of their own included.
    const PHRASE_MAX_BYTES: usize = 64;
    plain_words(text, PHRASE_MAX_BYTES).is_some_and(|plain| HIDDEN_PHRASES.contains(&plain.as_str()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use proptest::prelude::*;

    use super::*;

    fn vietnam() -> HomeCountry {
        HomeCountry::parse("VN").unwrap()
    }
    fn tg() -> FakeNewsWord {
        FakeNewsWord::parse("tg").unwrap()
    }
    fn source(source: &Source) -> String {
        match source {
            Source::Missing => "-".to_owned(),
            Source::Named { sender, .. } => format!("{} {}", sender.kind().as_str(), sender.shown()),
            Source::Refused(error) => format!("refused {}", error.code()),
        }
    }
    /// Keyword, source and content of a report; else what the text is.
    fn meant(text: &str) -> (String, String, String) {
        match read(text, &tg(), vietnam()) {
            MoMessage::Report(report) => {
                let content = report.content.as_deref().unwrap_or("-").to_owned();
                (format!("{:?}", report.keyword), source(&report.source), content)
            }
            MoMessage::Sender(named) => ("sender".to_owned(), source(&named), String::new()),
            MoMessage::Proof(words) => ("proof".to_owned(), words, String::new()),
            MoMessage::DoNotCall => ("do not call".to_owned(), String::new(), String::new()),
            MoMessage::Unknown => ("unknown".to_owned(), String::new(), String::new()),
        }
    }
    #[track_caller]
    fn means(text: &str, keyword: &str, source: &str, content: &str) {
        let expected = (keyword.to_owned(), source.to_owned(), content.to_owned());
        assert_eq!(meant(text), expected, "{text}");
    }

    #[test]
    fn every_published_form_is_understood() {
        let number = "msisdn +84985931054";
        means(
            "S (0985931054)(E Nhan lam cac Loai Giay Phep Laj Xe: May',0t0 + Giay To nhà dat,CMT + Bäng Cäp3 ,CaøDang \
             ,Däi H0c,Sø Hong,Sø D0 vv. ThänhT0an Khi NhanHang. GOl: )",
            "SpamSms",
            number,
            "E Nhan lam cac Loai Giay Phep Laj Xe: May',0t0 + Giay To nhà dat,CMT + Bäng Cäp3 ,CaøDang ,Däi H0c,Sø \
             Hong,Sø D0 vv. ThänhT0an Khi NhanHang. GOl: ",
        );
        let call = "Cuộc gọi quảng cáo giới thiệu sản phẩm dịch vụ bất động sản của công y A";
        means(&format!("V (0985931054)({call})"), "SpamCall", number, call);
        means("V [0985931054][Cuộc gọi quảng cáo ...]", "SpamCall", number, "Cuộc gọi quảng cáo ...");
        means("V(0812341213) lua dao", "SpamCall", "msisdn +84812341213", "lua dao");
        means("S (0985931054) (vay tien)", "SpamSms", number, "vay tien");
        means("S [0985931054][vay tien]", "SpamSms", number, "vay tien");
        means("LD (0985931054)(gia danh cong an)", "ScamCall", number, "gia danh cong an");
        means("LD [0985931054][gia danh cong an]", "ScamCall", number, "gia danh cong an");
        means("TG (9029)(uong nuoc la khoi benh)", "FakeNews", "short_code 9029", "uong nuoc la khoi benh");
        for command in ["DK DNC", "DK DNC S", "DK DNC V", "HUY DNC", "HUY DNC S", "HUY DNC V", "dk  dnc", "Hủy DNC v"]
        {
            means(command, "do not call", "", "");
        }
    }

    #[test]
    fn keywords_come_in_any_case_and_with_or_without_a_space() {
        let number = "msisdn +84985931054";
        for (text, keyword) in [
            ("s(0985931054)(x)", "SpamSms"),
            ("  S : (0985931054)(x)", "SpamSms"),
            ("v (0985931054)(x)", "SpamCall"),
            ("ld[0985931054][x]", "ScamCall"),
            ("LĐ (0985931054)(x)", "ScamCall"),
            ("lđ-(0985931054)-(x)", "ScamCall"),
            ("tG (0985931054) x", "FakeNews"),
            ("Ｓ（0985931054）（x）", "SpamSms"),
            ("\u{feff}S\u{200b} (0985931054)\n(x)", "SpamSms"),
            ("S 0985931054 x", "SpamSms"),
            ("V0985931054 x", "SpamCall"),
            ("V 0985 931 054: x", "SpamCall"),
            ("S +84 985 931 054 x", "SpamSms"),
            ("S (0985.931.054) x", "SpamSms"),
            ("S ((0985931054))(x)", "SpamSms"),
        ] {
            means(text, keyword, number, "x");
        }
    }

    #[test]
    fn another_word_is_no_report() {
        for text in
            ["", " ", "Sim so dep", "SS (0985931054)(x)", "Vay tien", "xin chao", "ok", "OK", "lua dao", "?", "🙂"]
        {
            means(text, "unknown", "", "");
        }
        for text in ["DK", "HUY", "DNC", "DK DNC X", "DK DNC S V", "HUY S", "DK DNC (0985931054)"] {
            assert_ne!(meant(text).0, "do not call", "{text}");
            assert_ne!(meant(text).0, "SpamSms", "{text}");
        }
    }

    #[test]
    fn content_keeps_its_brackets_and_is_not_changed() {
        for (text, content) in [
            ("S (9029)(vay (khong lai) nhanh)", "vay (khong lai) nhanh"),
            ("S (9029)((chao) ban)", "(chao) ban"),
            ("S (9029)(mua ngay :) gia re)", "mua ngay :) gia re"),
            ("S (9029)(buon :( qua)", "buon :( qua"),
            ("S (9029)(vay  tien   [0%])", "vay  tien   [0%]"),
            ("S (9029)(vay tien", "vay tien"),
            ("S (9029)(vay tien]", "vay tien"),
            ("S (9029) vay (0%) tien)", "vay (0%) tien)"),
            ("S (9029)(vay tien) lam phien", "vay tien lam phien"),
            ("S (9029)(vay tien)(goi 156)", "vay tien (goi 156)"),
            ("S (9029): vay tien", "vay tien"),
        ] {
            means(text, "SpamSms", "short_code 9029", content);
        }
    }

    #[test]
    fn a_group_that_is_not_closed_is_understood() {
        let number = "msisdn +84985931054";
        for text in [
            "S (0985931054(vay tien)",
            "S (0985931054 vay tien",
            "S (0985931054 vay tien)",
            "S (0985931054](vay tien)",
            "S [0985931054)[vay tien]",
            "S 0985931054)(vay tien)",
            "S 0985931054(vay tien)",
            "S [0985931054 (vay tien)",
        ] {
            means(text, "SpamSms", number, "vay tien");
        }
    }

    #[test]
    fn one_group_is_a_sender_when_it_looks_like_one() {
        means("V (0985931054)", "SpamCall", "msisdn +84985931054", "-");
        means("V 0985931054", "SpamCall", "msisdn +84985931054", "-");
        means("S (9029)", "SpamSms", "short_code 9029", "-");
        means("S (VIETBANK)", "SpamSms", "brandname VIETBANK", "-");
        means("S ()", "SpamSms", "-", "-");
        means("S", "SpamSms", "-", "-");
        means("LD (+1234)", "ScamCall", "malformed +1234", "-");
        means("LD (01206123456)", "ScamCall", "msisdn +84706123456", "-");
    }

    #[test]
    fn what_names_nobody_for_sure_is_content() {
        for (text, content) in [
            ("S (vay tien nhanh)", "vay tien nhanh"),
            ("S vay tien nhanh", "vay tien nhanh"),
            ("S (lua dao)", "lua dao"),
            ("S 2000 dong mot phut", "2000 dong mot phut"),
            ("S 500 trieu dang cho ban", "500 trieu dang cho ban"),
            ("S ()(vay tien)", "vay tien"),
            ("S (Khuyen mai) vay tien", "(Khuyen mai) vay tien"),
            ("S VAY TIEN NHANH", "VAY TIEN NHANH"),
            ("S (trúng thưởng 50 triệu) goi ngay", "(trúng thưởng 50 triệu) goi ngay"),
        ] {
            means(text, "SpamSms", "-", content);
        }
    }

    #[test]
    fn a_sender_in_the_first_of_two_groups_may_be_anything() {
        for (text, source) in [
            ("S (VIETBANK)(x)", "brandname VIETBANK"),
            ("S (Tin moi)(x)", "brandname Tin moi"),
            ("S (số lạ)(x)", "malformed số lạ"),
            ("S (an danh)(x)", "hidden "),
            ("S (Số ẩn)(x)", "hidden "),
            ("S (private)(x)", "hidden "),
            ("S (098593l054)(x)", "refused number_has_letter"),
            ("S (0985931054 ext 5)(x)", "refused number_has_extension"),
        ] {
            means(text, "SpamSms", source, "x");
        }
        means(
            "S (vay tien nhanh lai thap nhat)(0985931054)",
            "SpamSms",
            "msisdn +84985931054",
            "vay tien nhanh lai thap nhat",
        );
    }

    #[test]
    fn a_lone_sender_is_an_answer() {
        for (text, named) in [
            ("0985931054", "msisdn +84985931054"),
            (" (0985931054) ", "msisdn +84985931054"),
            ("0985 931 054", "msisdn +84985931054"),
            ("9029", "short_code 9029"),
            ("VIETBANK", "brandname VIETBANK"),
            ("[Vietbank]", "brandname Vietbank"),
            ("so an", "hidden "),
            ("098593l054", "refused number_has_letter"),
        ] {
            means(text, "sender", named, "");
        }
        for text in ["ok", "Vang", "Khong", "OK", "cam on", "Cam on", "0985931054 vay tien", "toi khong biet"] {
            means(text, "unknown", "", "");
        }
    }

    #[test]
    fn the_word_for_fake_news_is_checked() {
        assert_eq!(FakeNewsWord::parse("TinGia").unwrap().as_str(), "TINGIA");
        for word in ["", "S", "ld", "huy", "T G", "TIN1", "TÍN", "ABCDEFGHI"] {
            assert!(FakeNewsWord::parse(word).is_err(), "{word}");
        }
        let word = FakeNewsWord::parse("gia").unwrap();
        assert!(
            matches!(read("Gia (9029)(x)", &word, vietnam()), MoMessage::Report(report) if report.keyword == Keyword::FakeNews)
        );
        assert_eq!(read("TG (9029)(x)", &word, vietnam()), MoMessage::Unknown);
    }

    #[test]
    fn the_words_of_a_page_prove_a_number_however_they_are_spaced() {
        for text in ["XN 4829135072", "xn4829135072", "XN 48291 35072", " Xn: 4829135072. "] {
            assert_eq!(read(text, &tg(), vietnam()), MoMessage::Proof("XN 4829135072".to_owned()), "{text}");
        }
        for text in ["XN", "XN 482913507", "XN 48291350721", "XN 482913507a", "SXN 4829135072", "4829135072 XN"] {
            assert!(!matches!(read(text, &tg(), vietnam()), MoMessage::Proof(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = read(&text, &tg(), vietnam());
        }

        #[test]
        fn no_heap_of_brackets_makes_it_panic(text in "(S|V|LD|TG|lđ)[ ]?[()\\[\\]{}<>（】0-9+a-zđàSV :.-]{0,60}") {
            if let MoMessage::Report(report) = read(&text, &tg(), vietnam()) {
                // What was not in the message is not in the content, but for the space between two groups.
                let content = report.content.unwrap_or_default();
                prop_assert!(content.split(' ').all(|word| text.contains(word)), "{text} {content}");
            }
        }

    #[test]
        fn a_published_form_gives_back_number_and_text(
            keyword in "S|s|V|v|LD|ld|Ld",
            space in " ?",
            text in "[a-zA-Zàđ0-9.,:!% -]{1,80}",
        ) {
            prop_assume!(!text.trim().is_empty());
            let (_, named, content) = meant(&format!("{keyword}{space}(0985931054){space}({text})"));
            prop_assert_eq!(named, "msisdn +84985931054");
            prop_assert_eq!(content, text);
        }
    }
}
