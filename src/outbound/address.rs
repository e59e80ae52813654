//! Where a webhook may go: to the internet, and never into the operator's own network.
//!
//! A receiver's URL is a carrier's word. Followed without care it would let a carrier make the gateway call what only the
//! gateway can reach. So names are resolved here, every address is looked at, and the connection goes to the very address
//! that was looked at: a name that resolves otherwise a moment later changes nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::config::InternalTargets;

/// The longest URL, bytes.
const URL_MAX_BYTES: usize = 2_048;

/// Why a receiver is not called. No address is shown: what a name resolves to inside is not the carrier's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The URL.
    #[error("not a URL of at most 2048 bytes with a host, and without user, password and fragment")]
    BadUrl,
    /// Not https.
    #[error("only https is taken")]
    NotHttps,
    /// The name does not resolve.
    #[error("the name does not resolve")]
    NotFound,
    /// It leads inside.
    #[error("the address is not a public one")]
    Internal,
}

/// Who turns names into addresses.
#[derive(Clone)]
pub enum Resolver {
    /// The system.
    System,
    /// A table, for tests.
    Table(HashMap<String, Vec<IpAddr>>),
}

/// A receiver that may be called.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub url: Url,
    /// With TLS.
    pub is_https: bool,
    port: u16,
}

impl Target {
    /// Reads a URL. Odd spellings of addresses (`0x7f.1`, `2130706433`) become plain ones here.
    ///
    /// # Errors
    /// [`AddressError`]; also for an address that is not public.
    pub fn parse(text: &str, allowed: InternalTargets) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::BadUrl)?;
        let has_login = !url.username().is_empty() || url.password().is_some();
        if text.len() > URL_MAX_BYTES || has_login || url.fragment().is_some() || url.host().is_none() {
            return Err(AddressError::BadUrl);
        }
        let is_https = match url.scheme() {
            "https" => true,
            "http" if allowed == InternalTargets::Loopback => false,
            _ => return Err(AddressError::NotHttps),
        };
        let port = url.port_or_known_default().ok_or(AddressError::BadUrl)?;
        let target = Self { url, is_https, port };
        if let Some(address) = target.literal() {
            check(address, is_https, allowed)?;
        }
        Ok(target)
    }

    fn literal(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Addresses to connect to, every one of them allowed. One that is not spoils all: an honest receiver has none.
    ///
    /// # Errors
    /// [`AddressError`].
    pub async fn resolve(&self, resolver: &Resolver, allowed: InternalTargets) -> Result<Vec<IpAddr>, AddressError> {
        let addresses = match (self.literal(), self.url.host_str(), resolver) {
            (Some(address), _, _) => vec![address],
            (None, Some(name), Resolver::System) => tokio::net::lookup_host((name, self.port))
                .await
                .map_err(|_| AddressError::NotFound)?
                .map(|address| address.ip())
                .collect(),
            (None, Some(name), Resolver::Table(table)) => table.get(name).cloned().unwrap_or_default(),
            (None, None, _) => Vec::new(),
        };
        for address in &addresses {
            check(*address, self.is_https, allowed)?;
        }
        if addresses.is_empty() { Err(AddressError::NotFound) } else { Ok(addresses) }
    }
}

/// Without TLS only to this machine, where it is allowed at all.
fn check(address: IpAddr, is_https: bool, allowed: InternalTargets) -> Result<(), AddressError> {
    let is_allowed_loopback = allowed == InternalTargets::Loopback && address.is_loopback();
    if is_allowed_loopback || (is_https && is_public(address)) { Ok(()) } else { Err(AddressError::Internal) }
}

/// Whether an address is one of the internet's, by the registries of special-purpose addresses.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // this network, private, loopback, link-local (there cloud machines ask for their credentials), private
        [0 | 10 | 127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
        // carriers' NAT, protocol assignments, benchmarks
        | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18 | 19, ..]
        // documentation, and the way to 6to4
        | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _]
        // multicast, reserved, broadcast
        | [224..=255, ..]
    )
}

/// Only 2000::/3 is given out. Outside lie loopback, link-local, unique local, multicast, addresses that hold one of IPv4
/// (mapped, compatible, NAT64), and discard.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_given_out = first & 0xe000 == 0x2000;
    // Teredo, benchmarks, ORCHID and other protocols.
    let is_protocol = first == 0x2001 && second < 0x0200;
    let is_documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    let is_6to4 = first == 0x2002;
    is_given_out && !is_protocol && !is_documentation && !is_6to4
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    const INSIDE: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    const OUTSIDE: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:200::1",
        "2400:cb00::1",
        "2606:4700::1111",
        "2a00::1",
    ];

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in INSIDE {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in OUTSIDE {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    fn parse(text: &str) -> Result<Target, AddressError> {
        Target::parse(text, InternalTargets::None)
    }

    #[test]
    fn an_address_is_recognised_in_whatever_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "127.0.0.1.",
            "１２７.０.０.１",
            "169.254.169.254",
            "[fd00:ec2::254]",
        ] {
            assert_eq!(parse(&format!("https://{host}/hook")).err(), Some(AddressError::Internal), "{host}");
        }
        assert!(parse("https://8.8.8.8/hook").is_ok());
    }

    #[test]
    fn only_https_without_login_and_fragment_is_taken() {
        for (text, error) in [
            ("http://example.com/", AddressError::NotHttps),
            ("ftp://example.com/", AddressError::NotHttps),
            ("file:///etc/passwd", AddressError::BadUrl),
            ("https://user@example.com/", AddressError::BadUrl),
            ("https://user:pass@example.com/", AddressError::BadUrl),
            ("https://example.com/#x", AddressError::BadUrl),
            ("example.com", AddressError::BadUrl),
            ("https://", AddressError::BadUrl),
            (&format!("https://example.com/{}", "x".repeat(2_048)), AddressError::BadUrl),
        ] {
            assert_eq!(parse(text).err(), Some(error), "{text}");
        }
        assert!(parse("https://example.com:8443/hook?x=1").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_with_one_of_its_addresses_is_not_followed() {
        let mut table = HashMap::new();
        for (name, addresses) in [
            ("public.test", &["8.8.8.8", "2606:4700::1"][..]),
            ("private.test", &["10.0.0.1"]),
            ("metadata.test", &["169.254.169.254"]),
            ("mixed.test", &["8.8.8.8", "127.0.0.1"]),
            ("mapped.test", &["::ffff:10.0.0.1"]),
            ("nat64.test", &["64:ff9b::7f00:1"]),
            ("nowhere.test", &[]),
        ] {
            table.insert(name.to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect());
        }
        let resolver = Resolver::Table(table);
        for (name, expected) in [
            ("public.test", None),
            ("private.test", Some(AddressError::Internal)),
            ("metadata.test", Some(AddressError::Internal)),
            ("mixed.test", Some(AddressError::Internal)),
            ("mapped.test", Some(AddressError::Internal)),
            ("nat64.test", Some(AddressError::Internal)),
            ("nowhere.test", Some(AddressError::NotFound)),
        ] {
            let target = parse(&format!("https://{name}/")).unwrap();
            assert_eq!(target.resolve(&resolver, InternalTargets::None).await.err(), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn where_it_is_allowed_this_machine_is_reached_and_nothing_else_inside() {
        let parse = |text| Target::parse(text, InternalTargets::Loopback);
        let resolver = Resolver::Table(HashMap::from([("private.test".to_owned(), vec!["10.0.0.1".parse().unwrap()])]));
        assert!(parse("http://127.0.0.1:8080/").is_ok());
        for inside in ["http://10.0.0.1/", "https://10.0.0.1/", "http://8.8.8.8/"] {
            assert_eq!(parse(inside).err(), Some(AddressError::Internal), "{inside}");
        }
        let target = parse("http://private.test/").unwrap();
        assert_eq!(target.resolve(&resolver, InternalTargets::Loopback).await.err(), Some(AddressError::Internal));
    }
}
