//! A carrier that forwards reports: who it is, which numbers it can vouch for, and what it may call from where.

use std::fmt;
use std::net::IpAddr;

use super::msisdn::Msisdn;
use super::network::Network;
use super::vocabulary::Proof;

/// The longest carrier name, bytes.
pub const CARRIER_NAME_MAX_BYTES: usize = 64;

/// The most networks a carrier may have: each request is compared with all of them.
pub const NETWORKS_MAX: usize = 64;

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

/// What a carrier may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Send reports and look at its own.
    Report,
    /// Forward what subscribers sent to a short code.
    Mo,
    /// Read what was decided about its own numbers, and answer requests of the authority.
    Feed,
    /// Read what was decided about all senders.
    FeedAll,
    /// Have codes sent to numbers, and checked.
    Verify,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Report, Self::Mo, Self::Feed, Self::FeedAll, Self::Verify];

    /// The word of settings, database and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Mo => "mo",
            Self::Feed => "feed",
            Self::FeedAll => "feed_all",
            Self::Verify => "verify",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Report => 1,
            Self::Mo => 2,
            Self::Feed => 4,
            // Who may read all may read its own.
            Self::FeedAll => 8 | Self::Feed.bit(),
            Self::Verify => 16,
        }
    }
}

/// A set of [`Scope`], at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scopes(u8);

impl Scopes {
    /// Reports alone.
    pub const REPORT: Self = Self(Scope::Report.bit());
    /// What the carrier of the first start may do, with which an operator tries things out: all but to read about other
    /// carriers' senders and to have SMS sent.
    pub const FIRST_CARRIER: Self = Self(Scope::Report.bit() | Scope::Mo.bit() | Scope::Feed.bit());

    /// Whether the scope is in it. `feed_all` brings `feed` with it.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() == scope.bit()
    }

    /// Reads words with commas, such as `report,mo`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut bits = 0;
        for word in text.split(',').map(str::trim) {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            bits |= scope.ok_or("write some of `report`, `mo`, `feed`, `feed_all` and `verify`, with commas")?.bit();
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for Scopes {
    /// The form that [`Scopes::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let implied = |scope| scope == Scope::Feed && self.has(Scope::FeedAll);
        let mut before = "";
        for scope in Scope::ALL.into_iter().filter(|scope| self.has(*scope) && !implied(*scope)) {
            write!(f, "{before}{}", scope.as_str())?;
            before = ",";
        }
        Ok(())
    }
}

/// From where a carrier may call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Addresses {
    /// From anywhere.
    Any,
    /// From these networks.
    Networks(Vec<Network>),
}

impl Addresses {
    /// Reads `any`, or networks with commas such as `192.0.2.0/24,2001:db8::/32`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let networks: Vec<&str> = text.split(',').map(str::trim).collect();
        if networks.len() > NETWORKS_MAX {
            return Err(format!("at most {NETWORKS_MAX} networks"));
        }
        let parsed: Result<Vec<Network>, _> = networks.into_iter().map(str::parse).collect();
        parsed.map(Self::Networks).map_err(|error| format!("write `any`, or networks with commas: {error}"))
    }

    /// Whether one may call from this address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

impl fmt::Display for Addresses {
    /// The form that [`Addresses::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Networks(networks) => {
                let mut before = "";
                for network in networks {
                    write!(f, "{before}{network}")?;
                    before = ",";
                }
                Ok(())
            }
        }
    }
}

/// Whether a carrier signs its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signatures {
    /// It may. A signature by one of its keys has to be right all the same.
    Optional,
    /// It has to.
    Required,
}

impl Signatures {
    /// The word of settings and database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }

    /// Reads that word.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(word: &str) -> Result<Self, String> {
        let known = [Self::Optional, Self::Required].into_iter().find(|known| known.as_str() == word);
        known.ok_or_else(|| "write `optional` or `required`".to_owned())
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

    #[test]
    fn scopes_are_shown_as_they_are_read_and_feed_all_brings_feed() {
        for text in ["report", "report,mo", "mo,feed", "report,mo,feed_all", "report,verify", "verify"] {
            assert_eq!(Scopes::parse(text).map(|scopes| scopes.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Scopes::FIRST_CARRIER.to_string(), "report,mo,feed");
        let has = |text: &str, scope| Scopes::parse(text).is_ok_and(|scopes| scopes.has(scope));
        assert!(has("feed_all", Scope::Feed) && has("feed, report", Scope::Report));
        assert!(!has("feed", Scope::FeedAll) && !has("report", Scope::Mo) && !has("mo", Scope::Report));
        for text in ["", "any", "Report", "report,", "report;mo", "feedall"] {
            assert!(Scopes::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_shown_as_they_are_read() {
        for text in ["any", "192.0.2.0/24", "192.0.2.0/24,2001:db8::/32"] {
            assert_eq!(Addresses::parse(text).map(|addresses| addresses.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "any,192.0.2.0/24", "192.0.2.1/24", "192.0.2.0/24,", &["192.0.2.0/24"; 65].join(",")] {
            assert!(Addresses::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_allowed_when_one_of_the_networks_holds_it() {
        let allow = |text: &str, address: &str| {
            Addresses::parse(text).is_ok_and(|networks| address.parse().is_ok_and(|address| networks.allow(address)))
        };
        assert!(allow("any", "203.0.113.1"));
        assert!(allow("198.51.100.0/24,192.0.2.0/24", "192.0.2.1"));
        assert!(allow("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!allow("192.0.2.0/24", "192.0.3.1"));
        assert!(!allow("2001:db8::/32", "192.0.2.1"));
    }
}
