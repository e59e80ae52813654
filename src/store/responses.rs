//! What the other side reads of the cases about its number, and what it answers.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Text};

use super::StoreError;
use super::connection::Connection;
use super::schema::{cases, responses};
use crate::domain::clock::Moment;
use crate::domain::grouping::GroupKey;
use crate::domain::vocabulary::{CaseStatus, Category};

/// Cases of one grouping key that are shown, newest first.
const CASES_MAX: i32 = 20;

/// A case as the other side sees it: never who reported, nor what they wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedCase {
    /// Its row.
    pub case_id: i64,
    /// What is claimed.
    pub category: Category,
    /// Where it stands.
    pub status: CaseStatus,
    /// How many people.
    pub voices: i64,
    /// When the first report was taken.
    pub first_report_at: Moment,
    /// When the last report was taken.
    pub last_report_at: Moment,
    /// An answer stands in it.
    pub is_answered: bool,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    case_id: i64,
    #[diesel(sql_type = Text)]
    category: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    voices: i64,
    #[diesel(sql_type = BigInt)]
    first_report_at: i64,
    #[diesel(sql_type = BigInt)]
    last_report_at: i64,
    #[diesel(sql_type = Bool)]
    is_answered: bool,
}

/// Lists the cases of these grouping keys.
///
/// # Errors
/// As the database says, or when a row holds a word that is not known.
pub fn list_reported(connection: &mut Connection, keys: &[GroupKey]) -> Result<Vec<ReportedCase>, StoreError> {
    let mut found = Vec::new();
    for key in keys {
        let rows = match connection {
            Connection::Sqlite(file) => diesel::sql_query(
                "SELECT c.id AS case_id, c.category, c.status, t.voices, t.first_report_at, t.last_report_at, \
                 EXISTS (SELECT 1 FROM responses r WHERE r.case_id = c.id) AS is_answered \
                 FROM cases c JOIN case_totals t ON t.case_id = c.id WHERE c.group_key = ? ORDER BY c.id DESC LIMIT ?",
            )
            .bind::<Binary, _>(key.as_bytes())
            .bind::<Integer, _>(CASES_MAX)
            .load::<Row>(file)?,
            Connection::Postgresql(session) => diesel::sql_query("SELECT * FROM reported_cases($1, $2)")
                .bind::<Binary, _>(key.as_bytes())
                .bind::<Integer, _>(CASES_MAX)
                .load::<Row>(session)?,
        };
        for row in rows {
            let unknown = |column| StoreError::UnknownWord { seq: row.case_id, column };
            found.push(ReportedCase {
                case_id: row.case_id,
                category: Category::parse(&row.category).ok_or_else(|| unknown("category"))?,
                status: CaseStatus::parse(&row.status).ok_or_else(|| unknown("status"))?,
                voices: row.voices,
                first_report_at: Moment(row.first_report_at),
                last_report_at: Moment(row.last_report_at),
                is_answered: row.is_answered,
            });
        }
    }
    Ok(found)
}

/// Stores the answer of a case's other side; false when there is one.
///
/// # Errors
/// As the database says.
pub fn insert_response(
    connection: &mut Connection,
    id: &[u8],
    case_id: i64,
    body: &str,
    at: Moment,
) -> QueryResult<bool> {
    let values = (
        responses::id.eq(id),
        responses::case_id.eq(case_id),
        responses::body.eq(body),
        responses::received_at.eq(at.0),
    );
    let rows = match connection {
        Connection::Sqlite(file) => diesel::insert_or_ignore_into(responses::table).values(values).execute(file)?,
        Connection::Postgresql(session) => {
            diesel::insert_into(responses::table).values(values).on_conflict_do_nothing().execute(session)?
        }
    };
    Ok(rows == 1)
}

/// The answer of a case's other side: its id, what was sealed, and when it came, microseconds.
///
/// # Errors
/// As the database says.
pub fn find_response(connection: &mut Connection, reference: &str) -> QueryResult<Option<(Vec<u8>, String, i64)>> {
    let case = cases::table.filter(cases::reference.eq(reference)).select(cases::id);
    let Some(case_id) = case.first::<i64>(connection).optional()? else { return Ok(None) };
    responses::table
        .filter(responses::case_id.eq(case_id))
        .select((responses::id, responses::body, responses::received_at))
        .first(connection)
        .optional()
}
