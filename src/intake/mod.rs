//! From a parsed submission to an acknowledged report: seen, quota, append, mark.

pub mod accept;
pub mod by_sms;
pub mod journal_queue;
pub mod journal_writer;
pub mod question;
pub mod withdrawal;
