//! What `demo` and `bench` share: both run trials with child processes and measure them.

pub mod child;
pub mod interrupt;
pub mod limits;

pub use slipring_bench::{clock, text};
