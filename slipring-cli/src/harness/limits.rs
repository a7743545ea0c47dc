//! The limit of open descriptors: every stream takes some.

use rustix::process::{Resource, getrlimit};

use crate::failure::Failure;

/// Standard streams, the listener and the display.
const OTHERS: u64 = 32;

/// Raises the soft limit to the hard one, and fails if that cannot do for so many things that take
/// `each` descriptors in one process. Children inherit it.
pub fn make_room_for(count: usize, what: &str, each: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let needed = each * count as u64 + OTHERS;
    if let Some(hard) = limit.maximum.filter(|&hard| hard < needed) {
        let possible = hard.saturating_sub(OTHERS) / each;
        let many = if count == 1 { "" } else { "s" };
        return Err(Failure::failed(format!(
            "{count} {what}{many} need about {needed} open descriptors, but the limit is {hard}: \
                 ask for at most {possible} {what}s, or raise the hard limit (ulimit -Hn)"
        )));
    }
    // The children are this program too, so they may have the raised limit.
    let _ = slipring::raise_descriptor_limit()?;
    Ok(())
}
