//! The tables, for SQLite (where `journal` is an attached file) and PostgreSQL (where it is a schema) alike.
//! Portable column types only.

#![expect(missing_docs, reason = "the columns are described in migrations/")]

diesel::table! {
    journal.meta (name) { name -> Text, value -> Binary, }
}
diesel::table! {
    journal.data_keys (id) { id -> BigInt, created_at -> BigInt, sealed -> Binary, }
}
diesel::table! {
    journal.reports (seq) {
        seq -> BigInt,
        report_id -> Binary,
        event_kind -> Text,
        source -> Text,
        owner -> Binary,
        reporter_tag -> Binary,
        proof -> Text,
        sender_kind -> Text,
        sender_tag -> Nullable<Binary>,
        channel -> Text,
        category -> Text,
        harm -> Nullable<Text>,
        money_lost -> Nullable<Bool>,
        province -> Nullable<Text>,
        occurred_at -> BigInt,
        received_at -> BigInt,
        fingerprint -> Binary,
        text_tag -> Nullable<Binary>,
        similarity -> Nullable<Binary>,
        track_tag -> Binary,
        tag_key_id -> Integer,
        data_key_id -> BigInt,
        envelope -> Binary,
    }
}
diesel::table! {
    journal.arrivals (seq) { seq -> BigInt, report_id -> Binary, owner -> Binary, received_at -> BigInt, }
}
diesel::table! {
    report_status (report_id) {
        report_id -> Binary,
        seq -> BigInt,
        owner -> Binary,
        repeat_of -> Nullable<Binary>,
        conflict -> Bool,
        reference -> Nullable<Text>,
        status -> Nullable<Text>,
    }
}
diesel::table! {
    key_checks (name) { name -> Text, value -> Binary, }
}
diesel::table! {
    carriers (id) {
        id -> Binary,
        name -> Text,
        attests -> Text,
        per_second -> Nullable<Integer>,
        burst -> Nullable<Integer>,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        scopes -> Text,
        addresses -> Text,
    }
}
diesel::table! {
    api_keys (key_hash) { key_hash -> Binary, carrier_id -> Binary, created_at -> BigInt, revoked_at -> Nullable<BigInt>, }
}
diesel::table! {
    builder_cursor (id) { id -> Integer, seq -> BigInt, report_id -> Nullable<Binary>, furthest_seq -> BigInt, }
}
diesel::table! {
    cases (id) {
        id -> BigInt,
        reference -> Text,
        group_key -> Binary,
        category -> Text,
        status -> Text,
        opened_seq -> BigInt,
        closed_seq -> Nullable<BigInt>,
    }
}
diesel::table! {
    decisions (id) {
        id -> BigInt,
        case_id -> BigInt,
        verdict -> Text,
        reason -> Text,
        decided_by -> Text,
        decided_at -> BigInt,
        at_seq -> BigInt,
    }
}
diesel::table! {
    case_totals (case_id) {
        case_id -> BigInt,
        sender_kind -> Text,
        reports -> BigInt,
        repeats -> BigInt,
        voices -> BigInt,
        foreign_voices -> BigInt,
        sms -> BigInt,
        calls -> BigInt,
        carrier_api -> BigInt,
        carrier_batch -> BigInt,
        carrier_mo -> BigInt,
        web -> BigInt,
        money_lost -> BigInt,
        first_report_at -> BigInt,
        last_report_at -> BigInt,
    }
}
diesel::table! {
    voices (case_id, reporter_tag) {
        case_id -> BigInt,
        reporter_tag -> Binary,
        reports -> BigInt,
        proof -> Text,
        attested_by -> Binary,
    }
}
diesel::table! {
    report_index (report_id) {
        report_id -> Binary,
        seq -> BigInt,
        owner -> Binary,
        case_id -> Nullable<BigInt>,
        repeat_of -> Nullable<Binary>,
        conflict -> Bool,
    }
}
diesel::table! {
    counted_fingerprints (fingerprint) {
        fingerprint -> Binary,
        report_id -> Binary,
        case_id -> Nullable<BigInt>,
        received_at -> BigInt,
    }
}
diesel::table! {
    caseless_figures (day, category, sender_kind, channel) {
        day -> BigInt,
        category -> Text,
        sender_kind -> Text,
        channel -> Text,
        reports -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(cases, case_totals, decisions);
diesel::joinable!(case_totals -> cases (case_id));
diesel::joinable!(decisions -> cases (case_id));
