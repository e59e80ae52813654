//! What the builder looks after in PostgreSQL: partitions made ahead of time, and what keeps it from reading on.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connection::Connection;
use super::postgresql::YesOrNo;

/// Months for which partitions are made ahead.
const MONTHS_AHEAD: i32 = 3;

#[derive(QueryableByName)]
struct Sentence {
    #[diesel(sql_type = Text)]
    sentence: String,
}

/// Makes the partitions of the months to come. Whether the default partition is used: then one was missing.
///
/// # Errors
/// As the database says.
pub fn keep_partitions(connection: &mut Connection) -> QueryResult<bool> {
    let Connection::Postgresql(session) = connection else { return Ok(false) };
    diesel::sql_query("SELECT journal.make_partitions($1)")
        .bind::<diesel::sql_types::Integer, _>(MONTHS_AHEAD)
        .execute(session)?;
    diesel::sql_query("SELECT journal.is_default_partition_used() AS answer")
        .get_result::<YesOrNo>(session)
        .map(|row| row.answer)
}

/// Whether there are rows that cannot be read yet, because a transaction that began before them has not ended.
///
/// # Errors
/// As the database says.
pub fn is_held_back(connection: &mut Connection) -> QueryResult<bool> {
    let Connection::Postgresql(session) = connection else { return Ok(false) };
    diesel::sql_query("SELECT EXISTS (SELECT FROM journal.arrivals WHERE seq >= (SELECT journal.horizon())) AS answer")
        .get_result::<YesOrNo>(session)
        .map(|row| row.answer)
}

/// The transaction that began first of all that have not ended, in words.
///
/// # Errors
/// As the database says.
pub fn find_oldest_transaction(connection: &mut Connection) -> QueryResult<Option<String>> {
    let Connection::Postgresql(session) = connection else { return Ok(None) };
    diesel::sql_query(
        "SELECT sentence FROM ( \
             SELECT age(backend_xid) AS age, concat('process ', pid, ' (', application_name, ', user ', usename, \
                 ', database ', datname, '), ', state, ' for ', extract(epoch FROM now() - xact_start)::integer, ' s', \
                 ', waiting for ' || wait_event) AS sentence \
             FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() \
             UNION ALL \
             SELECT age(transaction), concat('prepared transaction ', gid, ' of ', prepared) FROM pg_prepared_xacts \
         ) AS running ORDER BY age DESC LIMIT 1",
    )
    .get_result::<Sentence>(session)
    .optional()
    .map(|row| row.map(|row| row.sentence))
}
