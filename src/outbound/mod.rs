//! What leaves the gateway: decided cases and requests to carriers.

pub mod address;
pub mod ask;
pub mod deliver;
pub mod desk;
pub mod dispatch;
pub mod publish;
pub mod sender;
pub mod signature;
pub mod standing;
pub mod stopping;
