//! Who sent the message or placed the call: a number, a short code, a brandname, something malformed, or hidden.
//!
//! A sender that is no number is kept, because caller ids are forged and malformed and the report is worth having all
//! the same. Only what is probably a *typing error in a number* is refused: it would name a stranger or nobody.

use std::borrow::Cow;
use std::fmt;

use super::msisdn::{self, E164_MAX_DIGITS, HomeCountry, Msisdn, NumberError};

/// The longest sender that is taken, characters.
pub const SENDER_MAX_CHARACTERS: usize = 64;
/// Short codes have three digits or more (156) ...
pub const SHORT_CODE_MIN_DIGITS: usize = 3;
/// ... and six at most.
pub const SHORT_CODE_MAX_DIGITS: usize = 6;
/// The longest brandname. Decree 91/2020 allows 11 and GSM carries 11, but one published name has 12.
pub const BRANDNAME_MAX_CHARACTERS: usize = 12;
/// What callers write when the phone showed no number, in any case.
pub const HIDDEN_WORDS: &[&str] =
    &["hidden", "anonymous", "private", "withheld", "restricted", "unavailable", "unknown"];
/// As many digits as these in a row of number characters are meant as a number, not as a name with digits in it.
const TYPED_NUMBER_MIN_DIGITS: usize = 6;
/// More letters than these are meant as a word.
const TYPED_NUMBER_MAX_LETTERS: usize = 3;
/// A number that is complete without the letters round it has at least this many digits.
const DECORATED_NUMBER_MIN_DIGITS: usize = 9;
/// Digits before an extension.
const EXTENDED_NUMBER_MIN_DIGITS: usize = 7;

/// The kind of a sender. The position in [`SenderKind::ALL`] is stored in envelopes: only ever add at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SenderKind {
    /// A number of a numbering plan.
    Msisdn,
    /// A number of three to six digits that works in one country or network only.
    ShortCode,
    /// A name that was sent in place of a number.
    Brandname,
    /// What no network should have let through.
    Malformed,
    /// The phone showed no sender.
    Hidden,
}

impl SenderKind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Msisdn, Self::ShortCode, Self::Brandname, Self::Malformed, Self::Hidden];

    /// The word for it in the API, the databases and the logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Msisdn => "msisdn",
            Self::ShortCode => "short_code",
            Self::Brandname => "brandname",
            Self::Malformed => "malformed",
            Self::Hidden => "hidden",
        }
    }

    /// Reads the word, exactly as written.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// Three to six digits, the first of which is not 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortCode {
    digits: [u8; SHORT_CODE_MAX_DIGITS],
    length: usize,
}

impl ShortCode {
    fn parse(text: &str) -> Option<Self> {
        let well_formed = (SHORT_CODE_MIN_DIGITS..=SHORT_CODE_MAX_DIGITS).contains(&text.len())
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if !well_formed {
            return None;
        }
        let mut digits = [0; SHORT_CODE_MAX_DIGITS];
        digits.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Some(Self { digits, length: text.len() })
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.digits.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }
}

/// A name of Latin letters, digits, `-`, `_`, `.` and spaces, with at least one letter (Decree 91/2020, Article 23).
///
/// The decree forbids names of digits alone; a letter is asked for, so that a mangled number such as `0985.931-05` is
/// not taken for a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Brandname(String);

impl Brandname {
    fn parse(text: &str) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b' ');
        let well_formed = text.bytes().all(legal)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
            && squeezed(text).count() <= BRANDNAME_MAX_CHARACTERS;
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The name as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who sent the message. `Debug` shows kind and length only.
#[derive(Clone, PartialEq, Eq)]
pub enum Sender {
    /// A number; `1900...` and `1800...` too.
    Msisdn(Msisdn),
    /// Such as 156 or 5656.
    ShortCode(ShortCode),
    /// Such as `VIETTEL`.
    Brandname(Brandname),
    /// Kept as it was typed.
    Malformed(String),
    /// No sender was shown.
    Hidden,
}

impl Sender {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> SenderKind {
        match self {
            Self::Msisdn(_) => SenderKind::Msisdn,
            Self::ShortCode(_) => SenderKind::ShortCode,
            Self::Brandname(_) => SenderKind::Brandname,
            Self::Malformed(_) => SenderKind::Malformed,
            Self::Hidden => SenderKind::Hidden,
        }
    }

    /// Hands `use_it` the bytes that make two senders the same: the E.164 form; the digits of a short code; a brandname
    /// in lower case with inner spaces squeezed; a malformed sender normalised; nothing when hidden.
    ///
    /// Two kinds can have the same bytes, so whoever hashes them must hash the kind too. A closure, because no heap is
    /// needed but for malformed senders.
    pub fn with_canonical<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Msisdn(number) => use_it(number.e164().as_bytes()),
            Self::ShortCode(code) => use_it(code.as_str().as_bytes()),
            Self::Brandname(name) => {
                let mut bytes = [0; BRANDNAME_MAX_CHARACTERS];
                let mut length = 0;
                for (place, character) in bytes.iter_mut().zip(squeezed(&name.0)) {
                    // A brandname is ASCII.
                    *place = u8::try_from(character).unwrap_or(b'?').to_ascii_lowercase();
                    length += 1;
                }
                use_it(bytes.get(..length).unwrap_or_default())
            }
            Self::Malformed(typed) => use_it(canonical_malformed(typed).as_bytes()),
            Self::Hidden => use_it(&[]),
        }
    }

    /// What the reviewers read, sealed with the report: names and malformed senders as they were typed.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Msisdn(number) => Cow::Owned(number.e164().as_str().to_owned()),
            Self::ShortCode(code) => Cow::Borrowed(code.as_str()),
            Self::Brandname(name) => Cow::Borrowed(name.as_str()),
            Self::Malformed(typed) => Cow::Borrowed(typed),
            Self::Hidden => Cow::Borrowed(""),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({}, {} bytes)", self.kind().as_str(), self.shown().len())
    }
}

/// A sender that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedSender {
    /// The sender.
    pub sender: Sender,
    /// It was one of Vietnam's old 11-digit numbers and was converted to today's.
    pub renumbered: bool,
}

/// Why a sender was refused. None of them shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// Nothing, or only spaces.
    #[error("the sender is empty")]
    Empty,
    /// More than [`SENDER_MAX_CHARACTERS`].
    #[error("the sender is too long")]
    TooLong,
    /// NUL, a line break or another control character.
    #[error("the sender has a control character")]
    ControlCharacter,
    /// A number with a letter in it.
    #[error("the sender looks like a number with a letter in it")]
    LetterInNumber,
    /// A number with an extension.
    #[error("the sender is a number with an extension")]
    Extension,
}

impl SenderError {
    /// The stable word for it in answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "sender_empty",
            Self::TooLong => "sender_too_long",
            Self::ControlCharacter => "sender_has_control_character",
            Self::LetterInNumber => NumberError::LetterInNumber.code(),
            Self::Extension => NumberError::Extension.code(),
        }
    }

    /// What the caller has to mend.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Empty => "Write the sender as the phone showed it, or `hidden` when it showed none.".to_owned(),
            Self::TooLong => format!("Write the sender with at most {SENDER_MAX_CHARACTERS} characters."),
            Self::ControlCharacter => "Write the sender without line breaks and other control characters.".to_owned(),
            Self::LetterInNumber => NumberError::LetterInNumber.detail(),
            Self::Extension => NumberError::Extension.detail(),
        }
    }
}

/// Reads a sender, in this order: hidden, number, short code, brandname; what is left is kept as malformed.
///
/// # Errors
/// Any of [`SenderError`]: too long, empty, with control characters, or a number with a letter or an extension in it.
pub fn parse(raw: &str, home: HomeCountry) -> Result<ParsedSender, SenderError> {
    if raw.chars().count() > SENDER_MAX_CHARACTERS {
        return Err(SenderError::TooLong);
    }
    if raw.chars().any(char::is_control) {
        return Err(SenderError::ControlCharacter);
    }
    if let Ok(number) = msisdn::parse(raw, home) {
        return Ok(ParsedSender { sender: Sender::Msisdn(number.msisdn), renumbered: number.renumbered });
    }
    let visible: String =
        raw.chars().filter(|character| !msisdn::is_invisible(*character)).map(msisdn::to_ascii).collect();
    let text = visible.trim();
    if text.is_empty() {
        return Err(SenderError::Empty);
    }
    if has_extension(text) {
        return Err(SenderError::Extension);
    }
    if is_mistyped_number(text, home) {
        return Err(SenderError::LetterInNumber);
    }
    Ok(ParsedSender { sender: classify(text, raw), renumbered: false })
}

fn classify(text: &str, raw: &str) -> Sender {
    if HIDDEN_WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return Sender::Hidden;
    }
    if let Some(code) = ShortCode::parse(text) {
        return Sender::ShortCode(code);
    }
    match Brandname::parse(text) {
        Some(name) => Sender::Brandname(name),
        None => Sender::Malformed(raw.to_owned()),
    }
}

/// The characters of a text with every run of spaces made one.
fn squeezed(text: &str) -> impl Iterator<Item = char> {
    let mut before = ' ';
    text.trim().chars().filter(move |character| {
        let keep = !(*character == ' ' && before == ' ');
        before = *character;
        keep
    })
}

/// The same forged number comes with and without separators, so those count only where there are other characters too.
fn canonical_malformed(typed: &str) -> String {
    let visible: String =
        typed.chars().filter(|character| !msisdn::is_invisible(*character)).map(msisdn::to_ascii).collect();
    if visible.chars().all(is_number_character) && visible.bytes().any(|byte| byte.is_ascii_digit()) {
        return visible.chars().filter(|character| !is_separator(*character)).collect();
    }
    squeezed(&visible).flat_map(char::to_lowercase).collect()
}

fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '(' | ')' | '.' | '-')
}

fn is_number_character(character: char) -> bool {
    character.is_ascii_digit() || character == '+' || is_separator(character)
}

fn count_digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether an extension follows a number: `;ext=5`, `x12`, `ext. 12`, `#12`, `,12`.
fn has_extension(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(end) = lower.find(|character| !is_number_character(character)) else { return false };
    let Some((number, mark)) = lower.split_at_checked(end) else { return false };
    let mark = mark.trim_start_matches([';', ',', '#', '~', ' ']);
    let name = ["extension", "extn", "ext", "x", ""].iter().find_map(|name| mark.strip_prefix(name));
    let digits = name.unwrap_or(mark).trim_start_matches(['.', ':', '=', ' ', '-']).trim_end_matches('#');
    count_digits(number) >= EXTENDED_NUMBER_MIN_DIGITS
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a number that a letter got into. A name with digits in it, such as `MB24H`, is not.
///
/// Three ways to know:
/// - with the letters read as the digits they resemble it is an existing number (`O985931054`);
/// - without the letters it is an existing number (`tel:0985931054`);
/// - it starts like a number and is mostly digits (`1900l234`, `098593105x4`).
fn is_mistyped_number(text: &str, home: HomeCountry) -> bool {
    let digits = count_digits(text);
    let letters = text.chars().filter(|character| character.is_alphabetic()).count();
    if letters == 0 || digits < letters {
        return false;
    }
    let resembled: String = text.chars().map(resembled_digit).collect();
    let without: String = text.chars().filter(|character| is_number_character(*character)).collect();
    let is_number = |text: &str| msisdn::parse(text, home).is_ok();
    is_number(&resembled)
        || ((DECORATED_NUMBER_MIN_DIGITS..=E164_MAX_DIGITS).contains(&digits) && is_number(&without))
        || is_mostly_digits(text, digits, letters)
}

fn is_mostly_digits(text: &str, digits: usize, letters: usize) -> bool {
    let starts_like_number =
        text.trim_start_matches(['+', '(', ' ']).starts_with(|character: char| character.is_ascii_digit());
    digits >= TYPED_NUMBER_MIN_DIGITS
        && letters <= TYPED_NUMBER_MAX_LETTERS
        && starts_like_number
        && text.chars().all(|character| character.is_alphabetic() || is_number_character(character))
}

/// The digit that a letter is mistaken for, by eyes, scanners and thumbs; Cyrillic and Greek twins too.
fn resembled_digit(character: char) -> char {
    match character {
        'O' | 'o' | 'D' | 'Q' | 'О' | 'о' | 'Ο' | 'ο' => '0',
        'l' | 'I' | 'i' | 'L' | 'І' | 'і' | 'Ι' | 'ı' => '1',
        'Z' | 'z' => '2',
        'З' | 'з' => '3',
        'A' => '4',
        'S' | 's' | 'Ѕ' | 'ѕ' => '5',
        'b' | 'G' | 'б' => '6',
        'T' => '7',
        'B' | 'В' => '8',
        'g' | 'q' => '9',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn vietnam() -> HomeCountry {
        HomeCountry::parse("VN").unwrap()
    }
    fn sender(text: &str) -> Sender {
        parse(text, vietnam()).unwrap().sender
    }
    fn refusal(text: &str) -> Option<SenderError> {
        parse(text, vietnam()).err()
    }
    fn canonical(text: &str) -> Vec<u8> {
        sender(text).with_canonical(<[u8]>::to_vec)
    }

    #[test]
    fn numbers_of_all_kinds_and_spellings_are_numbers() {
        for (typed, e164) in [
            ("0985931054", "+84985931054"),
            (" +84 985.931.054 ", "+84985931054"),
            ("(0985) 931-054", "+84985931054"),
            ("\u{202a}0985931054\u{202c}", "+84985931054"),
            ("1900545436", "+841900545436"),
            ("18001090", "+8418001090"),
            ("02432321234", "+842432321234"),
            ("+1 212 555 0123", "+12125550123"),
        ] {
            assert_eq!(sender(typed).kind(), SenderKind::Msisdn, "{typed}");
            assert_eq!(sender(typed).shown(), e164);
            assert_eq!(canonical(typed), e164.as_bytes());
        }
    }

    #[test]
    fn an_old_number_is_converted_and_said_so() {
        let old = parse("01201234567", vietnam()).unwrap();
        assert!(old.renumbered);
        assert_eq!(old.sender.shown(), "+84701234567");
        assert!(!parse("0701234567", vietnam()).unwrap().renumbered);
        assert_eq!(old.sender, sender("0701234567"));
    }

    #[test]
    fn three_to_six_digits_are_a_short_code() {
        for code in ["156", "5656", "1414", "9029", "19001", "789123"] {
            assert_eq!(sender(code).kind(), SenderKind::ShortCode, "{code}");
            assert_eq!(canonical(code), code.as_bytes());
        }
        assert_eq!(sender(" ５６５６ "), sender("5656"));
        for other in ["15", "0156", "1234567890123456789", "5-656"] {
            assert_eq!(sender(other).kind(), SenderKind::Malformed, "{other}");
        }
    }

    #[test]
    fn brandnames_are_kept_as_typed_and_compared_without_case() {
        for name in [
            "VIETTEL",
            "FPT",
            "VNPT-HN",
            "QC 4G",
            "MB24H",
            "5S Fashion",
            "F88",
            "3G",
            "Vietcombank",
            "VNPAY365",
            "TX38383838",
            "1800TAXI",
            "Taxi 1900",
            "Zalo",
            "S.O.S",
            "GOBOSS",
            "24h",
            "HD_SAISON",
            "TPBank 247",
            "BIDV",
        ] {
            assert_eq!(sender(name).kind(), SenderKind::Brandname, "{name}");
            assert_eq!(sender(name).shown(), name);
        }
        assert_eq!(canonical("QC   4G"), b"qc 4g");
        assert_eq!(canonical(" Viettel "), canonical("VIETTEL"));
        assert_eq!(sender("ABCDEFGHIJKL").kind(), SenderKind::Brandname);
        assert_eq!(sender("ABCDEFGHIJKLM").kind(), SenderKind::Malformed);
    }

    #[test]
    fn anything_else_is_kept_as_malformed_as_it_was_typed() {
        for odd in ["K+", "098593105", "+84", "0985.931-05", "Ngân hàng", "a@b.vn", "12/05/2024", "---", "*100#", "🙂"]
        {
            assert_eq!(sender(odd).kind(), SenderKind::Malformed, "{odd}");
            assert_eq!(sender(odd).shown(), odd);
        }
        assert_eq!(canonical("09859 3105"), canonical("098.593.105"));
        assert_eq!(canonical("NGÂN  hàng"), canonical("ngân hàng"));
        assert_eq!(canonical("K +"), b"k +");
        assert_ne!(canonical("---"), canonical("--"));
    }

    #[test]
    fn the_words_for_a_hidden_number_are_hidden_in_any_case() {
        for word in ["hidden", "Anonymous", "PRIVATE", " withheld ", "restricted", "Unavailable", "UNKNOWN"] {
            assert_eq!(sender(word), Sender::Hidden, "{word}");
        }
        assert_eq!(sender("hidden").shown(), "");
        assert!(canonical("hidden").is_empty());
    }

    #[test]
    fn a_number_with_a_letter_in_it_is_refused_because_it_would_name_a_stranger() {
        for typo in [
            "098593l054",
            "O985931054",
            "+849859310S4",
            "1900l234",
            "0985931O54",
            "0985-93I-054",
            "О985931054",
            "098593105a",
            "tel:0985931054",
            "SDT 0985931054",
            "+84 98593 lo54",
            "0985931054 a",
            "(09859)3l054",
            "O9859310S4",
            "l9001234",
            "1900123 4a",
        ] {
            assert_eq!(refusal(typo), Some(SenderError::LetterInNumber), "{typo}");
        }
    }

    #[test]
    fn an_extension_is_refused_because_the_number_alone_does_not_say_who_called() {
        for typed in [
            "0985931054;ext=5",
            "0985931054x12",
            "0985931054 ext. 12",
            "02432321234 Ext 12",
            "0985931054#12",
            "0985931054,12",
            "+84 985931054 x 5",
            "02432321234 extension 7",
        ] {
            assert_eq!(refusal(typed), Some(SenderError::Extension), "{typed}");
        }
    }

    #[test]
    fn nothing_control_characters_and_too_much_are_refused() {
        for blank in ["", "   ", "\u{a0}\u{200b}"] {
            assert_eq!(refusal(blank), Some(SenderError::Empty));
        }
        assert!(SenderError::Empty.detail().contains("`hidden`"));
        for control in ["0985931054\0", "VIET\nTEL", "\t156", "\u{85}"] {
            assert_eq!(refusal(control), Some(SenderError::ControlCharacter));
        }
        assert_eq!(refusal(&"é".repeat(65)), Some(SenderError::TooLong));
        assert_eq!(sender(&"é".repeat(64)).kind(), SenderKind::Malformed);
    }

    #[test]
    fn debug_shows_kind_and_length_only() {
        assert_eq!(format!("{:?}", sender("0985931054")), "Sender(msisdn, 12 bytes)");
        assert_eq!(format!("{:?}", sender("VIETTEL")), "Sender(brandname, 7 bytes)");
        let parsed = parse("01201234567", vietnam()).unwrap();
        assert!(!format!("{parsed:?}").contains("4567"));
    }

    #[test]
    fn kinds_are_read_back_by_their_words() {
        for kind in SenderKind::ALL {
            assert_eq!(SenderKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(SenderKind::parse("Msisdn"), None);
    }

    #[test]
    fn no_refusal_echoes_what_was_typed() {
        for error in [
            SenderError::Empty,
            SenderError::TooLong,
            SenderError::ControlCharacter,
            SenderError::LetterInNumber,
            SenderError::Extension,
        ] {
            assert!(!error.code().is_empty());
            assert!(error.detail().ends_with('.'));
        }
    }
}
