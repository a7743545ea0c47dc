//! How a side spins, as an argument for a child process.

use slipring::Spin;

/// The argument that [`parse_spin`](crate::options::parse_spin) reads as this spinning.
pub fn text(spin: Spin) -> String {
    match spin {
        Spin::Never => "never".into(),
        Spin::Always => "always".into(),
        Spin::Adaptive { .. } => "adaptive".into(),
        Spin::UpTo(time) => format!("{}ns", time.as_nanos()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::parse_spin;
    use std::time::Duration;

    #[test]
    fn a_spin_mode_that_is_written_is_read_back() {
        for spin in [
            Spin::Never,
            Spin::Always,
            Spin::default(),
            Spin::UpTo(Duration::from_micros(20)),
        ] {
            assert_eq!(parse_spin(&text(spin)), Ok(spin));
        }
    }
}
