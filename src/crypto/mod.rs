//! Keys and what they make: tags that hide numbers, computed ids and receipts, sealed envelopes.

pub mod envelope;
pub mod key_files;
pub mod key_ring;
pub mod mac;
pub mod recipient;
pub mod signing;
pub mod stored_secret;
