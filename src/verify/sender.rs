//! What sends codes: Kannel, an operator, or the log of a developer.

use std::time::Duration;

use super::camara::Camara;
use super::kannel::Kannel;
use super::target::{CallFault, Dialler};
use super::wording::fill;
use crate::config::ConfigError;
use crate::config::verify::{SenderKind, VerifySettings, parsed_url};
use crate::domain::msisdn::Msisdn;

/// Why no code was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendFault {
    /// For certain nothing was sent.
    NotSent,
    /// It may have been.
    NotKnown,
    /// The operator sends nothing to this number.
    NotToThisNumber,
    /// The operator sends no more to this number for now.
    Enough {
        /// Seconds until one may ask again.
        retry_after_s: u64,
    },
}

impl From<CallFault> for SendFault {
    fn from(fault: CallFault) -> Self {
        match fault {
            CallFault::NotCalled => Self::NotSent,
            CallFault::NoAnswer => Self::NotKnown,
        }
    }
}

/// What who made a code says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// The right one.
    Right,
    /// Another.
    Wrong,
    /// It is no more.
    Gone,
}

/// What sends.
pub enum SmsSender {
    /// Nothing.
    Off,
    /// Kannel.
    Kannel(Box<Kannel>),
    /// An operator, which makes and checks the codes itself.
    Camara(Box<Camara>),
    /// The log.
    Log,
}

/// Why no sender could be made.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl SmsSender {
    /// The sender that the settings name.
    ///
    /// # Errors
    /// [`SenderError`].
    pub fn open(settings: &VerifySettings) -> Result<Self, SenderError> {
        let dialler = || Dialler::new(Duration::from_millis(settings.timeout_ms));
        Ok(match settings.sender {
            SenderKind::Off => Self::Off,
            SenderKind::Log => {
                tracing::warn!("codes are written to the log and sent to nobody: this is for development");
                Self::Log
            }
            SenderKind::Kannel => Self::Kannel(Box::new(Kannel {
                dialler: dialler()?,
                url: parsed_url("verify.kannel_url", &settings.kannel_url)?,
                user: settings.kannel_user.clone(),
                password: settings.kannel_password.clone(),
                from: settings.kannel_from.clone(),
            })),
            SenderKind::Camara => Self::Camara(Box::new(Camara {
                dialler: dialler()?,
                url: parsed_url("verify.camara_url", &settings.camara_url)?,
                token: settings.camara_token.clone(),
            })),
        })
    }

    /// Sends a code of ours.
    pub(super) async fn send(&self, number: Msisdn, template: &str, code: &str) -> Result<(), SendFault> {
        match self {
            Self::Kannel(kannel) => kannel.send(number, &fill(template, code)).await,
            Self::Log => {
                tracing::warn!(code, "for development: the code of {number}");
                Ok(())
            }
            Self::Off | Self::Camara(_) => Err(SendFault::NotSent),
        }
    }
}
