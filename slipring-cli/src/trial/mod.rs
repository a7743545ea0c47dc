//! What `demo` and `bench` share: both run trials with child processes and measure them.

pub mod child;
pub mod clock;
pub mod date;
pub mod interrupt;
pub mod limits;
pub mod load;
pub mod spin;
pub mod text;
