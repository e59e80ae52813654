//! Keys in Redis: `prefix:{hhhh}`, a kind, and bytes that are as good as random.
//!
//! What stands in the braces chooses the slot of a Cluster. The marker of a report stands in the value of its reporter, so
//! that one look and two writes serve both.
//!
//! A consequence: the marker of a report id is looked for with the reporter who sends it now. A report id used again
//! for another reporter is therefore not found in Redis, but by the builder, as a conflict.

use super::super::Probe;

/// Slots of a Cluster.
const SLOTS: u16 = 16_384;
/// Groups of neighbouring slots that are looked after together: a node owns long runs of slots, so a node that fails
/// takes its groups with it and leaves the others alone.
pub(super) const SLOT_GROUPS: usize = 16;

/// Makes the keys of one gateway.
#[derive(Clone)]
pub(super) struct Keys {
    prefix: String,
}

/// The part of a key that chooses its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotTag(u16);

impl SlotTag {
    /// The tag of all counts of SMS and of tries: one script looks at several of them. Each costs its maker an SMS, a proof
    /// of work or a request of the few that an address and its neighbours have.
    pub(super) const COUNTS: Self = Self(0x5e4d);

    /// The tag of a reporter. The quota key is made of a MAC, so all tags are as likely.
    pub(super) fn of(probe: &Probe) -> Self {
        Self::of_reporter(&probe.quota_key)
    }

    /// The same from the reporter's key alone.
    pub(super) fn of_reporter(key: &[u8; 16]) -> Self {
        let [first, second, ..] = *key;
        Self(u16::from_be_bytes([first, second]))
    }

    /// The tag of a nonce, whose name is a MAC as well.
    pub(super) const fn of_nonce(nonce: &[u8; 16]) -> Self {
        let [first, second, ..] = *nonce;
        Self(u16::from_be_bytes([first, second]))
    }

    /// The tag of a carrier: from the end of its UUID, which begins with the time it was made at.
    pub(super) const fn of_carrier(carrier: &[u8; 16]) -> Self {
        let [.., second_last, last] = *carrier;
        Self(u16::from_be_bytes([second_last, last]))
    }

    fn digits(self) -> [u8; 4] {
        let digit = |shift: u16| b"0123456789abcdef".get(usize::from(self.0 >> shift & 0xf)).copied().unwrap_or(b'0');
        [digit(12), digit(8), digit(4), digit(0)]
    }

    /// The slot that a Cluster puts it into.
    fn slot(self) -> u16 {
        crc16(&self.digits()) % SLOTS
    }

    /// The group of its slot.
    pub(super) fn group(self) -> usize {
        usize::from(self.slot()) * SLOT_GROUPS / usize::from(SLOTS)
    }
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The key of the reporter: of the quota, and of the reports. There are many of these: with one letter and 12 bytes they
    /// take 16 bytes less of Redis, each.
    pub(super) fn reporter(&self, probe: &Probe) -> Vec<u8> {
        let [_, _, _, _, name @ ..] = &probe.quota_key;
        self.key(SlotTag::of(probe), b"r", name)
    }

    /// The key of the question to a reporter.
    pub(super) fn question(&self, reporter: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::of_reporter(reporter), b":asked:", reporter)
    }

    /// The key of a nonce that was seen.
    pub(super) fn nonce(&self, nonce: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::of_nonce(nonce), b":nonce:", nonce)
    }

    /// The key of a carrier's limit.
    pub(super) fn carrier(&self, carrier: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::of_carrier(carrier), b":carrier:", carrier)
    }

    /// The key of a code that was sent.
    pub(super) fn code(&self, code: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::of_reporter(code), b":code:", code)
    }

    /// The key of the wrong tries at it.
    pub(super) fn tries(&self, code: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::of_reporter(code), b":tries:", code)
    }

    /// The key of a count.
    pub(super) fn count(&self, name: &[u8; 16]) -> Vec<u8> {
        self.key(SlotTag::COUNTS, b":count:", name)
    }

    /// For each group of slots a key that lies in it, to find out whether one can write there.
    pub(super) fn checks(&self) -> Vec<Vec<u8>> {
        let tags = |group| (0..=u16::MAX).map(SlotTag).find(|tag| tag.group() == group);
        (0..SLOT_GROUPS).filter_map(tags).map(|tag| self.key(tag, b":check", b"")).collect()
    }

    fn key(&self, tag: SlotTag, kind: &[u8], rest: &[u8]) -> Vec<u8> {
        let digits = tag.digits();
        let parts: [&[u8]; 6] = [self.prefix.as_bytes(), b":{", &digits, b"}", kind, rest];
        parts.concat()
    }
}

/// The checksum that Redis Cluster hashes keys with: CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Moment;
    use crate::domain::report::ReportId;

    #[test]
    fn slots_are_those_of_redis() {
        // The value that Redis's own documentation gives.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // `CLUSTER KEYSLOT "{1a2b}"`
        assert_eq!(SlotTag(0x1a2b).slot(), 6421);
    }

    #[test]
    fn a_reporter_has_the_slot_of_its_first_bytes() {
        let mut quota_key = [7; 16];
        (quota_key[0], quota_key[1]) = (0x0a, 0xbc);
        let probe = Probe {
            id: ReportId::from_mac([1; 16]),
            store_mark: [2; 8],
            body_mark: [3; 8],
            hint_key: [4; 16],
            quota_key,
            now: Moment(0),
            place: None,
        };
        let keys = Keys::new("gate");
        assert_eq!(keys.reporter(&probe), [b"gate:{0abc}r".as_slice(), &quota_key[4..]].concat());
    }

    #[test]
    fn there_is_one_check_in_each_group_and_tags_are_spread_over_all() {
        let keys = Keys::new("gate").checks();
        assert_eq!(keys.len(), SLOT_GROUPS);
        let mut tags = [0_usize; SLOT_GROUPS];
        for group in (0..=u16::MAX).map(|tag| SlotTag(tag).group()) {
            if let Some(count) = tags.get_mut(group) {
                *count += 1;
            }
        }
        assert!(tags.iter().all(|count| (3_500..4_700).contains(count)), "{tags:?}");
    }
}
