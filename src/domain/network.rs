//! Networks of addresses, as operators write them: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All addresses with the same first bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// Why a text names no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetworkError {
    /// Not an address.
    #[error("write a network as `192.0.2.0/24` or `2001:db8::/32`, or one address")]
    Form,
    /// More bits than an address has.
    #[error("a network has at most 32 bits (IPv4) or 128 bits (IPv6)")]
    TooManyBits,
    /// Bits are set behind the network's: most likely a typing error.
    #[error("the address must be the first of its network: no bits may be set behind the slash's")]
    NotFirst,
}

/// What one customer of an internet provider has at least: an IPv4 address, or a /64.
#[must_use]
pub fn customer_of(address: IpAddr) -> Vec<u8> {
    first_bytes(address, 4, 8)
}

/// How many customers of one site may together do as much as each may: a provider hands out its addresses in sites.
pub const CUSTOMERS_PER_SITE: u32 = 16;

/// What one site has, and whoever rents many addresses: 256 of IPv4, or a /48.
#[must_use]
pub fn site_of(address: IpAddr) -> Vec<u8> {
    first_bytes(address, 3, 6)
}

fn first_bytes(address: IpAddr, of_ipv4: usize, of_ipv6: usize) -> Vec<u8> {
    let first = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().get(..of_ipv4).map(<[u8]>::to_vec),
        IpAddr::V6(address) => address.octets().get(..of_ipv6).map(<[u8]>::to_vec),
    };
    first.unwrap_or_default()
}

impl Network {
    /// Whether the address is in it. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => first.to_bits() == address.to_bits() & mask_32(self.bits),
            (IpAddr::V6(first), IpAddr::V6(address)) => first.to_bits() == address.to_bits() & mask_128(self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn mask_32(bits: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(bits))).unwrap_or(0)
}

fn mask_128(bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(bits))).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        // `::ffff:0:0/96` and its parts would be another spelling of IPv4 networks, with other lengths.
        if first.to_canonical() != first {
            return Err(NetworkError::Form);
        }
        let bits_max = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => bits_max,
            Some(digits) if (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u16>().ok().and_then(|bits| u8::try_from(bits).ok()).ok_or(NetworkError::TooManyBits)?
            }
            Some(_) => return Err(NetworkError::Form),
        };
        if bits > bits_max {
            return Err(NetworkError::TooManyBits);
        }
        let network = Self { first, bits };
        if network.contains(first) { Ok(network) } else { Err(NetworkError::NotFirst) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: NetworkError| D::Error::custom(format!("`{text}`: {error}")))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_the_networks_that_share_its_first_bits() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:192.0.3.9"),
        ] {
            assert!(network(text).contains(inside.parse().unwrap()), "{inside} in {text}");
            assert!(!network(text).contains(outside.parse().unwrap()), "{outside} not in {text}");
        }
    }

    #[test]
    fn what_names_no_network_is_refused() {
        for (text, error) in [
            ("", NetworkError::Form),
            ("proxy.example", NetworkError::Form),
            ("192.0.2.0/", NetworkError::Form),
            ("192.0.2.0/+8", NetworkError::Form),
            ("192.0.2.0/0x8", NetworkError::Form),
            ("192.0.2/24", NetworkError::Form),
            ("192.0.2.0/24/8", NetworkError::Form),
            ("::ffff:192.0.2.0/120", NetworkError::Form),
            ("192.0.2.0/33", NetworkError::TooManyBits),
            ("::/129", NetworkError::TooManyBits),
            ("::/999", NetworkError::TooManyBits),
            ("192.0.2.1/24", NetworkError::NotFirst),
            ("2001:db8::1/64", NetworkError::NotFirst),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }

    #[test]
    fn it_is_shown_as_it_is_read() {
        for text in ["192.0.2.0/24", "2001:db8::/32"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.7").to_string(), "192.0.2.7/32");
    }
}
