//! The journal: the append-only table of accepted reports, written by one thread of each node, read in order by the
//! builder.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use super::StoreError;
use super::connection::Connection;
use super::schema::{arrivals, data_keys, meta, reports};
use crate::crypto::envelope::SealedDataKey;
use crate::crypto::key_ring::BodyParts;
use crate::domain::report::Report;
use crate::domain::sender::SenderKind;
use crate::domain::vocabulary::{Category, Channel, EventKind, Harm, Proof, Source};

/// A report as it is appended. Every column is given, so that one prepared statement serves all rows.
#[derive(Insertable)]
#[diesel(table_name = reports, treat_none_as_default_value = false)]
struct NewRow<'a> {
    report_id: &'a [u8],
    event_kind: &'static str,
    source: &'static str,
    owner: &'a [u8],
    reporter_tag: &'a [u8],
    proof: &'static str,
    sender_kind: &'static str,
    sender_tag: Option<&'a [u8]>,
    channel: &'static str,
    category: &'static str,
    harm: Option<&'static str>,
    money_lost: Option<bool>,
    province: Option<&'a str>,
    occurred_at: i64,
    received_at: i64,
    fingerprint: &'a [u8],
    text_tag: Option<&'a [u8]>,
    track_tag: &'a [u8],
    tag_key_id: i32,
    data_key_id: i64,
    envelope: &'a [u8],
    is_legit: bool,
}

impl<'a> NewRow<'a> {
    fn of(report: &'a Report) -> Self {
        Self {
            report_id: report.id.as_bytes(),
            event_kind: report.event.as_str(),
            source: report.source.as_str(),
            owner: report.owner.as_bytes(),
            reporter_tag: &report.reporter_tag,
            proof: report.proof.as_str(),
            sender_kind: report.sender_kind.as_str(),
            sender_tag: report.sender_tag.as_ref().map(<[u8; 16]>::as_slice),
            channel: report.channel.as_str(),
            category: report.category.as_str(),
            harm: report.harm.map(Harm::as_str),
            money_lost: report.money_lost,
            province: report.province.as_deref(),
            occurred_at: report.occurred_at.0,
            received_at: report.received_at.0,
            fingerprint: &report.fingerprint,
            text_tag: report.text_tag.as_ref().map(<[u8; 16]>::as_slice),
            track_tag: &report.track_tag,
            tag_key_id: report.tag_key_id,
            data_key_id: report.data_key_id,
            envelope: &report.envelope,
            is_legit: report.is_legit,
        }
    }
}

/// Appends reports, and before them those of `data_keys` that are not there yet: one commit, durable when this returns.
///
/// # Errors
/// As the database says. Nothing of it is stored then, unless the connection was lost: then nobody knows.
pub fn append(connection: &mut Connection, data_keys: &[&SealedDataKey], rows: &[&Report]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => append_to_file(file, data_keys, rows),
        Connection::Postgresql(session) => append_by_copy(session, data_keys, rows),
    }
}

/// One prepared statement for all rows.
fn append_to_file(file: &mut SqliteConnection, data_keys: &[&SealedDataKey], rows: &[&Report]) -> QueryResult<()> {
    file.batch_execute("BEGIN IMMEDIATE")?;
    let insert_all = |file: &mut SqliteConnection| -> QueryResult<()> {
        for key in data_keys {
            diesel::insert_or_ignore_into(data_keys::table).values(values_of(key)).execute(file)?;
        }
        for report in rows {
            diesel::insert_into(reports::table).values(&NewRow::of(report)).execute(file)?;
        }
        file.batch_execute("COMMIT")
    };
    let outcome = insert_all(file);
    if outcome.is_err() {
        // After a failed COMMIT there may or may not be a transaction left; without one this fails, which is fine.
        let _ = file.batch_execute("ROLLBACK");
    }
    outcome
}

/// `COPY` is a transaction of its own: three messages for a whole batch. A data key is committed before the first report
/// that uses it; one without reports does no harm.
fn append_by_copy(session: &mut PgConnection, data_keys: &[&SealedDataKey], rows: &[&Report]) -> QueryResult<()> {
    for key in data_keys {
        diesel::insert_into(data_keys::table).values(values_of(key)).on_conflict_do_nothing().execute(session)?;
    }
    let rows: Vec<NewRow<'_>> = rows.iter().map(|report| NewRow::of(report)).collect();
    diesel::copy_from(reports::table).from_insertable(&rows).execute(session).map(|_| ())
}

type DataKeyValues<'a> = (
    diesel::dsl::Eq<data_keys::id, i64>,
    diesel::dsl::Eq<data_keys::created_at, i64>,
    diesel::dsl::Eq<data_keys::sealed, &'a [u8]>,
);

fn values_of(key: &SealedDataKey) -> DataKeyValues<'_> {
    (
        data_keys::id.eq(key.id),
        data_keys::created_at.eq(key.created_at_micros),
        data_keys::sealed.eq(key.sealed.as_slice()),
    )
}

/// Finds a sealed data key.
///
/// # Errors
/// As the database says.
pub fn find_data_key(connection: &mut Connection, id: i64) -> QueryResult<Option<SealedDataKey>> {
    data_keys::table
        .find(id)
        .first::<(i64, i64, Vec<u8>)>(connection)
        .optional()
        .map(|row| row.map(|(id, created_at_micros, sealed)| SealedDataKey { id, created_at_micros, sealed }))
}

/// The random value that names this store; renewed when a backup is restored.
///
/// # Errors
/// As the database says.
pub fn find_store_epoch(connection: &mut Connection) -> QueryResult<Vec<u8>> {
    meta::table.find("store_epoch").select(meta::value).first(connection)
}

/// Gives the store another name: markers made before are believed no more.
///
/// # Errors
/// As the database says. Needs a connection that may write the journal.
pub fn renew_store_epoch(connection: &mut Connection, epoch: &[u8]) -> QueryResult<()> {
    diesel::update(meta::table.find("store_epoch")).set(meta::value.eq(epoch)).execute(connection).map(|_| ())
}

/// What the builder reads of a row: all but what is sealed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = reports)]
struct StoredRow {
    seq: i64,
    report_id: Vec<u8>,
    event_kind: String,
    source: String,
    owner: Vec<u8>,
    reporter_tag: Vec<u8>,
    proof: String,
    sender_kind: String,
    sender_tag: Option<Vec<u8>>,
    channel: String,
    category: String,
    harm: Option<String>,
    money_lost: Option<bool>,
    province: Option<String>,
    occurred_at: i64,
    received_at: i64,
    fingerprint: Vec<u8>,
    text_tag: Option<Vec<u8>>,
    is_legit: bool,
}

/// A row of the journal with its words read.
pub struct JournalRow {
    /// Place in the journal.
    pub seq: i64,
    /// Computed id; of an amendment or a withdrawal, that of the report it is about.
    pub report_id: Vec<u8>,
    /// What it records.
    pub event: EventKind,
    /// The way it came.
    pub source: Source,
    /// The carrier's UUID.
    pub owner: Vec<u8>,
    /// Keyed hash of the reporter.
    pub reporter_tag: Vec<u8>,
    /// How the reporter was proven.
    pub proof: Proof,
    /// What kind of sender.
    pub sender_kind: SenderKind,
    /// Keyed hash of the sender.
    pub sender_tag: Option<Vec<u8>>,
    /// SMS or call.
    pub channel: Channel,
    /// What the report claims.
    pub category: Category,
    /// Kind of harm.
    pub harm: Option<String>,
    /// Whether money was lost.
    pub money_lost: Option<bool>,
    /// Code of the province.
    pub province: Option<String>,
    /// When it happened, microseconds.
    pub occurred_at: i64,
    /// When it was taken, microseconds.
    pub received_at: i64,
    /// What makes two reports the same.
    pub fingerprint: Vec<u8>,
    /// Keyed hash of the text.
    pub text_tag: Option<Vec<u8>>,
    /// It says that the message was wanted.
    pub is_legit: bool,
}

impl JournalRow {
    /// Whether its report was withdrawn and nothing personal is left of it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.fingerprint.is_empty()
    }

    /// What a retry must have in common with this row.
    #[must_use]
    pub fn body(&self) -> BodyParts<'_> {
        BodyParts {
            fingerprint: &self.fingerprint,
            harm: self.harm.as_deref(),
            money_lost: self.money_lost,
            province: self.province.as_deref(),
            occurred_at_micros: if self.source.tells_time() { self.occurred_at } else { 0 },
        }
    }
}

impl TryFrom<StoredRow> for JournalRow {
    type Error = StoreError;

    fn try_from(row: StoredRow) -> Result<Self, StoreError> {
        let unknown = |column| StoreError::UnknownWord { seq: row.seq, column };
        Ok(Self {
            event: EventKind::parse(&row.event_kind).ok_or_else(|| unknown("event_kind"))?,
            source: Source::parse(&row.source).ok_or_else(|| unknown("source"))?,
            proof: Proof::parse(&row.proof).ok_or_else(|| unknown("proof"))?,
            sender_kind: SenderKind::parse(&row.sender_kind).ok_or_else(|| unknown("sender_kind"))?,
            channel: Channel::parse(&row.channel).ok_or_else(|| unknown("channel"))?,
            category: Category::parse(&row.category).ok_or_else(|| unknown("category"))?,
            seq: row.seq,
            report_id: row.report_id,
            owner: row.owner,
            reporter_tag: row.reporter_tag,
            sender_tag: row.sender_tag,
            harm: row.harm,
            money_lost: row.money_lost,
            province: row.province,
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            fingerprint: row.fingerprint,
            text_tag: row.text_tag,
            is_legit: row.is_legit,
        })
    }
}

/// Lists at most `limit` rows after `seq` and before `horizon`, in order.
///
/// # Errors
/// As the database says, or a word that this version does not know.
pub fn list_between(
    connection: &mut Connection,
    seq: i64,
    horizon: i64,
    limit: i64,
) -> Result<Vec<JournalRow>, StoreError> {
    reports::table
        .filter(reports::seq.gt(seq))
        .filter(reports::seq.lt(horizon))
        .order(reports::seq)
        .limit(limit)
        .select(StoredRow::as_select())
        .load(connection)?
        .into_iter()
        .map(JournalRow::try_from)
        .collect()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Before which `seq` the journal is complete: no row can come there any more. To be asked before the rows are read.
///
/// SQLite has one writer, so it is complete up to its end. In PostgreSQL a transaction that began earlier may commit later.
///
/// # Errors
/// As the database says.
pub fn find_horizon(connection: &mut Connection) -> QueryResult<i64> {
    match connection {
        Connection::Sqlite(_) => Ok(i64::MAX),
        Connection::Postgresql(session) => diesel::sql_query("SELECT journal.horizon() AS number")
            .get_result::<Number>(session)
            .map(|horizon| horizon.number),
    }
}

/// The `seq` of the row that is `rows` after the next one after `seq`; none when there are not so many.
///
/// # Errors
/// As the database says.
pub fn find_seq_after(connection: &mut Connection, seq: i64, rows: i64) -> QueryResult<Option<i64>> {
    if let Connection::Sqlite(_) = connection {
        // One writer leaves no gaps to speak of, and arithmetic reads no pages.
        let last_seq = find_last_seq(connection)?;
        return Ok((last_seq > seq + rows).then_some(seq + rows + 1));
    }
    let after = arrivals::table.filter(arrivals::seq.gt(seq)).order(arrivals::seq);
    after.select(arrivals::seq).offset(rows).first(connection).optional()
}

/// The `seq` after which the newest `rows` rows stand; 0 when there are not so many.
///
/// # Errors
/// As the database says.
pub fn find_seq_before_newest(connection: &mut Connection, rows: i64) -> QueryResult<i64> {
    if let Connection::Sqlite(_) = connection {
        return find_last_seq(connection).map(|last_seq| (last_seq - rows).max(0));
    }
    let newest_first = arrivals::table.order(arrivals::seq.desc()).select(arrivals::seq);
    newest_first.offset(rows).first(connection).optional().map(Option::unwrap_or_default)
}

/// How many rows stand after `seq`; not counted further than `at_most`.
///
/// # Errors
/// As the database says.
pub fn count_after(connection: &mut Connection, seq: i64, at_most: i64) -> QueryResult<i64> {
    match connection {
        Connection::Sqlite(_) => Ok((find_last_seq(connection)? - seq).clamp(0, at_most)),
        Connection::Postgresql(session) => diesel::sql_query(
            "SELECT count(*) AS number FROM (SELECT FROM journal.arrivals WHERE seq > $1 LIMIT $2) AS counted",
        )
        .bind::<BigInt, _>(seq)
        .bind::<BigInt, _>(at_most)
        .get_result::<Number>(session)
        .map(|counted| counted.number),
    }
}

/// The last `seq` of the journal; 0 when it is empty.
///
/// # Errors
/// As the database says.
pub fn find_last_seq(connection: &mut Connection) -> QueryResult<i64> {
    arrivals::table
        .select(diesel::dsl::max(arrivals::seq))
        .first::<Option<i64>>(connection)
        .map(Option::unwrap_or_default)
}

/// The report id that stands at `seq`.
///
/// # Errors
/// As the database says.
pub fn find_report_id_at(connection: &mut Connection, seq: i64) -> QueryResult<Option<Vec<u8>>> {
    arrivals::table.find(seq).select(arrivals::report_id).first(connection).optional()
}

/// The row at `seq`.
///
/// # Errors
/// As the database says, or a word that this version does not know.
pub fn find_row(connection: &mut Connection, seq: i64) -> Result<Option<JournalRow>, StoreError> {
    let row = reports::table.find(seq).select(StoredRow::as_select()).first(connection).optional()?;
    row.map(JournalRow::try_from).transpose()
}
