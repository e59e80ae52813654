//! The gateway from outside: its two listeners, its command line, its files, and the Redis beside it.
//!
//! Every test starts a gateway of its own with the real router and real databases; see [`support::TestApp`]. A test in
//! [`on_every_engine`] runs once for each engine of the fast state.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop where it fails, and says what it measured"
)]

mod support;

mod api_accept;
mod api_batch;
mod api_batch_bounds;
mod api_bodies;
mod api_carriers;
mod api_cases;
mod api_duplicates;
mod api_feed;
mod api_fields;
mod api_get;
mod api_limits;
mod api_mo;
mod api_mo_kannel;
mod api_mobile_abuse;
mod api_operators;
mod api_repeats;
mod api_requests;
mod api_scopes;
mod api_signatures;
mod api_usage;
mod api_withdrawals;
mod cli;
mod docs_carriers;
mod edge_floods;
mod edge_limits;
mod edge_slow;
mod edge_smuggling;
mod engines_postgresql_cuts;
mod engines_postgresql_death;
mod engines_postgresql_nodes;
mod engines_postgresql_order;
mod engines_postgresql_replicas;
mod engines_postgresql_restores;
mod engines_postgresql_roles;
mod engines_postgresql_slow;
mod engines_postgresql_upkeep;
mod engines_redis;
mod engines_redis_cluster;
mod engines_redis_link;
mod engines_redis_nodes;
mod engines_redis_sentinel;
mod layering;
mod msisdn_differential;
mod openapi;
mod pages_evidence;
mod pages_kannel;
mod pages_network;
mod pages_report;
mod pages_track;
mod quotas_shared;
mod schema;
mod schema_postgresql;
mod verify_codes;
mod verify_partner;
mod webhooks;
