//! A carrier that forwards reports: who it is, and which numbers it can vouch for.

use super::msisdn::Msisdn;
use super::vocabulary::Proof;

/// The longest carrier name, bytes.
pub const CARRIER_NAME_MAX_BYTES: usize = 64;

/// Whether `name` can name a carrier: 1-64 of `a-z 0-9 -`, so that it is safe in logs, metrics and file names.
#[must_use]
pub fn is_carrier_name(name: &str) -> bool {
    (1..=CARRIER_NAME_MAX_BYTES).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The numbers a carrier vouches for. Since numbers can be ported, a prefix tells the original carrier only; so the
/// default is [`Attests::Any`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attests {
    /// Every number it sends.
    Any,
    /// Numbers whose E.164 form starts with one of these, each `+` and digits.
    Prefixes(Vec<String>),
}

impl Attests {
    /// Reads `any` or a comma-separated list of E.164 prefixes such as `+8491,+8494`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let prefixes: Vec<String> = text.split(',').map(|prefix| prefix.trim().to_owned()).collect();
        let well_formed = |prefix: &String| {
            prefix
                .strip_prefix('+')
                .is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
        };
        if prefixes.iter().all(well_formed) {
            Ok(Self::Prefixes(prefixes))
        } else {
            Err("write `any`, or E.164 prefixes such as `+8491,+8494`".to_owned())
        }
    }

    /// The form that [`Attests::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Prefixes(prefixes) => prefixes.join(","),
        }
    }

    /// What this carrier's word for the reporter's number is worth.
    #[must_use]
    pub fn proof_of(&self, reporter: Msisdn) -> Proof {
        match self {
            Self::Any => Proof::Carrier,
            Self::Prefixes(prefixes) => {
                let e164 = reporter.e164();
                let attested = prefixes.iter().any(|prefix| e164.as_str().starts_with(prefix.as_str()));
                if attested { Proof::Carrier } else { Proof::Foreign }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attested_prefixes_are_read_and_written_the_same() {
        for text in ["any", "+8491,+8494"] {
            assert_eq!(Attests::parse(text).map(|attests| attests.to_text()).as_deref(), Ok(text));
        }
        for text in ["", "8491", "+", "+84 91", "+8491,", "all"] {
            assert!(Attests::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_outside_the_attested_prefixes_is_kept_as_foreign() {
        let attests = Attests::Prefixes(vec!["+8491".to_owned()]);
        let number = |text| Msisdn::from_e164(text);
        assert_eq!(number("+84912345678").map(|n| attests.proof_of(n)), Some(Proof::Carrier));
        assert_eq!(number("+84985931054").map(|n| attests.proof_of(n)), Some(Proof::Foreign));
    }

    #[test]
    fn a_carrier_name_is_safe_everywhere() {
        assert!(is_carrier_name("vn-mobile-1"));
        for name in ["", "A", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(!is_carrier_name(name), "{name}");
        }
    }
}
