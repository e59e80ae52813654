//! What carriers call.

pub mod authenticate;
pub mod get_report;
pub mod post_report;
