//! A refused report is data, with a field and a reason; it is never an error of ours.

use std::borrow::Cow;

use super::content::ContentError;
use super::msisdn::NumberError;
use super::sender::SenderError;

/// Why a report was not taken, in the words its sender needs to mend it.
///
/// `detail` may quote the limits of the gateway and, for a renumbered reporter, the new number; it goes to the caller
/// alone and is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The stable, machine-readable reason, such as `number_has_letter`.
    pub code: &'static str,
    /// The field of the request that has to be mended.
    pub field: Cow<'static, str>,
    /// A sentence that says what to mend.
    pub detail: String,
}

// By hand, because `detail` may hold a number.
impl std::fmt::Debug for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rejection({} in {} bytes of field name)", self.code, self.field.len())
    }
}

impl Rejection {
    /// A rejection of one of the fields that are known by name.
    pub fn new(code: &'static str, field: &'static str, detail: impl Into<String>) -> Self {
        Self { code, field: Cow::Borrowed(field), detail: detail.into() }
    }

    /// The field has to be there and is not.
    #[must_use]
    pub fn missing(field: &'static str) -> Self {
        Self::new("missing_field", field, format!("Add the field `{field}`; it is required."))
    }

    /// The field has a value outside its list.
    #[must_use]
    pub fn not_one_of(field: &'static str, allowed: &str) -> Self {
        Self::new("unknown_value", field, format!("Set `{field}` to one of: {allowed}."))
    }

    /// The number in `field` was refused.
    #[must_use]
    pub fn number(field: &'static str, error: &NumberError) -> Self {
        Self::new(error.code(), field, error.detail())
    }

    /// The sender was refused.
    #[must_use]
    pub fn sender(error: &SenderError) -> Self {
        Self::new(error.code(), "sender", error.detail())
    }

    /// The content was refused.
    #[must_use]
    pub fn content(error: &ContentError) -> Self {
        Self::new(error.code(), "content", error.detail())
    }
}
