//! What the bytes of an SMS say, as SMS gateways hand them over.

use super::submission::Region;

/// How the text of an SMS is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alphabet {
    /// UTF-8; also ASCII.
    Utf8,
    /// ISO 8859-1; also its Windows superset, as browsers read both.
    Latin1,
    /// UTF-16, big end first, unless a byte order mark says otherwise: what SMS call UCS-2.
    Utf16,
    /// UTF-16, little end first.
    Utf16Little,
    /// The GSM default alphabet (GSM 03.38), one septet a byte.
    Gsm,
    /// Eight bits that nobody named: UTF-8 when they are, else ISO 8859-1.
    Unnamed,
}

impl Alphabet {
    /// Reads the name of a character set, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" => Self::Utf8,
            "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" | "windows-1252" | "cp1252" => Self::Latin1,
            "utf-16be" | "utf16be" | "utf16-be" | "utf-16" | "utf16" | "ucs-2" | "ucs2" | "ucs-2be" => Self::Utf16,
            "utf-16le" | "utf16le" | "ucs-2le" => Self::Utf16Little,
            "gsm" | "gsm-7" | "gsm7" | "gsm-03.38" | "gsm0338" => Self::Gsm,
            "8-bit" | "8bit" | "binary" => Self::Unnamed,
            _ => return None,
        })
    }

    /// The text. What cannot be read becomes U+FFFD: a report with a broken letter is better than none. NULs go: they are
    /// padding, and no database holds them.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> String {
        let text = match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Latin1 => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
            Self::Utf16 => match bytes.strip_prefix(&[0xff, 0xfe]) {
                Some(little) => decode_utf16(little, u16::from_le_bytes),
                None => decode_utf16(bytes.strip_prefix(&[0xfe, 0xff]).unwrap_or(bytes), u16::from_be_bytes),
            },
            Self::Utf16Little => decode_utf16(bytes.strip_prefix(&[0xff, 0xfe]).unwrap_or(bytes), u16::from_le_bytes),
            Self::Gsm => decode_gsm(bytes),
            Self::Unnamed => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => Self::Latin1.decode(bytes),
            },
        };
        if text.contains('\0') { text.replace('\0', "") } else { text }
    }
}

fn decode_utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text: String =
        char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// Windows gives letters and signs to 27 control codes of ISO 8859-1, which no text means.
fn windows_1252(byte: u8) -> char {
    const FROM_0X80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let place = usize::from(byte).checked_sub(0x80);
    place.and_then(|place| FROM_0X80.get(place)).copied().unwrap_or(char::from(byte))
}

/// GSM 03.38, table 6.2.1: what a septet stands for.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§\
                   ¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// What one SMS takes.
const GSM_CHARACTERS_MAX: usize = 160;
const UTF16_UNITS_MAX: usize = 70;
/// What marks a septet of the extension table.
const GSM_ESCAPE: u8 = 0x1b;

fn decode_gsm(bytes: &[u8]) -> String {
    let table: Vec<char> = GSM.chars().collect();
    let mut text = String::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != GSM_ESCAPE {
            text.push(table.get(usize::from(byte)).copied().unwrap_or(char::REPLACEMENT_CHARACTER));
            continue;
        }
        let Some(escaped) = bytes.next() else { break };
        text.push(match escaped {
            0x0a => '\n',
            0x14 => '^',
            0x28 => '{',
            0x29 => '}',
            0x2f => '\\',
            0x3c => '[',
            0x3d => '~',
            0x3e => ']',
            0x40 => '|',
            0x65 => '€',
            other => table.get(usize::from(other)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        });
    }
    text
}

/// Whether a text can be sent in the GSM default alphabet, 160 characters an SMS.
#[must_use]
pub fn is_gsm(text: &str) -> bool {
    text.chars().all(|character| character != char::from(GSM_ESCAPE) && GSM.contains(character))
}

/// Whether a text is one SMS, as we have it sent: 160 characters of the GSM default alphabet, or 70 units of UTF-16.
#[must_use]
pub fn is_one_sms(text: &str) -> bool {
    if is_gsm(text) {
        text.chars().count() <= GSM_CHARACTERS_MAX
    } else {
        text.encode_utf16().count() <= UTF16_UNITS_MAX
    }
}

/// The reporter's number as a gateway writes it: SMSCs also send the international form without its plus.
#[must_use]
pub fn international(number: &str, region: &Region) -> Option<String> {
    let bare = number.trim();
    let is_bare = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) && !bare.starts_with('0');
    let with_plus = format!("+{bare}");
    (is_bare && super::msisdn::parse_reporter(&with_plus, region.home).is_ok()).then_some(with_plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alphabet_is_read() {
        let big: Vec<u8> = "S (0985)(vay tiền 🙂)".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = "S (0985)(vay tiền 🙂)".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Alphabet::Utf16.decode(&big), "S (0985)(vay tiền 🙂)");
        assert_eq!(Alphabet::Utf16.decode(&[&[0xfe, 0xff][..], &big].concat()), "S (0985)(vay tiền 🙂)");
        assert_eq!(Alphabet::Utf16.decode(&[&[0xff, 0xfe][..], &little].concat()), "S (0985)(vay tiền 🙂)");
        assert_eq!(Alphabet::Utf16Little.decode(&little), "S (0985)(vay tiền 🙂)");
        assert_eq!(Alphabet::Utf8.decode("vay tiền".as_bytes()), "vay tiền");
        assert_eq!(Alphabet::Latin1.decode(b"B\xe4ng C\xe4p \x80"), "Bäng Cäp €");
        assert_eq!(Alphabet::Unnamed.decode("tiền".as_bytes()), "tiền");
        assert_eq!(Alphabet::Unnamed.decode(b"B\xe4ng"), "Bäng");
        assert_eq!(Alphabet::Gsm.decode(b"V \x1b\x3c0985\x1b\x3e\x1b(a\x1b) \x00\x02\x1be"), "V [0985]{a} @$€");
    }

    #[test]
    fn the_gsm_table_has_128_places() {
        assert_eq!(GSM.chars().count(), 128);
        assert_eq!(Alphabet::Gsm.decode(b"Azaz09?\x5b\x7b"), "Azaz09?Ää");
    }

    #[test]
    fn what_is_broken_is_marked_and_nuls_go() {
        assert_eq!(Alphabet::Utf16.decode(&[0xd8, 0x00, 0x00, b'a', 0x00]), "\u{fffd}a\u{fffd}");
        assert_eq!(Alphabet::Utf8.decode(b"a\xff\0b"), "a\u{fffd}b");
        assert_eq!(Alphabet::Gsm.decode(&[b'a', 0x80, 0x1b]), "a\u{fffd}");
        assert_eq!(Alphabet::Utf16.decode(&[0, 0, 0, b'a', 0, 0]), "a");
    }

    #[test]
    fn names_are_read_in_any_case_and_unknown_ones_are_not_guessed() {
        assert_eq!(Alphabet::parse("UTF-16BE"), Some(Alphabet::Utf16));
        assert_eq!(Alphabet::parse(" Windows-1252 "), Some(Alphabet::Latin1));
        assert_eq!(Alphabet::parse("8-BIT"), Some(Alphabet::Unnamed));
        assert_eq!(Alphabet::parse("shift_jis"), None);
        assert_eq!(Alphabet::parse(""), None);
    }
}
