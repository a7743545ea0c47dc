//! Sleeping and being woken, the same for every kind of wait and every [`Park`].

use super::half::{Park, Parked, PollHalf};
use super::moment::a_moment;
use std::io;
use std::thread;

/// Arms, polls, wakes a starved peer, and parks until a poll succeeds. `None`: the half is left
/// armed, and the caller sleeps elsewhere.
pub(crate) fn sleep<H: PollHalf>(
    half: &mut H,
    park: &mut impl Park,
) -> Option<io::Result<H::News>> {
    half.arm();
    let (mut told, mut timed_out) = (false, false);
    let outcome = loop {
        if let Some(outcome) = half.poll() {
            break outcome;
        }
        if !told {
            // Once is enough: a peer that arms later loads this half's wake word itself.
            half.wake_starved_peer();
            told = true;
        }
        half.count_sleep();
        let checked = match park.park(half.is_in_doubt()) {
            Ok(Parked::Woken) => Ok(()),
            Ok(Parked::Briefly) => {
                half.settle();
                Ok(())
            }
            Ok(Parked::Link) => half.check_peer(),
            // News that came between the last poll and the end of the time are not left behind.
            Ok(Parked::TimedOut) => match half.poll() {
                Some(outcome) => break outcome,
                None => {
                    timed_out = true;
                    Err(io::ErrorKind::WouldBlock.into())
                }
            },
            Ok(Parked::Elsewhere) => {
                half.leave_armed();
                return None;
            }
            Err(e) => Err(e),
        };
        if let Err(e) = checked {
            break Err(e);
        }
    };
    half.disarm();
    if timed_out {
        half.give_up();
    }
    Some(outcome)
}

/// Prepares for sleeping in a loop that polls `park`: drains, arms and polls. `None`: the half is
/// armed, and the loop may sleep.
pub(crate) fn prepare<H: PollHalf>(
    half: &mut H,
    park: &mut impl Park,
) -> io::Result<Option<io::Result<H::News>>> {
    // If there is news already, neither a system call nor a fence is needed.
    if let Some(outcome) = half.poll() {
        return Ok(Some(outcome));
    }
    // Before arming: a wake-up that is taken out here is followed by the poll in `sleep`; one that
    // comes later stays.
    if park.drain()? {
        half.check_peer()?;
    }
    Ok(sleep(half, &mut InALoop))
}

/// In an external event loop, which is held up for a moment after a flow of blocking calls: nobody
/// would end its sleep.
struct InALoop;

impl Park for InALoop {
    fn park(&mut self, briefly: bool) -> io::Result<Parked> {
        if briefly {
            thread::sleep(a_moment());
            return Ok(Parked::Briefly);
        }
        Ok(Parked::Elsewhere)
    }
}
