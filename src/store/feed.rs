//! What carriers are told of decided cases: on which terms, and the items themselves.

use diesel::prelude::*;

use super::connection::{Connection, write_transaction};
use super::schema::{carriers, case_totals, cases, data_keys, decisions, feed_items, feed_terms, reports};
use super::webhooks::take_back;
use crate::crypto::envelope::SealedDataKey;

/// On which terms a carrier is told of cases, and how far it has been told.
#[derive(Queryable, Selectable, Clone)]
#[diesel(table_name = feed_terms)]
pub struct TermsRow {
    /// The carrier's UUID.
    pub carrier_id: Vec<u8>,
    /// Prefixes beside those it attests, separated by commas; may be empty.
    pub own_prefixes: String,
    /// X25519; none means that nothing is told.
    pub public_key: Option<Vec<u8>>,
    /// What the items were made for.
    pub published_for: Option<Vec<u8>>,
    /// The last decision that was looked at for this carrier.
    pub published_decision: i64,
    /// The last position that was given.
    pub last_position: i64,
}

/// Names a carrier's own numbers beside those it attests; all it was told is made anew. `false` when there is no such
/// carrier.
///
/// # Errors
/// As the database says.
pub fn put_own_prefixes(connection: &mut Connection, carrier: &str, prefixes: &str) -> QueryResult<bool> {
    let Some(id) = find_carrier_id(connection, carrier)? else { return Ok(false) };
    put_terms_row(connection, &id)?;
    write_transaction(connection, |connection| {
        let set = feed_terms::own_prefixes.eq(prefixes);
        let rows = diesel::update(feed_terms::table.find(&id)).set(set).execute(connection)?;
        make_anew(connection, carrier)?;
        Ok(rows == 1)
    })
}

/// Sets or takes away the key that a carrier's items are sealed to; all it was told is made anew. `false` when there is no
/// such carrier.
///
/// # Errors
/// As the database says.
pub fn put_public_key(connection: &mut Connection, carrier: &str, key: Option<&[u8]>) -> QueryResult<bool> {
    let Some(id) = find_carrier_id(connection, carrier)? else { return Ok(false) };
    put_terms_row(connection, &id)?;
    write_transaction(connection, |connection| {
        let set = feed_terms::public_key.eq(key);
        let rows = diesel::update(feed_terms::table.find(&id)).set(set).execute(connection)?;
        make_anew(connection, carrier)?;
        Ok(rows == 1)
    })
}

/// Has all that a carrier was told made anew, also when its terms are the same again: something may have been made on others
/// in between. Until then what was put on its way to its webhooks is taken back. Part of the transaction in which the terms
/// change: it waits for whoever has them locked and tells the carrier something on those of before.
///
/// # Errors
/// As the database says.
pub fn make_anew(connection: &mut Connection, carrier: &str) -> QueryResult<()> {
    let Some(id) = find_carrier_id(connection, carrier)? else { return Ok(()) };
    let set = feed_terms::published_for.eq(None::<Vec<u8>>);
    diesel::update(feed_terms::table.find(&id)).set(set).execute(connection)?;
    take_back(connection, &id)
}

fn put_terms_row(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<()> {
    let values = feed_terms::carrier_id.eq(carrier_id);
    match connection {
        Connection::Sqlite(file) => diesel::insert_or_ignore_into(feed_terms::table).values(values).execute(file)?,
        Connection::Postgresql(session) => {
            diesel::insert_into(feed_terms::table).values(values).on_conflict_do_nothing().execute(session)?
        }
    };
    Ok(())
}

/// The id of a carrier, revoked or not.
///
/// # Errors
/// As the database says.
pub fn find_carrier_id(connection: &mut Connection, name: &str) -> QueryResult<Option<Vec<u8>>> {
    carriers::table.filter(carriers::name.eq(name)).select(carriers::id).first(connection).optional()
}

/// Terms of the carriers that have a key, with what each attests and its scopes.
///
/// # Errors
/// As the database says.
pub fn list_terms(connection: &mut Connection) -> QueryResult<Vec<(TermsRow, String, String)>> {
    feed_terms::table
        .inner_join(carriers::table)
        .filter(carriers::revoked_at.is_null())
        .filter(feed_terms::public_key.is_not_null())
        .order(feed_terms::carrier_id)
        .select((TermsRow::as_select(), carriers::attests, carriers::scopes))
        .load(connection)
}

/// Takes a carrier's terms for the transaction; none when another node has them.
///
/// # Errors
/// As the database says.
pub fn try_lock_terms(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Option<TermsRow>> {
    match connection {
        // The whole file is held by now.
        Connection::Sqlite(file) => {
            feed_terms::table.find(carrier_id).select(TermsRow::as_select()).first(file).optional()
        }
        Connection::Postgresql(session) => feed_terms::table
            .find(carrier_id)
            .select(TermsRow::as_select())
            .for_update()
            .skip_locked()
            .first(session)
            .optional(),
    }
}

/// What the operator has granted a carrier: what it attests and its scopes; none when it is revoked.
///
/// # Errors
/// As the database says.
pub fn find_grant(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Option<(String, String)>> {
    carriers::table
        .find(carrier_id)
        .filter(carriers::revoked_at.is_null())
        .select((carriers::attests, carriers::scopes))
        .first(connection)
        .optional()
}

/// The key that is sealed to; until the end of the transaction nobody sets another.
///
/// # Errors
/// As the database says.
pub fn lock_public_key(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Option<Vec<u8>>> {
    let key = match connection {
        // The whole file is held by now.
        Connection::Sqlite(file) => feed_terms::table
            .find(carrier_id)
            .select(feed_terms::public_key)
            .first::<Option<Vec<u8>>>(file)
            .optional()?,
        Connection::Postgresql(session) => feed_terms::table
            .find(carrier_id)
            .select(feed_terms::public_key)
            .for_update()
            .first::<Option<Vec<u8>>>(session)
            .optional()?,
    };
    Ok(key.flatten())
}

/// Writes down how far a carrier has been told.
///
/// # Errors
/// As the database says.
pub fn update_progress(connection: &mut Connection, terms: &TermsRow) -> QueryResult<()> {
    diesel::update(feed_terms::table.find(&terms.carrier_id))
        .set((
            feed_terms::published_for.eq(&terms.published_for),
            feed_terms::published_decision.eq(terms.published_decision),
            feed_terms::last_position.eq(terms.last_position),
        ))
        .execute(connection)
        .map(|_| ())
}

/// The last decision there is; 0 before the first.
///
/// # Errors
/// As the database says.
pub fn find_last_decision(connection: &mut Connection) -> QueryResult<i64> {
    let last: Option<i64> = decisions::table.select(diesel::dsl::max(decisions::id)).first(connection)?;
    Ok(last.unwrap_or(0))
}

/// Counts the decisions behind this one.
///
/// # Errors
/// As the database says.
pub fn count_decisions_after(connection: &mut Connection, decision: i64) -> QueryResult<i64> {
    decisions::table.filter(decisions::id.gt(decision)).count().get_result(connection)
}

/// A decision with its case, as far as it was counted.
#[derive(Queryable, Selectable)]
#[diesel(table_name = decisions)]
pub struct DecidedRow {
    /// Its number. Decisions are made one at a time, so a lower one is never committed after a higher one.
    pub id: i64,
    /// `upheld` or `dismissed`.
    pub verdict: String,
    /// A word of `ReasonClass`.
    pub reason_class: String,
    /// Microseconds.
    pub decided_at: i64,
    /// Such as `VN-2026-7K3QXWA4`.
    #[diesel(select_expression = cases::reference)]
    pub reference: String,
    /// A word of `Category`.
    #[diesel(select_expression = cases::category)]
    pub category: String,
    /// What it is grouped by.
    #[diesel(select_expression = cases::group_key)]
    pub group_key: Vec<u8>,
    /// Its first row in the journal.
    #[diesel(select_expression = cases::opened_seq)]
    pub opened_seq: i64,
    /// The last row that may belong to it.
    #[diesel(select_expression = cases::closed_seq)]
    pub closed_seq: Option<i64>,
    /// A word of `SenderKind`, or `mixed`.
    #[diesel(select_expression = case_totals::sender_kind)]
    pub sender_kind: String,
    /// Distinct reporters.
    #[diesel(select_expression = case_totals::voices)]
    pub voices: i64,
    /// Reports of SMS.
    #[diesel(select_expression = case_totals::sms)]
    pub sms: i64,
    /// Reports of calls.
    #[diesel(select_expression = case_totals::calls)]
    pub calls: i64,
    /// Microseconds.
    #[diesel(select_expression = case_totals::first_report_at)]
    pub first_report_at: i64,
    /// Microseconds.
    #[diesel(select_expression = case_totals::last_report_at)]
    pub last_report_at: i64,
}

/// Lists at most `limit` decisions after this one, in the order in which they were made.
///
/// # Errors
/// As the database says.
pub fn list_decided_after(connection: &mut Connection, decision: i64, limit: i64) -> QueryResult<Vec<DecidedRow>> {
    decisions::table
        .inner_join(cases::table.inner_join(case_totals::table))
        .filter(decisions::id.gt(decision))
        .order(decisions::id)
        .limit(limit)
        .select(DecidedRow::as_select())
        .load(connection)
}

/// A report's envelope with what opens it.
pub struct SealedReport {
    /// The report's id, 16 bytes.
    pub report_id: Vec<u8>,
    /// As in the journal.
    pub envelope: Vec<u8>,
    /// The data key, sealed to the authority.
    pub data_key: SealedDataKey,
}

/// The first report about this sender between two rows of the journal; none when it, or its data key, is gone.
///
/// # Errors
/// As the database says.
pub fn find_sealed_report(
    connection: &mut Connection,
    sender_tag: &[u8],
    from_seq: i64,
    to_seq: i64,
) -> QueryResult<Option<SealedReport>> {
    // The row that opened the case, in all but the oddest cases: nothing is searched for.
    let row = reports::table
        .filter(reports::seq.ge(from_seq))
        .filter(reports::seq.le(to_seq))
        .filter(reports::sender_tag.eq(sender_tag))
        .order(reports::seq)
        .select((reports::report_id, reports::envelope, reports::data_key_id))
        .first::<(Vec<u8>, Vec<u8>, i64)>(connection)
        .optional()?;
    let Some((report_id, envelope, id)) = row else { return Ok(None) };
    let key = data_keys::table
        .find(id)
        .select((data_keys::created_at, data_keys::sealed))
        .first::<(i64, Vec<u8>)>(connection)
        .optional()?;
    Ok(key.map(|(created_at_micros, sealed)| SealedReport {
        report_id,
        envelope,
        data_key: SealedDataKey { id, created_at_micros, sealed },
    }))
}

/// Puts an item in the place of what the carrier was told of this decision before; its position stays. `false` when it
/// was told nothing.
///
/// # Errors
/// As the database says.
pub fn replace_item(
    connection: &mut Connection,
    carrier_id: &[u8],
    decision: i64,
    item: Option<(bool, &str)>,
) -> QueryResult<bool> {
    let there =
        feed_items::table.filter(feed_items::carrier_id.eq(carrier_id)).filter(feed_items::decision_id.eq(decision));
    let rows = match item {
        Some((is_own, body)) => {
            diesel::update(there).set((feed_items::is_own.eq(is_own), feed_items::body.eq(body))).execute(connection)?
        }
        // Not its own any more. The row stays: a cursor may stand on it.
        None => diesel::update(there).set(feed_items::is_own.eq(false)).execute(connection)?,
    };
    Ok(rows == 1)
}

/// Adds an item behind all others of the carrier.
///
/// # Errors
/// As the database says.
pub fn insert_item(
    connection: &mut Connection,
    carrier_id: &[u8],
    position: i64,
    decision: i64,
    is_own: bool,
    body: &str,
) -> QueryResult<()> {
    diesel::insert_into(feed_items::table)
        .values((
            feed_items::carrier_id.eq(carrier_id),
            feed_items::position.eq(position),
            feed_items::decision_id.eq(decision),
            feed_items::is_own.eq(is_own),
            feed_items::body.eq(body),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Whether a carrier has a key that it can be told something by.
///
/// # Errors
/// As the database says.
pub fn has_public_key(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<bool> {
    let row = feed_terms::table.find(carrier_id).select(feed_terms::public_key.is_not_null());
    row.first::<bool>(connection).optional().map(|has_key| has_key == Some(true))
}

/// The decision that the item at this position is about.
///
/// # Errors
/// As the database says.
pub fn find_item_decision(connection: &mut Connection, carrier_id: &[u8], position: i64) -> QueryResult<Option<i64>> {
    feed_items::table.find((carrier_id, position)).select(feed_items::decision_id).first(connection).optional()
}

/// Lists at most `limit` items behind a position: the position, the decision, and the body.
///
/// # Errors
/// As the database says.
pub fn list_items_after(
    connection: &mut Connection,
    carrier_id: &[u8],
    position: i64,
    sees_all: bool,
    limit: i64,
) -> QueryResult<Vec<(i64, i64, String)>> {
    let seen: &[bool] = if sees_all { &[true, false] } else { &[true] };
    feed_items::table
        .filter(feed_items::carrier_id.eq(carrier_id))
        .filter(feed_items::position.gt(position))
        .filter(feed_items::is_own.eq_any(seen))
        .order(feed_items::position)
        .limit(limit)
        .select((feed_items::position, feed_items::decision_id, feed_items::body))
        .load(connection)
}
