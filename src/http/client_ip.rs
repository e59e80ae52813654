//! Who is at the other end: the address that the last proxy we trust saw.
//!
//! Anyone can send `X-Forwarded-For`. It is believed only from a peer in `server.trusted_proxies`, and read from the
//! right, because each proxy appends the address it saw: the first address from the right that is not a trusted proxy
//! is the client. Whatever a client wrote itself stands to the left of that and is never looked at.
//! `Forwarded` (RFC 7239) is ignored: with two headers for one thing, a proxy that sets one lets a client forge the other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::domain::network::Network;

/// No chain of proxies is longer; what stands further left is not read.
const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that sent `request`. An IPv4 address that came as IPv6 is shown as IPv4. When a trusted
/// proxy sent nothing that can be read (`unknown`, a name, nothing), it is that proxy's own address.
#[must_use]
pub fn client_ip(request: &HttpRequest, trusted: &[Network]) -> IpAddr {
    // A connection always has a peer; the address that nobody has is in no list.
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    behind(peer, request.headers(), trusted)
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(nearest) {
        return nearest;
    }
    // Several headers are one list, in their order.
    let lists: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).map(|value| value.as_bytes()).collect();
    let from_the_right = lists.iter().rev().flat_map(|list| list.rsplit(|byte| *byte == b','));
    for hop in from_the_right.take(HOPS_MAX) {
        let Some(address) = parse_hop(hop) else { return nearest };
        nearest = address;
        if !is_trusted(nearest) {
            return nearest;
        }
    }
    nearest
}

/// `192.0.2.1`, `2001:db8::1`, each also with a port, IPv6 also in brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TRUSTED: [&str; 2] = ["10.0.0.0/8", "2001:db8:1::/48"];

    fn seen(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted: Vec<Network> = TRUSTED.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_says() {
        for peer in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(seen(peer, &[b"198.51.100.7"]), "192.0.2.1");
            assert_eq!(seen(peer, &[]), "192.0.2.1");
        }
    }

    #[test]
    fn the_first_untrusted_address_from_the_right_is_the_client() {
        for forwarded in [
            &b"198.51.100.7"[..],
            b"203.0.113.9, 198.51.100.7",
            b"forged, 10.9.9.9 , 198.51.100.7,10.0.0.2",
            b"198.51.100.7:4711",
            b"::ffff:198.51.100.7",
            b"[::ffff:198.51.100.7]:80, 2001:db8:1::5",
            b"\t198.51.100.7 ",
        ] {
            assert_eq!(seen("10.0.0.1", &[forwarded]), "198.51.100.7", "{}", String::from_utf8_lossy(forwarded));
        }
        for forwarded in [&b"2001:db8:2::7"[..], b"[2001:db8:2::7]", b"[2001:db8:2::7]:443"] {
            assert_eq!(seen("2001:db8:1::1", &[forwarded]), "2001:db8:2::7");
        }
        assert_eq!(seen("::ffff:10.0.0.1", &[b"198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn several_headers_are_one_list() {
        assert_eq!(seen("10.0.0.1", &[b"203.0.113.9", b"198.51.100.7, 10.0.0.3"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &[b"198.51.100.7", b"10.0.0.3"]), "198.51.100.7");
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk_at_the_last_proxy() {
        for unreadable in
            [&b"unknown"[..], b"_hidden", b"", b"[198.51.100.7]", b"198.51.100.7:port", b"198.51.100.7.", b"\xff", b"1"]
        {
            assert_eq!(seen("10.0.0.1", &[unreadable]), "10.0.0.1");
            let behind_another = [b"203.0.113.9, ", unreadable, b", 10.0.0.2"].concat();
            assert_eq!(seen("10.0.0.1", &[&behind_another]), "10.0.0.2");
        }
    }

    #[test]
    fn a_request_of_a_proxy_itself_and_an_endless_chain_end_at_a_proxy() {
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[b"10.0.0.9, 10.0.0.8"]), "10.0.0.9");
        let chain = ["203.0.113.9"].into_iter().chain(std::iter::repeat_n("10.0.0.5", 500)).collect::<Vec<_>>();
        assert_eq!(seen("10.0.0.1", &[chain.join(",").as_bytes()]), "10.0.0.5");
    }
}
