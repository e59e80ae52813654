//! What leaves the gateway: decided cases and requests to carriers.

pub mod ask;
pub mod desk;
pub mod publish;
pub mod sender;
