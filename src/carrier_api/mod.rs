//! What carriers call.

pub mod answering;
pub mod authenticate;
pub mod batch;
pub mod batch_gate;
pub mod batch_window;
pub mod get_feed;
pub mod get_report;
pub mod get_requests;
pub mod get_usage;
pub mod limits;
pub mod mo;
pub mod mobile_abuse;
pub mod one_time_password;
pub mod paging;
pub mod post_answer;
pub mod post_report;
pub mod signatures;
pub mod usage;
