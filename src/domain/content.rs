//! What a message said: the text as a reviewer sees it, and the two forms in which texts are compared.
//!
//! | form | answers | keeps | forgets |
//! |---|---|---|---|
//! | [`Content::shown`] | what was sent? | everything but control characters | how accents were composed |
//! | [`Content::same_text`] | is it the same message? | also digits and links | accents, case, spaces, look-alikes |
//! | [`Content::same_campaign`] | is it the same campaign? | words, punctuation, emoji | also numbers and links |
//!
//! What is stored for comparing is made of the second and third form. A change of the folding, or of the Unicode
//! tables under it, makes new reports differ from old ones: repeats are then missed for a day, and texts grouped
//! before stay apart.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The most characters (Unicode scalar values) a text may have, as sent and again after NFC.
pub const CONTENT_MAX_CHARS: usize = 4_000;
/// The most bytes (UTF-8) a text may have, as sent and again after NFC.
///
/// It follows from [`CONTENT_MAX_CHARS`] at four bytes each; it stands here because it is the check that costs nothing.
pub const CONTENT_MAX_BYTES: usize = 16_000;
/// The most bytes one character can become in [`Content::same_text`]; a test walks through all of Unicode.
pub const SAME_TEXT_MAX_BYTES_PER_CHAR: usize = 18;
/// The most bytes [`Content::same_text`] and [`Content::same_campaign`] can have, whatever was sent.
pub const SAME_TEXT_MAX_BYTES: usize = CONTENT_MAX_CHARS * SAME_TEXT_MAX_BYTES_PER_CHAR;

/// What stands for every number in [`Content::same_campaign`].
const NUMBER_PLACEHOLDER: char = '#';
/// What stands for every link in [`Content::same_campaign`].
const LINK_PLACEHOLDER: char = '@';
/// How many separators may stand between two groups of digits of one number: `(028) 3822`.
const NUMBER_MAX_SEPARATORS: usize = 2;

/// Endings that make `name.ending` a link even with nothing behind it.
///
/// Only those that are no Vietnamese word without accents: people leave out the space after a full stop, and
/// `vay nhanh.co ngay` is no link. `co`, `me`, `la`, `to`, `ly` and all other two letters count when a path follows.
const LINK_ENDINGS: [&str; 64] = [
    "app", "asia", "bet", "biz", "blog", "bond", "buzz", "cc", "cf", "click", "cloud", "club", "cn", "com", "cyou",
    "dev", "eu", "fun", "fyi", "games", "gq", "icu", "info", "io", "life", "link", "live", "loan", "ltd", "ml", "mobi",
    "money", "monster", "net", "news", "online", "org", "page", "pro", "rest", "ru", "sbs", "shop", "site", "space",
    "store", "support", "tech", "tk", "today", "top", "tv", "uk", "us", "vip", "vn", "website", "win", "work", "works",
    "world", "ws", "xyz", "zone",
];

/// What a reported message said, or what a reported call was about. Never blank.
///
/// `Debug` shows its length alone, so that no text ends in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// NFC, trimmed, without control characters except tab and line ends; at least one character of it is visible.
    text: String,
}

/// Why a text was refused. Knows nothing of the text, so it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// More than [`CONTENT_MAX_CHARS`], as sent or after NFC.
    #[error("content has too many characters")]
    TooManyCharacters,
    /// More than [`CONTENT_MAX_BYTES`], as sent or after NFC.
    #[error("content has too many bytes")]
    TooManyBytes,
    /// It holds U+0000, which PostgreSQL cannot store and which no message has: the caller decoded it wrongly.
    #[error("content holds U+0000")]
    Nul,
}

impl ContentError {
    /// The stable, machine-readable reason. Both lengths share one: the remedy is the same.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooManyCharacters | Self::TooManyBytes => "content_too_long",
            Self::Nul => "text_has_nul",
        }
    }

    /// A sentence that says what to mend. Never quotes the text.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::TooManyCharacters => format!(
                "Shorten the text to at most {CONTENT_MAX_CHARS} characters, counted as sent and after Unicode \
                 normalisation (NFC)."
            ),
            Self::TooManyBytes => format!(
                "Shorten the text to at most {CONTENT_MAX_CHARS} characters and {CONTENT_MAX_BYTES} bytes of UTF-8."
            ),
            Self::Nul => "Send the text without the character U+0000; it is often a sign that UTF-16 was read as \
                          another encoding."
                .to_owned(),
        }
    }
}

// By hand, because the text is personal.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} characters)", self.char_count())
    }
}

impl Content {
    /// Reads what a caller sent. `None` when there is nothing to see in it: no text, white space, or only characters
    /// without a shape of their own (zero-width, bidi marks, stray accents).
    ///
    /// Control characters are dropped, not refused: they come from the message itself, and a sender of spam must not
    /// be able to write a message that cannot be reported. Those that part words (vertical tab, form feed, next line)
    /// become a space; tab, line feed and carriage return stay.
    ///
    /// # Errors
    /// The text is too long, as sent or after NFC (which makes some characters three), or it holds U+0000.
    pub fn parse(raw: &str) -> Result<Option<Self>, ContentError> {
        check_length(raw)?;
        if raw.contains('\0') {
            return Err(ContentError::Nul);
        }
        // Controls go before NFC: one between a letter and its accent would keep them apart.
        let clean = without_controls(raw);
        let trimmed = clean.trim();
        let text = if is_surely_nfc(trimmed) || is_nfc_quick(trimmed.chars()) == IsNormalized::Yes {
            trimmed.to_owned()
        } else {
            let composed: String = trimmed.nfc().collect();
            check_length(&composed)?;
            composed
        };
        Ok(is_visible(&text).then_some(Self { text }))
    }

    /// The text for a reviewer: NFC, trimmed, without control characters, and otherwise as it was sent.
    ///
    /// It may still hold bidi overrides and zero-width characters; a page has to isolate it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.text
    }

    /// How many characters (Unicode scalar values) [`Content::shown`] has.
    #[must_use]
    pub fn char_count(&self) -> usize {
        self.text.chars().count()
    }

    /// The form in which two reports of the same message agree, though one client dropped the accents, changed the
    /// case, the spacing or the quotation marks, and though the sender mixed in letters that look alike.
    /// Never empty, at most [`SAME_TEXT_MAX_BYTES`].
    ///
    /// Digits stay digits, even in `H0c` for `Học`: no client turns one into the other, so two reports of one message
    /// agree without it, while `0` read as `o` could make two numbers or amounts one. [`Content::same_campaign`] is
    /// where `H0c` becomes `hoc`. Punctuation stays too: `1.5` is not `15`, and `x.vn/a-b` is not `x.vn/ab`.
    #[must_use]
    pub fn same_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.text.len());
        self.same_text_into(&mut bytes);
        // Only whole characters were appended, so this never fails; the fallback stands in place of a panic.
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Appends the bytes of [`Content::same_text`] to `out`, for a caller that has a buffer to reuse.
    pub fn same_text_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.text.len());
        let mut folded = Folded { out, started: false, gap: false };
        for character in self.text.chars() {
            let ascii = u8::try_from(character).ok().filter(u8::is_ascii);
            match ascii.or_else(|| plain_latin(character)) {
                Some(plain) => folded.put_ascii(plain),
                None => fold_char(character, |part| folded.put(part)),
            }
        }
    }

    /// The form in which messages of one campaign resemble each other; for similarity only, never for identity.
    ///
    /// It is [`Content::same_text`] with every number as `#` (also `090.123.4567` and `+84 90 123 4567`), every link
    /// as `@`, and a lone `0` that touches a letter as `o` (`H0c`, `0t0`): a campaign changes those from message to
    /// message.
    #[must_use]
    pub fn same_campaign(&self) -> String {
        campaign_of(&self.same_text())
    }
}

fn check_length(text: &str) -> Result<(), ContentError> {
    if text.len() > CONTENT_MAX_BYTES {
        return Err(ContentError::TooManyBytes);
    }
    // A text has at most as many characters as bytes, so most need no counting.
    if text.len() > CONTENT_MAX_CHARS && text.chars().count() > CONTENT_MAX_CHARS {
        return Err(ContentError::TooManyCharacters);
    }
    Ok(())
}

/// Whether a text has only characters that are NFC whatever stands beside them. All of Vietnamese as phones send it; spares
/// it a look-up for each letter.
fn is_surely_nfc(text: &str) -> bool {
    text.chars().all(|character| character < '\u{300}' || matches!(character, '\u{1e00}'..='\u{1eff}'))
}

/// The text without control characters; those that part words become a space.
fn without_controls(text: &str) -> Cow<'_, str> {
    // Most texts have none, and their bytes say so without being read as characters: C0 and DEL are bytes of their own, and
    // C1 begins with C2.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'\x7f' && byte != 0xc2) {
        return Cow::Borrowed(text);
    }
    let unwanted = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if !text.contains(unwanted) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter_map(|character| match character {
        '\u{b}' | '\u{c}' | '\u{85}' => Some(' '),
        other if unwanted(other) => None,
        other => Some(other),
    });
    Cow::Owned(kept.collect())
}

/// Whether anything of the text is left in [`Content::same_text`].
fn is_visible(text: &str) -> bool {
    text.chars().any(|character| {
        let mut visible = false;
        fold_char(character, |part| visible |= part != ' ');
        visible
    })
}

/// Folded text while it is written: runs of white space become one space, none at the start or the end.
struct Folded<'a> {
    out: &'a mut Vec<u8>,
    /// Something was written since this text began; `out` may have held other bytes before.
    started: bool,
    /// White space was met and is due before the next character.
    gap: bool,
}

impl Folded<'_> {
    /// Folds and writes an ASCII character: what [`fold_char`] does, without its look-ups.
    fn put_ascii(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            self.gap = self.started;
            return;
        }
        self.begin();
        self.out.push(byte.to_ascii_lowercase());
    }

    /// Writes a character that [`fold_char`] made.
    fn put(&mut self, folded: char) {
        if folded == ' ' {
            self.gap = self.started;
            return;
        }
        self.begin();
        self.out.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn begin(&mut self) {
        if self.gap {
            self.out.push(b' ');
        }
        self.gap = false;
        self.started = true;
    }
}

/// Folds one character and hands on what it becomes: nothing, or one to a few characters, white space as `' '`.
///
/// One at a time is enough. Accents would have to be put in order, but they are dropped; no other rule looks at
/// neighbours.
fn fold_char(character: char, mut emit: impl FnMut(char)) {
    match character {
        // Kept whole: they stand for 18 and 8 letters, and a text of nothing else would grow as much.
        '\u{fdfa}' | '\u{fdfb}' => emit(character),
        // Typed in place of an apostrophe; Unicode takes it apart into a space and an accent.
        '´' => emit('\''),
        _ => decompose_compatible(character, |part| fold_part(part, &mut emit)),
    }
}

/// The letter that a Latin one with accents folds to, where [`fold_char`] makes it one of ASCII. It said so once for each;
/// now it is spared its look-ups for all Vietnamese letters.
fn plain_latin(character: char) -> Option<u8> {
    /// Latin-1 Supplement, Latin Extended-A and -B; Latin Extended Additional.
    const BLOCKS: [RangeInclusive<char>; 2] = ['\u{80}'..='\u{24f}', '\u{1e00}'..='\u{1eff}'];
    /// By character, beginning at each block's first; 0 where the folding is not one letter.
    static PLAIN: LazyLock<[Box<[u8]>; 2]> = LazyLock::new(|| BLOCKS.map(|block| block.map(fold_to_letter).collect()));
    let (block, plain) = BLOCKS.iter().zip(PLAIN.iter()).find(|(block, _)| block.contains(&character))?;
    let place = usize::try_from(u32::from(character) - u32::from(*block.start())).ok()?;
    plain.get(place).copied().filter(|plain| *plain != 0)
}

/// The one ASCII letter that a character folds to; 0 when it is none.
fn fold_to_letter(character: char) -> u8 {
    let mut letters = Vec::new();
    fold_char(character, |part| letters.push(part));
    match *letters {
        [letter] if letter.is_ascii_alphabetic() => u8::try_from(letter).unwrap_or(0),
        _ => 0,
    }
}

/// Folds a character that cannot be taken apart any more.
fn fold_part(part: char, emit: &mut impl FnMut(char)) {
    if part.is_ascii() {
        let folded = if part.is_ascii_whitespace() { ' ' } else { part.to_ascii_lowercase() };
        return emit(folded);
    }
    if is_accent(part) || is_invisible(part) {
        return;
    }
    // The braille pattern without dots is drawn as a space.
    if part.is_whitespace() || part == '\u{2800}' {
        return emit(' ');
    }
    let mut emit_plain = |lower| match look_alike(lower) {
        Some(plain) => plain.chars().for_each(&mut *emit),
        None => emit(lower),
    };
    if is_in_block_without_case(part) {
        return emit_plain(part);
    }
    // Up and down again, because some small letters share one capital: σ and ς, i and ı.
    part.to_uppercase().flat_map(char::to_lowercase).for_each(emit_plain);
}

/// Whether the character is of one of the large blocks without capitals (Arabic to Thai and Tibetan; Hangul; kana and
/// Han; emoji). Spares hostile texts, which NFKD makes long, the slowest of the look-ups; the result is the same.
fn is_in_block_without_case(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{109f}' | '\u{1100}'..='\u{139f}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{faff}'
        | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether the character is a mark put on another: accents, tone marks, the circle of a keycap emoji.
///
/// Vowel signs of Indic scripts and of Thai are marks too, but they are letters to their readers and no client leaves
/// them out. They have the combining class 0, so they stay.
fn is_accent(character: char) -> bool {
    // The first block is where Vietnamese accents are; naming it spares them the look-up.
    matches!(character, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20f0}') || canonical_combining_class(character) != 0
}

/// Whether the character has no shape: zero-width, bidi marks, variation selectors, fillers, tags
/// (Unicode's Default_Ignorable_Code_Point, and the interlinear marks).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The plain character that a small letter, a digit or a sign is used in place of, where Unicode knows no relation.
///
/// Full-width, mathematical, circled and accented letters are not here: taking them apart has already made them plain.
/// Cyrillic and Greek go by the shape of the capital (`н` is `h`, `ν` is `n`), because case must make no difference.
/// Letters that only remind of a Latin one (`п`, `я`, `λ`) stay.
fn look_alike(character: char) -> Option<&'static str> {
    let plain = match character {
        // Icelandic ð and African ɖ have the same capital as Vietnamese đ, and keyboards mix them up.
        'đ' | 'ð' | 'ɖ' | 'ɗ' | 'ԁ' | 'ᴅ' => "d",
        'а' | 'α' | 'ɑ' | 'ᴀ' => "a",
        'в' | 'β' | 'ƀ' | 'ɓ' | 'ʙ' => "b",
        'с' | 'ᴄ' => "c",
        'е' | 'ε' | 'ɛ' | 'ᴇ' => "e",
        'ƒ' | 'ꜰ' => "f",
        'ɡ' | 'ɢ' => "g",
        'н' | 'η' | 'һ' | 'ħ' | 'ʜ' => "h",
        'і' | 'ι' | 'ɩ' | 'ɨ' | 'ɪ' => "i",
        'ј' | 'ϳ' | 'ɉ' | 'ᴊ' => "j",
        'к' | 'κ' | 'ƙ' | 'ᴋ' => "k",
        'ł' | 'ƚ' | 'ӏ' | 'ʟ' => "l",
        'м' | 'μ' | 'ᴍ' => "m",
        'ν' | 'ɴ' => "n",
        'о' | 'ο' | 'ø' | 'ɵ' | 'ᴏ' => "o",
        'р' | 'ρ' | 'ᴘ' => "p",
        'ԛ' => "q",
        'ʀ' => "r",
        'ѕ' | 'ꜱ' => "s",
        'т' | 'τ' | 'ŧ' | 'ᴛ' => "t",
        'ʉ' | 'ᴜ' => "u",
        'ᴠ' => "v",
        'ԝ' | 'ᴡ' => "w",
        'х' | 'χ' => "x",
        'у' | 'υ' | 'ү' | 'ʏ' => "y",
        'ζ' | 'ƶ' | 'ᴢ' => "z",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        // Phones turn straight quotation marks and dashes into these as they are typed.
        '‘' | '’' | '‚' | '‛' | 'ʹ' | 'ʻ' | 'ʼ' | 'ˈ' | '′' => "'",
        '“' | '”' | '„' | '‟' | '«' | '»' => "\"",
        '‐' | '‒' | '–' | '—' | '―' | '−' => "-",
        '⁄' | '∕' => "/",
        '。' => ".",
        other => return plain_from_block(other),
    };
    Some(plain)
}

/// Digits of other scripts and letters on a dark ground, which stand in their blocks in order.
fn plain_from_block(character: char) -> Option<&'static str> {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGITS: &str = "0123456789";
    let (first, plain) = match character {
        '\u{660}'..='\u{669}' => ('\u{660}', DIGITS),
        '\u{6f0}'..='\u{6f9}' => ('\u{6f0}', DIGITS),
        '⓿' => ('⓿', DIGITS),
        '⓵'..='⓽' => ('⓴', DIGITS),
        '❶'..='❾' => ('❵', DIGITS),
        '➀'..='➈' => ('❿', DIGITS),
        '➊'..='➒' => ('➉', DIGITS),
        '\u{1f150}'..='\u{1f169}' => ('\u{1f150}', LETTERS),
        '\u{1f170}'..='\u{1f189}' => ('\u{1f170}', LETTERS),
        _ => return None,
    };
    let place = usize::try_from(u32::from(character) - u32::from(first)).ok()?;
    plain.get(place..=place)
}

/// Replaces links, numbers and zeros used as letters in a folded text. Each character is looked at a bounded number of
/// times, so the time grows with the length alone.
fn campaign_of(same_text: &str) -> String {
    let mut out = String::with_capacity(same_text.len());
    let mut rest = same_text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let (length, put) = if let Some(length) = link_length(rest, first, before) {
            (length, LINK_PLACEHOLDER)
        } else if is_zero_for_o(rest, before) {
            (first.len_utf8(), 'o')
        } else if let Some(length) = number_length(rest, first) {
            (length, NUMBER_PLACEHOLDER)
        } else {
            (first.len_utf8(), first)
        };
        out.push(put);
        let Some((taken, left)) = rest.split_at_checked(length) else { break };
        before = taken.chars().next_back().unwrap_or(' ');
        rest = left;
    }
    out
}

/// How many bytes of a link `text` begins with. `first` is its first character, `before` the one in front of it.
fn link_length(text: &str, first: char, before: char) -> Option<usize> {
    if !is_host_char(first) {
        return None;
    }
    if let Some(address) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
        let length = address_length(address);
        return (length > 0).then_some(text.len() - address.len() + length);
    }
    // Within a word there is no second look: that would cost the square of its length.
    if is_host_char(before) {
        return None;
    }
    let (host, behind) = text.split_at_checked(text.find(|c| !is_host_char(c)).unwrap_or(text.len()))?;
    let mut path = behind.chars();
    let path_follows = matches!(path.next(), Some('/' | '?' | '#')) && path.next().is_some_and(is_address_char);
    let host_length = match host.strip_prefix("www.") {
        Some(name) if !name.trim_matches('.').is_empty() => host.trim_end_matches(['.', '-']).len(),
        _ => bare_host_length(host, path_follows)?,
    };
    // The path is measured only now that it is taken: measured at every `a` of `a/a/a/a`, it would cost the square.
    let path_length = if path_follows && host_length == host.len() { address_length(behind) } else { 0 };
    Some(host_length + path_length)
}

/// How many bytes of `run` are a host name without scheme: up to the last label that is a known ending, so that in
/// `shop.vn.goi ngay` the link ends at `vn`. Any two letters are an ending when a path follows: `bit.ly/x`.
fn bare_host_length(run: &str, path_follows: bool) -> Option<usize> {
    let mut left = run;
    while let Some((host, label)) = left.rsplit_once('.') {
        let country = path_follows && left.len() == run.len() && label.len() == 2 && !label.contains(|c| c < 'a');
        let named = host.ends_with(|c: char| c.is_ascii_alphanumeric());
        if named && (country || LINK_ENDINGS.contains(&label)) {
            return Some(left.len());
        }
        left = host;
    }
    None
}

/// How many bytes of `text` belong to an address; full stops and the like at its end belong to the sentence.
fn address_length(text: &str) -> usize {
    let run = text.get(..text.find(|c| !is_address_char(c)).unwrap_or(text.len())).unwrap_or(text);
    run.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']).len()
}

fn is_address_char(character: char) -> bool {
    character.is_ascii_graphic()
        && !matches!(character, '"' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '`')
}

fn is_host_char(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '.' | '-')
}

/// Whether `text` begins with a single `0` that touches a letter, as in `h0c` and `0t0`.
fn is_zero_for_o(text: &str, before: char) -> bool {
    let Some(behind) = text.strip_prefix('0') else { return false };
    let next = behind.chars().next().unwrap_or(' ');
    !before.is_ascii_digit() && !next.is_ascii_digit() && (before.is_ascii_lowercase() || next.is_ascii_lowercase())
}

/// How many bytes of a number `text` begins with: groups of digits with up to [`NUMBER_MAX_SEPARATORS`] between them,
/// or with the letter `o` in place of a zero. `first` is the first character of `text`.
fn number_length(text: &str, first: char) -> Option<usize> {
    if !first.is_ascii_digit() && first != '+' {
        return None;
    }
    let mut length = None;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    loop {
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.len() == rest.len() {
            return length;
        }
        length = Some(text.len() - behind.len());
        rest = match behind.strip_prefix('o') {
            Some(after) => after,
            None => {
                let after = behind.trim_start_matches([' ', '.', '-', ',', '(', ')', '/']);
                if behind.len() - after.len() > NUMBER_MAX_SEPARATORS {
                    return length;
                }
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use proptest::prelude::*;

    use super::*;

    /// The published example of a report by SMS, as it was written.
    const LICENCES: &str = "E Nhan lam cac Loai Giay Phep Laj Xe: May',0t0 + Giay To nhà dat,CMT + Bäng Cäp3 ,CaøDang \
                            ,Däi H0c,Sø Hong,Sø D0 vv. ThänhT0an Khi NhanHang. GOl: ";
    const ESTATE: &str = "Cuộc gọi quảng cáo giới thiệu sản phẩm dịch vụ bất động sản của công ty A";

    fn content(text: &str) -> Content {
        Content::parse(text).unwrap().unwrap()
    }

    fn same(text: &str) -> String {
        content(text).same_text()
    }

    fn campaign(text: &str) -> String {
        content(text).same_campaign()
    }

    /// The folding without its short cuts: the whole text by the library's own NFKD, then part by part.
    fn same_by_the_book(text: &str) -> String {
        let mut folded = String::new();
        text.nfkd().for_each(|part| fold_part(part, &mut |plain| folded.push(plain)));
        folded.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn folded_alone(character: char) -> String {
        let mut folded = String::new();
        fold_char(character, |part| folded.push(part));
        folded
    }

    fn all_characters() -> impl Iterator<Item = char> {
        '\u{1}'..=char::MAX
    }

    #[test]
    fn real_reports_agree_without_accents_in_another_case_and_spacing() {
        let plain = "cuoc goi quang cao gioi thieu san pham dich vu bat dong san cua cong ty a";
        assert_eq!(same(ESTATE), plain);
        assert_eq!(same(&ESTATE.nfd().collect::<String>()), plain);
        assert_eq!(same(&ESTATE.to_uppercase()), plain);
        assert_eq!(same(&format!("  {}\r\n", ESTATE.replace(' ', "\u{a0}\t "))), plain);
        assert_eq!(same("Đường ĐẤT ưu đãi, lừa đảo"), "duong dat uu dai, lua dao");
        assert_eq!(
            same(LICENCES),
            "e nhan lam cac loai giay phep laj xe: may',0t0 + giay to nha dat,cmt + bang cap3 ,caodang ,dai h0c,so hong,\
             so d0 vv. thanht0an khi nhanhang. gol:"
        );
        assert_eq!(
            campaign(LICENCES),
            "e nhan lam cac loai giay phep laj xe: may',oto + giay to nha dat,cmt + bang cap# ,caodang ,dai hoc,so hong,\
             so do vv. thanhtoan khi nhanhang. gol:"
        );
    }

    #[test]
    fn look_alikes_fold_whatever_their_script() {
        let vay = "vay tien nhanh";
        let disguises = [
            "ｖａｙ　ｔｉｅｎ　ｎｈａｎｈ",
            "𝐯𝐚𝐲 𝓽𝓲𝓮𝓷 𝕟𝕙𝕒𝕟𝕙",
            "🅥🅐🅨 🆃🅸🅴🅽 🄽🄷🄰🄽🄷",
            "ⓥⓐⓨ ⓣⓘⓔⓝ ⓝⓗⓐⓝⓗ",
            "vаy tіеn ΝΗΑΝΗ",
            "ᴠᴀʏ ᴛɪᴇɴ ɴʜᴀɴʜ",
            "v\u{200b}a\u{ad}y t\u{202e}i\u{feff}e\u{2060}n nh\u{fe0f}a\u{e0061}nh",
            "VAY TİEN nhanh",
        ];
        for disguise in disguises {
            assert_eq!(same(disguise), vay);
        }
        assert_eq!(same("Ðat Ɖat Đat đat ðat"), "dat dat dat dat dat");
        assert_eq!(
            same("ΟΔΟΣ οδος οδοσ STRASSE straße STRAẞE ﬁn ĳs"),
            "oδoσ oδoσ oδoσ strasse strasse strasse fin ijs"
        );
        assert_eq!(same("“Gọi” ‘ngay’ – May´ … 1️⃣"), "\"goi\" 'ngay' - may' ... 1");
        assert_eq!(same("０９❽➄ ٠٩ ۵ ⑨ ⓿"), "0985 09 5 9 0");
    }

    #[test]
    fn numbers_punctuation_links_and_emoji_make_another_text() {
        let texts =
            ["goi 0901", "goi 0902", "goi o901", "goi 09.01", "goi 0901 🎁", "goi 0901 🎉", "goi a.vn/b", "goi a.vn/c"];
        for (place, text) in texts.iter().enumerate() {
            for other in texts.iter().skip(place + 1) {
                assert_ne!(same(text), same(other));
            }
        }
        assert_eq!(same("🎁"), "🎁");
        assert_eq!(same("กิน"), "กิน", "a vowel sign is a letter");
    }

    #[test]
    fn a_campaign_forgets_numbers_however_they_are_spelled() {
        let numbers = [
            "0901234567",
            "090.123.4567",
            "090 123 4567",
            "+84 90-123-4567",
            "(+84)901234567",
            "09o1234567",
            "028) 3822 1234",
            "1.500.000",
            "24/11/2026",
        ];
        for number in numbers {
            let folded = campaign(&format!("goi {number} ngay"));
            assert_eq!(folded.replace(['(', ')'], ""), "goi # ngay");
        }
        assert_eq!(campaign("vay 50tr lai 0,5% goi 5 nguoi"), "vay #tr lai #% goi # nguoi");
        assert_eq!(campaign("1... 2 + x o + 5"), "#... # + x o + #");
    }

    #[test]
    fn a_campaign_forgets_links_with_and_without_scheme() {
        let links = [
            "http://vay.example/a?b=1",
            "HTTPS://VAY.VN",
            "www.vay-nhanh.example",
            "vay.com",
            "vay1.com.vn/x_y",
            "bit.ly/3AbC",
            "t.me/vay",
            "zalo.me/0901234567",
            "1.xyz",
            "vay。vn",
            "ｖａｙ．ｃｏｍ",
        ];
        for link in links {
            assert_eq!(campaign(&format!("xem {link} ngay")), "xem @ ngay");
            assert_eq!(campaign(&format!("xem ({link}), {link}.")), "xem (@), @.");
        }
        assert_eq!(campaign("xem shop.vn.Goi 0901"), "xem @.goi #");
        assert_eq!(campaign("xemhttps://a.vn/b🎁"), "xem@🎁");
    }

    #[test]
    fn words_that_only_meet_a_full_stop_are_no_link() {
        for text in [
            "vay nhanh.co ngay",
            "tien.la gi",
            "goi ngay.lien he",
            "https:// www. .com a..vn ...",
            "hhttp:/x",
            "tp.hcm",
        ] {
            assert_eq!(campaign(text), text);
        }
    }

    #[test]
    fn a_text_without_anything_to_see_is_none() {
        for blank in
            ["", " \r\n\t", "\u{200b}\u{feff}\u{202e}", "\u{301}\u{323}", "\u{1}\u{7f}\u{85}", "\u{3164}\u{2800}"]
        {
            assert_eq!(Content::parse(blank), Ok(None));
        }
    }

    #[test]
    fn controls_are_dropped_and_what_is_shown_is_nfc() {
        let shown = content(" a\u{1}\u{301}\u{b}\u{1b}[31mb\r\n\tc\u{9f} ");
        assert_eq!(shown.shown(), "á [31mb\r\n\tc");
        assert_eq!(shown.char_count(), 11);
        assert_eq!(content("Cuo\u{323}\u{302}c").shown(), "Cuộc");
        assert_eq!(format!("{:?}", content("secret")), "Content(6 characters)");
    }

    #[test]
    fn limits_hold_to_the_character() {
        let too_many = Err(ContentError::TooManyCharacters);
        for character in ["a", "ộ", "🎁"] {
            assert_eq!(content(&character.repeat(CONTENT_MAX_CHARS)).char_count(), CONTENT_MAX_CHARS);
        }
        assert_eq!(Content::parse(&"a".repeat(CONTENT_MAX_CHARS + 1)), too_many);
        assert_eq!(Content::parse(&" ".repeat(CONTENT_MAX_CHARS + 1)), too_many, "as sent, not as trimmed");
        assert_eq!(Content::parse(&"a".repeat(CONTENT_MAX_BYTES)), too_many);
        assert_eq!(Content::parse(&"a".repeat(CONTENT_MAX_BYTES + 1)), Err(ContentError::TooManyBytes));
        // NFC makes two of U+0958 and three of U+1D160.
        assert_eq!(content(&"\u{958}".repeat(CONTENT_MAX_CHARS / 2)).char_count(), CONTENT_MAX_CHARS);
        assert_eq!(Content::parse(&"\u{958}".repeat(CONTENT_MAX_CHARS / 2 + 1)), too_many);
        assert_eq!(Content::parse(&"\u{1d160}".repeat(CONTENT_MAX_CHARS)), Err(ContentError::TooManyBytes));
    }

    #[test]
    fn refusals_say_what_to_mend() {
        assert_eq!(Content::parse("a\0b"), Err(ContentError::Nul));
        assert_eq!(ContentError::Nul.code(), "text_has_nul");
        assert_eq!(ContentError::TooManyBytes.code(), ContentError::TooManyCharacters.code());
        assert_eq!(ContentError::TooManyBytes.code(), "content_too_long");
        for error in [ContentError::TooManyBytes, ContentError::TooManyCharacters] {
            assert!(error.detail().contains("4000 characters"));
        }
    }

    #[test]
    fn every_character_folds_within_its_bound_and_only_once() {
        let mut longest_bytes = 0;
        for character in all_characters() {
            let once = folded_alone(character);
            longest_bytes = longest_bytes.max(once.len());
            let twice: String = once.nfc().map(folded_alone).collect();
            assert_eq!(once, twice, "{character:?}");
            if is_in_block_without_case(character) {
                assert!(character.to_uppercase().eq([character]) && character.to_lowercase().eq([character]));
            }
        }
        assert_eq!(longest_bytes, SAME_TEXT_MAX_BYTES_PER_CHAR);
    }

    #[test]
    fn short_cuts_of_single_characters_change_nothing() {
        for character in all_characters() {
            if let Some(plain) = plain_latin(character) {
                assert_eq!(char::from(plain).to_string(), folded_alone(character), "{character:?}");
            }
            if is_surely_nfc(&character.to_string()) {
                assert!(is_nfc_quick([character].into_iter()) == IsNormalized::Yes, "{character:?}");
                assert_eq!(canonical_combining_class(character), 0, "{character:?}");
            }
        }
        let vietnamese = "ăâđêôơưáàảãạắặấậếệốộớợứựíìỷỹĂÂĐÊÔƠƯÁÀẢÃẠẮẶẤẬẾỆỐỘỚỢỨỰÍÌỶỸ";
        assert!(vietnamese.chars().all(|letter| plain_latin(letter).is_some()) && is_surely_nfc(vietnamese));
    }

    #[test]
    fn case_makes_no_difference_to_any_character() {
        // The Greek iota below a letter is an accent here, and its capital is a letter of its own.
        let has_iota_below = |character: char| character.to_string().nfkd().any(|part| part == '\u{345}');
        for character in all_characters().filter(|character| !has_iota_below(*character)) {
            let folded = folded_alone(character);
            assert_eq!(character.to_uppercase().map(folded_alone).collect::<String>(), folded, "{character:?}");
            assert_eq!(character.to_lowercase().map(folded_alone).collect::<String>(), folded, "{character:?}");
        }
    }

    #[test]
    fn hostile_texts_stay_within_the_bound() {
        for unit in ["\u{fdfa}", "\u{3316}", "\u{fdfc}", "각", "🎁", "a.", "a/", "1,", "http://", "www.", "0"] {
            let hostile = content(&unit.repeat(CONTENT_MAX_CHARS / unit.chars().count()));
            assert!(hostile.same_text().len() <= SAME_TEXT_MAX_BYTES);
            assert!(hostile.same_campaign().len() <= hostile.same_text().len());
        }
    }

    /// Texts of what matters here: Vietnamese, links, numbers, disguises, stray marks, and anything at all.
    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                "Cuộc gọi", "quảng cáo", "ĐẤT", " ", "\u{a0}\n", "0985931054", "H0c", "www.", "https://", ".vn/", "a.com",
                "\u{301}", "\u{323}", "\u{200d}", "ｖａｙ", "각", "ΟΔΟΣ", "🎁", "\u{fdfa}", "\u{958}", "İ", "ß", "'", "+",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    fn vietnamese_words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-zăâđêôơưáàảãạắặấậếệốộớợứựíìỷỹ0-9.,']{1,8}", 1..20)
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_taken_keeps_its_promises(raw in any_text()) {
            let Ok(Some(content)) = Content::parse(&raw) else { return Ok(()) };
            prop_assert!(content.char_count() <= CONTENT_MAX_CHARS && content.shown().len() <= CONTENT_MAX_BYTES);
            prop_assert!(unicode_normalization::is_nfc(content.shown()));
            let same_text = content.same_text();
            prop_assert!(!same_text.is_empty() && same_text.len() <= SAME_TEXT_MAX_BYTES);
            prop_assert_eq!(same_text.trim(), same_text.as_str());
            let mut appended = b"before".to_vec();
            content.same_text_into(&mut appended);
            prop_assert_eq!(appended, format!("before{same_text}").into_bytes());
            prop_assert!(content.same_campaign().len() <= same_text.len());
            prop_assert_eq!(same(&same_text), same_text);
        }

        #[test]
        fn short_cuts_change_nothing(raw in any_text().prop_map(|text| text.replace('\u{fdfa}', ""))) {
            let Ok(Some(content)) = Content::parse(&raw) else { return Ok(()) };
            let by_the_book = same_by_the_book(&content.shown().replace('´', "'"));
            prop_assert_eq!(content.same_text(), by_the_book);
        }

        #[test]
        fn ascii_folds_as_by_the_book(raw in "[ -~\t\r\n]{1,300}") {
            let Ok(Some(content)) = Content::parse(&raw) else { return Ok(()) };
            prop_assert_eq!(content.same_text(), same_by_the_book(content.shown()));
            let words = raw.to_ascii_lowercase();
            prop_assert_eq!(content.same_text(), words.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        }

        #[test]
        fn accents_case_and_spacing_make_no_difference(words in vietnamese_words()) {
            let text = words.join(" ");
            let expected = same(&text);
            let without_accents: String = text.nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect();
            prop_assert_eq!(same(&without_accents.replace('đ', "d")), expected.clone());
            prop_assert_eq!(same(&text.nfd().collect::<String>()), expected.clone());
            prop_assert_eq!(same(&text.to_uppercase()), expected.clone());
            prop_assert_eq!(same(&words.join(" \u{200b}\u{3000}\r\n")), expected);
        }
    }
}
