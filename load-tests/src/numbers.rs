//! Vietnamese phone numbers, short codes and brandnames, made up but well formed.

use crate::random::Random;

/// What follows the leading 0 of a Vietnamese mobile number. All digits after such a prefix are free, up to
/// [`NATIONAL_DIGITS`]. From the mobile pattern of the libphonenumber metadata, without `121` and `160`, which no
/// subscriber has.
pub const MOBILE_PREFIXES: &[&str] = &[
    "30", "31", "32", "33", "34", "35", "36", "37", "38", "39", "51", "522", "523", "528", "559", "56", "58", "59",
    "70", "76", "77", "78", "79", "81", "82", "83", "84", "85", "86", "87", "88", "896", "897", "898", "899", "90",
    "91", "92", "93", "94", "95", "96", "97", "98", "990", "991", "993", "994", "995", "996", "997", "998", "999",
];

/// Digits of a mobile number after the leading 0.
pub const NATIONAL_DIGITS: usize = 9;

/// The longest brandname that the rules allow, characters.
#[cfg(test)]
pub const BRANDNAME_MAX_CHARS: usize = 11;

const BRAND_STARTS: &[&str] = &["VAY", "NHADAT", "SHOP", "QC-", "TIN", "VIEC", "KHOE", "SIM", "THE", "GAME"];
const BRAND_ENDS: &[&str] = &["24H", "NHANH", "XANH", "PLUS", "SO1", ".VN", "_HN", " SG", "365"];
/// Short codes look like 8123 or 9123.
const SHORT_CODE_STARTS: &[&str] = &["8", "9"];

/// A mobile number as people write it, such as `0985931054`.
pub fn mobile(random: &mut Random) -> String {
    let prefix = random.pick(MOBILE_PREFIXES);
    let free_digits = NATIONAL_DIGITS.saturating_sub(prefix.len());
    let limit = 10_u64.pow(u32::try_from(free_digits).unwrap_or(0));
    format!("0{prefix}{:0free_digits$}", random.below(limit))
}

/// The same mobile number with the country code, such as `+84985931054`.
pub fn international(mobile: &str) -> String {
    format!("+84{}", mobile.strip_prefix('0').unwrap_or(mobile))
}

/// A brandname of at most 11 characters that is no real one.
pub fn brandname(random: &mut Random) -> String {
    format!("{}{}", random.pick(BRAND_STARTS), random.pick(BRAND_ENDS))
}

/// A short code of four digits.
pub fn short_code(random: &mut Random) -> String {
    format!("{}{:03}", random.pick(SHORT_CODE_STARTS), random.below(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use std::collections::HashSet;

    const DRAWS: u64 = 50_000;

    /// The mobile pattern of the libphonenumber metadata, written out by hand so that it does not share the table
    /// above: `(3\d|7[06-9])\d | 5([1689]\d|2[238]|59) | 8([1-8]\d|9[6-9]) | 9([0-8]\d|9[013-9])`, then six digits.
    fn is_valid_mobile(number: &str) -> bool {
        let [b'0', a, b, c, rest @ ..] = number.as_bytes() else { return false };
        let prefix_is_known = matches!(
            (a, b, c),
            (b'3', _, _)
                | (b'7', b'0' | b'6'..=b'9', _)
                | (b'5', b'1' | b'6' | b'8' | b'9', _)
                | (b'5', b'2', b'2' | b'3' | b'8')
                | (b'5', b'5', b'9')
                | (b'8', b'1'..=b'8', _)
                | (b'8', b'9', b'6'..=b'9')
                | (b'9', b'0'..=b'8', _)
                | (b'9', b'9', b'0' | b'1' | b'3'..=b'9')
        );
        prefix_is_known && rest.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit())
    }

    #[test]
    fn the_checker_knows_good_from_bad() {
        for good in ["0985931054", "0812341213", "0523000000", "0559999999", "0899123456", "0990000000"] {
            assert!(is_valid_mobile(good), "{good}");
        }
        for bad in ["985931054", "09859310541", "0715931054", "0521000000", "0551000000", "0895123456", "0992000000"] {
            assert!(!is_valid_mobile(bad), "{bad}");
        }
    }

    #[test]
    fn every_mobile_number_is_valid_and_every_prefix_is_used() {
        let mut random = Random::new(1, Stream::Reporter, 0);
        let mut numbers = HashSet::new();
        for _ in 0..DRAWS {
            let number = mobile(&mut random);
            assert!(is_valid_mobile(&number), "{number}");
            numbers.insert(number);
        }
        for prefix in MOBILE_PREFIXES {
            assert!(numbers.iter().any(|number| number.get(1..).is_some_and(|digits| digits.starts_with(prefix))));
        }
        assert!(numbers.len() as u64 > DRAWS * 99 / 100, "almost all numbers differ");
    }

    #[test]
    fn a_mobile_number_can_be_written_with_the_country_code() {
        assert_eq!(international("0985931054"), "+84985931054");
    }

    #[test]
    fn brandnames_keep_the_rules_and_short_codes_have_four_digits() {
        let mut random = Random::new(1, Stream::Sender, 0);
        for _ in 0..1_000 {
            let name = brandname(&mut random);
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_. ".contains(&byte);
            assert!(name.len() <= BRANDNAME_MAX_CHARS && name.bytes().all(allowed), "{name}");
            assert!(name.bytes().any(|byte| byte.is_ascii_alphabetic()), "{name}");
            let code = short_code(&mut random);
            assert!(code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        }
    }
}
