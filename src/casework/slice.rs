//! One slice of the journal on its way into cases: looks up in bulk what the rows touch, decides row by row in memory,
//! writes in bulk.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::builder::BuildError;
use super::withdrawal::note_further_row;
use crate::domain::clock::MICROS_PER_DAY;
use crate::domain::grouping::{GroupKey, group_key};
use crate::domain::report::REPEAT_WINDOW_MICROS;
use crate::domain::tag_map::{TagMap, place_among};
use crate::domain::vocabulary::{Channel, Proof, Source};
use crate::store::building::{
    self, CaseSpan, CountedRow, FigureKey, IndexRow, MIXED, NewCase, TotalsRow, VoiceBefore, VoiceRow,
};
use crate::store::connection::Connection;
use crate::store::journal::{self, JournalRow};
use crate::store::withdrawing::{self, KeptRepeat, VoicePart, WithdrawnRow};

/// How much longer than the window a counted fingerprint is kept, so that sweeping never races the window: 1 h.
const SWEEP_MARGIN_MICROS: i64 = MICROS_PER_DAY / 24;
/// Stands for the category in the figures of reports that say a message was wanted.
const LEGIT: &str = "legit";
/// References drawn before giving up. At a million cases a year one draw in 34,000 is taken.
const REFERENCE_DRAWS_MAX: usize = 16;

/// A reporter's part in a case, gathered over the slice.
struct Voice<'r> {
    reports: i64,
    proof: Proof,
    attested_by: &'r [u8],
    /// The latest word is for the sender.
    is_legit: bool,
    /// Nothing but what was said again after the decision: the word that it was made on stands.
    is_late: bool,
    first: Part<'r>,
    /// Of most voices there are none.
    further: Vec<Part<'r>>,
}

/// What a row adds to a voice.
struct Part<'r> {
    row: &'r JournalRow,
    /// 1, or 0 of a repeat.
    reports: i64,
    is_late: bool,
}

impl Part<'_> {
    /// As it is written down; `seq` is 0 of the first one.
    fn written(&self, case_id: i64, seq: i64) -> VoicePart {
        VoicePart {
            case_id,
            reporter_tag: self.row.reporter_tag.clone(),
            seq,
            report_id: Some(self.row.report_id.clone()),
            reports: self.reports,
            proof: self.row.proof.as_str().to_owned(),
            attested_by: self.row.owner.clone(),
            is_legit: self.row.is_legit,
            is_late: self.is_late,
        }
    }
}

/// The state of a slice. `D` draws a case reference.
pub(super) struct Slice<'r, D> {
    draw_reference: D,
    /// In their order.
    rows: &'r [JournalRow],
    /// Report id to the row that counts, of earlier slices.
    seqs_before: HashMap<Vec<u8>, i64>,
    /// By fingerprint: of earlier slices, of this one.
    counted_before: HashMap<Vec<u8>, CountedRow>,
    newly_counted: TagMap<&'r [u8], CountedRow>,
    cases: HashMap<Vec<u8>, Vec<CaseSpan>>,
    /// Row ids for cases that this slice opens.
    free_case_ids: Vec<i64>,
    opened: Vec<NewCase>,
    /// By report id: every row of this slice but for twins.
    index_rows: TagMap<&'r [u8], IndexRow>,
    voices: TagMap<(i64, &'r [u8]), Voice<'r>>,
    /// What this slice adds to each case.
    totals: BTreeMap<i64, TotalsRow>,
    figures: HashMap<FigureKey, i64>,
    conflicts: HashSet<&'r [u8]>,
    twins: Vec<&'r JournalRow>,
    /// What blank rows had added before they were withdrawn.
    withdrawn: HashMap<i64, WithdrawnRow>,
    kept_repeats: HashMap<i64, KeptRepeat>,
}

impl<'r, D: FnMut() -> Result<String, BuildError>> Slice<'r, D> {
    /// Looks up everything that the rows may touch.
    pub(super) fn load(
        connection: &mut Connection,
        rows: &'r [JournalRow],
        draw_reference: D,
    ) -> Result<Self, BuildError> {
        // In the order of the indexes, so that neighbours are looked up while their page is at hand.
        let mut ids: Vec<&[u8]> = rows.iter().map(|row| row.report_id.as_slice()).collect();
        ids.sort_unstable();
        let mut fingerprints: Vec<&[u8]> = rows.iter().map(|row| row.fingerprint.as_slice()).collect();
        fingerprints.sort_unstable();
        let keys: HashSet<GroupKey> = rows.iter().filter_map(key_of).collect();
        let keys: Vec<&GroupKey> = keys.iter().collect();
        let mut cases: HashMap<Vec<u8>, Vec<CaseSpan>> = HashMap::new();
        for case in building::list_cases_of_groups(connection, &keys)? {
            cases.entry(case.group_key.clone()).or_default().push(case);
        }
        let is_open = |key: &&&GroupKey| {
            cases.get(key.as_bytes()).is_some_and(|spans| spans.iter().any(|span| span.closed_seq.is_none()))
        };
        let to_open = keys.len() - keys.iter().filter(is_open).count();
        let mut withdrawn = HashMap::new();
        for row in rows.iter().filter(|row| row.is_blank()) {
            let known = withdrawing::find_withdrawn_row(connection, row.seq, &row.report_id)?;
            withdrawn.extend(known.filter(|known| known.is_counted).map(|known| (row.seq, known)));
        }
        let (first, last) = (rows.first().map_or(0, |row| row.seq), rows.last().map_or(0, |row| row.seq));
        let kept_repeats = withdrawing::list_kept_repeats(connection, first, last)?;
        Ok(Self {
            draw_reference,
            rows,
            seqs_before: building::find_indexed_seqs(connection, &ids)?,
            counted_before: building::find_counted(connection, &fingerprints)?,
            newly_counted: TagMap::default(),
            cases,
            free_case_ids: building::reserve_case_ids(connection, i64::try_from(to_open).unwrap_or(i64::MAX))?,
            opened: Vec::new(),
            index_rows: TagMap::default(),
            voices: TagMap::default(),
            totals: BTreeMap::new(),
            figures: HashMap::new(),
            conflicts: HashSet::new(),
            twins: Vec::new(),
            withdrawn,
            kept_repeats: kept_repeats.into_iter().map(|kept| (kept.seq, kept)).collect(),
        })
    }

    /// Decides what one row is: a twin, a repeat, or counted.
    pub(super) fn add(&mut self, connection: &mut Connection, row: &'r JournalRow) -> Result<(), BuildError> {
        let in_slice = || self.index_rows.get(row.report_id.as_slice()).map(|first| first.seq);
        match self.seqs_before.get(&row.report_id).copied().or_else(in_slice) {
            Some(first_seq) => self.drop_twin(connection, row, first_seq),
            None => self.count_or_link(row),
        }
    }

    /// Counts a report as what an amendment made of it. The index goes on saying where it stands itself (`index`).
    pub(super) fn recount(&mut self, amendment: &'r JournalRow, index: &IndexRow) -> Result<(), BuildError> {
        self.count_or_link(amendment)?;
        if let Some(row) = self.index_rows.get_mut(amendment.report_id.as_slice()) {
            row.seq = index.seq;
            row.conflict = index.conflict;
        }
        Ok(())
    }

    fn count_or_link(&mut self, row: &'r JournalRow) -> Result<(), BuildError> {
        if row.is_blank() {
            self.count_as_before(row);
            return Ok(());
        }
        if let Some(kept) = self.kept_repeats.get(&row.seq).filter(|kept| kept.report_id == row.report_id).cloned() {
            self.link(row, kept.case_id, kept.repeat_of);
            return Ok(());
        }
        let before = || self.counted_before.get(&row.fingerprint);
        let repeated = (self.newly_counted.get(row.fingerprint.as_slice()).or_else(before))
            .filter(|counted| row.received_at.saturating_sub(counted.received_at) < REPEAT_WINDOW_MICROS);
        // What was said for a sender before there was a case is in the figures alone, and this one belongs to the case.
        let finds_its_case = |counted: &CountedRow| {
            row.is_legit
                && counted.case_id.is_none()
                && key_of(row).is_some_and(|key| self.find_case_before(&key, row).is_some())
        };
        if let Some(counted) = repeated.filter(|counted| !finds_its_case(counted)).cloned() {
            self.link_repeat(row, counted);
            return Ok(());
        }
        self.count(row)
    }

    /// The same report id again: it adds nothing, but another body under it is told to the carrier.
    fn drop_twin(&mut self, connection: &mut Connection, row: &'r JournalRow, first: i64) -> Result<(), BuildError> {
        self.twins.push(row);
        // Of a report that is withdrawn by now the first body is gone.
        let is_same = |first: &JournalRow| row.is_blank() || first.is_blank() || first.body() == row.body();
        let same_body = match self.find_row(first) {
            Some(first) => is_same(first),
            None => journal::find_row(connection, first)?.is_some_and(|first| is_same(&first)),
        };
        if !same_body {
            self.conflicts.insert(&row.report_id);
        }
        Ok(())
    }

    fn find_row(&self, seq: i64) -> Option<&'r JournalRow> {
        let place = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.rows.get(place)
    }

    /// The same person saying the same again: linked to the case of the counted report, no new voice.
    fn link_repeat(&mut self, row: &'r JournalRow, counted: CountedRow) {
        if let Some(case_id) = counted.case_id {
            // It may be better proven than the report it repeats: a carrier that vouches for nobody could else make every
            // voice worthless by being first.
            let is_late = self.is_decided_before(case_id, row);
            self.add_voice(case_id, row, 0, is_late);
        }
        self.link(row, counted.case_id, counted.report_id);
    }

    fn link(&mut self, row: &'r JournalRow, case_id: Option<i64>, repeat_of: Vec<u8>) {
        if let Some(case_id) = case_id {
            self.add_to_totals(case_id, row).repeats += 1;
        }
        self.index(row, case_id, Some(repeat_of));
    }

    /// Counts a row that is blank as it was counted before it was withdrawn, up to its withdrawal. It is in no voice: that
    /// is taken back then. What is not known any more is passed over.
    fn count_as_before(&mut self, row: &'r JournalRow) {
        let before = self.withdrawn.get(&row.seq).map(|before| (before.case_id, before.repeat_of.clone()));
        match before {
            Some((case_id, Some(repeat_of))) => self.link(row, case_id, repeat_of),
            Some((Some(case_id), None)) => {
                self.add_to_totals(case_id, row);
                self.index(row, Some(case_id), None);
            }
            Some((None, None)) => {
                *self.figures.entry(figure_key(row)).or_default() += 1;
                self.index(row, None, None);
            }
            // As a repeat, so that its withdrawal takes nothing from the figures that was not added.
            None => self.index(row, None, Some(row.report_id.clone())),
        }
    }

    fn count(&mut self, row: &'r JournalRow) -> Result<(), BuildError> {
        let case_id = match key_of(row) {
            Some(key) if row.is_legit => self.find_case_before(&key, row),
            Some(key) => Some(self.find_or_open_case(&key, row)?),
            None => None,
        };
        match case_id {
            Some(case_id) => {
                self.add_to_totals(case_id, row);
                self.add_voice(case_id, row, 1, false);
            }
            None => {
                *self.figures.entry(figure_key(row)).or_default() += 1;
            }
        }
        let counted = CountedRow {
            fingerprint: row.fingerprint.clone(),
            report_id: row.report_id.clone(),
            case_id,
            received_at: row.received_at,
        };
        self.newly_counted.insert(&row.fingerprint, counted);
        self.index(row, case_id, None);
        Ok(())
    }

    /// The closed case whose span holds the row, as a rebuild needs it; else the open case, wherever it was opened (after
    /// a restore it may have been by a row that is gone); else a new one.
    fn find_or_open_case(&mut self, key: &GroupKey, row: &JournalRow) -> Result<i64, BuildError> {
        let of_group = self.cases.get_mut(key.as_bytes());
        let spans = match of_group {
            Some(spans) => spans,
            None => self.cases.entry(key.as_bytes().to_vec()).or_default(),
        };
        let holds = |span: &&CaseSpan| {
            span.closed_seq.is_some_and(|closed_seq| (span.opened_seq..=closed_seq).contains(&row.seq))
        };
        let is_open = |span: &&CaseSpan| span.closed_seq.is_none();
        if let Some(span) = spans.iter().find(holds).or_else(|| spans.iter().find(is_open)) {
            return Ok(span.id);
        }
        // There is one for each group without an open case.
        let id = self.free_case_ids.pop().ok_or(BuildError::Random)?;
        let (group_key, opened_seq) = (key.as_bytes().to_vec(), row.seq);
        spans.push(CaseSpan { id, group_key: group_key.clone(), opened_seq, closed_seq: None });
        let reference = (self.draw_reference)()?;
        self.opened.push(NewCase { id, reference, group_key, category: row.category.as_str(), opened_seq });
        Ok(id)
    }

    /// The case that a word for its sender belongs to: one that was there before it. Such a word alone opens none, and
    /// whether there was one is the same in a rebuild, when cases of later rows are known already.
    fn find_case_before(&self, key: &GroupKey, row: &JournalRow) -> Option<i64> {
        let holds = |span: &&CaseSpan| {
            span.opened_seq < row.seq && span.closed_seq.is_none_or(|closed_seq| row.seq <= closed_seq)
        };
        self.cases.get(key.as_bytes())?.iter().find(holds).map(|span| span.id)
    }

    /// Whether the row came after the decision of this case, which is of its group.
    fn is_decided_before(&self, case_id: i64, row: &JournalRow) -> bool {
        let spans = key_of(row).and_then(|key| self.cases.get(key.as_bytes()));
        let span = spans.and_then(|spans| spans.iter().find(|span| span.id == case_id));
        span.and_then(|span| span.closed_seq).is_some_and(|closed_seq| closed_seq < row.seq)
    }

    /// Draws other references for the opened cases whose own is taken, and opens them all.
    fn open_cases(&mut self, connection: &mut Connection) -> Result<(), BuildError> {
        for _ in 0..REFERENCE_DRAWS_MAX {
            let references: Vec<&str> = self.opened.iter().map(|case| case.reference.as_str()).collect();
            let mut taken: HashSet<String> =
                building::list_taken_references(connection, &references)?.into_iter().collect();
            let mut is_redrawn = false;
            for case in &mut self.opened {
                // Taken by an older case, or by one of this slice.
                if !taken.insert(case.reference.clone()) {
                    case.reference = (self.draw_reference)()?;
                    is_redrawn = true;
                }
            }
            if !is_redrawn {
                return Ok(building::insert_cases(connection, &self.opened)?);
            }
        }
        Err(BuildError::Random)
    }

    /// Adds the row's report to what the slice adds to the totals of its case.
    fn add_to_totals(&mut self, case_id: i64, row: &JournalRow) -> &mut TotalsRow {
        let totals = self.totals.entry(case_id).or_insert_with(|| empty_totals(case_id, row));
        totals.reports += 1;
        if totals.sender_kind != row.sender_kind.as_str() {
            MIXED.clone_into(&mut totals.sender_kind);
        }
        match row.channel {
            Channel::Sms => totals.sms += 1,
            Channel::Call => totals.calls += 1,
        }
        match row.source {
            Source::CarrierApi => totals.carrier_api += 1,
            Source::CarrierBatch => totals.carrier_batch += 1,
            Source::CarrierMo => totals.carrier_mo += 1,
            Source::Web => totals.web += 1,
        }
        totals.money_lost += i64::from(row.money_lost == Some(true));
        totals.first_report_at = totals.first_report_at.min(row.received_at);
        totals.last_report_at = totals.last_report_at.max(row.received_at);
        totals
    }

    fn add_voice(&mut self, case_id: i64, row: &'r JournalRow, reports: i64, is_late: bool) {
        let part = Part { row, reports, is_late };
        let voice = match self.voices.entry((case_id, &row.reporter_tag)) {
            Entry::Vacant(free) => {
                free.insert(Voice {
                    reports,
                    proof: row.proof,
                    attested_by: &row.owner,
                    is_legit: row.is_legit,
                    is_late,
                    first: part,
                    further: Vec::new(),
                });
                return;
            }
            Entry::Occupied(voice) => voice.into_mut(),
        };
        voice.further.push(part);
        voice.reports += reports;
        // Rows come in the order of the journal: the latest word counts, a repeated one too, up to the decision.
        if !is_late {
            voice.is_legit = row.is_legit;
        }
        if row.proof > voice.proof {
            voice.proof = row.proof;
            voice.attested_by = &row.owner;
        }
    }

    fn index(&mut self, row: &'r JournalRow, case_id: Option<i64>, repeat_of: Option<Vec<u8>>) {
        let index_row = IndexRow {
            report_id: row.report_id.clone(),
            seq: row.seq,
            owner: row.owner.clone(),
            case_id,
            repeat_of,
            conflict: false,
            withdrawn_seq: None,
        };
        self.index_rows.insert(&row.report_id, index_row);
    }

    /// Writes the voices, and adds the new ones to the totals.
    fn write_voices(&mut self, connection: &mut Connection) -> Result<(), BuildError> {
        let mut voices: Vec<(&(i64, &'r [u8]), &Voice<'r>)> = self.voices.iter().collect();
        voices.sort_by_cached_key(|((case_id, reporter_tag), _)| (*case_id, place_among(reporter_tag)));
        let row = |((case_id, reporter_tag), voice): &(&(i64, &'r [u8]), &Voice<'r>)| VoiceRow {
            case_id: *case_id,
            reporter_tag,
            reports: voice.reports,
            proof: voice.proof.as_str(),
            attested_by: voice.attested_by,
            is_legit: voice.is_legit,
        };
        let rows: Vec<VoiceRow<'r>> = voices.iter().map(row).collect();
        let before = building::insert_new_voices(connection, &rows)?;
        let mut changed = Vec::new();
        let mut parts = Vec::new();
        for ((row, (_, voice)), before) in rows.iter().zip(&voices).zip(&before) {
            let after = before.as_ref().map_or(*row, |before| grown(row, before, voice));
            add_parts(&mut parts, row, voice, before.as_ref());
            if before.is_some() {
                changed.push(after);
            }
            if let Some(totals) = self.totals.get_mut(&row.case_id) {
                let proof = before.as_ref().map_or(voice.proof, |before| proof_of(before).max(voice.proof));
                let (now, then) = (Weight::of(proof, after.is_legit), before.as_ref().map_or(Weight::NONE, weight_of));
                totals.voices += now.against - then.against;
                totals.foreign_voices += now.foreign - then.foreign;
                totals.counter_voices += now.counter - then.counter;
            }
        }
        withdrawing::insert_parts(connection, &parts)?;
        Ok(building::replace_voices(connection, &changed)?)
    }

    /// Twins hold of their reports what the first rows hold: they are blanked with them.
    fn note_twins(&self, connection: &mut Connection) -> Result<(), BuildError> {
        let ids: Vec<&[u8]> = self.twins.iter().map(|twin| twin.report_id.as_slice()).collect();
        let withdrawn = withdrawing::find_withdrawn_seqs(connection, &ids)?;
        let mut further = Vec::new();
        for twin in &self.twins {
            match withdrawn.get(&twin.report_id) {
                Some(withdrawn_seq) => note_further_row(connection, &twin.report_id, twin.seq, *withdrawn_seq)?,
                None => further.push((twin.report_id.as_slice(), twin.seq)),
            }
        }
        Ok(withdrawing::insert_further_rows(connection, &further)?)
    }

    /// Writes everything; the number of conflicts found.
    pub(super) fn finish(mut self, connection: &mut Connection) -> Result<usize, BuildError> {
        self.open_cases(connection)?;
        self.note_twins(connection)?;
        self.write_voices(connection)?;
        let case_ids: Vec<i64> = self.totals.keys().copied().collect();
        for before in building::list_totals(connection, &case_ids)? {
            if let Some(added) = self.totals.get_mut(&before.case_id) {
                *added = sum_of(before, added);
            }
        }
        let totals: Vec<TotalsRow> = self.totals.into_values().collect();
        building::replace_totals(connection, &totals)?;
        // In the order of the indexes: they touch each page once.
        let mut index_rows: Vec<IndexRow> = self.index_rows.into_values().collect();
        index_rows.sort_by_cached_key(|row| place_among(&row.report_id));
        building::insert_index_rows(connection, &index_rows)?;
        let mut counted: Vec<CountedRow> = self.newly_counted.into_values().collect();
        counted.sort_by_cached_key(|row| place_among(&row.fingerprint));
        let fingerprints = counted.iter().map(|row| row.fingerprint.as_slice());
        let replaced: Vec<&[u8]> =
            fingerprints.filter(|fingerprint| self.counted_before.contains_key(*fingerprint)).collect();
        building::write_counted(connection, &counted, &replaced)?;
        for (key, reports) in &self.figures {
            building::upsert_figure(connection, key, *reports)?;
        }
        for report_id in &self.conflicts {
            building::update_conflict(connection, report_id)?;
        }
        if let Some(oldest) = self.rows.iter().map(|row| row.received_at).min() {
            building::delete_counted_before(connection, oldest - REPEAT_WINDOW_MICROS - SWEEP_MARGIN_MICROS)?;
        }
        Ok(self.conflicts.len())
    }
}

/// Has the parts of a voice written down, once it has several; the first is then what the voice was.
fn add_parts(parts: &mut Vec<VoicePart>, row: &VoiceRow<'_>, voice: &Voice<'_>, before: Option<&VoiceBefore>) {
    if let Some(before) = before {
        parts.push(VoicePart {
            case_id: row.case_id,
            reporter_tag: row.reporter_tag.to_vec(),
            seq: 0,
            report_id: None,
            reports: before.reports,
            proof: before.proof.clone(),
            attested_by: before.attested_by.clone(),
            is_legit: before.is_legit,
            is_late: false,
        });
        parts.push(voice.first.written(row.case_id, voice.first.row.seq));
    } else if !voice.further.is_empty() {
        parts.push(voice.first.written(row.case_id, 0));
    }
    parts.extend(voice.further.iter().map(|part| part.written(row.case_id, part.row.seq)));
}

/// A voice as it is after the slice.
fn grown<'v>(added: &VoiceRow<'v>, before: &'v VoiceBefore, voice: &Voice<'_>) -> VoiceRow<'v> {
    let proof_before = proof_of(before);
    let reports = before.reports + added.reports;
    let is_legit = if voice.is_late { before.is_legit } else { added.is_legit };
    if voice.proof > proof_before {
        VoiceRow { reports, is_legit, ..*added }
    } else {
        VoiceRow { reports, is_legit, proof: proof_before.as_str(), attested_by: &before.attested_by, ..*added }
    }
}

pub(super) fn proof_of(before: &VoiceBefore) -> Proof {
    Proof::parse(&before.proof).unwrap_or(Proof::None)
}

/// Totals as they are after the slice.
fn sum_of(before: TotalsRow, added: &TotalsRow) -> TotalsRow {
    let sender_kind = if before.sender_kind == added.sender_kind { before.sender_kind } else { MIXED.to_owned() };
    TotalsRow {
        case_id: before.case_id,
        sender_kind,
        reports: before.reports + added.reports,
        repeats: before.repeats + added.repeats,
        voices: before.voices + added.voices,
        foreign_voices: before.foreign_voices + added.foreign_voices,
        sms: before.sms + added.sms,
        calls: before.calls + added.calls,
        carrier_api: before.carrier_api + added.carrier_api,
        carrier_batch: before.carrier_batch + added.carrier_batch,
        carrier_mo: before.carrier_mo + added.carrier_mo,
        web: before.web + added.web,
        money_lost: before.money_lost + added.money_lost,
        first_report_at: before.first_report_at.min(added.first_report_at),
        last_report_at: before.last_report_at.max(added.last_report_at),
        counter_voices: before.counter_voices + added.counter_voices,
    }
}

impl TotalsRow {
    /// A voice of the case became another, came or went.
    pub(super) fn change_voice(&mut self, before: Option<&VoiceBefore>, after: Option<&VoiceBefore>) {
        let (then, now) = (before.map_or(Weight::NONE, weight_of), after.map_or(Weight::NONE, weight_of));
        self.voices += now.against - then.against;
        self.foreign_voices += now.foreign - then.foreign;
        self.counter_voices += now.counter - then.counter;
    }
}

fn empty_totals(case_id: i64, first: &JournalRow) -> TotalsRow {
    TotalsRow {
        case_id,
        sender_kind: first.sender_kind.as_str().to_owned(),
        reports: 0,
        repeats: 0,
        voices: 0,
        foreign_voices: 0,
        sms: 0,
        calls: 0,
        carrier_api: 0,
        carrier_batch: 0,
        carrier_mo: 0,
        web: 0,
        money_lost: 0,
        first_report_at: first.received_at,
        last_report_at: first.received_at,
        counter_voices: 0,
    }
}

/// What a voice adds to the totals of its case.
pub(super) struct Weight {
    pub(super) against: i64,
    /// Against, and attested by nobody entitled.
    pub(super) foreign: i64,
    pub(super) counter: i64,
}

impl Weight {
    const NONE: Self = Self { against: 0, foreign: 0, counter: 0 };

    fn of(proof: Proof, is_legit: bool) -> Self {
        let against = i64::from(!is_legit);
        let foreign = if proof <= Proof::Foreign { against } else { 0 };
        Self { against, foreign, counter: i64::from(is_legit) }
    }
}

pub(super) fn weight_of(before: &VoiceBefore) -> Weight {
    Weight::of(proof_of(before), before.is_legit)
}

/// Where a report without a case is counted.
pub(super) fn figure_key(row: &JournalRow) -> FigureKey {
    FigureKey {
        day: row.received_at.div_euclid(MICROS_PER_DAY),
        category: if row.is_legit { LEGIT } else { row.category.as_str() },
        sender_kind: row.sender_kind.as_str(),
        channel: row.channel.as_str(),
    }
}

fn key_of(row: &JournalRow) -> Option<GroupKey> {
    group_key(row.category, row.sender_kind, row.sender_tag.as_deref(), row.text_tag.as_deref())
}
