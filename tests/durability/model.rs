//! The rules of counting, in plain Rust: what the gateway must come to, whatever it forgets in between.
//!
//! Written from the rules and not from the code: a report id counts once; the same person saying the same within 24 h of
//! a counted report is a repeat and no voice, and the window does not slide; a case is a known sender within a category,
//! a false claim whoever sends it, or a text of a hidden or malformed sender; a decision closes the case there and then.

use std::collections::{BTreeMap, BTreeSet};

pub const DAY: i64 = 24 * 60 * 60 * 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Msisdn,
    ShortCode,
    Brandname,
    Malformed,
    Hidden,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Msisdn => "msisdn",
            Self::ShortCode => "short_code",
            Self::Brandname => "brandname",
            Self::Malformed => "malformed",
            Self::Hidden => "hidden",
        }
    }
    const fn is_known(self) -> bool {
        matches!(self, Self::Msisdn | Self::ShortCode | Self::Brandname)
    }
}

/// What makes two reports the same. Senders and texts are numbered; spellings of one have one number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Said {
    pub reporter: usize,
    pub kind: Kind,
    pub sender: usize,
    pub channel: &'static str,
    pub category: &'static str,
    pub text: Option<usize>,
}

/// What a retry must have in common with the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    pub said: Said,
    pub money_lost: Option<bool>,
    pub province: Option<&'static str>,
    pub harm: Option<&'static str>,
    pub occurred_at: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Counted,
    Repeat,
    Conflict,
}

impl Fate {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Repeat => "repeat",
            Self::Conflict => "conflict",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Report {
    pub body: Body,
    pub received_at: i64,
    pub fate: Fate,
    pub case: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Group {
    Sender(&'static str, Kind, usize),
    Claim(usize),
    MalformedText(&'static str, usize, usize),
    HiddenText(&'static str, usize),
}

fn group_of(said: &Said) -> Option<Group> {
    match (said.category, said.kind, said.text) {
        ("fake_news", _, Some(text)) => Some(Group::Claim(text)),
        (category, kind, _) if kind.is_known() => Some(Group::Sender(category, kind, said.sender)),
        (category, Kind::Malformed, Some(text)) => Some(Group::MalformedText(category, said.sender, text)),
        (category, Kind::Hidden, Some(text)) => Some(Group::HiddenText(category, text)),
        _ => None,
    }
}

#[derive(Clone, Debug)]
pub struct Case {
    pub category: &'static str,
    pub verdict: Option<&'static str>,
    pub kinds: BTreeSet<Kind>,
    pub reporters: BTreeSet<usize>,
    pub reports: i64,
    pub repeats: i64,
    pub sms: i64,
    pub calls: i64,
    pub money_lost: i64,
    pub first: i64,
    pub last: i64,
    group: Group,
}

#[derive(Clone, Debug)]
struct Counted {
    received_at: i64,
    case: Option<usize>,
}

#[derive(Default)]
pub struct Model {
    pub reports: BTreeMap<String, Report>,
    pub cases: Vec<Case>,
    /// Reports that make no case: day, category, kind, channel.
    pub figures: BTreeMap<(i64, &'static str, &'static str, &'static str), i64>,
    open: BTreeMap<Group, usize>,
    counted: BTreeMap<Said, Counted>,
}

impl Model {
    /// Whether this would be a repeat at `now`.
    pub fn is_repeat(&self, said: &Said, now: i64) -> bool {
        self.counted.get(said).is_some_and(|counted| now - counted.received_at < DAY)
    }

    /// A body that was appended under a report id.
    pub fn append(&mut self, report_id: &str, body: &Body, now: i64) {
        if let Some(first) = self.reports.get_mut(report_id) {
            if first.body != *body {
                first.fate = Fate::Conflict;
            }
            return;
        }
        let said = &body.said;
        let (fate, case) = match self.counted.get(said) {
            Some(counted) if now - counted.received_at < DAY => (Fate::Repeat, counted.case),
            _ => (Fate::Counted, self.case_for(said, now)),
        };
        if fate == Fate::Counted {
            self.counted.insert(said.clone(), Counted { received_at: now, case });
        }
        match case {
            Some(case) => self.cases[case].add(body, now, fate),
            // A repeat of a report without a case adds to nothing.
            None if fate == Fate::Counted => {
                let key = (now.div_euclid(DAY), said.category, said.kind.word(), said.channel);
                *self.figures.entry(key).or_default() += 1;
            }
            None => {}
        }
        self.reports.insert(report_id.to_owned(), Report { body: body.clone(), received_at: now, fate, case });
    }

    fn case_for(&mut self, said: &Said, now: i64) -> Option<usize> {
        let group = group_of(said)?;
        let cases = &mut self.cases;
        let case = *self.open.entry(group.clone()).or_insert_with(|| {
            cases.push(Case {
                category: said.category,
                verdict: None,
                kinds: BTreeSet::new(),
                reporters: BTreeSet::new(),
                reports: 0,
                repeats: 0,
                sms: 0,
                calls: 0,
                money_lost: 0,
                first: now,
                last: now,
                group,
            });
            cases.len() - 1
        });
        Some(case)
    }

    pub fn open_cases(&self) -> Vec<usize> {
        self.open.values().copied().collect()
    }

    /// A decision, made when everything so far is built in.
    pub fn decide(&mut self, case: usize, verdict: &'static str) {
        let group = self.cases[case].group.clone();
        assert_eq!(self.open.remove(&group), Some(case));
        self.cases[case].verdict = Some(verdict);
    }
}

impl Case {
    fn add(&mut self, body: &Body, now: i64, fate: Fate) {
        self.reports += 1;
        self.repeats += i64::from(fate == Fate::Repeat);
        self.kinds.insert(body.said.kind);
        self.reporters.insert(body.said.reporter);
        match body.said.channel {
            "sms" => self.sms += 1,
            _ => self.calls += 1,
        }
        self.money_lost += i64::from(body.money_lost == Some(true));
        self.first = self.first.min(now);
        self.last = self.last.max(now);
    }

    pub fn status(&self) -> &'static str {
        self.verdict.unwrap_or("open")
    }

    pub fn sender_kind(&self) -> &'static str {
        match self.kinds.first() {
            Some(kind) if self.kinds.len() == 1 => kind.word(),
            _ => "mixed",
        }
    }
}
