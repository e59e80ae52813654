//! The rules of counting, in plain Rust: what the gateway must come to, whatever it forgets in between.
//!
//! Written from the rules and not from the code: a report id counts once; the same person saying the same within 24 h of
//! a counted report is a repeat and no voice, and the window does not slide; a case is a known sender within a category,
//! a false claim whoever sends it, or a text of a hidden or malformed sender; a decision closes the case there and then;
//! who was hidden may be told later, once, and then the report is counted anew, unless in a case that is decided; of one
//! person's words for and against in a case the latest counts, until it is decided; a word for the sender alone opens no
//! case, and said again when there is one it counts.

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
    /// A word for the sender.
    pub legit: bool,
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
    /// Sent as an SMS of its reporter.
    pub is_sms: bool,
    pub is_amended: bool,
    /// Also when it is in conflict by now.
    pub was_repeat: bool,
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
    /// What each has said in it, in order.
    reporters: BTreeMap<usize, Vec<Word>>,
    pub reports: i64,
    pub repeats: i64,
    pub sms: i64,
    pub calls: i64,
    pub by_sms: i64,
    pub money_lost: i64,
    pub first: i64,
    pub last: i64,
    group: Group,
}

#[derive(Clone, Debug)]
struct Word {
    report_id: String,
    /// Of a repeat, what it repeats.
    repeats: Option<String>,
    legit: bool,
    /// After the decision.
    is_late: bool,
}

#[derive(Clone, Debug)]
struct Counted {
    report_id: String,
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
    /// Counted again within a window, for their case.
    pub counted_again: BTreeSet<Said>,
}

impl Model {
    /// Whether this would be a repeat at `now`.
    pub fn is_repeat(&self, said: &Said, now: i64) -> bool {
        self.counted.get(said).is_some_and(|counted| now - counted.received_at < DAY)
    }

    /// Whether a report that said this says more by now.
    pub fn is_amended(&self, said: &Said) -> bool {
        self.reports.values().any(|report| report.is_amended && report.body.said == *said)
    }

    /// A body that was appended under a report id, as an SMS or by the API.
    pub fn append(&mut self, report_id: &str, body: &Body, now: i64, is_sms: bool) {
        if let Some(first) = self.reports.get_mut(report_id) {
            if first.body != *body {
                first.fate = Fate::Conflict;
            }
            return;
        }
        let (fate, case) = self.count(report_id, body, now, is_sms);
        let report = Report {
            body: body.clone(),
            received_at: now,
            fate,
            case,
            is_sms,
            is_amended: false,
            was_repeat: fate == Fate::Repeat,
        };
        self.reports.insert(report_id.to_owned(), report);
    }

    /// The sender of a report that had none was told: it is taken out of the counts, and counted anew now.
    pub fn amend(&mut self, report_id: &str, kind: Kind, sender: usize, now: i64) {
        let report = self.reports[report_id].clone();
        if report.is_amended || report.body.said.kind != Kind::Hidden {
            return;
        }
        let said = &report.body.said;
        let was_repeat = report.was_repeat;
        match report.case.map(|case| &mut self.cases[case]) {
            Some(case) if case.verdict.is_none() => case.take(report_id, &report.body, was_repeat),
            Some(_) => {}
            None if was_repeat => {}
            None => {
                let key = (report.received_at.div_euclid(DAY), said.category, said.kind.word(), said.channel);
                let figure = self.figures.get_mut(&key).unwrap();
                *figure -= 1;
                if *figure == 0 {
                    self.figures.remove(&key);
                }
            }
        }
        if self.counted.get(said).is_some_and(|counted| counted.report_id == report_id) {
            self.counted.remove(said);
        }
        let body = Body { said: Said { kind, sender, ..said.clone() }, ..report.body.clone() };
        let (fate, case) = self.count(report_id, &body, now, true);
        let amended = self.reports.get_mut(report_id).unwrap();
        amended.case = case;
        amended.is_amended = true;
        amended.was_repeat = fate == Fate::Repeat;
        if amended.fate != Fate::Conflict {
            amended.fate = fate;
        }
    }

    fn count(&mut self, report_id: &str, body: &Body, now: i64, is_sms: bool) -> (Fate, Option<usize>) {
        let said = &body.said;
        let in_window = self.counted.get(said).filter(|counted| now - counted.received_at < DAY).cloned();
        let repeated = in_window.clone().filter(|counted| !self.finds_its_case(said, counted));
        if in_window.is_some() && repeated.is_none() {
            self.counted_again.insert(said.clone());
        }
        let (fate, case, repeats) = match repeated {
            Some(counted) => (Fate::Repeat, counted.case, Some(counted.report_id)),
            _ => (Fate::Counted, self.case_for(said, now), None),
        };
        if fate == Fate::Counted {
            self.counted.insert(said.clone(), Counted { report_id: report_id.to_owned(), received_at: now, case });
        }
        match case {
            Some(case) => self.cases[case].add(report_id, repeats, body, now, is_sms),
            // A repeat of a report without a case adds to nothing.
            None if fate == Fate::Counted => {
                let category = if said.legit { "legit" } else { said.category };
                let key = (now.div_euclid(DAY), category, said.kind.word(), said.channel);
                *self.figures.entry(key).or_default() += 1;
            }
            None => {}
        }
        (fate, case)
    }

    fn finds_its_case(&self, said: &Said, counted: &Counted) -> bool {
        said.legit && counted.case.is_none() && group_of(said).is_some_and(|group| self.open.contains_key(&group))
    }

    fn case_for(&mut self, said: &Said, now: i64) -> Option<usize> {
        let group = group_of(said)?;
        if said.legit {
            return self.open.get(&group).copied();
        }
        let cases = &mut self.cases;
        let case = *self.open.entry(group.clone()).or_insert_with(|| {
            cases.push(Case {
                category: said.category,
                verdict: None,
                kinds: BTreeSet::new(),
                reporters: BTreeMap::new(),
                reports: 0,
                repeats: 0,
                sms: 0,
                calls: 0,
                by_sms: 0,
                money_lost: 0,
                first: now,
                last: now,
                group,
            });
            cases.len() - 1
        });
        Some(case)
    }

    /// Those that have a report left.
    pub fn open_cases(&self) -> Vec<usize> {
        self.open.values().copied().filter(|case| self.cases[*case].reports > 0).collect()
    }

    /// A decision, made when everything so far is built in.
    pub fn decide(&mut self, case: usize, verdict: &'static str) {
        let group = self.cases[case].group.clone();
        assert_eq!(self.open.remove(&group), Some(case));
        self.cases[case].verdict = Some(verdict);
    }
}

impl Case {
    fn add(&mut self, report_id: &str, repeats: Option<String>, body: &Body, now: i64, is_sms: bool) {
        if self.reports == 0 {
            (self.first, self.last) = (now, now);
            self.kinds.clear();
        }
        self.reports += 1;
        self.by_sms += i64::from(is_sms);
        self.repeats += i64::from(repeats.is_some());
        self.kinds.insert(body.said.kind);
        self.reporters.entry(body.said.reporter).or_default().push(Word {
            report_id: report_id.to_owned(),
            repeats,
            legit: body.said.legit,
            is_late: self.verdict.is_some(),
        });
        match body.said.channel {
            "sms" => self.sms += 1,
            _ => self.calls += 1,
        }
        self.money_lost += i64::from(body.money_lost == Some(true));
        self.first = self.first.min(now);
        self.last = self.last.max(now);
    }

    /// Takes away what the SMS added. When it was first and last heard of stays, and so does what kinds were.
    fn take(&mut self, report_id: &str, body: &Body, was_repeat: bool) {
        self.reports -= 1;
        self.by_sms -= 1;
        match body.said.channel {
            "sms" => self.sms -= 1,
            _ => self.calls -= 1,
        }
        self.repeats -= i64::from(was_repeat);
        let Some(words) = self.reporters.get_mut(&body.said.reporter) else { return };
        words.retain(|word| word.report_id != report_id && word.repeats.as_deref() != Some(report_id));
        if words.iter().all(|word| word.repeats.is_some()) {
            self.reporters.remove(&body.said.reporter);
        }
    }

    /// How many of its reporters have this as their latest word.
    pub fn voices(&self, legit: bool) -> i64 {
        i64::try_from(self.reporters.values().filter(|words| latest(words) == legit).count()).unwrap()
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

fn latest(words: &[Word]) -> bool {
    words.iter().rev().find(|word| !word.is_late).unwrap_or(&words[0]).legit
}
