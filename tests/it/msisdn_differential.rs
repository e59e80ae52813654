//! Our reading of numbers against two others: libphonenumber, as `rlibphonenumber` follows it, and the bare
//! `phonenumber` crate. A number read wrongly accuses a stranger, so every difference has to be a decided one.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it fails")]

use std::collections::BTreeMap;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
use spamgate::domain::msisdn::{self, HomeCountry, NumberError, NumberKind, ParsedNumber};

/// The seed of the mutations; printed with every difference.
const SEED: u64 = 0x5eed_2026_0001;
const MUTATIONS: usize = 100_000;
/// How many undecided differences are printed.
const SHOWN: usize = 40;

/// What a reader made of a text: the E.164 form and whether it can be a mobile number.
type Reading = Option<(String, bool)>;

struct Case<'a> {
    raw: &'a str,
    home: &'a str,
    ours: Result<ParsedNumber, NumberError>,
    theirs: Reading,
}

impl Case<'_> {
    fn our_reading(&self) -> Reading {
        let number = self.ours.as_ref().ok()?;
        Some((number.msisdn.e164().as_str().to_owned(), number.kind == NumberKind::Mobile))
    }
    fn theirs_has_more_than_15_digits(&self) -> bool {
        self.theirs.as_ref().is_some_and(|(e164, _)| e164.len() > 1 + msisdn::E164_MAX_DIGITS)
    }
    fn refused_as(&self, error: &NumberError) -> bool {
        self.ours.as_ref().err() == Some(error)
    }
}

/// A difference that was looked at and is meant to stay.
struct Decided {
    reason: &'static str,
    applies: fn(&Case<'_>) -> bool,
}

const DECIDED: &[Decided] = &[
    Decided {
        reason: "Vietnam's 11-digit numbers are converted; libphonenumber forgot them",
        applies: |case| case.ours.as_ref().is_ok_and(|number| number.renumbered) && case.theirs.is_none(),
    },
    Decided {
        reason: "a letter is a typing error, not a telephone key",
        applies: |case| case.refused_as(&NumberError::LetterInNumber),
    },
    Decided {
        reason: "signs outside + ( ) . - and a plus after the first digit are refused, not skipped",
        applies: |case| case.refused_as(&NumberError::ForbiddenCharacter),
    },
    Decided {
        reason: "a plus and an exit code both (+00 84 ...) contradict each other",
        applies: |case| case.refused_as(&NumberError::Invalid) && digits(case.raw).starts_with("+0"),
    },
    Decided {
        reason: "two zeros after the country's own code without a plus are one too many",
        applies: |case| {
            let doubled = format!("{}00", HomeCountry::parse(case.home).unwrap().calling_code());
            case.refused_as(&NumberError::Invalid) && digits(case.raw).starts_with(&doubled)
        },
    },
    Decided {
        reason: "the crate's metadata (9.0.33) is older than rlibphonenumber's (9.0.42)",
        applies: |case| {
            let reading = case.theirs.clone().or_else(|| case.our_reading());
            reading.is_some_and(|(e164, _)| NEWER_METADATA.iter().any(|prefix| e164.starts_with(prefix)))
        },
    },
    Decided {
        reason: "E.164 has 15 digits at most",
        applies: |case| case.refused_as(&NumberError::Invalid) && case.theirs_has_more_than_15_digits(),
    },
];

/// Where the numbering plans changed between the two versions of the metadata. To be cut when the crate is updated.
const NEWER_METADATA: &[&str] = &["+84140", "+29098", "+917965", "+2636"];

/// The plus and the digits of a text.
fn digits(raw: &str) -> String {
    raw.chars().filter(|character| *character == '+' || character.is_ascii_digit()).collect()
}

/// Counts the differences by reason and keeps the undecided ones.
#[derive(Default)]
struct Differences {
    decided: BTreeMap<&'static str, usize>,
    undecided: Vec<String>,
    cases: usize,
}

impl Differences {
    fn compare(&mut self, raw: &str, home: &str) {
        let ours = msisdn::parse(raw, HomeCountry::parse(home).expect("a known country"));
        let case = Case { raw, home, ours, theirs: libphonenumber(raw, home) };
        self.cases += 1;
        if case.our_reading() == case.theirs {
            return;
        }
        match DECIDED.iter().find(|decided| (decided.applies)(&case)) {
            Some(decided) => *self.decided.entry(decided.reason).or_default() += 1,
            None => self.undecided.push(format!(
                "{:?} in {}: ours {:?} {:?}, theirs {:?}",
                case.raw,
                case.home,
                case.our_reading(),
                case.ours.as_ref().err(),
                case.theirs
            )),
        }
    }

    fn must_be_decided(&self) {
        assert!(
            self.undecided.is_empty(),
            "{} undecided of {} cases (seed {SEED:#x}); decided: {:#?}; the first:\n{}",
            self.undecided.len(),
            self.cases,
            self.decided,
            self.undecided.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n")
        );
    }
}

fn libphonenumber(raw: &str, home: &str) -> Reading {
    let region: Region = home.parse().expect("a known region");
    let number = PHONE_NUMBER_UTIL.parse(raw, Some(region)).ok().filter(|number| number.is_valid())?;
    if number.extension.is_some() {
        return None;
    }
    let mobile = matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile);
    Some((number.format_as(PhoneNumberFormat::E164).into_owned(), mobile))
}

#[test]
fn all_prefixes_of_vietnam_are_read_as_libphonenumber_reads_them() {
    let mut differences = Differences::default();
    for prefix in 0..=9999 {
        for tail in ["1", "123", "0000", "1234", "00000", "98765", "123456", "1234567"] {
            for before in ["0", "+84", "84", "0084", ""] {
                differences.compare(&format!("{before}{prefix:04}{tail}"), "VN");
            }
        }
    }
    differences.must_be_decided();
}

/// The bare crate, without any of our checks.
fn bare_crate(raw: &str) -> Reading {
    let number =
        phonenumber::parse(Some(phonenumber::country::VN), raw).ok().filter(phonenumber::PhoneNumber::is_valid)?;
    let mobile = number.number_type(&phonenumber::metadata::DATABASE) == phonenumber::Type::Mobile;
    Some((number.format().mode(phonenumber::Mode::E164).to_string(), mobile))
}

#[test]
fn mobile_numbers_of_vietnam_are_those_of_the_bare_crate_over_all_prefixes() {
    let home = HomeCountry::parse("VN").unwrap();
    for prefix in 0..=9999 {
        for tail in ["1234", "12345", "99999", "123456"] {
            for before in ["0", "+84", "84", "0084", ""] {
                let raw = format!("{before}{prefix:04}{tail}");
                let number = msisdn::parse(&raw, home).ok();
                let ours = number.filter(|number| number.kind == NumberKind::Mobile);
                if ours.is_some_and(|number| number.renumbered) {
                    continue; // The crate does not know the old numbers.
                }
                let ours = ours.map(|number| number.msisdn.e164().as_str().to_owned());
                let ours = ours.filter(|e164| e164.starts_with("+84"));
                let theirs = bare_crate(&raw).filter(|(e164, mobile)| *mobile && e164.starts_with("+84"));
                let theirs = theirs.map(|(e164, _)| e164);
                // Two places where the crate differs from libphonenumber, and we do not follow it: it strips two zeros
                // after the country code, and takes the 84 of 84xxxxxxx, which is 084xxxxxxx without 0, for the code.
                let has_two_zeros = ours.is_none() && raw.trim_start_matches(['+', '0']).starts_with("8400");
                let lacks_zero = theirs.is_none() && raw.len() == 9 && raw.starts_with("84");
                assert!(ours == theirs || has_two_zeros || lacks_zero, "{raw}: {ours:?}, {theirs:?}");
            }
        }
    }
}

/// Numbers of Vietnam and other countries, as their subscribers write them, with the home they are read in.
const VALID: &[(&str, &str)] = &[
    ("0985931054", "VN"),
    ("0701234567", "VN"),
    ("+84 985 931 054", "VN"),
    ("84812341213", "VN"),
    ("0084912345678", "VN"),
    ("01201234567", "VN"),
    ("02432321234", "VN"),
    ("1900545436", "VN"),
    ("18001090", "VN"),
    ("069123456", "VN"),
    ("(212) 555-0123", "US"),
    ("+1 613 782 7274", "US"),
    ("1 800 723 3456", "US"),
    ("07912 345678", "GB"),
    ("020 7946 0018", "GB"),
    ("+44 1481 256789", "VN"),
    ("0151 23456789", "DE"),
    ("030 123456", "DE"),
    ("06 31 96 65 43", "FR"),
    ("+33 1 42 68 53 00", "VN"),
    ("312 345 6789", "IT"),
    ("02 3661 8300", "IT"),
    ("8 912 345 67 89", "RU"),
    ("+7 701 234 5678", "RU"),
    ("138 0013 8000", "CN"),
    ("010 6552 9988", "CN"),
    ("090-1234-5678", "JP"),
    ("03 1234 5678", "JP"),
    ("(11) 91234-5678", "BR"),
    ("0412 345 678", "AU"),
    ("02 9374 4000", "AU"),
    ("098765 43210", "IN"),
    ("8123 4567", "SG"),
    ("+65 6123 4567", "VN"),
    ("01 23 45 67 89", "CI"),
    ("010-1234-5678", "KR"),
    ("012 345 678", "KH"),
    ("020 5512 3456", "LA"),
    ("+972 50 234 5678", "VN"),
    ("+852 9123 4567", "VN"),
    ("+800 1234 5678", "VN"),
    ("+856 20 5512 3456", "VN"),
    ("+86 138 0013 8000", "VN"),
];

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.below(from.len())).expect("not empty")
    }
}

/// One slip of a typing hand.
fn mutate(number: &mut Vec<char>, random: &mut SplitMix) {
    let place = random.below(number.len().max(1));
    let digit = random.pick(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    match random.below(9) {
        0 | 1 => number.iter_mut().skip(place).take(1).for_each(|character| *character = digit),
        2 => number.insert(place, digit),
        3 => drop((place < number.len()).then(|| number.remove(place))),
        4 if place + 1 < number.len() => number.swap(place, place + 1),
        5 => number.insert(place, random.pick(&[' ', '-', '.', '(', ')', '\u{a0}', '\u{2011}'])),
        6 => {
            let before = random.pick(&["0", "00", "+", "84", "+84", "0084", "1", "+1", "8", "011", "+0", "000", "810"]);
            *number = before.chars().chain(number.drain(..)).collect();
        }
        7 => number.insert(place, random.pick(&['l', 'O', 'x', 'S', '/', ';', '#', '*', '+', 'é'])),
        _ => number.push(digit),
    }
}

#[test]
fn mutated_numbers_of_many_countries_are_read_as_libphonenumber_reads_them() {
    let mut random = SplitMix(SEED);
    let mut differences = Differences::default();
    for _ in 0..MUTATIONS {
        let (valid, own_home) = random.pick(VALID);
        let home = if random.below(4) == 0 { random.pick(VALID).1 } else { own_home };
        let mut number: Vec<char> = valid.chars().collect();
        for _ in 0..random.below(4) {
            mutate(&mut number, &mut random);
        }
        let raw: String = number.into_iter().collect();
        if raw.chars().count() <= msisdn::NUMBER_MAX_CHARACTERS {
            differences.compare(&raw, home);
        }
    }
    differences.must_be_decided();
}
