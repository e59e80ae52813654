//! What may be done once, or a few times: counted in the fast state under keyed names.

use std::net::IpAddr;

use super::Visit;

/// How long a claim holds, seconds: longer than any page.
const CLAIM_KEPT_S: i64 = 24 * 60 * 60;
/// Times that a count is read again because somebody else changed it in between.
const COUNT_READS: usize = 4;

/// Claims something that may be done once; false when it was done, or that cannot be known.
pub async fn claim_once(visit: &Visit<'_>, purpose: &str, parts: &[u8]) -> bool {
    count(visit, purpose, parts, 1).await == Some(true)
}

/// Counts one try of at most `max` in a day; false when there were as many, none when that cannot be known.
pub async fn count(visit: &Visit<'_>, purpose: &str, parts: &[u8], max: u8) -> Option<bool> {
    let fast = &visit.app.intake.fast;
    let key = visit.app.intake.keys.citizen_tag::<16>(purpose, &[parts]);
    for _ in 0..COUNT_READS {
        let before = fast.find_question(&key).await.ok()?.unwrap_or_default();
        let tries = before.first().copied().unwrap_or(0);
        if tries >= max {
            return Some(false);
        }
        if fast.replace_question(&key, &before, vec![tries.saturating_add(1)], CLAIM_KEPT_S).await.ok()? {
            return Some(true);
        }
    }
    None
}

/// Whether so many were counted already; none when that cannot be known.
pub async fn is_used_up(visit: &Visit<'_>, purpose: &str, parts: &[u8], max: u8) -> Option<bool> {
    let key = visit.app.intake.keys.citizen_tag::<16>(purpose, &[parts]);
    let counted = visit.app.intake.fast.find_question(&key).await.ok()?.unwrap_or_default();
    Some(counted.first().copied().unwrap_or(0) >= max)
}

/// Whoever comes from one address: for IPv6 one /64, which is one household.
#[must_use]
pub fn client_of(visit: &Visit<'_>) -> Vec<u8> {
    match visit.client {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().get(..8).unwrap_or_default().to_vec(),
    }
}
