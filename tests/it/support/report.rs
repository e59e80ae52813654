//! Reports to send.

use std::fmt;

use serde_json::{Map, Value, json};

/// The body of a report, to be changed field by field.
#[derive(Clone)]
pub struct ReportBody(Map<String, Value>);

/// A good report about an SMS, an hour before the gateway's clock starts.
pub fn report(report_id: &str) -> ReportBody {
    let Value::Object(fields) = json!({
        "report_id": report_id,
        "reporter": "0912345678",
        "sender": "0985931054",
        "channel": "sms",
        "category": "spam",
        "content": "Nhận làm các loại giấy tờ, liên hệ ngay",
        "occurred_at": "2026-11-24T14:00:00+07:00",
    }) else {
        unreachable!("an object was written")
    };
    ReportBody(fields)
}

/// The number of the `index`th of many reporters.
pub fn reporter(index: usize) -> String {
    format!("09123{index:05}")
}

impl ReportBody {
    /// The same with another value in a field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// The same without a field.
    pub fn without(mut self, field: &str) -> Self {
        self.0.remove(field).expect("the field was there");
        self
    }
}

impl fmt::Display for ReportBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).expect("JSON can be written"))
    }
}
