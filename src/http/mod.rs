//! The edge: routes, bodies, problem documents, health and metrics.

pub mod answer_stream;
pub mod app;
pub mod assets;
pub mod body;
pub mod client_ip;
pub mod connection;
pub mod form;
pub mod framing;
pub mod gate;
pub mod lines;
pub mod multipart;
pub mod openapi;
pub mod ops;
pub mod page;
pub mod problem;
pub mod routes;
pub mod server;
pub mod shares;
pub mod texts;
