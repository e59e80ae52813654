//! What carriers call.

pub mod authenticate;
pub mod batch;
pub mod batch_gate;
pub mod batch_window;
pub mod get_report;
pub mod post_report;
