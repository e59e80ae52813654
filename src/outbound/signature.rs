//! Standard Webhooks: how a message is signed, and when it is tried again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::clock::MICROS_PER_SECOND;

/// First letters of a secret, so that leaked ones can be searched for.
const SECRET_PREFIX: &str = "whsec_";
/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// How long after each failed attempt the next follows, seconds. After the last there is none.
const RETRY_AFTER_S: &[i64] =
    &[5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 14 * 3_600, 20 * 3_600, 24 * 3_600];
/// Waits differ by up to a tenth, so that what failed together does not come back together.
const JITTER_PER_MILLE: i64 = 100;

/// A secret as a receiver configures it.
#[must_use]
pub fn secret_to_text(secret: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(secret)))
}

/// The header `webhook-signature` of a message: one signature for each secret that is good.
#[must_use]
pub fn sign(secrets: &[&[u8]], id: &str, timestamp_s: i64, body: &str) -> String {
    let signatures = secrets.iter().filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// How long after the `attempts`th attempt the next one follows, microseconds; none when it was the last. The same for the
/// same message and attempt.
#[must_use]
pub fn wait_after(attempts: i32, webhook: &[u8], event: &[u8]) -> Option<i64> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let wait_s = RETRY_AFTER_S.get(index)?;
    let digest =
        Sha256::new().chain_update(webhook).chain_update(event).chain_update(attempts.to_be_bytes()).finalize();
    let drawn = digest.iter().take(2).fold(0_i64, |drawn, byte| drawn << 8 | i64::from(*byte));
    let per_mille = 1_000 - JITTER_PER_MILLE + drawn % (2 * JITTER_PER_MILLE + 1);
    Some(wait_s * MICROS_PER_SECOND / 1_000 * per_mille)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_standard_shows() {
        // The example of the specification's reference libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(&[&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both =
            sign(&[&secret, b"another"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.starts_with(&signed));
        assert_eq!(secret_to_text(&secret).as_str(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn waits_grow_from_seconds_to_a_day_and_end() {
        let nominal = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for (attempt, seconds) in (1..).zip(nominal) {
            let wait = wait_after(attempt, b"webhook", b"event").unwrap();
            let off = (wait - seconds * MICROS_PER_SECOND).abs();
            assert!(off <= seconds * MICROS_PER_SECOND / 10, "{attempt}: {wait}");
            assert_eq!(wait_after(attempt, b"webhook", b"event"), Some(wait));
        }
        assert_eq!(wait_after(10, b"webhook", b"event"), None);
        assert_ne!(wait_after(9, b"webhook", b"event"), wait_after(9, b"webhook", b"other"));
    }
}
