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
        is_legit -> Bool,
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
        withdrawn -> Bool,
        decided_at -> Nullable<BigInt>,
        reason_class -> Nullable<Text>,
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
        signatures -> Text,
        per_day -> Nullable<Integer>,
    }
}
diesel::table! {
    evidence (report_id, place) {
        report_id -> Binary,
        place -> Integer,
        kind -> Text,
        content_tag -> Binary,
        body -> Binary,
        received_at -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(evidence, report_index);
diesel::table! {
    responses (id) {
        id -> Binary,
        case_id -> BigInt,
        body -> Text,
        received_at -> BigInt,
    }
}
diesel::table! {
    signing_keys (key_id) {
        key_id -> Text,
        carrier_id -> Binary,
        algorithm -> Text,
        material -> Binary,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    api_keys (key_hash) { key_hash -> Binary, carrier_id -> Binary, created_at -> BigInt, revoked_at -> Nullable<BigInt>, }
}
diesel::table! {
    carrier_usage (carrier_id, day, what) { carrier_id -> Binary, day -> Integer, what -> Text, count -> BigInt, }
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
        reason_class -> Text,
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
        counter_voices -> BigInt,
    }
}
diesel::table! {
    voices (case_id, reporter_tag) {
        case_id -> BigInt,
        reporter_tag -> Binary,
        reports -> BigInt,
        proof -> Text,
        attested_by -> Binary,
        is_legit -> Bool,
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
        withdrawn_seq -> Nullable<BigInt>,
    }
}
diesel::table! {
    withdrawn_rows (seq) {
        seq -> BigInt,
        report_id -> Binary,
        withdrawn_seq -> BigInt,
        is_counted -> Bool,
        case_id -> Nullable<BigInt>,
        repeat_of -> Nullable<Binary>,
        proof -> Nullable<Text>,
        attested_by -> Nullable<Binary>,
        is_legit -> Nullable<Bool>,
        is_blank -> Bool,
    }
}
diesel::table! {
    kept_repeats (seq) {
        seq -> BigInt,
        report_id -> Binary,
        withdrawn_seq -> BigInt,
        case_id -> Nullable<BigInt>,
        repeat_of -> Binary,
    }
}
diesel::table! {
    further_rows (report_id, seq) { report_id -> Binary, seq -> BigInt, }
}
diesel::table! {
    voice_parts (case_id, reporter_tag, seq) {
        case_id -> BigInt,
        reporter_tag -> Binary,
        seq -> BigInt,
        report_id -> Nullable<Binary>,
        reports -> BigInt,
        proof -> Text,
        attested_by -> Binary,
        is_legit -> Bool,
        is_late -> Bool,
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
    amended_reports (report_id) {
        report_id -> Binary,
        seq -> BigInt,
        case_id -> Nullable<BigInt>,
        repeat_of -> Nullable<Binary>,
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
diesel::table! {
    feed_terms (carrier_id) {
        carrier_id -> Binary,
        own_prefixes -> Text,
        public_key -> Nullable<Binary>,
        published_for -> Nullable<Binary>,
        published_decision -> BigInt,
        last_position -> BigInt,
    }
}
diesel::table! {
    feed_items (carrier_id, position) {
        carrier_id -> Binary,
        position -> BigInt,
        decision_id -> BigInt,
        is_own -> Bool,
        body -> Text,
    }
}
diesel::table! {
    carrier_requests (id) {
        id -> Binary,
        carrier_id -> Binary,
        position -> BigInt,
        case_id -> BigInt,
        kind -> Text,
        requested_by -> Text,
        requested_at -> BigInt,
        due_at -> BigInt,
        body -> Text,
    }
}
diesel::table! {
    request_answers (request_id) {
        request_id -> Binary,
        outcome -> Text,
        note -> Nullable<Text>,
        answer_tag -> Binary,
        answered_at -> BigInt,
    }
}
diesel::table! {
    webhooks (id) {
        id -> Binary,
        carrier_id -> Binary,
        url -> Text,
        secret -> Binary,
        old_secret -> Nullable<Binary>,
        old_secret_until -> Nullable<BigInt>,
        created_at -> BigInt,
        disabled_at -> Nullable<BigInt>,
        disabled_reason -> Nullable<Text>,
    }
}
diesel::table! {
    webhook_deliveries (webhook_id, event_id) {
        webhook_id -> Binary,
        event_id -> Binary,
        body -> Text,
        state -> Text,
        attempts -> Integer,
        due_at -> BigInt,
        last_result -> Nullable<Text>,
        changed_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(cases, case_totals, decisions);
diesel::joinable!(case_totals -> cases (case_id));
diesel::joinable!(decisions -> cases (case_id));
diesel::allow_tables_to_appear_in_same_query!(feed_terms, carriers);
diesel::allow_tables_to_appear_in_same_query!(carrier_requests, request_answers, carriers, cases);
diesel::joinable!(feed_terms -> carriers (carrier_id));
diesel::joinable!(carrier_requests -> carriers (carrier_id));
diesel::joinable!(carrier_requests -> cases (case_id));
diesel::joinable!(request_answers -> carrier_requests (request_id));
diesel::allow_tables_to_appear_in_same_query!(webhooks, carriers);
diesel::joinable!(webhooks -> carriers (carrier_id));
