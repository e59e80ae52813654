//! What the authority asks of carriers, and what they answer.

use diesel::prelude::*;

use super::building;
use super::connection::{Connection, write_transaction};
use super::feed::lock_public_key;
use super::schema::{carrier_requests, carriers, cases, feed_terms, request_answers};
use super::webhooks::{Event, enqueue};

/// A case and a carrier, as far as a request needs them.
pub struct Addressee {
    /// The case's number.
    pub case_id: i64,
    /// What it is grouped by.
    pub group_key: Vec<u8>,
    /// Its first row in the journal.
    pub opened_seq: i64,
    /// The last row that may belong to it.
    pub closed_seq: Option<i64>,
    /// The carrier's UUID.
    pub carrier_id: Vec<u8>,
    /// What is sealed to it; none when it has no key.
    pub public_key: Option<Vec<u8>>,
}

/// Finds a case and a carrier that may be asked about it; none when there is no such case, or no such carrier that is not
/// revoked.
///
/// # Errors
/// As the database says.
pub fn find_addressee(connection: &mut Connection, reference: &str, carrier: &str) -> QueryResult<Option<Addressee>> {
    let case = cases::table
        .filter(cases::reference.eq(reference))
        .select((cases::id, cases::group_key, cases::opened_seq, cases::closed_seq))
        .first::<(i64, Vec<u8>, i64, Option<i64>)>(connection)
        .optional()?;
    let carrier_id = carriers::table
        .filter(carriers::name.eq(carrier))
        .filter(carriers::revoked_at.is_null())
        .select(carriers::id)
        .first::<Vec<u8>>(connection)
        .optional()?;
    let (Some((case_id, group_key, opened_seq, closed_seq)), Some(carrier_id)) = (case, carrier_id) else {
        return Ok(None);
    };
    let public_key = feed_terms::table
        .find(&carrier_id)
        .select(feed_terms::public_key)
        .first::<Option<Vec<u8>>>(connection)
        .optional()?
        .flatten();
    Ok(Some(Addressee { case_id, group_key, opened_seq, closed_seq, carrier_id, public_key }))
}

/// A request to be made.
#[derive(Insertable)]
#[diesel(table_name = carrier_requests)]
pub struct NewRequest<'a> {
    /// UUID, 16 bytes.
    pub id: &'a [u8],
    /// The carrier's UUID.
    pub carrier_id: &'a [u8],
    /// The case's number.
    pub case_id: i64,
    /// A word of `RequestKind`.
    pub kind: &'a str,
    /// Who asks.
    pub requested_by: &'a str,
    /// When, microseconds.
    pub requested_at: i64,
    /// Until when, microseconds.
    pub due_at: i64,
    /// As it is handed out.
    pub body: &'a str,
}

/// Adds a request behind all others of the carrier, and puts `event` on its way to the carrier's webhooks. `false` when the
/// carrier has another key by now than the one the request was sealed to.
///
/// # Errors
/// As the database says.
pub fn insert_request(
    connection: &mut Connection,
    request: &NewRequest<'_>,
    event: &str,
    sealed_to: &[u8],
) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        building::lock_cursor(connection)?;
        if lock_public_key(connection, request.carrier_id)?.as_deref() != Some(sealed_to) {
            return Ok(false);
        }
        let last: Option<i64> = carrier_requests::table
            .filter(carrier_requests::carrier_id.eq(request.carrier_id))
            .select(diesel::dsl::max(carrier_requests::position))
            .first(connection)?;
        diesel::insert_into(carrier_requests::table)
            .values((request, carrier_requests::position.eq(last.unwrap_or(0) + 1)))
            .execute(connection)?;
        let event = Event { carrier_id: request.carrier_id, id: request.id, body: event, at: request.requested_at };
        enqueue(connection, &event)?;
        Ok(true)
    })
}

/// A request that is not answered, with the case it is about.
#[derive(Queryable)]
pub struct OpenRequest {
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// JSON.
    pub body: String,
    /// The case's reference.
    pub reference: String,
    /// What the case is grouped by.
    pub group_key: Vec<u8>,
    /// The case's first row in the journal.
    pub opened_seq: i64,
    /// The last row that may belong to it.
    pub closed_seq: Option<i64>,
}

/// Lists what a carrier was asked and has not answered. Requests are made by hand, one at a time: they are few.
///
/// # Errors
/// As the database says.
pub fn list_open_requests(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Vec<OpenRequest>> {
    carrier_requests::table
        .inner_join(cases::table)
        .left_join(request_answers::table)
        .filter(carrier_requests::carrier_id.eq(carrier_id))
        .filter(request_answers::request_id.nullable().is_null())
        .order(carrier_requests::position)
        .select((
            carrier_requests::id,
            carrier_requests::body,
            cases::reference,
            cases::group_key,
            cases::opened_seq,
            cases::closed_seq,
        ))
        .load(connection)
}

/// Puts another body in the place of a request's.
///
/// # Errors
/// As the database says.
pub fn update_request_body(connection: &mut Connection, id: &[u8], body: &str) -> QueryResult<()> {
    diesel::update(carrier_requests::table.find(id))
        .set(carrier_requests::body.eq(body))
        .execute(connection)
        .map(|_| ())
}

/// A request with its answer, as its carrier sees it.
#[derive(Queryable)]
pub struct ListedRequest {
    /// Its place among the carrier's.
    pub position: i64,
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// JSON.
    pub body: String,
    /// What came of it, once answered.
    pub outcome: Option<String>,
    /// When, microseconds.
    pub answered_at: Option<i64>,
}

/// Lists at most `limit` requests behind a position.
///
/// # Errors
/// As the database says.
pub fn list_requests_after(
    connection: &mut Connection,
    carrier_id: &[u8],
    position: i64,
    limit: i64,
) -> QueryResult<Vec<ListedRequest>> {
    carrier_requests::table
        .left_join(request_answers::table)
        .filter(carrier_requests::carrier_id.eq(carrier_id))
        .filter(carrier_requests::position.gt(position))
        .order(carrier_requests::position)
        .limit(limit)
        .select((
            carrier_requests::position,
            carrier_requests::id,
            carrier_requests::body,
            request_answers::outcome.nullable(),
            request_answers::answered_at.nullable(),
        ))
        .load(connection)
}

/// The id of the request at this position.
///
/// # Errors
/// As the database says.
pub fn find_request_at(connection: &mut Connection, carrier_id: &[u8], position: i64) -> QueryResult<Option<Vec<u8>>> {
    carrier_requests::table
        .filter(carrier_requests::carrier_id.eq(carrier_id))
        .filter(carrier_requests::position.eq(position))
        .select(carrier_requests::id)
        .first(connection)
        .optional()
}

/// An answer to be written down.
#[derive(Insertable)]
#[diesel(table_name = request_answers)]
pub struct NewAnswer {
    /// Of the request, 16 bytes.
    pub request_id: Vec<u8>,
    /// A word of `Outcome`.
    pub outcome: &'static str,
    /// Sealed to the authority.
    pub note: Option<String>,
    /// Keyed hash of outcome and note.
    pub answer_tag: Vec<u8>,
    /// Microseconds.
    pub answered_at: i64,
}

/// What came of answering.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is written down.
    Stored,
    /// The same answer was given before, at this moment.
    Before(i64),
    /// Another answer was given before.
    Otherwise,
    /// The carrier has no such request.
    NotFound,
}

/// Writes an answer down, unless there is one.
///
/// # Errors
/// As the database says.
pub fn answer_request(connection: &mut Connection, carrier_id: &[u8], answer: &NewAnswer) -> QueryResult<Answered> {
    write_transaction(connection, |connection| {
        let is_asked = carrier_requests::table
            .filter(carrier_requests::id.eq(&answer.request_id))
            .filter(carrier_requests::carrier_id.eq(carrier_id))
            .count()
            .get_result::<i64>(connection)?;
        if is_asked == 0 {
            return Ok(Answered::NotFound);
        }
        let rows = match connection {
            Connection::Sqlite(file) => {
                diesel::insert_or_ignore_into(request_answers::table).values(answer).execute(file)?
            }
            Connection::Postgresql(session) => {
                diesel::insert_into(request_answers::table).values(answer).on_conflict_do_nothing().execute(session)?
            }
        };
        if rows == 1 {
            return Ok(Answered::Stored);
        }
        let (tag, answered_at) = request_answers::table
            .find(&answer.request_id)
            .select((request_answers::answer_tag, request_answers::answered_at))
            .first::<(Vec<u8>, i64)>(connection)?;
        Ok(if tag == answer.answer_tag { Answered::Before(answered_at) } else { Answered::Otherwise })
    })
}

/// A request about a case, as the authority sees it.
#[derive(Queryable)]
pub struct RequestOfCase {
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// The carrier's name.
    pub carrier: String,
    /// A word of `RequestKind`.
    pub kind: String,
    /// Who asks.
    pub requested_by: String,
    /// Microseconds.
    pub requested_at: i64,
    /// Microseconds.
    pub due_at: i64,
    /// A word of `Outcome`.
    pub outcome: Option<String>,
    /// Sealed to the authority.
    pub note: Option<String>,
    /// Microseconds.
    pub answered_at: Option<i64>,
}

/// Lists the requests about a case, oldest first.
///
/// # Errors
/// As the database says.
pub fn list_requests_of_case(connection: &mut Connection, reference: &str) -> QueryResult<Vec<RequestOfCase>> {
    carrier_requests::table
        .inner_join(cases::table)
        .inner_join(carriers::table)
        .left_join(request_answers::table)
        .filter(cases::reference.eq(reference))
        .order((carrier_requests::requested_at, carrier_requests::id))
        .select((
            carrier_requests::id,
            carriers::name,
            carrier_requests::kind,
            carrier_requests::requested_by,
            carrier_requests::requested_at,
            carrier_requests::due_at,
            request_answers::outcome.nullable(),
            request_answers::note.nullable(),
            request_answers::answered_at.nullable(),
        ))
        .load(connection)
}
