//! Where carriers want to be called, and what is on its way to them.

use diesel::prelude::*;

use super::connection::{Connection, write_transaction};
use super::schema::{carriers, webhook_deliveries, webhooks};
use crate::domain::carrier::{Scope, Scopes};

/// State of a delivery that is to be tried.
pub const WAITING: &str = "waiting";
/// State of one that was taken.
pub const DELIVERED: &str = "delivered";
/// State of one that is tried no more, until somebody says so.
pub const DEAD: &str = "dead";
/// Body of a delivery that was taken back: it is not sent, in whatever state, until it has another.
const TAKEN_BACK: &str = "";

/// A receiver.
#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false)]
pub struct WebhookRow {
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// The carrier's UUID.
    pub carrier_id: Vec<u8>,
    /// Where.
    pub url: String,
    /// Sealed.
    pub secret: Vec<u8>,
    /// Sealed; the one before, while it lives.
    pub old_secret: Option<Vec<u8>>,
    /// Microseconds.
    pub old_secret_until: Option<i64>,
    /// Microseconds; nothing older is sent.
    pub created_at: i64,
    /// Microseconds; none while it is called.
    pub disabled_at: Option<i64>,
    /// Why.
    pub disabled_reason: Option<String>,
}

/// Adds a receiver.
///
/// # Errors
/// As the database says.
pub fn insert_webhook(connection: &mut Connection, webhook: &WebhookRow) -> QueryResult<()> {
    diesel::insert_into(webhooks::table).values(webhook).execute(connection).map(|_| ())
}

/// Lists receivers with their carriers' names.
///
/// # Errors
/// As the database says.
pub fn list_webhooks(connection: &mut Connection) -> QueryResult<Vec<(WebhookRow, String)>> {
    webhooks::table
        .inner_join(carriers::table)
        .order((carriers::name, webhooks::id))
        .select((WebhookRow::as_select(), carriers::name))
        .load(connection)
}

/// Puts another secret in place; messages are signed with the one before, too, until then. `false` when there is no such
/// receiver.
///
/// # Errors
/// As the database says.
pub fn rotate_secret(connection: &mut Connection, id: &[u8], secret: &[u8], old_until: i64) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        let old = webhooks::table.find(id).select(webhooks::secret).first::<Vec<u8>>(connection).optional()?;
        let Some(old) = old else { return Ok(false) };
        diesel::update(webhooks::table.find(id))
            .set((
                webhooks::secret.eq(secret),
                webhooks::old_secret.eq(Some(old)),
                webhooks::old_secret_until.eq(Some(old_until)),
            ))
            .execute(connection)
            .map(|rows| rows == 1)
    })
}

/// Stops calling a receiver: all that waits for it is dead. `false` when there is none that is called.
///
/// # Errors
/// As the database says.
pub fn disable_webhook(connection: &mut Connection, id: &[u8], at: i64, reason: &str) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        let there = webhooks::table.filter(webhooks::id.eq(id)).filter(webhooks::disabled_at.is_null());
        let rows = diesel::update(there)
            .set((webhooks::disabled_at.eq(Some(at)), webhooks::disabled_reason.eq(Some(reason))))
            .execute(connection)?;
        let waiting = webhook_deliveries::table
            .filter(webhook_deliveries::webhook_id.eq(id))
            .filter(webhook_deliveries::state.eq(WAITING));
        diesel::update(waiting)
            .set((webhook_deliveries::state.eq(DEAD), webhook_deliveries::changed_at.eq(at)))
            .execute(connection)?;
        Ok(rows == 1)
    })
}

/// Calls a receiver again. `false` when there is none that is disabled.
///
/// # Errors
/// As the database says.
pub fn enable_webhook(connection: &mut Connection, id: &[u8]) -> QueryResult<bool> {
    let there = webhooks::table.filter(webhooks::id.eq(id)).filter(webhooks::disabled_at.is_not_null());
    diesel::update(there)
        .set((webhooks::disabled_at.eq(None::<i64>), webhooks::disabled_reason.eq(None::<String>)))
        .execute(connection)
        .map(|rows| rows == 1)
}

/// Something that carriers are told.
pub struct Event<'a> {
    /// The carrier's UUID.
    pub carrier_id: &'a [u8],
    /// 16 bytes: the same event is sent under the same id.
    pub id: &'a [u8],
    /// JSON.
    pub body: &'a str,
    /// When it happened, microseconds.
    pub at: i64,
}

/// Puts an event on its way to all receivers of the carrier that were there when it happened. Part of the transaction in
/// which it happens: neither is there without the other. An event that is on its way already stays as it is.
///
/// # Errors
/// As the database says.
pub fn enqueue(connection: &mut Connection, event: &Event<'_>) -> QueryResult<()> {
    let receivers: Vec<Vec<u8>> = webhooks::table
        .filter(webhooks::carrier_id.eq(event.carrier_id))
        .filter(webhooks::disabled_at.is_null())
        .filter(webhooks::created_at.le(event.at))
        .select(webhooks::id)
        .load(connection)?;
    for webhook_id in receivers {
        let values = (
            webhook_deliveries::webhook_id.eq(webhook_id),
            webhook_deliveries::event_id.eq(event.id),
            webhook_deliveries::body.eq(event.body),
            webhook_deliveries::state.eq(WAITING),
            webhook_deliveries::attempts.eq(0),
            webhook_deliveries::due_at.eq(event.at),
            webhook_deliveries::changed_at.eq(event.at),
        );
        match connection {
            Connection::Sqlite(file) => {
                diesel::insert_or_ignore_into(webhook_deliveries::table).values(values).execute(file)?;
            }
            Connection::Postgresql(session) => {
                diesel::insert_into(webhook_deliveries::table)
                    .values(values)
                    .on_conflict_do_nothing()
                    .execute(session)?;
            }
        }
    }
    Ok(())
}

/// Takes back all that was put on its way to a carrier, sent or not: it was made on other terms, or sealed to another key.
/// Part of the transaction in which they change.
///
/// # Errors
/// As the database says.
pub fn take_back(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<()> {
    for webhook_id in list_webhook_ids(connection, carrier_id)? {
        diesel::update(webhook_deliveries::table.filter(webhook_deliveries::webhook_id.eq(webhook_id)))
            .set(webhook_deliveries::body.eq(TAKEN_BACK))
            .execute(connection)?;
    }
    Ok(())
}

/// Makes an event anew wherever it was put on its way to a carrier; when it is tried, and how often, stays.
///
/// # Errors
/// As the database says.
pub fn update_body(connection: &mut Connection, carrier_id: &[u8], event_id: &[u8], body: &str) -> QueryResult<()> {
    for webhook_id in list_webhook_ids(connection, carrier_id)? {
        diesel::update(webhook_deliveries::table.find((webhook_id, event_id)))
            .set(webhook_deliveries::body.eq(body))
            .execute(connection)?;
    }
    Ok(())
}

fn list_webhook_ids(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Vec<Vec<u8>>> {
    webhooks::table.filter(webhooks::carrier_id.eq(carrier_id)).select(webhooks::id).load(connection)
}

/// Lists the receivers for whom something is due, of carriers that may read it in the feed at this moment.
///
/// # Errors
/// As the database says.
pub fn list_due_webhooks(connection: &mut Connection, now: i64) -> QueryResult<Vec<WebhookRow>> {
    let due: Vec<Vec<u8>> = webhook_deliveries::table
        .filter(webhook_deliveries::state.eq(WAITING))
        .filter(webhook_deliveries::due_at.le(now))
        .filter(webhook_deliveries::body.ne(TAKEN_BACK))
        .select(webhook_deliveries::webhook_id)
        .distinct()
        .load(connection)?;
    let mut rows = Vec::with_capacity(due.len());
    for id in due {
        let called = webhooks::table
            .inner_join(carriers::table)
            .filter(webhooks::id.eq(id))
            .filter(webhooks::disabled_at.is_null())
            .filter(carriers::revoked_at.is_null())
            .select((WebhookRow::as_select(), carriers::scopes))
            .first::<(WebhookRow, String)>(connection)
            .optional()?;
        let may_read = |scopes: &str| Scopes::parse(scopes).is_ok_and(|scopes| scopes.has(Scope::Feed));
        rows.extend(called.filter(|(_, scopes)| may_read(scopes)).map(|(row, _)| row));
    }
    Ok(rows)
}

/// A delivery in hand.
#[derive(Clone)]
pub struct Claimed {
    /// 16 bytes.
    pub event_id: Vec<u8>,
    /// JSON.
    pub body: String,
    /// Which attempt this is, from 1.
    pub attempts: i32,
}

/// Takes at most `limit` due deliveries of a receiver in hand, until `until`: then another node may take them. What another
/// node has in hand is left.
///
/// # Errors
/// As the database says.
pub fn claim_due(
    connection: &mut Connection,
    webhook_id: &[u8],
    now: i64,
    until: i64,
    limit: i64,
) -> QueryResult<Vec<Claimed>> {
    type Row = (Vec<u8>, String, i32);
    write_transaction(connection, |connection| {
        let columns = (webhook_deliveries::event_id, webhook_deliveries::body, webhook_deliveries::attempts);
        let rows: Vec<Row> = match connection {
            Connection::Sqlite(file) => webhook_deliveries::table
                .filter(webhook_deliveries::webhook_id.eq(webhook_id))
                .filter(webhook_deliveries::state.eq(WAITING))
                .filter(webhook_deliveries::due_at.le(now))
                .filter(webhook_deliveries::body.ne(TAKEN_BACK))
                .order(webhook_deliveries::due_at)
                .limit(limit)
                .select(columns)
                .load(file)?,
            Connection::Postgresql(session) => webhook_deliveries::table
                .filter(webhook_deliveries::webhook_id.eq(webhook_id))
                .filter(webhook_deliveries::state.eq(WAITING))
                .filter(webhook_deliveries::due_at.le(now))
                .filter(webhook_deliveries::body.ne(TAKEN_BACK))
                .order(webhook_deliveries::due_at)
                .limit(limit)
                .select(columns)
                .for_update()
                .skip_locked()
                .load(session)?,
        };
        let mut claimed = Vec::with_capacity(rows.len());
        for (event_id, body, attempts) in rows {
            let attempts = attempts.saturating_add(1);
            diesel::update(webhook_deliveries::table.find((webhook_id, &event_id)))
                .set((webhook_deliveries::attempts.eq(attempts), webhook_deliveries::due_at.eq(until)))
                .execute(connection)?;
            claimed.push(Claimed { event_id, body, attempts });
        }
        Ok(claimed)
    })
}

/// What came of an attempt.
pub struct Attempted<'a> {
    /// The state it is in now.
    pub state: &'static str,
    /// When it is tried next, microseconds.
    pub due_at: i64,
    /// A status, or what went wrong.
    pub result: &'a str,
    /// Now.
    pub at: i64,
}

/// Writes down what came of an attempt, unless another node has tried since.
///
/// # Errors
/// As the database says.
pub fn finish_attempt(
    connection: &mut Connection,
    webhook_id: &[u8],
    claimed: &Claimed,
    attempted: &Attempted<'_>,
) -> QueryResult<()> {
    let there = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook_id))
        .filter(webhook_deliveries::event_id.eq(&claimed.event_id))
        .filter(webhook_deliveries::state.eq(WAITING))
        .filter(webhook_deliveries::attempts.eq(claimed.attempts));
    diesel::update(there)
        .set((
            webhook_deliveries::state.eq(attempted.state),
            webhook_deliveries::due_at.eq(attempted.due_at),
            webhook_deliveries::last_result.eq(Some(attempted.result)),
            webhook_deliveries::changed_at.eq(attempted.at),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Gives back a delivery that was taken in hand and not tried.
///
/// # Errors
/// As the database says.
pub fn give_back(connection: &mut Connection, webhook_id: &[u8], claimed: &Claimed, at: i64) -> QueryResult<()> {
    let there = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook_id))
        .filter(webhook_deliveries::event_id.eq(&claimed.event_id))
        .filter(webhook_deliveries::state.eq(WAITING))
        .filter(webhook_deliveries::attempts.eq(claimed.attempts));
    diesel::update(there)
        .set((webhook_deliveries::attempts.eq(claimed.attempts - 1), webhook_deliveries::due_at.eq(at)))
        .execute(connection)
        .map(|_| ())
}

/// A delivery that is tried no more.
#[derive(Queryable)]
pub struct DeadDelivery {
    /// Of the receiver, 16 bytes.
    pub webhook_id: Vec<u8>,
    /// 16 bytes.
    pub event_id: Vec<u8>,
    /// How often it was tried.
    pub attempts: i32,
    /// What came of the last attempt.
    pub last_result: Option<String>,
    /// When it was given up, microseconds.
    pub changed_at: i64,
}

/// Lists at most `limit` deliveries that are tried no more, newest first.
///
/// # Errors
/// As the database says.
pub fn list_dead(connection: &mut Connection, limit: i64) -> QueryResult<Vec<DeadDelivery>> {
    webhook_deliveries::table
        .filter(webhook_deliveries::state.eq(DEAD))
        .order((webhook_deliveries::changed_at.desc(), webhook_deliveries::event_id))
        .limit(limit)
        .select((
            webhook_deliveries::webhook_id,
            webhook_deliveries::event_id,
            webhook_deliveries::attempts,
            webhook_deliveries::last_result,
            webhook_deliveries::changed_at,
        ))
        .load(connection)
}

/// Puts what is dead (or, with an event, that one in any state) on its way again, as if it were new; but for what was taken
/// back. How many.
///
/// # Errors
/// As the database says.
pub fn replay(connection: &mut Connection, webhook_id: &[u8], event: Option<&[u8]>, now: i64) -> QueryResult<usize> {
    let again = (
        webhook_deliveries::state.eq(WAITING),
        webhook_deliveries::attempts.eq(0),
        webhook_deliveries::due_at.eq(now),
        webhook_deliveries::changed_at.eq(now),
    );
    let of_webhook = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook_id))
        .filter(webhook_deliveries::body.ne(TAKEN_BACK));
    match event {
        Some(event) => {
            diesel::update(of_webhook.filter(webhook_deliveries::event_id.eq(event))).set(again).execute(connection)
        }
        None => diesel::update(of_webhook.filter(webhook_deliveries::state.eq(DEAD))).set(again).execute(connection),
    }
}

/// Forgets what was delivered before one moment, or given up or taken back before another.
///
/// # Errors
/// As the database says.
pub fn sweep(connection: &mut Connection, delivered_before: i64, dead_before: i64) -> QueryResult<()> {
    for (state, before) in [(DELIVERED, delivered_before), (DEAD, dead_before)] {
        let old = webhook_deliveries::table
            .filter(webhook_deliveries::state.eq(state))
            .filter(webhook_deliveries::changed_at.lt(before));
        diesel::delete(old).execute(connection)?;
    }
    let taken_back = webhook_deliveries::table
        .filter(webhook_deliveries::state.eq(WAITING))
        .filter(webhook_deliveries::body.eq(TAKEN_BACK))
        .filter(webhook_deliveries::changed_at.lt(dead_before));
    diesel::delete(taken_back).execute(connection).map(|_| ())
}
