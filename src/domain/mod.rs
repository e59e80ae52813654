//! What spamgate is about, as pure values: no input or output, no clock but the one handed in,
//! nothing that knows of HTTP, SQL or Redis.
//!
//! Everything here is parsed, not validated: past [`submission::Submission::parse`] there are no raw strings.

pub mod carrier;
pub mod check_char;
pub mod clock;
pub mod content;
pub mod disclosure;
pub mod evidence;
pub mod grouping;
pub mod mo_reply;
pub mod mo_syntax;
pub mod mobile_abuse;
pub mod msisdn;
pub mod network;
pub mod public_url;
pub mod rejection;
pub mod report;
pub mod request;
pub mod sender;
pub mod sms_text;
pub mod submission;
pub mod tag_map;
pub mod vocabulary;
