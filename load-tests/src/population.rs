//! Who reports whom: a few senders with many victims, many senders with few, and a pool of reporters.

use crate::numbers;
use crate::random::{Random, Stream};

const CALL_PERCENT: u64 = 15;
/// How many of 100 reports claim what their sender mostly does; the others claim anything.
const USUAL_CATEGORY_PERCENT: u64 = 90;
/// How many of 100 reports about a mobile number write it with the country code.
const INTERNATIONAL_PERCENT: u64 = 10;
const HIDDEN_PERCENT: u64 = 3;
/// Of 100 senders, this many are mobile numbers and this many brandnames; the rest are short codes.
const MOBILE_SENDER_PERCENT: u64 = 75;
const BRANDNAME_SENDER_PERCENT: u64 = 15;
/// Spam and scam by their share of 20, and one part fake news.
const SPAM_OF_20: u64 = 12;
const SCAM_OF_20: u64 = 7;
/// Weight of the first sender; the n-th has this divided by n (Zipf's law).
const FIRST_SENDER_WEIGHT: u64 = 1 << 32;

/// How a population is made. The same three values make the same population.
#[derive(Clone, Copy)]
pub struct PopulationSize {
    /// Different senders.
    pub senders: u32,
    /// Different reporters at most: two places of the pool may hold the same number.
    pub reporters: u32,
}

/// All senders of a run. Reporters are computed when they are needed.
pub struct Population {
    seed: u64,
    reporters: u64,
    senders: Vec<Sender>,
    /// For each sender, the weights of all senders up to and including it.
    weight_sums: Vec<u64>,
}

/// Who, whom and what, for one line of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Draw {
    /// A valid mobile number.
    pub reporter: String,
    /// A number, short code, brandname or `hidden`.
    pub sender: String,
    /// `sms` or `call`.
    pub channel: &'static str,
    /// `spam`, `scam` or `fake_news`.
    pub category: &'static str,
    /// How long before the base time of the run it happened, seconds.
    pub age_seconds: i64,
}

struct Sender {
    name: String,
    is_mobile: bool,
    usual_category: &'static str,
}

impl Population {
    /// Makes all senders.
    pub fn new(seed: u64, size: PopulationSize) -> Self {
        let senders = (0..size.senders).map(|rank| make_sender(seed, u64::from(rank))).collect();
        let weight_sums = (1..=u64::from(size.senders))
            .scan(0_u64, |sum, place| {
                *sum += FIRST_SENDER_WEIGHT / place;
                Some(*sum)
            })
            .collect();
        Self { seed, reporters: u64::from(size.reporters), senders, weight_sums }
    }

    /// The report that belongs to a line. It depends on the seed and the number of the line only.
    pub fn draw(&self, line_number: u64, spread_seconds: i64) -> Draw {
        let mut random = Random::new(self.seed, Stream::Report, line_number);
        let place = random.below(self.reporters);
        let (sender, category) = self.draw_sender(&mut random);
        Draw {
            reporter: numbers::mobile(&mut Random::new(self.seed, Stream::Reporter, place)),
            sender,
            category,
            channel: if random.percent(CALL_PERCENT) { "call" } else { "sms" },
            age_seconds: i64::try_from(random.below(spread_seconds.unsigned_abs())).unwrap_or(0),
        }
    }

    fn draw_sender(&self, random: &mut Random) -> (String, &'static str) {
        let point = random.below(self.weight_sums.last().copied().unwrap_or(0));
        let rank = self.weight_sums.partition_point(|sum| *sum <= point);
        let other_category = draw_category(random);
        let hidden = random.percent(HIDDEN_PERCENT);
        let Some(sender) = self.senders.get(rank).filter(|_| !hidden) else {
            return ("hidden".to_owned(), other_category);
        };
        let with_country_code = sender.is_mobile && random.percent(INTERNATIONAL_PERCENT);
        let name = if with_country_code { numbers::international(&sender.name) } else { sender.name.clone() };
        let category = if random.percent(USUAL_CATEGORY_PERCENT) { sender.usual_category } else { other_category };
        (name, category)
    }
}

fn make_sender(seed: u64, rank: u64) -> Sender {
    let mut random = Random::new(seed, Stream::Sender, rank);
    let kind = random.below(100);
    let is_mobile = kind < MOBILE_SENDER_PERCENT;
    let usual_category = draw_category(&mut random);
    let name = if is_mobile {
        numbers::mobile(&mut random)
    } else if kind < MOBILE_SENDER_PERCENT + BRANDNAME_SENDER_PERCENT {
        numbers::brandname(&mut random)
    } else {
        numbers::short_code(&mut random)
    };
    Sender { name, is_mobile, usual_category }
}

fn draw_category(random: &mut Random) -> &'static str {
    match random.below(20) {
        part if part < SPAM_OF_20 => "spam",
        part if part < SPAM_OF_20 + SCAM_OF_20 => "scam",
        _ => "fake_news",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const LINES: u64 = 20_000;
    const DAY_SECONDS: i64 = 86_400;
    const SIZE: PopulationSize = PopulationSize { senders: 300, reporters: 50_000 };

    fn draws(seed: u64) -> Vec<Draw> {
        let population = Population::new(seed, SIZE);
        (1..=LINES).map(|line| population.draw(line, DAY_SECONDS)).collect()
    }

    fn percent_of(draws: &[Draw], test: impl Fn(&Draw) -> bool) -> usize {
        draws.iter().filter(|draw| test(draw)).count() * 100 / draws.len()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(draws(5), draws(5));
        assert_ne!(draws(5), draws(6));
    }

    #[test]
    fn kinds_and_channels_and_categories_are_mixed_as_described() {
        let draws = draws(1);
        let calls = percent_of(&draws, |draw| draw.channel == "call");
        assert!((13..=17).contains(&calls), "{calls} % calls");
        let hidden = percent_of(&draws, |draw| draw.sender == "hidden");
        assert!((2..=4).contains(&hidden), "{hidden} % hidden");
        let fake_news = percent_of(&draws, |draw| draw.category == "fake_news");
        assert!((1..=15).contains(&fake_news), "{fake_news} % fake news");
        let mobiles = percent_of(&draws, |draw| draw.sender.len() >= 10 && draw.sender.starts_with(['0', '+']));
        assert!((55..=95).contains(&mobiles), "{mobiles} % mobile senders");
        assert!(draws.iter().any(|draw| draw.sender.starts_with("+84")));
        assert!(draws.iter().all(|draw| (0..DAY_SECONDS).contains(&draw.age_seconds)));
    }

    #[test]
    fn few_senders_have_many_victims_and_many_have_few() {
        let mut victims: HashMap<String, usize> = HashMap::new();
        for draw in draws(1).into_iter().filter(|draw| draw.sender != "hidden") {
            *victims.entry(draw.sender.replace("+84", "0")).or_default() += 1;
        }
        let mut counts: Vec<usize> = victims.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let of_first_ten: usize = counts.iter().take(10).sum();
        let of_all: usize = counts.iter().sum();
        assert!(of_first_ten * 100 / of_all > 35, "{of_first_ten} of {of_all}");
        assert!(counts.len() > 250, "{} senders", counts.len());
        assert!(counts.iter().rev().take(100).all(|count| *count < LINES as usize / 200));
    }

    #[test]
    fn a_population_of_nobody_still_draws() {
        let population = Population::new(1, PopulationSize { senders: 0, reporters: 0 });
        assert_eq!(population.draw(1, 0).sender, "hidden");
    }
}
