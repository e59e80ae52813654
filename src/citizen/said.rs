//! What a page that asks for a code says, as its address has it.

use actix_web::http::StatusCode;

use super::Visit;
use crate::http::texts::Texts;

/// What it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A code was sent just now.
    Sent,
    /// One was sent before.
    Asked,
    /// What was typed is another one.
    Wrong,
    /// It is no more.
    Expired,
    /// The network does not know the phone by this number.
    NotByNetwork,
    /// What would be asked is away, or was asked too often.
    Later,
}

impl Said {
    /// The word for an address.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Asked => "asked",
            Self::Wrong => "wrong",
            Self::Expired => "expired",
            Self::NotByNetwork => "network",
            Self::Later => "later",
        }
    }

    /// What the address of this page has it say: that a code was sent, where it has none of the words.
    #[must_use]
    pub fn of(visit: &Visit<'_>) -> Self {
        let said = visit.value("said");
        [Self::Asked, Self::Wrong, Self::Expired, Self::NotByNetwork, Self::Later]
            .into_iter()
            .find(|known| known.word() == said)
            .unwrap_or(Self::Sent)
    }

    /// The status of a page that says so as the answer to a form.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Sent | Self::Asked => StatusCode::OK,
            Self::Wrong | Self::Expired | Self::NotByNetwork => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Later => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What stands at the field.
    #[must_use]
    pub fn fault(self, t: &Texts) -> Option<String> {
        match self {
            Self::Sent | Self::Asked => None,
            Self::Wrong => Some(t.of("code-wrong")),
            Self::Expired => Some(t.of("code-expired")),
            Self::NotByNetwork => Some(t.of("code-not-by-network")),
            Self::Later => Some(t.of("code-later")),
        }
    }
}
