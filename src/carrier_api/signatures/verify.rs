//! Whether a request is signed by one of its carrier's keys (RFC 9421), over enough of it, and not too long ago.
//!
//! What is signed has to say what the request does and to whom: the method, the whole address, the body by its digest, when
//! it was signed, and a nonce. The nonce is claimed by the caller, after this: an unsigned one must not burn it.

use super::base::{Message, signature_base};
use super::digest::BodyDigest;
use super::fields::{Item, Member, Parameters, parse_dictionary};
use crate::crypto::signing::Verifier;

/// How old a signature may be, seconds.
pub const AGE_MAX_S: i64 = 300;
/// How far ahead the signer's clock may be, seconds.
pub const AHEAD_MAX_S: i64 = 60;
/// The longest nonce, bytes.
const NONCE_MAX_BYTES: usize = 128;
/// Signatures of one request that name a key of the carrier's and are looked at. Each costs a computation.
const LOOKED_AT_MAX: usize = 4;

/// A key that a carrier signs with.
#[derive(Clone)]
pub struct SigningKey {
    /// What `keyid` says.
    pub id: String,
    /// What checks.
    pub verifier: Verifier,
}

/// Why a request does not count as signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureFault {
    /// There is none.
    Missing,
    /// The fields cannot be read.
    Malformed,
    /// It covers too little, or what this request does not have.
    Components,
    /// It is too old, from the future, or ran out.
    Expired,
    /// It names no key of this carrier.
    KeyUnknown,
    /// It is not this key's over this request.
    Wrong,
    /// The body has another digest, or none that is known.
    Digest,
}

/// A signature that is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key.
    pub key_id: String,
    /// What makes it the only one.
    pub nonce: String,
    /// What the body must be.
    pub body: BodyDigest,
}

/// Checks the signatures of a request. Those that name no key of `keys` are somebody else's, and of no interest.
///
/// # Errors
/// Of those that do, the fault of the first, when none is right.
pub fn verify(message: &Message<'_>, keys: &[SigningKey], now_s: i64) -> Result<Signed, SignatureFault> {
    let (inputs, signatures) = match (message.field("signature-input"), message.field("signature")) {
        (None, None) => return Err(SignatureFault::Missing),
        (Some(inputs), Some(signatures)) => (inputs, signatures),
        (Some(_), None) | (None, Some(_)) => return Err(SignatureFault::Malformed),
    };
    let inputs = parse_dictionary(&inputs).map_err(|_| SignatureFault::Malformed)?;
    let signatures = parse_dictionary(&signatures).map_err(|_| SignatureFault::Malformed)?;
    let mut fault = None;
    let mut looked_at = 0;
    for (label, member) in &inputs {
        let Member::List { items, parameters } = member else { return Err(SignatureFault::Malformed) };
        let named = text_of(parameters, "keyid");
        let Some(key) = keys.iter().find(|key| named == Some(key.id.as_str())) else { continue };
        let signature = signatures.iter().find(|(other, _)| other == label).map(|(_, signature)| signature);
        let Some(Member::Item(Item::Bytes(signature))) = signature else { return Err(SignatureFault::Malformed) };
        looked_at += 1;
        if looked_at > LOOKED_AT_MAX {
            break;
        }
        match verify_one(message, key, items, parameters, signature, now_s) {
            Ok(signed) => return Ok(signed),
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    Err(fault.unwrap_or(SignatureFault::KeyUnknown))
}

fn verify_one(
    message: &Message<'_>,
    key: &SigningKey,
    components: &[(Item, Parameters)],
    parameters: &Parameters,
    signature: &[u8],
    now_s: i64,
) -> Result<Signed, SignatureFault> {
    let nonce = text_of(parameters, "nonce").filter(|nonce| (1..=NONCE_MAX_BYTES).contains(&nonce.len()));
    let (Some(created), Some(nonce)) = (integer_of(parameters, "created")?, nonce) else {
        return Err(SignatureFault::Components);
    };
    check_coverage(message, components)?;
    let age_s = now_s.saturating_sub(created);
    let has_run_out = integer_of(parameters, "expires")?.is_some_and(|expires| expires <= now_s);
    if !(-AHEAD_MAX_S..=AGE_MAX_S).contains(&age_s) || has_run_out {
        return Err(SignatureFault::Expired);
    }
    // The key decides; `alg` may only agree.
    let algorithm = find(parameters, "alg");
    if algorithm.is_some_and(|named| *named != Item::Text(key.verifier.algorithm().as_str().to_owned())) {
        return Err(SignatureFault::Wrong);
    }
    let base = signature_base(message, components, parameters).ok_or(SignatureFault::Components)?;
    if !key.verifier.is_signature(&base, signature) {
        return Err(SignatureFault::Wrong);
    }
    let body = match message.field("content-digest") {
        Some(field) if covers(components, "content-digest") => {
            BodyDigest::parse(&field).ok_or(SignatureFault::Digest)?
        }
        Some(_) | None => BodyDigest::NoBody,
    };
    Ok(Signed { key_id: key.id.clone(), nonce: nonce.to_owned(), body })
}

/// The method; the address, whole or in its parts; the digest when there is a body.
fn check_coverage(message: &Message<'_>, components: &[(Item, Parameters)]) -> Result<(), SignatureFault> {
    let all = |names: &[&str]| names.iter().all(|name| covers(components, name));
    let address = all(&["@target-uri"])
        || all(&["@authority", "@request-target"])
        || all(&["@authority", "@path", "@query"])
        || message.query.is_none() && all(&["@authority", "@path"]);
    let body = !message.has_body() || all(&["content-digest"]);
    if all(&["@method"]) && address && body { Ok(()) } else { Err(SignatureFault::Components) }
}

fn covers(components: &[(Item, Parameters)], name: &str) -> bool {
    components.iter().any(|(item, parameters)| {
        parameters.is_empty() && matches!(item, Item::Text(component) if component.as_str() == name)
    })
}

fn find<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a Item> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn text_of<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    match find(parameters, name)? {
        Item::Text(text) => Some(text),
        Item::Integer(_) | Item::Token(_) | Item::Bytes(_) | Item::Boolean(_) => None,
    }
}

fn integer_of(parameters: &Parameters, name: &str) -> Result<Option<i64>, SignatureFault> {
    match find(parameters, name) {
        None => Ok(None),
        Some(Item::Integer(number)) => Ok(Some(*number)),
        Some(Item::Text(_) | Item::Token(_) | Item::Bytes(_) | Item::Boolean(_)) => Err(SignatureFault::Malformed),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;
    use zeroize::Zeroizing;

    use super::super::base::tests::{fields_of_the_rfc, request_of_the_rfc};
    use super::*;

    /// `test-shared-secret` of RFC 9421, appendix B.1.5.
    const SHARED_SECRET: &str =
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    /// `test-key-ed25519`, appendix B.1.4.
    const ED25519_PUBLIC: &str = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
    const SIGNATURE_B_2_5: &str = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=";
    const SIGNATURE_B_2_6: &str =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    const NOW_S: i64 = 1_618_884_473;
    const FULL: &str = r#"("@method" "@target-uri" "content-digest")"#;

    fn hmac_key() -> SigningKey {
        let secret = Zeroizing::new(STANDARD.decode(SHARED_SECRET).unwrap());
        SigningKey { id: "hmac".to_owned(), verifier: Verifier::HmacSha256(secret) }
    }

    fn base_of(input: &str, headers: &HeaderMap) -> Vec<u8> {
        let (_, member) = parse_dictionary(input.as_bytes()).unwrap().pop().unwrap();
        let Member::List { items, parameters } = member else { panic!("no list: {input}") };
        signature_base(&request_of_the_rfc(headers), &items, &parameters).unwrap_or_default()
    }

    #[test]
    fn the_signatures_of_rfc_9421_b_2_5_and_b_2_6_are_right_and_changed_ones_are_not() {
        let ed25519 = Verifier::Ed25519(STANDARD.decode(ED25519_PUBLIC).unwrap().try_into().unwrap());
        let headers = fields_of_the_rfc();
        for (input, verifier, signature) in [
            (
                r#"s=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
                hmac_key().verifier,
                SIGNATURE_B_2_5,
            ),
            (
                r#"s=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
                ed25519,
                SIGNATURE_B_2_6,
            ),
        ] {
            let base = base_of(input, &headers);
            let mut signature = STANDARD.decode(signature).unwrap();
            assert!(verifier.is_signature(&base, &signature), "{input}");
            assert!(!verifier.is_signature(&base[1..], &signature), "{input}");
            for index in 0..signature.len() {
                signature[index] ^= 4;
                assert!(!verifier.is_signature(&base, &signature), "{input}: byte {index}");
                signature[index] ^= 4;
            }
            assert!(!verifier.is_signature(&base, &signature[1..]) && !verifier.is_signature(&base, &[]));
        }
    }

    /// The request of the RFC, signed by the shared secret under this text.
    fn signed(input: &str) -> HeaderMap {
        let mut headers = fields_of_the_rfc();
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&STANDARD.decode(SHARED_SECRET).unwrap()).unwrap();
        let signature = mac.chain_update(base_of(&format!("s={input}"), &headers)).finalize().into_bytes();
        add(&mut headers, "signature-input", &format!("s={input}"));
        add(&mut headers, "signature", &format!("s=:{}:", STANDARD.encode(signature)));
        headers
    }

    fn add(headers: &mut HeaderMap, name: &'static str, value: &str) {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    fn fault_of(headers: &HeaderMap) -> Option<SignatureFault> {
        verify(&request_of_the_rfc(headers), &[hmac_key()], NOW_S).err()
    }

    fn full(created: i64, rest: &str) -> String {
        format!(r#"{FULL};created={created};keyid="hmac";nonce="n"{rest}"#)
    }

    #[test]
    fn a_signature_over_enough_is_right() {
        for components in [
            FULL,
            r#"("@method" "@authority" "@path" "@query" "content-digest")"#,
            r#"("content-digest" "@request-target" "@authority" "@method" "date")"#,
        ] {
            let headers = signed(&format!(r#"{components};created={NOW_S};keyid="hmac";nonce="n""#));
            let found = verify(&request_of_the_rfc(&headers), &[hmac_key()], NOW_S).unwrap();
            assert_eq!((found.key_id.as_str(), found.nonce.as_str()), ("hmac", "n"));
            assert!(found.body.is_of(br#"{"hello": "world"}"#) && !found.body.is_of(br#"{"hello": "World"}"#));
        }
    }

    #[test]
    fn a_signature_over_too_little_is_not() {
        for components in [
            r#"()"#,
            r#"("@target-uri" "content-digest")"#,
            r#"("@method" "content-digest")"#,
            r#"("@method" "@path" "@query" "content-digest")"#,
            r#"("@method" "@authority" "@path" "content-digest")"#,
            r#"("@method" "@target-uri")"#,
            r#"("@method" "@target-uri" "content-digest";sf)"#,
            r#"("@method" "@target-uri" "content-digest" "x-missing")"#,
            r#"("@method" "@method" "@target-uri" "content-digest")"#,
        ] {
            let headers = signed(&format!(r#"{components};created={NOW_S};keyid="hmac";nonce="n""#));
            assert_eq!(fault_of(&headers), Some(SignatureFault::Components), "{components}");
        }
        for parameters in [r#"keyid="hmac";nonce="n""#, r#"created=1618884473;keyid="hmac""#] {
            let headers = signed(&format!("{FULL};{parameters}"));
            assert_eq!(fault_of(&headers), Some(SignatureFault::Components), "{parameters}");
        }
        for nonce in [String::new(), "n".repeat(129)] {
            let headers = signed(&format!(r#"{FULL};created={NOW_S};keyid="hmac";nonce="{nonce}""#));
            assert_eq!(fault_of(&headers), Some(SignatureFault::Components), "{} bytes", nonce.len());
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_and_for_clocks_one_minute_ahead() {
        for (created, rest, fault) in [
            (NOW_S - AGE_MAX_S, String::new(), None),
            (NOW_S - AGE_MAX_S - 1, String::new(), Some(SignatureFault::Expired)),
            (NOW_S + AHEAD_MAX_S, String::new(), None),
            (NOW_S + AHEAD_MAX_S + 1, String::new(), Some(SignatureFault::Expired)),
            (NOW_S, format!(";expires={}", NOW_S + 1), None),
            (NOW_S, format!(";expires={NOW_S}"), Some(SignatureFault::Expired)),
            (-999_999_999_999_999, String::new(), Some(SignatureFault::Expired)),
        ] {
            assert_eq!(fault_of(&signed(&full(created, &rest))), fault, "{created}{rest}");
        }
    }

    #[test]
    fn the_key_says_the_algorithm() {
        assert_eq!(fault_of(&signed(&full(NOW_S, r#";alg="hmac-sha256""#))), None);
        for other in [r#";alg="ed25519""#, ";alg=hmac-sha256", r#";alg="none""#] {
            assert_eq!(fault_of(&signed(&full(NOW_S, other))), Some(SignatureFault::Wrong), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_malformed_and_what_is_not_there_missing() {
        assert_eq!(fault_of(&fields_of_the_rfc()), Some(SignatureFault::Missing));
        for (input, signature) in [
            (Some("s=()"), None),
            (None, Some("s=:AQI=:")),
            (Some("s=("), Some("s=:AQI=:")),
            (Some("s=1"), Some("s=:AQI=:")),
            (Some(r#"s=();keyid="hmac""#), Some("s=1")),
            (Some(r#"s=();keyid="hmac""#), Some("t=:AQI=:")),
            (Some(r#"s=();keyid="hmac";created="now";nonce="n""#), Some("s=:AQI=:")),
        ] {
            let mut headers = fields_of_the_rfc();
            for (name, value) in [("signature-input", input), ("signature", signature)] {
                if let Some(value) = value {
                    add(&mut headers, name, value);
                }
            }
            assert_eq!(fault_of(&headers), Some(SignatureFault::Malformed), "{input:?} {signature:?}");
        }
    }

    #[test]
    fn of_several_signatures_one_of_our_key_that_is_right_is_enough() {
        let mut headers = signed(&full(NOW_S, ""));
        add(&mut headers, "signature-input", r#"proxy=("@method");created=1;keyid="another""#);
        add(&mut headers, "signature", "proxy=:AQI=:");
        assert_eq!(fault_of(&headers), None);
        add(&mut headers, "signature-input", &format!("a={}", full(NOW_S, "")));
        add(&mut headers, "signature", "a=:AQI=:");
        assert_eq!(fault_of(&headers), None);
        let mut headers = fields_of_the_rfc();
        add(&mut headers, "signature-input", r#"proxy=("@method");created=1;keyid="another""#);
        add(&mut headers, "signature", "proxy=:AQI=:");
        assert_eq!(fault_of(&headers), Some(SignatureFault::KeyUnknown));
    }

    #[test]
    fn a_digest_of_no_known_algorithm_is_none() {
        let mut headers = fields_of_the_rfc();
        headers.insert(HeaderName::from_static("content-digest"), HeaderValue::from_static("md5=:AQI=:"));
        let input = format!("s={}", full(NOW_S, ""));
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&STANDARD.decode(SHARED_SECRET).unwrap()).unwrap();
        let signature = mac.chain_update(base_of(&input, &headers)).finalize().into_bytes();
        add(&mut headers, "signature-input", &input);
        add(&mut headers, "signature", &format!("s=:{}:", STANDARD.encode(signature)));
        assert_eq!(fault_of(&headers), Some(SignatureFault::Digest));
    }
}
