//! Whether somebody has the phone of a number: by a code that was sent to it, or by the network the phone is on.
//!
//! ```text
//! send_code   a mobile number of our countries? ── limits.rs: one more to it, from there, in all? ── code made, kept
//!                 as a keyed hash (fast/codes.rs) ── sender.rs: the SMS
//! check_code  the entry is read, the code hashed under its salt and compared here, and then tried in one step: of many
//!                 right ones at once one counts, and wrong ones are counted whoever asks and whatever code is the newest
//! ```
//!
//! SMS cost money, and codes open doors: what the fast state does not answer is a no. Nothing looks whether a number is
//! known, so nothing can tell.

mod camara;
mod code;
mod kannel;
mod limits;
mod network;
mod partner;
pub mod sender;
pub mod sign_in;
mod target;
pub mod verifier;
mod wording;

use std::net::IpAddr;

use crate::domain::clock::Moment;
use crate::domain::msisdn::Msisdn;
use crate::domain::vocabulary::Language;

pub use self::limits::LimitOf;
pub use self::verifier::Verifier;

/// How long a code is good.
pub const CODE_TTL_MINUTES: u32 = 10;

/// What a code is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Sending a report.
    Report,
    /// Taking reports back.
    Withdraw,
    /// Answering to reports about oneself.
    Respond,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Withdraw => "withdraw",
            Self::Respond => "respond",
        }
    }
}

/// Somebody asks for a code.
pub struct AskedCode {
    /// For this number.
    pub number: Msisdn,
    /// For this.
    pub purpose: Purpose,
    /// From here.
    pub client: IpAddr,
    /// To be read in this language.
    pub language: Language,
    /// Proof of work was shown; without it fewer are sent.
    pub has_worked: bool,
}

/// A code was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentCode {
    /// Until when it is good.
    pub good_until: Moment,
}

/// Why no code was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotSent {
    /// No mobile number of the countries that are sent to.
    NotAMobile,
    /// A limit is reached: of the number, the address, the prefix, or of all.
    Full {
        /// Seconds until one may ask again.
        retry_after_s: u64,
    },
    /// What counts them, or sends them, is away.
    Unavailable {
        /// Seconds until one should ask again.
        retry_after_s: u64,
    },
}

/// The same, for a partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotSentForPartner {
    /// No mobile number of the countries that are sent to.
    NotAMobile,
    /// The operator sends it nothing.
    Blocked,
    /// A limit is reached.
    Full {
        /// Of what.
        of: LimitOf,
        /// Seconds until one may ask again.
        retry_after_s: u64,
    },
    /// What counts them, or sends them, is away.
    Unavailable {
        /// Seconds until one should ask again.
        retry_after_s: u64,
    },
}

impl From<NotSentForPartner> for NotSent {
    fn from(why: NotSentForPartner) -> Self {
        match why {
            NotSentForPartner::NotAMobile | NotSentForPartner::Blocked => Self::NotAMobile,
            NotSentForPartner::Full { retry_after_s, .. } => Self::Full { retry_after_s },
            NotSentForPartner::Unavailable { retry_after_s } => Self::Unavailable { retry_after_s },
        }
    }
}

/// Why the network's word was not had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkFault {
    /// No network is asked here.
    Off,
    /// The network does not know whose phone it is: another network, or none.
    NotByNetwork,
    /// The network is away.
    Unavailable {
        /// Seconds until one should ask again.
        retry_after_s: u64,
    },
}

/// Why a code proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeFault {
    /// It is another one.
    Wrong,
    /// There is none: too old, used, or never sent. They look alike.
    Expired,
    /// Too many were wrong.
    TooManyTries {
        /// Seconds until one may try again.
        retry_after_s: u64,
    },
    /// What keeps them is away.
    Unavailable {
        /// Seconds until one should try again.
        retry_after_s: u64,
    },
}
