//! What a body must be: `Content-Digest` (RFC 9530).

use sha2::{Digest, Sha256, Sha512};

use super::fields::{Item, Member, parse_dictionary};

/// What a signed request says of its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BodyDigest {
    /// Nothing: so there must be none.
    NoBody,
    /// Its digests, at least one.
    Of {
        /// SHA-256.
        sha_256: Option<Vec<u8>>,
        /// SHA-512.
        sha_512: Option<Vec<u8>>,
    },
}

impl BodyDigest {
    /// Reads the field; none when it is malformed or holds neither SHA-256 nor SHA-512. Others are not looked at.
    #[must_use]
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (mut sha_256, mut sha_512) = (None, None);
        for (algorithm, member) in parse_dictionary(field).ok()? {
            let digest = match (algorithm.as_str(), member) {
                ("sha-256" | "sha-512", Member::Item(Item::Bytes(digest))) => digest,
                ("sha-256" | "sha-512", _) => return None,
                _ => continue,
            };
            if algorithm == "sha-256" {
                sha_256 = Some(digest);
            } else {
                sha_512 = Some(digest);
            }
        }
        (sha_256.is_some() || sha_512.is_some()).then_some(Self::Of { sha_256, sha_512 })
    }

    /// Whether it is of this body: each that is given has to be.
    #[must_use]
    pub fn is_of(&self, body: &[u8]) -> bool {
        match self {
            Self::NoBody => body.is_empty(),
            Self::Of { sha_256, sha_512 } => {
                sha_256.as_ref().is_none_or(|digest| Sha256::digest(body).as_slice() == digest.as_slice())
                    && sha_512.as_ref().is_none_or(|digest| Sha512::digest(body).as_slice() == digest.as_slice())
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// RFC 9530, appendix B.1: the content `{"hello": "world"}` and a line feed; and RFC 9421's of the same without.
    const SHA_256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const SHA_512: &str =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    #[test]
    fn the_digests_of_rfc_9530_and_rfc_9421_are_of_their_bodies() {
        let sha_256 = BodyDigest::parse(SHA_256.as_bytes()).unwrap();
        assert!(sha_256.is_of(b"{\"hello\": \"world\"}\n") && !sha_256.is_of(b"{\"hello\": \"world\"}"));
        let sha_512 = BodyDigest::parse(SHA_512.as_bytes()).unwrap();
        assert!(sha_512.is_of(b"{\"hello\": \"world\"}") && !sha_512.is_of(b""));
        let other = format!("md5=:AQI=:, {SHA_512}");
        assert_eq!(BodyDigest::parse(other.as_bytes()), Some(sha_512));
    }

    #[test]
    fn of_two_digests_both_have_to_be_right() {
        let both = BodyDigest::parse(format!("{SHA_256}, {SHA_512}").as_bytes()).unwrap();
        assert!(!both.is_of(b"{\"hello\": \"world\"}\n") && !both.is_of(b"{\"hello\": \"world\"}"));
    }

    #[test]
    fn without_a_digest_there_is_no_body() {
        assert!(BodyDigest::NoBody.is_of(b"") && !BodyDigest::NoBody.is_of(b"x"));
        for none in ["", "md5=:AQI=:", "sha-256=1", "sha-256", "sha-256=:AQI", "SHA-256=:AQI=:"] {
            assert_eq!(BodyDigest::parse(none.as_bytes()), None, "{none}");
        }
    }
}
