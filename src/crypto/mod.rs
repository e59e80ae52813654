//! Keys and what they make: tags that hide numbers, computed ids and receipts, sealed envelopes.

pub mod envelope;
pub mod key_files;
pub mod key_ring;
pub mod mac;
pub mod page_seal;
pub mod recipient;
pub mod signing;
pub mod stored_secret;

/// The bytes as hexadecimal digits, small ones.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
