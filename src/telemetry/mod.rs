//! Logs and metrics. Neither ever holds a number, a text, an address, a token or a query string.

pub mod logs;
pub mod metrics;
