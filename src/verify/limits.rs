//! How many SMS may be sent: to a number, from an address, to a prefix, in all. Names are keyed tags.
//!
//! Reports cannot use up what withdrawals and answers to reports need, nor partners what citizens need: of the counts that
//! all share, reports leave a tenth, and partners have counts of their own.

use std::net::IpAddr;

use crate::config::verify::VerifySettings;
use crate::crypto::key_ring::KeyRing;
use crate::domain::msisdn::Msisdn;
use crate::domain::network::{customer_of, site_of};
use crate::fast::codes::{CountLimit, TryLimit};

const TEN_MINUTES_S: u32 = 10 * 60;
const HOUR_S: u32 = 60 * 60;
const DAY_S: u32 = 24 * HOUR_S;
/// Without proof of work an address has so many times less.
const WITHOUT_WORK: u32 = 3;
/// How many customers of one site may together ask for as much as they may.
const CUSTOMERS_PER_SITE: u32 = 16;
/// Of the counts of all, reports leave one part in so many for who takes a report back or answers to one.
const LEFT_BY_REPORTS: u32 = 10;

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
        /// In order to report.
        is_report: bool,
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
        let (whose, leaves_some): (&[u8], bool) = match asker {
            Asker::Citizen { is_report, .. } => (b"", is_report),
            Asker::Partner(_) => (b"partners", false),
        };
        let of_all = |max: u32| if leaves_some { max - max / LEFT_BY_REPORTS } else { max };
        let e164 = number.e164();
        let prefix = e164.as_bytes().get(..self.prefix_characters).unwrap_or(e164.as_bytes());
        let mut limits = vec![
            limit(b"number", e164.as_bytes(), self.number_per_10_minutes, TEN_MINUTES_S),
            limit(b"number", e164.as_bytes(), self.number_per_day, DAY_S),
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
}
