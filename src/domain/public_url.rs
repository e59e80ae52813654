//! How callers reach the gateway, as far as a signature names it: scheme and authority.

use std::fmt;

/// The longest URL taken, bytes.
const URL_MAX_BYTES: usize = 256;

/// Scheme and authority, in the one form that signatures use (RFC 9421, sections 2.2.3 and 2.2.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicUrl {
    scheme: &'static str,
    authority: String,
}

impl PublicUrl {
    /// Reads `https://host` or `http://host:port`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refusal = || "write `https://` and the host by which carriers reach the gateway, without a path".to_owned();
        let (scheme, host) = text.split_once("://").ok_or_else(refusal)?;
        let scheme = ["https", "http"].into_iter().find(|known| *known == scheme).ok_or_else(refusal)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || text.len() > URL_MAX_BYTES || !host.bytes().all(is_of_host) {
            return Err(refusal());
        }
        Ok(Self { scheme, authority: authority_of(host, scheme) })
    }

    /// What a connection without TLS shows: `http`, and the field `Host`.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        Self { scheme: "http", authority: authority_of(host, "http") }
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Host in small letters, and the port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

fn authority_of(host: &str, scheme: &str) -> String {
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.to_ascii_lowercase();
    // Within brackets, `:80` is the end of an address.
    host.strip_suffix(port).filter(|bare| !bare.contains(':') || bare.ends_with(']')).unwrap_or(&host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_scheme_is_left_out_and_letters_are_small() {
        for (text, shown) in [
            ("https://Gate.Example", "https://gate.example"),
            ("https://gate.example:443/", "https://gate.example"),
            ("https://gate.example:80", "https://gate.example:80"),
            ("http://gate.example:80", "http://gate.example"),
            ("http://[2001:db8::80]:80", "http://[2001:db8::80]"),
            ("http://[2001:db8::80]", "http://[2001:db8::80]"),
        ] {
            assert_eq!(PublicUrl::parse(text).map(|url| url.to_string()).as_deref(), Ok(shown), "{text}");
        }
        assert_eq!(PublicUrl::of_host("Gate.example:80").to_string(), "http://gate.example");
    }

    #[test]
    fn what_is_no_scheme_and_host_is_refused() {
        for text in ["", "gate.example", "ftp://gate.example", "https://", "https://gate.example/v1", "https://a@b"] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }
}
