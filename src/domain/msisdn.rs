//! Telephone numbers: how they are read, and which number may report.
//!
//! A number that is read wrongly accuses a stranger, so this file refuses where a library would guess. In order:
//! 1. `scan` keeps digits and a leading plus, and refuses letters and extensions: libphonenumber turns them to digits.
//! 2. `read_vietnamese` knows the mobile numbers of Vietnam by arithmetic, without a lock or a heap.
//! 3. `read_by_metadata` asks the `phonenumber` crate for all others, and checks its answer against the whole pattern.

use std::fmt;

use phonenumber::country::{self, Source};
use phonenumber::metadata::{DATABASE, Descriptor};

/// The longest number that is looked at, characters. Generous: 15 digits with brackets, spaces and bidi marks.
pub const NUMBER_MAX_CHARACTERS: usize = 32;
/// The most digits of an E.164 number (ITU-T E.164, 6.2.1).
pub const E164_MAX_DIGITS: usize = 15;
/// The fewest digits of a number that is read back. The shortest in use have seven; CAMARA asks for five.
pub const E164_MIN_DIGITS: usize = 5;
/// The most digits of a country calling code.
const CALLING_CODE_MAX_DIGITS: usize = 3;
/// The calling code of Vietnam.
const VIETNAM: u16 = 84;
/// The mobile numbers of Vietnam have nine digits after the 0; before 2018 some had ten.
const NINE_DIGITS: u64 = 1_000_000_000;
const TEN_DIGITS: u64 = 10 * NINE_DIGITS;
/// Seven digits of a number stayed when its prefix was replaced.
const SEVEN_DIGITS: u64 = 10_000_000;
/// Vietnam's 11-digit numbers, replaced 2018-09-15 to 2018-11-14: the old prefix without 0, and the new one.
#[rustfmt::skip] // One line for each carrier.
const RENUMBERED_PREFIXES: &[(u64, u64)] = &[
    (120, 70), (121, 79), (122, 77), (126, 76), (128, 78), // MobiFone
    (123, 83), (124, 84), (125, 85), (127, 81), (129, 82), // Vinaphone
    (162, 32), (163, 33), (164, 34), (165, 35), (166, 36), (167, 37), (168, 38), (169, 39), // Viettel
    (186, 56), (188, 58), // Vietnamobile
    (199, 59), // Gmobile
];

/// A telephone number in international form, held as the integer that its E.164 digits make.
///
/// Printing one shows its country and its last four digits only, so that a log cannot hold a number by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Msisdn(u64);

impl Msisdn {
    /// The number as `+84985931054`.
    #[must_use]
    pub fn e164(self) -> E164 {
        let mut bytes = [0; E164_MAX_DIGITS + 1];
        let length = usize::try_from(self.0.max(1).ilog10()).unwrap_or(0) + 2;
        let mut rest = self.0;
        for byte in bytes.iter_mut().take(length).skip(1).rev() {
            *byte = last_digit(rest);
            rest /= 10;
        }
        bytes[0] = b'+';
        E164 { bytes, length }
    }

    /// The last four digits, ASCII: what a reporter types to see the state of a report.
    #[must_use]
    pub fn last_four(self) -> [u8; 4] {
        [self.0 / 1000, self.0 / 100, self.0 / 10, self.0].map(last_digit)
    }

    /// Reads back what [`Msisdn::e164`] wrote: a plus and 5-15 digits, nothing else.
    ///
    /// Unlike [`parse`] it does not look whether such a number exists: a stored number stays readable when a numbering
    /// plan changes.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let well_formed = (E164_MIN_DIGITS..=E164_MAX_DIGITS).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if well_formed { digits.parse().ok().map(Self) } else { None }
    }
}

fn last_digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e164 = self.e164();
        let text = e164.as_str();
        // Two digits stand for the country: right for Vietnam, near enough for the rest.
        let country = text.get(..3).unwrap_or_default();
        let end = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
        write!(f, "{country}•••{end}")
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The E.164 text of a number, without a heap. It is not `Debug`: it holds the whole number.
#[derive(Clone, Copy)]
pub struct E164 {
    bytes: [u8; E164_MAX_DIGITS + 1],
    length: usize,
}

impl E164 {
    /// The text, such as `+84985931054`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever written, so this is never the empty default.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The country where the gateway stands: numbers without a country are read as numbers of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HomeCountry {
    id: country::Id,
    calling_code: u16,
}

impl HomeCountry {
    /// Reads an ISO 3166 alpha-2 code in capitals, such as `VN`, that the `phonenumber` crate has a numbering plan for.
    #[must_use]
    pub fn parse(alpha2: &str) -> Option<Self> {
        let id: country::Id = alpha2.parse().ok()?;
        // A country without a plan makes the crate panic; none gets past this line.
        let plan = DATABASE.by_id(id.as_ref())?;
        Some(Self { id, calling_code: plan.country_code() })
    }

    /// The country calling code, such as 84.
    #[must_use]
    pub fn calling_code(self) -> u16 {
        self.calling_code
    }

    fn is_vietnam(self) -> bool {
        self.calling_code == VIETNAM
    }
}

/// Whether a number can belong to a mobile subscriber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberKind {
    /// A mobile number, or one of a country where mobile and fixed numbers look the same.
    Mobile,
    /// Fixed line, free call, 1900 and all others.
    Other,
}

/// A number that exists in its country's numbering plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParsedNumber {
    /// The number.
    pub msisdn: Msisdn,
    /// Whether it can be a mobile subscriber's.
    pub kind: NumberKind,
    /// It was written as one of Vietnam's 11-digit numbers and is now the number that replaced it.
    pub renumbered: bool,
}

/// Why a number was refused. Neither `Debug` nor `Display` shows the number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing but spaces.
    #[error("the number is empty")]
    Empty,
    /// More than [`NUMBER_MAX_CHARACTERS`].
    #[error("the number is too long")]
    TooLong,
    /// A letter, which libphonenumber would turn into the digit of its telephone key.
    #[error("the number has a letter in it")]
    LetterInNumber,
    /// A character that is not written in numbers, or a plus after the first digit.
    #[error("the number has a character that numbers do not have")]
    ForbiddenCharacter,
    /// An extension: the switchboard's number alone does not say who called.
    #[error("the number has an extension")]
    Extension,
    /// No such number in any country's numbering plan.
    #[error("no such number exists")]
    Invalid,
    /// A reporter's number of another country.
    #[error("the number is of another country")]
    Foreign,
    /// A reporter's number that no mobile subscriber has.
    #[error("the number is not a mobile number")]
    NotMobile,
    /// A reporter's number that was replaced in 2018.
    #[error("the number was replaced by a new one")]
    Renumbered {
        /// The number that replaced it.
        now: Msisdn,
    },
}

impl NumberError {
    /// The stable word for it in answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "number_empty",
            Self::TooLong => "number_too_long",
            Self::LetterInNumber => "number_has_letter",
            Self::ForbiddenCharacter => "number_has_forbidden_character",
            Self::Extension => "number_has_extension",
            Self::Invalid => "number_invalid",
            Self::Foreign => "number_foreign",
            Self::NotMobile => "number_not_mobile",
            Self::Renumbered { .. } => "number_renumbered",
        }
    }

    /// What the caller has to mend. For [`NumberError::Renumbered`] it holds the new number: it is meant for the answer
    /// and must not be logged.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Empty => "Write the telephone number.".to_owned(),
            Self::TooLong => format!("Write the number with at most {NUMBER_MAX_CHARACTERS} characters."),
            Self::LetterInNumber => "Write the number without letters; check for l or I in place of 1 and for O in \
                                     place of 0."
                .to_owned(),
            Self::ForbiddenCharacter => "Write the number with digits, spaces, and the signs ( ) . - only; a plus may \
                                         stand before the first digit."
                .to_owned(),
            Self::Extension => "Write the number without an extension.".to_owned(),
            Self::Invalid => {
                "This number does not exist; check its digits, and write foreign numbers with a plus and country code."
                    .to_owned()
            }
            Self::Foreign => "The reporter's number has to be of this country.".to_owned(),
            Self::NotMobile => "The reporter's number has to be a mobile number.".to_owned(),
            Self::Renumbered { now } => {
                // Only numbers of Vietnam are renumbered, so the national form is the last nine digits after a 0.
                format!("This 11-digit number was replaced in 2018: use 0{:09}.", now.0 % NINE_DIGITS)
            }
        }
    }
}

/// Reads a number of any country and kind. One of Vietnam's old 11-digit numbers is turned into today's.
///
/// # Errors
/// Any of [`NumberError`] but `Foreign`, `NotMobile` and `Renumbered`.
pub fn parse(raw: &str, home: HomeCountry) -> Result<ParsedNumber, NumberError> {
    read(raw, home).map(|found| found.number)
}

/// Reads the number of a reporter: unlike [`parse`] it takes mobile numbers of the home country only, as a report is
/// the word of a subscriber who can be asked.
///
/// # Errors
/// Any of [`NumberError`]. A number that was replaced is refused and not converted: no subscriber has it, so whoever
/// sends it keeps old records, and the one who has the new number today may be somebody else.
pub fn parse_reporter(raw: &str, home: HomeCountry) -> Result<Msisdn, NumberError> {
    let found = read(raw, home)?;
    if found.region != Some(home.id) {
        return Err(NumberError::Foreign);
    }
    if found.number.renumbered {
        return Err(NumberError::Renumbered { now: found.number.msisdn });
    }
    match found.number.kind {
        NumberKind::Mobile => Ok(found.number.msisdn),
        NumberKind::Other => Err(NumberError::NotMobile),
    }
}

/// A number and the country it belongs to; satellite and other worldwide numbers have none.
#[derive(Clone, Copy)]
struct Found {
    number: ParsedNumber,
    region: Option<country::Id>,
}

fn read(raw: &str, home: HomeCountry) -> Result<Found, NumberError> {
    let scanned = scan(raw)?;
    match read_vietnamese(&scanned, home) {
        Some(found) => Ok(found),
        None => read_by_metadata(&scanned, home),
    }
}

// ---- 1. Characters ----

/// The digits of a number and whether a plus stood before them.
struct Scanned {
    digits: [u8; NUMBER_MAX_CHARACTERS],
    count: usize,
    /// The integer that the digits make; meaningless above 19 digits, which no number has.
    value: u64,
    has_plus: bool,
}

impl Scanned {
    fn digits(&self) -> &str {
        std::str::from_utf8(self.digits.get(..self.count).unwrap_or_default()).unwrap_or_default()
    }
}

/// Characters that a copy from a web page brings along and nobody sees: zero-width and bidi marks, soft hyphen.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The ASCII character that a number's character stands for: full-width and Arabic digits and signs, all hyphens and
/// spaces. Others come back as they are.
pub(super) fn to_ascii(character: char) -> char {
    let digit = |zero: char| {
        let digit = u32::from(character) - u32::from(zero);
        char::from_digit(digit, 10).unwrap_or(character)
    };
    match character {
        '\u{ff10}'..='\u{ff19}' => digit('\u{ff10}'),
        '\u{660}'..='\u{669}' => digit('\u{660}'),
        '\u{6f0}'..='\u{6f9}' => digit('\u{6f0}'),
        '\u{ff0b}' => '+',
        '\u{ff08}' => '(',
        '\u{ff09}' => ')',
        '\u{ff0e}' => '.',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}

fn scan(raw: &str) -> Result<Scanned, NumberError> {
    if raw.len() > NUMBER_MAX_CHARACTERS && raw.chars().count() > NUMBER_MAX_CHARACTERS {
        return Err(NumberError::TooLong);
    }
    let mut digits = [0; NUMBER_MAX_CHARACTERS];
    let (mut count, mut value, mut has_plus, mut has_sign) = (0, 0_u64, false, false);
    for typed in raw.chars() {
        let character = if typed.is_ascii() { typed } else { to_ascii(typed) };
        match character {
            '0'..='9' => {
                let digit = u8::try_from(character).unwrap_or(b'0');
                // There are as many places as characters.
                if let Some(place) = digits.get_mut(count) {
                    *place = digit;
                }
                count += 1;
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit & 15));
            }
            ' ' => {}
            '(' | ')' | '.' | '-' => has_sign = true,
            '+' if count == 0 && !has_plus => has_plus = true,
            letter if letter.is_alphabetic() => return Err(NumberError::LetterInNumber),
            mark if is_invisible(mark) => {}
            _ => return Err(NumberError::ForbiddenCharacter),
        }
    }
    match (count, has_sign || has_plus) {
        (0, false) => Err(NumberError::Empty),
        (0, true) => Err(NumberError::Invalid),
        _ => Ok(Scanned { digits, count, value, has_plus }),
    }
}

// ---- 2. Mobile numbers of Vietnam, by arithmetic ----

/// Whether nine national digits are a mobile number of Vietnam. The pattern of libphonenumber's metadata:
/// `121[0-3]\d{5} | (160|(3\d|7[06-9])\d|5([1689]\d|2[238]|59)|8([1-8]\d|9[6-9])|9([0-8]\d|9[013-9]))\d{6}`
fn is_vietnamese_mobile(national: u64) -> bool {
    match national / 1_000_000 {
        121 => (national / 100_000) % 10 <= 3,
        160 | 300..=399 | 700..=709 | 760..=799 => true,
        510..=519 | 522 | 523 | 528 | 559..=569 | 580..=599 => true,
        810..=889 | 896..=899 => true,
        900..=989 | 990 | 991 | 993..=999 => true,
        _ => false,
    }
}

/// The nine digits that replaced ten old ones.
fn renumber(old: u64) -> Option<u64> {
    let prefix = old / SEVEN_DIGITS;
    let (_, new) = RENUMBERED_PREFIXES.iter().find(|(old, _)| *old == prefix)?;
    Some(new * SEVEN_DIGITS + old % SEVEN_DIGITS)
}

fn vietnamese(national: u64, renumbered: bool) -> Found {
    let msisdn = Msisdn(u64::from(VIETNAM) * NINE_DIGITS + national);
    Found { number: ParsedNumber { msisdn, kind: NumberKind::Mobile, renumbered }, region: Some(country::VN) }
}

/// Mobile numbers of Vietnam, new and old, in every usual spelling. `None` for anything else is not yet a refusal.
///
/// An integer forgets leading zeros, so the count of digits tells how many there were.
fn read_vietnamese(scanned: &Scanned, home: HomeCountry) -> Option<Found> {
    if !scanned.has_plus && !home.is_vietnam() {
        return None;
    }
    let value = scanned.value;
    let new_after = |code: u64| (value / NINE_DIGITS == code).then_some((value % NINE_DIGITS, false));
    let old_after = |code: u64| (value / TEN_DIGITS == code).then_some((value % TEN_DIGITS, true));
    let code = u64::from(VIETNAM);
    let (digits, is_old) = match (scanned.has_plus, scanned.count) {
        // +84 985931054, 84 985931054
        (_, 11) if value / NINE_DIGITS == code => new_after(code),
        (_, 12) => old_after(code),
        // 0 985931054, or an old number without its 0
        (false, 10) if value >= NINE_DIGITS => old_after(0),
        (false, 9 | 10) => new_after(0),
        (false, 11) => old_after(0),
        // 00 84 985931054
        (false, 13) => new_after(code),
        (false, 14) => old_after(code),
        _ => None,
    }?;
    if is_old {
        return renumber(digits).map(|national| vietnamese(national, true));
    }
    is_vietnamese_mobile(digits).then(|| vietnamese(digits, false))
}

// ---- 3. All other numbers, by the metadata of libphonenumber ----

fn read_by_metadata(scanned: &Scanned, home: HomeCountry) -> Result<Found, NumberError> {
    let digits = scanned.digits();
    if scanned.has_plus {
        return read_international(digits);
    }
    if let Some(after) = after_exit_code(digits, home) {
        return read_international(after);
    }
    read_national(digits, home).or_else(|refused| {
        // 841900... for 1900...: the crate keeps the 84, because it takes a match of the first digits for a match.
        let starts_with_code = calling_code(digits).is_some_and(|(code, _)| code == home.calling_code);
        if starts_with_code { read_international(digits) } else { Err(refused) }
    })
}

/// What follows the digits that leave the country, such as 00. No calling code starts with 0.
fn after_exit_code(digits: &str, home: HomeCountry) -> Option<&str> {
    let exit_code = DATABASE.by_id(home.id.as_ref())?.international_prefix()?;
    let end = pattern::match_start(exit_code.as_str(), digits)?;
    digits.get(end..).filter(|after| !after.starts_with('0'))
}

/// The calling code that digits start with, and the rest. No code is the beginning of another.
fn calling_code(digits: &str) -> Option<(u16, &str)> {
    if digits.starts_with('0') {
        return None;
    }
    (1..=CALLING_CODE_MAX_DIGITS).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let code = code.parse().ok()?;
        DATABASE.region(&code).map(|_| (code, rest))
    })
}

/// Digits that start with a calling code.
///
/// They are read as from the main country of that code: with any other home the crate would strip the home's national
/// prefix, or its exit code, from a foreign number (+39 02... to +39 2..., and in Russia +81 03... to +31...).
fn read_international(digits: &str) -> Result<Found, NumberError> {
    let (code, rest) = calling_code(digits).ok_or(NumberError::Invalid)?;
    let regions = DATABASE.region(&code).unwrap_or_default();
    let main: Option<country::Id> = regions.first().and_then(|region| region.parse().ok());
    let number = phonenumber::parse(main, format!("+{digits}")).map_err(|_| NumberError::Invalid)?;
    check_answer(&number, code, rest, main)
}

/// Digits as they are dialled at home.
fn read_national(digits: &str, home: HomeCountry) -> Result<Found, NumberError> {
    let number = phonenumber::parse(Some(home.id), digits).map_err(|_| NumberError::Invalid)?;
    match number.code().source() {
        Source::Default => check_answer(&number, home.calling_code, digits, Some(home.id)),
        Source::Number => read_with_code(digits, home),
        // Plus and exit code went another way already.
        Source::Plus | Source::Idd => Err(NumberError::Invalid),
    }
}

/// Digits that start with the home's calling code, perhaps by accident: Italy, 39, has mobile numbers that start so.
fn read_with_code(digits: &str, home: HomeCountry) -> Result<Found, NumberError> {
    let plan = DATABASE.by_id(home.id.as_ref()).ok_or(NumberError::Invalid)?;
    if fits(plan.descriptors().general(), digits) {
        return read_international(&format!("{}{digits}", home.calling_code));
    }
    read_international(digits)
}

/// Takes the crate's answer only if it is a number of `code` made of the digits after it, in full.
fn check_answer(
    number: &phonenumber::PhoneNumber,
    code: u16,
    rest: &str,
    read_as: Option<country::Id>,
) -> Result<Found, NumberError> {
    if number.extension().is_some() {
        return Err(NumberError::Extension);
    }
    if number.code().value() != code {
        return Err(NumberError::Invalid);
    }
    let stripped = number.national().to_string();
    let national = national_number(&stripped, rest, read_as);
    let value: u64 = national.parse().map_err(|_| NumberError::Invalid)?;
    if code == VIETNAM
        && national.len() == 10
        && let Some(new) = renumber(value)
    {
        return Ok(vietnamese(new, true));
    }
    let (region, kind) = owner(code, national).ok_or(NumberError::Invalid)?;
    let e164 = format!("{code}{national}");
    if e164.len() > E164_MAX_DIGITS {
        return Err(NumberError::Invalid);
    }
    let msisdn = Msisdn(e164.parse().map_err(|_| NumberError::Invalid)?);
    Ok(Found { number: ParsedNumber { msisdn, kind, renumbered: false }, region })
}

/// The national number of `rest`, the digits dialled after the calling code, by the rule of libphonenumber: one
/// national prefix or carrier code goes, but not when that makes a possible number impossible.
///
/// The crate's own answer, `stripped`, is taken only where the plan rewrites digits: it strips two prefixes, and always
/// (8 812 345 67 89 of Saint Petersburg to 12 345 67 89).
fn national_number<'a>(stripped: &'a str, rest: &'a str, read_as: Option<country::Id>) -> &'a str {
    let Some(plan) = read_as.and_then(|id| DATABASE.by_id(id.as_ref())) else { return rest };
    let trunk = plan.national_prefix();
    let prefix = plan.national_prefix_for_parsing().map(|pattern| pattern.as_str()).or(trunk);
    let end = prefix.and_then(|prefix| pattern::match_start(prefix, rest)).unwrap_or(0);
    let once = rest.get(end..).unwrap_or(rest);
    let is_doubled = trunk.is_some_and(|trunk| once.strip_prefix(trunk) == Some(stripped));
    let is_rewritten = plan.national_prefix_transform_rule().is_some() && stripped != rest && !is_doubled;
    let national = if is_rewritten { stripped } else { once };
    let possible = |national: &str| fits(plan.descriptors().general(), national);
    if possible(rest) && !possible(national) { rest } else { national }
}

/// The country that a national number belongs to, and its kind; `None` when no country has such a number.
///
/// The order of libphonenumber: a country with leading digits owns all numbers that start so, others own what they have
/// a kind for. It is done here because the crate takes a match of the first digits for a match of the number.
fn owner(code: u16, national: &str) -> Option<(Option<country::Id>, NumberKind)> {
    for plan in DATABASE.by_code(&code)? {
        let kind = kind_of(plan, national);
        match plan.leading_digits() {
            Some(leading) if pattern::match_start(leading.as_str(), national).is_none() => {}
            None if kind.is_none() => {}
            _ => return kind.map(|kind| (plan.id().parse().ok(), kind)),
        }
    }
    None
}

fn kind_of(plan: &phonenumber::Metadata, national: &str) -> Option<NumberKind> {
    let kinds = plan.descriptors();
    let is = |kind: Option<&Descriptor>| kind.is_some_and(|kind| fits(kind, national));
    if !is(Some(kinds.general())) {
        return None;
    }
    let special = is(kinds.premium_rate()) || is(kinds.toll_free()) || is(kinds.shared_cost()) || is(kinds.voip());
    if special || is(kinds.personal_number()) || is(kinds.pager()) || is(kinds.uan()) || is(kinds.voicemail()) {
        return Some(NumberKind::Other);
    }
    if is(kinds.mobile()) {
        return Some(NumberKind::Mobile);
    }
    is(kinds.fixed_line()).then_some(NumberKind::Other)
}

/// Whether all of a national number fits a kind of numbers.
fn fits(kind: &Descriptor, national: &str) -> bool {
    let lengths = kind.possible_length();
    (lengths.is_empty() || lengths.iter().any(|length| usize::from(*length) == national.len()))
        && pattern::matches_all(kind.national_number().as_str(), national)
}

/// The regular expressions of the numbering plans: digits, `\d`, `[..]`, `(..)`, `(?:..)`, `|`, `?`, `{n}`, `{n,m}`.
///
/// The crate can only *find* them, through a lock, and calls `+97233142764978` valid for its first eight digits. This
/// one asks for the whole number, needs no lock, and a sign that it does not know matches nothing.
mod pattern {
    type Then<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

    /// One thing that takes digits.
    #[derive(Clone, Copy)]
    enum Atom<'a> {
        AnyDigit,
        Digit(u8),
        Class(&'a [u8]),
        Group(&'a [u8]),
    }

    /// Whether `pattern` matches all of `text`.
    pub fn matches_all(pattern: &str, text: &str) -> bool {
        alternatives(pattern.as_bytes(), text.as_bytes(), &mut |left| left.is_empty())
    }

    /// Where the match of `pattern` at the start of `text` ends, with the preferences of a regular expression.
    pub fn match_start(pattern: &str, text: &str) -> Option<usize> {
        let mut end = None;
        alternatives(pattern.as_bytes(), text.as_bytes(), &mut |left| {
            end = Some(text.len() - left.len());
            true
        });
        end
    }

    fn alternatives(mut pattern: &[u8], text: &[u8], then: Then<'_>) -> bool {
        loop {
            let end = length_until(pattern, b'|');
            let (first, rest) = pattern.split_at_checked(end).unwrap_or((pattern, &[]));
            if sequence(first, text, then) {
                return true;
            }
            let Some((_, others)) = rest.split_first() else { return false };
            pattern = others;
        }
    }

    fn sequence(pattern: &[u8], text: &[u8], then: Then<'_>) -> bool {
        let pattern = pattern.trim_ascii_start();
        if pattern.is_empty() {
            return then(text);
        }
        let Some((atom, rest)) = split_atom(pattern) else { return false };
        let Some((least, most, rest)) = split_quantifier(rest) else { return false };
        repeat(atom, least, most, text, &mut |left| sequence(rest, left, then))
    }

    fn repeat(atom: Atom<'_>, least: u8, most: u8, text: &[u8], then: Then<'_>) -> bool {
        let again = &mut |left: &[u8]| repeat(atom, least.saturating_sub(1), most - 1, left, then);
        (most > 0 && once(atom, text, again)) || (least == 0 && then(text))
    }

    fn once(atom: Atom<'_>, text: &[u8], then: Then<'_>) -> bool {
        if let Atom::Group(inner) = atom {
            return alternatives(inner, text, then);
        }
        let Some((digit, left)) = text.split_first() else { return false };
        let fits = match atom {
            Atom::AnyDigit => digit.is_ascii_digit(),
            Atom::Digit(expected) => *digit == expected,
            Atom::Class(class) => in_class(class, *digit),
            Atom::Group(_) => false,
        };
        fits && then(left)
    }

    fn in_class(class: &[u8], digit: u8) -> bool {
        match class {
            [from, b'-', to, rest @ ..] => (*from..=*to).contains(&digit) || in_class(rest, digit),
            [one, rest @ ..] => *one == digit || in_class(rest, digit),
            [] => false,
        }
    }

    fn split_atom(pattern: &[u8]) -> Option<(Atom<'_>, &[u8])> {
        match pattern {
            [b'\\', b'd', rest @ ..] => Some((Atom::AnyDigit, rest)),
            [digit @ b'0'..=b'9', rest @ ..] => Some((Atom::Digit(*digit), rest)),
            [b'[', rest @ ..] => split_at_sign(rest, b']').map(|(class, rest)| (Atom::Class(class), rest)),
            [b'(', b'?', b':', rest @ ..] | [b'(', rest @ ..] => {
                split_at_sign(rest, b')').map(|(inner, rest)| (Atom::Group(inner), rest))
            }
            _ => None,
        }
    }

    /// How often the atom before may come: at least, at most, and the pattern after.
    fn split_quantifier(pattern: &[u8]) -> Option<(u8, u8, &[u8])> {
        match pattern.trim_ascii_start() {
            [b'?', rest @ ..] => Some((0, 1, rest)),
            [b'{', rest @ ..] => {
                let (counts, rest) = split_at_sign(rest, b'}')?;
                let counts = std::str::from_utf8(counts).ok()?;
                let (least, most) = counts.split_once(',').unwrap_or((counts, counts));
                Some((least.parse().ok()?, most.parse().ok()?, rest))
            }
            rest => Some((1, 1, rest)),
        }
    }

    fn split_at_sign(pattern: &[u8], sign: u8) -> Option<(&[u8], &[u8])> {
        let (inner, rest) = pattern.split_at_checked(length_until(pattern, sign))?;
        rest.split_first().map(|(_, rest)| (inner, rest))
    }

    /// The bytes before the first `sign` that is not inside a group.
    fn length_until(pattern: &[u8], sign: u8) -> usize {
        let mut depth = 0_usize;
        let found = pattern.iter().position(|byte| {
            if *byte == sign && depth == 0 {
                return true;
            }
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            false
        });
        found.unwrap_or(pattern.len())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn home(alpha2: &str) -> HomeCountry {
        HomeCountry::parse(alpha2).unwrap()
    }
    fn e164_at(raw: &str, alpha2: &str) -> Option<String> {
        parse(raw, home(alpha2)).ok().map(|number| number.msisdn.e164().as_str().to_owned())
    }
    fn e164(raw: &str) -> Option<String> {
        e164_at(raw, "VN")
    }
    fn refusal(raw: &str) -> Option<NumberError> {
        parse(raw, home("VN")).err()
    }

    #[test]
    fn every_usual_spelling_of_a_mobile_number_is_the_same_number() {
        for spelling in [
            "0985931054",
            "+84985931054",
            "84985931054",
            "0084985931054",
            "985931054",
            "098 593 10 54",
            "0985.931.054",
            "(+84) 985-931-054",
            "+84 (0) 985931054",
            "０９８５９３１０５４",
            "＋８４ ９８５９３１０５４",
            "٠٩٨٥٩٣١٠٥٤",
            "۰۹۸۵۹۳۱۰۵۴",
            "\u{200e}0985\u{200b}931054\u{feff}",
            "\u{2067}+84985931054\u{2069}",
            "0985\u{a0}931\u{3000}054",
            "0985\u{2011}931\u{2212}054",
        ] {
            let number = parse(spelling, home("VN")).unwrap();
            assert_eq!(number.msisdn.e164().as_str(), "+84985931054", "{spelling}");
            assert_eq!((number.kind, number.renumbered), (NumberKind::Mobile, false));
        }
    }

    #[test]
    fn a_letter_is_refused_and_not_read_as_the_digit_of_its_key() {
        for typo in [
            "098593l054",
            "O985931054",
            "+849859310S4",
            "tel:0985931054",
            "0985931054x12",
            "О985931054",
            "０９８５９３１０５４ｘ",
        ] {
            assert_eq!(refusal(typo), Some(NumberError::LetterInNumber), "{typo}");
        }
    }

    #[test]
    fn other_characters_are_refused() {
        for typed in [
            "0985931054;5",
            "0985/931054",
            "0985931054#",
            "*100#",
            "0985931+054",
            "++84985931054",
            "0985\t931054",
            "०९८५९३१०५४",
        ] {
            assert_eq!(refusal(typed), Some(NumberError::ForbiddenCharacter), "{typed}");
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(refusal(""), Some(NumberError::Empty));
        assert_eq!(refusal(" \u{200b}"), Some(NumberError::Empty));
        assert_eq!(refusal("+"), Some(NumberError::Invalid));
        assert_eq!(refusal(&"9".repeat(32)), Some(NumberError::Invalid));
        assert_eq!(refusal(&" ".repeat(33)), Some(NumberError::TooLong));
    }

    #[test]
    fn all_replaced_prefixes_are_converted_and_keep_their_last_seven_digits() {
        let replaced = "0120-070 0121-079 0122-077 0126-076 0128-078 0123-083 0124-084 0125-085 0127-081 0129-082 \
                        0162-032 0163-033 0164-034 0165-035 0166-036 0167-037 0168-038 0169-039 0186-056 0188-058 \
                        0199-059";
        for pair in replaced.split_whitespace() {
            let (old, new) = pair.split_once('-').unwrap();
            let (old, new) = (old.trim_start_matches('0'), new.trim_start_matches('0'));
            for before in ["0", "+84", "84", "0084", "", "+840"] {
                let number = parse(&format!("{before}{old}1234567"), home("VN")).unwrap();
                assert_eq!(number.msisdn.e164().as_str(), format!("+84{new}1234567"), "{before}{old}");
                assert!(number.renumbered);
            }
        }
        for never in ["01301234567", "01611234567", "01871234567", "01981234567"] {
            assert_eq!(refusal(never), Some(NumberError::Invalid));
        }
    }

    #[test]
    fn only_a_mobile_number_of_the_home_country_may_report() {
        let reporter = |raw| parse_reporter(raw, home("VN"));
        assert_eq!(reporter("0985931054"), Ok(Msisdn(84_985_931_054)));
        for other in ["02432321234", "1900545436", "18001090", "0672012345", "1992000", "069123456"] {
            assert_eq!(reporter(other), Err(NumberError::NotMobile), "{other}");
        }
        for foreign in ["+12125550123", "+447912345678", "+80012345678", "0085221234567"] {
            assert_eq!(reporter(foreign), Err(NumberError::Foreign), "{foreign}");
        }
        for unknown in ["156", "5656", "098593105", "09859310544", "+999123456789"] {
            assert_eq!(reporter(unknown), Err(NumberError::Invalid), "{unknown}");
        }
    }

    #[test]
    fn a_reporter_with_a_replaced_number_is_told_the_new_one_and_no_log_is() {
        let error = parse_reporter("01201234567", home("VN")).unwrap_err();
        assert_eq!(error.code(), "number_renumbered");
        assert_eq!(error.detail(), "This 11-digit number was replaced in 2018: use 0701234567.");
        assert!(!format!("{error:?} {error}").contains("1234567"));
    }

    #[test]
    fn a_longer_number_is_not_valid_for_its_first_digits() {
        assert_eq!(refusal("+97233142764978"), Some(NumberError::Invalid));
        assert_eq!(refusal("012031234"), None, "a toll-free number of eight digits");
        assert_eq!(refusal("0120312345"), Some(NumberError::Invalid));
        assert_eq!(refusal("19920001"), Some(NumberError::Invalid));
    }

    #[test]
    fn foreign_numbers_keep_the_zeros_that_belong_to_them() {
        assert_eq!(e164("+39 02 3661 8300").as_deref(), Some("+390236618300"));
        assert_eq!(e164("0039 02 3661 8300").as_deref(), Some("+390236618300"));
        assert_eq!(e164_at("+225 01 23 45 67 89", "CI").as_deref(), Some("+2250123456789"));
        assert!(parse_reporter("01 23 45 67 89", home("CI")).is_ok());
    }

    #[test]
    fn a_plus_is_not_followed_by_an_exit_code() {
        assert_eq!(refusal("+0084985931054"), Some(NumberError::Invalid));
        // Russia dials 810 to leave; this is a number of Tokyo, not of the Netherlands.
        assert_eq!(e164_at("+81 03 1234 5678", "RU").as_deref(), Some("+81312345678"));
    }

    #[test]
    fn other_homes_are_read_by_their_own_plans() {
        assert_eq!(e164_at("030 123456", "DE").as_deref(), Some("+4930123456"));
        assert_eq!(e164_at("011 84 985931054", "US").as_deref(), Some("+84985931054"));
        assert_eq!(e164_at("(212) 555-0123", "US").as_deref(), Some("+12125550123"));
        assert!(parse_reporter("(212) 555-0123", home("US")).is_ok());
        assert_eq!(parse_reporter("+1 613 782 7274", home("US")), Err(NumberError::Foreign));
        assert_ne!(e164_at("0985931054", "DE").as_deref(), Some("+84985931054"));
        assert_eq!(e164_at("8 812 345 67 89", "RU").as_deref(), Some("+78123456789"));
        assert_eq!(e164_at("812 345 67 89", "RU").as_deref(), Some("+78123456789"));
        assert_eq!(e164_at("392 345 6789", "IT").as_deref(), Some("+393923456789"));
        assert_eq!(parse("+8401201234567", home("DE")).map(|number| number.renumbered), Ok(true));
    }

    #[test]
    fn a_home_country_is_a_known_code_in_capitals() {
        assert_eq!(home("VN").calling_code(), 84);
        for unknown in ["", "vn", "VNM", "ZZ", "001", "84"] {
            assert!(HomeCountry::parse(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_number_is_printed_with_its_country_and_last_digits_only() {
        let number = Msisdn::from_e164("+84985931054").unwrap();
        assert_eq!(format!("{number} {number:?}"), "+84•••1054 +84•••1054");
        assert_eq!(&number.last_four(), b"1054");
        assert_eq!(&Msisdn::from_e164("+84900000007").unwrap().last_four(), b"0007");
    }

    #[test]
    fn only_the_stored_form_is_read_back() {
        for stored in ["+84985931054", "+12345", "+123456789012345"] {
            assert_eq!(Msisdn::from_e164(stored).unwrap().e164().as_str(), stored);
        }
        for other in
            ["84985931054", "+", "+1234", "+1234567890123456", "+0123456789", "+84 98", "++84985", "+８４985931"]
        {
            assert_eq!(Msisdn::from_e164(other), None, "{other}");
        }
    }

    #[test]
    fn no_refusal_echoes_what_was_typed() {
        for raw in ["", "09859x1054", "0985931;054", "0985931", "+"] {
            let error = refusal(raw).unwrap();
            assert!(error.code().starts_with("number_"));
            assert!(error.detail().ends_with('.') && !error.detail().contains("0985931"));
        }
    }

    #[test]
    fn the_pattern_of_mobile_numbers_is_the_arithmetic() {
        let plan = DATABASE.by_id("VN").unwrap();
        let mobile = plan.descriptors().mobile().unwrap().national_number();
        for prefix in 0..=9999 {
            for tail in ["00000", "12345", "99999"] {
                let national = format!("{prefix:04}{tail}");
                let by_pattern = pattern::matches_all(mobile.as_str(), &national);
                assert_eq!(is_vietnamese_mobile(national.parse().unwrap()), by_pattern, "{prefix:04}");
            }
        }
    }

    #[test]
    fn every_pattern_of_the_metadata_is_understood() {
        for plan in DATABASE.iter() {
            let kinds = plan.descriptors();
            let all = [
                kinds.fixed_line(),
                kinds.mobile(),
                kinds.toll_free(),
                kinds.premium_rate(),
                kinds.shared_cost(),
                kinds.voip(),
                kinds.personal_number(),
                kinds.pager(),
                kinds.uan(),
                kinds.voicemail(),
            ];
            for kind in all.into_iter().flatten() {
                let source: String = kind.national_number().as_str().split_whitespace().collect();
                let without_groups = source.replace("(?:", "(");
                assert!(without_groups.bytes().all(|sign| b"0123456789\\d[]-(){},|?".contains(&sign)), "{source}");
                let without_optional = without_groups.replace([')', ']', '}', '|'], "0");
                assert!(!without_optional.contains("}?") && !source.contains("[^"), "{source}");
                if let Some(example) = kind.example() {
                    assert!(pattern::matches_all(&source, example), "{source} {example}");
                }
            }
        }
    }
}
