//! From the journal to cases.

pub mod builder;
pub mod builder_thread;
mod slice;
