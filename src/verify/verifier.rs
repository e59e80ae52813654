//! Sending codes and checking them.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::code::{Entry, NoRandom, Secret, draw, typed};
use super::limits::{Asker, LimitOf, Limits, limit_of};
use super::network::Network;
use super::sender::{SendFault, SenderError, SmsSender, Word};
use super::{AskedCode, CODE_TTL_MINUTES, CodeFault, NotSent, NotSentForPartner, Purpose, SentCode, wording};
use crate::config::Config;
use crate::config::verify::SenderKind;
use crate::crypto::key_ring::KeyRing;
use crate::domain::clock::{Clock, MICROS_PER_SECOND, Moment};
use crate::domain::msisdn::{self, HomeCountry, Msisdn};
use crate::fast::codes::{CodeTry, CountLimit, SALT_BYTES, Taken, Tried};
use crate::fast::{FastState, NotReached};
use crate::telemetry::metrics::Metrics;

/// How long a code is good, seconds.
const CODE_TTL_S: u32 = CODE_TTL_MINUTES * 60;
/// SMS on their way to what sends them at once, of citizens, as many of partners, and as many questions to the network;
/// more are refused, at once.
const SENDS_IN_HAND_MAX: usize = 64;
/// When to ask again while those are in hand, seconds.
const BUSY_RETRY_S: u64 = 1;
/// When to ask again while the fast state is away, seconds.
const FAST_RETRY_S: u64 = 2;
/// The same while what sends is away.
const SENDER_RETRY_S: u64 = 30;
/// The same while there is no room for another code, or codes are not sent at all.
const FULL_RETRY_S: u64 = 60;
/// The longest code that is looked at, characters.
const CODE_MAX_CHARACTERS: usize = 10;
/// How often a code is read again that another replaces meanwhile.
const READS_MAX: u32 = 3;

/// Sends codes and checks them.
pub struct Verifier {
    sender: SmsSender,
    pub(super) fast: Arc<FastState>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) clock: Clock,
    countries: Vec<HomeCountry>,
    pub(super) limits: Limits,
    in_hand: Semaphore,
    partners_in_hand: Semaphore,
    pub(super) networks_in_hand: Semaphore,
    metrics: Arc<Metrics>,
    serves_partners: bool,
    pub(super) network: Option<Network>,
}

/// What a verifier is made of.
pub struct VerifierParts {
    /// Where codes are kept.
    pub fast: Arc<FastState>,
    /// What hides them.
    pub ring: Arc<KeyRing>,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Verifier {
    /// The verifier that the settings describe. A node that takes no reports sends none: it shares no fast state.
    ///
    /// # Errors
    /// [`SenderError`].
    pub fn open(config: &Config, parts: VerifierParts) -> Result<Self, SenderError> {
        let VerifierParts { fast, ring, clock, metrics } = parts;
        let settings = &config.verify;
        let is_on = config.server.role.takes_reports() && settings.sender != SenderKind::Off;
        Ok(Self {
            sender: if is_on { SmsSender::open(settings)? } else { SmsSender::Off },
            fast,
            ring,
            clock,
            countries: settings.parsed_countries(config.region()?.home)?,
            limits: Limits::new(settings),
            in_hand: Semaphore::new(SENDS_IN_HAND_MAX),
            partners_in_hand: Semaphore::new(SENDS_IN_HAND_MAX),
            networks_in_hand: Semaphore::new(SENDS_IN_HAND_MAX),
            metrics,
            serves_partners: is_on && settings.serve,
            network: if is_on { Network::open(config)? } else { None },
        })
    }

    /// Whether codes are sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self.sender, SmsSender::Off)
    }

    /// Whether partners may have codes sent.
    #[must_use]
    pub const fn serves_partners(&self) -> bool {
        self.serves_partners
    }

    /// Sends a code, which takes the place of the one before.
    ///
    /// # Errors
    /// [`NotSent`]. A refused one counts in no limit.
    pub async fn send_code(&self, asked: &AskedCode) -> Result<SentCode, NotSent> {
        let key = self.key_of(asked.number, asked.purpose);
        let AskedCode { client, has_worked, purpose, .. } = *asked;
        let asker = Asker::Citizen { client, has_worked, is_withdrawal: purpose == Purpose::Withdraw };
        Ok(self.send(&key, asked.number, &wording::template(asked.language, purpose), asker).await?)
    }

    /// Whether this is the code that was sent last for this number and purpose. It is good once. What people type beside
    /// the digits is not looked at, but where an operator makes the codes, which may have letters.
    ///
    /// # Errors
    /// [`CodeFault`].
    pub async fn check_code(&self, number: Msisdn, purpose: Purpose, code: &str) -> Result<(), CodeFault> {
        let has_letters = matches!(self.sender, SmsSender::Camara(_));
        let code: String = code.chars().filter(|character| has_letters || character.is_ascii_digit()).collect();
        self.check(&self.key_of(number, purpose), &code).await
    }

    fn key_of(&self, number: Msisdn, purpose: Purpose) -> [u8; 16] {
        self.ring.code_tag(&[b"code", purpose.as_str().as_bytes(), number.e164().as_bytes()])
    }

    fn is_sent_to(&self, number: Msisdn) -> bool {
        let e164 = number.e164();
        self.countries.iter().any(|country| msisdn::parse_reporter(e164.as_str(), *country) == Ok(number))
    }
}

/// Sending.
impl Verifier {
    /// Sends a code that is kept under this key, in this text.
    pub(super) async fn send(
        &self,
        key: &[u8; 16],
        number: Msisdn,
        template: &str,
        asker: Asker<'_>,
    ) -> Result<SentCode, NotSentForPartner> {
        let outcome = self.try_send(key, number, template, asker).await;
        self.metrics.count_code_sent(match outcome {
            Ok(_) => "sent",
            Err(NotSentForPartner::NotAMobile | NotSentForPartner::Blocked) => "not_a_mobile",
            Err(NotSentForPartner::Full { .. }) => "full",
            Err(NotSentForPartner::Unavailable { .. }) => "unavailable",
        });
        outcome
    }

    async fn try_send(
        &self,
        key: &[u8; 16],
        number: Msisdn,
        template: &str,
        asker: Asker<'_>,
    ) -> Result<SentCode, NotSentForPartner> {
        if !self.is_on() {
            return Err(NotSentForPartner::Unavailable { retry_after_s: FULL_RETRY_S });
        }
        if !self.is_sent_to(number) {
            return Err(NotSentForPartner::NotAMobile);
        }
        let in_hand = match asker {
            Asker::Citizen { .. } => &self.in_hand,
            Asker::Partner(_) => &self.partners_in_hand,
        };
        let Ok(_in_hand) = in_hand.try_acquire() else {
            return Err(NotSentForPartner::Unavailable { retry_after_s: BUSY_RETRY_S });
        };
        let limits = self.limits.of(&self.ring, number, asker);
        match self.fast.take_sends(&limits, self.clock.turned()).await? {
            Taken::Yes => {}
            Taken::Full { limit, retry_after_s } => {
                return Err(NotSentForPartner::Full { of: limit_of(limit), retry_after_s });
            }
            Taken::NoRoom => return Err(NotSentForPartner::Unavailable { retry_after_s: FULL_RETRY_S }),
        }
        let good_until = Moment(self.clock.now().0 + i64::from(CODE_TTL_S) * MICROS_PER_SECOND);
        match self.make_and_send(key, number, template, good_until).await {
            Ok(()) => Ok(SentCode { good_until }),
            Err(fault) => Err(self.not_sent(fault, &limits).await),
        }
    }

    /// The entry stands before the SMS is on its way, but where the operator makes the code.
    async fn make_and_send(
        &self,
        key: &[u8; 16],
        number: Msisdn,
        template: &str,
        good_until: Moment,
    ) -> Result<(), SendFault> {
        if let SmsSender::Camara(operator) = &self.sender {
            let id = operator.send(number, template).await?;
            let entry = Entry::new(&self.ring, key, good_until, Secret::Operator(&id)).map_err(no_random)?;
            return self.keep(key, &entry).await.map_err(|NotReached| SendFault::NotKnown);
        }
        let code = draw().map_err(no_random)?;
        let entry = Entry::new(&self.ring, key, good_until, Secret::Code(&code)).map_err(no_random)?;
        self.keep(key, &entry).await.map_err(|NotReached| SendFault::NotSent)?;
        self.sender.send(number, template, &code).await
    }

    async fn keep(&self, key: &[u8; 16], entry: &Entry) -> Result<(), NotReached> {
        self.fast.put_code(key, entry.encode(), CODE_TTL_S).await
    }

    /// Gives back what was counted when for certain nothing was sent; what may have cost stays counted.
    async fn not_sent(&self, fault: SendFault, limits: &[CountLimit]) -> NotSentForPartner {
        if fault != SendFault::NotKnown {
            self.fast.give_back_sends(limits, self.clock.turned()).await;
        }
        match fault {
            SendFault::NotSent | SendFault::NotKnown => {
                NotSentForPartner::Unavailable { retry_after_s: SENDER_RETRY_S }
            }
            SendFault::NotToThisNumber => NotSentForPartner::Blocked,
            SendFault::Enough { retry_after_s } => NotSentForPartner::Full { of: LimitOf::Number, retry_after_s },
        }
    }
}

/// Checking.
impl Verifier {
    /// Whether this is the code that is kept under this key.
    pub(super) async fn check(&self, key: &[u8; 16], code: &str) -> Result<(), CodeFault> {
        let code = typed(code);
        for _ in 0..READS_MAX {
            let kept = self.fast.find_code(key).await?;
            let entry = kept.and_then(|bytes| Entry::decode(&bytes)).filter(|entry| entry.is_good_at(self.clock.now()));
            let tried = match &entry {
                // Tried all the same: who has tried too often hears so, whether there is a code or not.
                None => self.try_once(key, &[0; SALT_BYTES], CodeTry::Wrong).await?,
                Some(entry) if entry.operator_id.is_empty() => {
                    let is_right = self.is_code(&code) && entry.is_proven_by(&self.ring, key, Secret::Code(&code));
                    self.try_once(key, &entry.salt, if is_right { CodeTry::Right } else { CodeTry::Wrong }).await?
                }
                Some(entry) => self.try_by_operator(key, entry, &code).await?,
            };
            match tried {
                Tried::Used => return Ok(()),
                Tried::Counted => return Err(CodeFault::Wrong),
                Tried::TooMany { retry_after_s } => return Err(CodeFault::TooManyTries { retry_after_s }),
                Tried::Gone if entry.is_none() => return Err(CodeFault::Expired),
                // Used or replaced since it was read: looked at again.
                Tried::Gone => {}
            }
        }
        Err(CodeFault::Expired)
    }

    fn is_code(&self, code: &str) -> bool {
        (1..=CODE_MAX_CHARACTERS).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    async fn try_once(&self, key: &[u8; 16], salt: &[u8; SALT_BYTES], code_try: CodeTry) -> Result<Tried, NotReached> {
        self.fast.try_code(key, salt, code_try, self.limits.tries, self.clock.turned()).await
    }

    /// Counted as wrong before the operator is asked, so that many at once are not more tries than one after another; and
    /// the operator's yes counts once, however often it is given.
    async fn try_by_operator(&self, key: &[u8; 16], entry: &Entry, code: &str) -> Result<Tried, CodeFault> {
        let id = entry.operator_id.as_str();
        let SmsSender::Camara(operator) = &self.sender else { return Ok(Tried::Gone) };
        if !entry.is_proven_by(&self.ring, key, Secret::Operator(id)) {
            return Ok(Tried::Gone);
        }
        let counted = self.try_once(key, &entry.salt, CodeTry::Wrong).await?;
        if counted != Tried::Counted || !self.is_code(code) {
            return Ok(counted);
        }
        match operator.check(id, code).await {
            Ok(Word::Wrong) => Ok(Tried::Counted),
            Ok(Word::Right) => Ok(self.try_once(key, &entry.salt, CodeTry::Settled).await?),
            Ok(Word::Gone) => Err(CodeFault::Expired),
            Err(_) => {
                self.try_once(key, &entry.salt, CodeTry::Released).await?;
                Err(CodeFault::Unavailable { retry_after_s: SENDER_RETRY_S })
            }
        }
    }
}

fn no_random(NoRandom: NoRandom) -> SendFault {
    tracing::error!("the system gives no random bytes: no code is sent");
    SendFault::NotSent
}

impl From<NotReached> for NotSentForPartner {
    fn from(NotReached: NotReached) -> Self {
        Self::Unavailable { retry_after_s: FAST_RETRY_S }
    }
}

impl From<NotReached> for CodeFault {
    fn from(NotReached: NotReached) -> Self {
        Self::Unavailable { retry_after_s: FAST_RETRY_S }
    }
}
