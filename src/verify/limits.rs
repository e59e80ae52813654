//! How many SMS may be sent: to a number, from an address, to a prefix, in all. Names are keyed tags.
//!
//! What anybody may ask for cannot use up what a withdrawal needs, which takes a receipt and four digits: of the counts that all
//! share it leaves a tenth, and of those of a number some. Nor can partners use up what citizens need, or the other way
//! round: partners have counts of their own.

use std::net::IpAddr;

use crate::config::verify::VerifySettings;
use crate::crypto::key_ring::KeyRing;
use crate::domain::msisdn::Msisdn;
use crate::domain::network::{CUSTOMERS_PER_SITE, customer_of, site_of};
use crate::fast::codes::{CountLimit, TryLimit};

const TEN_MINUTES_S: u32 = 10 * 60;
const HOUR_S: u32 = 60 * 60;
const DAY_S: u32 = 24 * HOUR_S;
/// How often the network is asked about one number in an hour.
const NETWORK_PER_NUMBER: u32 = 10;
/// Without proof of work an address has so many times less.
const WITHOUT_WORK: u32 = 3;
/// Of the counts of all, one part in so many is left to withdrawals.
const LEFT_TO_WITHDRAWALS: u32 = 10;
/// To one number, withdrawals may have one part in so many more.
const MORE_FOR_WITHDRAWALS: u32 = 3;

/// The limits, as set.
pub struct Limits {
    number_per_10_minutes: u32,
    number_per_day: u32,
    client_per_hour: u32,
    prefix_characters: usize,
    prefix_per_hour: u32,
    all_per_hour: u32,
    all_per_day: u32,
    partner_per_day: u32,
    /// Of wrong codes.
    pub tries: TryLimit,
}

/// What a limit is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitOf {
    /// The number.
    Number,
    /// Numbers that begin alike.
    Prefix,
    /// All SMS.
    All,
    /// Who asks.
    Asker,
}

/// What the limits of [`Limits::of`] are of, in their order.
const LIMITS_OF: [LimitOf; 7] =
    [LimitOf::Number, LimitOf::Number, LimitOf::Prefix, LimitOf::All, LimitOf::All, LimitOf::Asker, LimitOf::Asker];

/// What the limit at this place is of.
pub fn limit_of(place: usize) -> LimitOf {
    LIMITS_OF.get(place).copied().unwrap_or(LimitOf::All)
}

/// Who asks.
#[derive(Clone, Copy)]
pub enum Asker<'a> {
    /// Somebody on the pages.
    Citizen {
        /// From here.
        client: IpAddr,
        /// Who has shown proof of work.
        has_worked: bool,
        /// In order to take a report back.
        is_withdrawal: bool,
    },
    /// A carrier, by its UUID. Its SMS all come from one address.
    Partner(&'a [u8; 16]),
}

impl Limits {
    /// As the settings say.
    pub fn new(settings: &VerifySettings) -> Self {
        Self {
            number_per_10_minutes: settings.number_per_10_minutes.get(),
            number_per_day: settings.number_per_day.get(),
            client_per_hour: settings.client_per_hour.get(),
            prefix_characters: settings.prefix_characters,
            prefix_per_hour: settings.prefix_per_hour.get(),
            all_per_hour: settings.all_per_hour.get(),
            all_per_day: settings.all_per_day.get(),
            partner_per_day: settings.partner_per_day.get(),
            tries: TryLimit { max: settings.wrong_per_hour.get(), window_s: HOUR_S },
        }
    }

    /// All limits that an SMS to this number counts in, in the order of [`LIMITS_OF`].
    pub fn of(&self, ring: &KeyRing, number: Msisdn, asker: Asker<'_>) -> Vec<CountLimit> {
        let limit = |name: &[u8], what: &[u8], max, window_s: u32| {
            let key = ring.code_tag(&[b"sends", name, what, &window_s.to_be_bytes()]);
            CountLimit { key, max, window_s }
        };
        let (whose, leaves, has_more): (&[u8], bool, bool) = match asker {
            Asker::Citizen { is_withdrawal, .. } => (b"", !is_withdrawal, is_withdrawal),
            Asker::Partner(_) => (b"partners", false, false),
        };
        let of_all = |max: u32| if leaves { max - max / LEFT_TO_WITHDRAWALS } else { max };
        let more = |max: u32| max.saturating_add((max / MORE_FOR_WITHDRAWALS).max(1));
        let of_number = |max: u32| if has_more { more(max) } else { max };
        let e164 = number.e164();
        let prefix = e164.as_bytes().get(..self.prefix_characters).unwrap_or(e164.as_bytes());
        let number = [e164.as_bytes(), whose].concat();
        let mut limits = vec![
            limit(b"number", &number, of_number(self.number_per_10_minutes), TEN_MINUTES_S),
            limit(b"number", &number, of_number(self.number_per_day), DAY_S),
            limit(b"prefix", &[prefix, whose].concat(), of_all(self.prefix_per_hour), HOUR_S),
            limit(b"all", whose, of_all(self.all_per_hour), HOUR_S),
            limit(b"all", whose, of_all(self.all_per_day), DAY_S),
        ];
        match asker {
            Asker::Citizen { client, has_worked, .. } => {
                let max = if has_worked { self.client_per_hour } else { (self.client_per_hour / WITHOUT_WORK).max(1) };
                limits.push(limit(b"client", &customer_of(client), max, HOUR_S));
                limits.push(limit(b"site", &site_of(client), max.saturating_mul(CUSTOMERS_PER_SITE), HOUR_S));
            }
            Asker::Partner(carrier) => limits.push(limit(b"partner", carrier, self.partner_per_day, DAY_S)),
        }
        limits
    }

    /// All limits that a question to the network about this number counts in: it costs, too, as an SMS does.
    pub fn of_network(&self, ring: &KeyRing, number: Msisdn) -> [CountLimit; 3] {
        let limit = |what: &[u8], max, window_s: u32| CountLimit {
            key: ring.code_tag(&[b"network", what, &window_s.to_be_bytes()]),
            max,
            window_s,
        };
        let e164 = number.e164();
        [
            limit(e164.as_bytes(), NETWORK_PER_NUMBER, HOUR_S),
            limit(b"", self.all_per_hour, HOUR_S),
            limit(b"", self.all_per_day, DAY_S),
        ]
    }
}
