//! From the journal to cases.

mod amendment;
pub mod builder;
pub mod builder_thread;
mod slice;
