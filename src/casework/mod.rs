//! From the journal to cases.

mod amendment;
pub mod blanking;
pub mod builder;
pub mod builder_thread;
mod slice;
mod voice;
mod withdrawal;
