//! The limit of open descriptors: every panel's stream takes some.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// What one panel's stream takes in the engine, with some to spare.
const PER_PANEL: u64 = 10;
/// Standard streams, the listener and the display.
const OTHERS: u64 = 32;

/// Raises the soft limit to the hard one, and fails if that cannot do for so many panels.
pub fn make_room_for(panels: usize) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let needed = PER_PANEL * panels as u64 + OTHERS;
    if let Some(hard) = limit.maximum.filter(|&hard| hard < needed) {
        let possible = hard.saturating_sub(OTHERS) / PER_PANEL;
        return Err(Failure::failed(format!(
            "{panels} panels need about {needed} open descriptors, but the limit is {hard}: \
                 ask for at most {possible} panels, or raise the hard limit (ulimit -Hn)"
        )));
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(io::Error::from)
        .map_err(Failure::from)
}
