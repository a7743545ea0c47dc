//! The time after which a store is visible for certain.

use crate::fail_points;
use std::time::Duration;

/// Longer than any store is under way to other processors, by orders of magnitude.
const A_MOMENT: Duration = Duration::from_millis(1);

/// How long a half in doubt sleeps at a time; see [`wake_word`](super::wake_word).
pub(crate) fn a_moment() -> Duration {
    fail_points::moment().unwrap_or(A_MOMENT)
}
