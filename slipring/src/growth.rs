//! Why a ring did not grow that had to.

use crate::sys::errno::Errno;
use std::fmt;
use std::io;

/// What keeps a ring from growing.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`max_capacity`](crate::Options::max_capacity) of the side that writes.
    MaxCapacity,
    /// [`max_peer_capacity`](crate::Options::max_peer_capacity) of the side that reads.
    MaxPeerCapacity,
    /// The limit of the process that writes: [`set_memory_limit`](crate::set_memory_limit).
    ProcessMemory,
    /// The system had no memory or no descriptor for the process that writes.
    System,
    /// Too many descriptors of the writing process, or of its user, are on their way to peers that
    /// have not received them (`ETOOMANYREFS` in unix(7)).
    DescriptorsInFlight,
}

impl Limit {
    /// The number of it in a header; 0 is none.
    pub(crate) fn to_wire(self) -> u32 {
        match self {
            Limit::MaxCapacity => 1,
            Limit::MaxPeerCapacity => 2,
            Limit::ProcessMemory => 3,
            Limit::System => 4,
            Limit::DescriptorsInFlight => 5,
        }
    }

    /// Of a number that may be of a later version.
    pub(crate) fn from_wire(number: u32) -> Option<Limit> {
        match number {
            0 => None,
            1 => Some(Limit::MaxCapacity),
            2 => Some(Limit::MaxPeerCapacity),
            3 => Some(Limit::ProcessMemory),
            5 => Some(Limit::DescriptorsInFlight),
            _ => Some(Limit::System),
        }
    }

    /// Of an error of the system, met while a ring was made and passed.
    pub(crate) fn of_errno(errno: Errno) -> Limit {
        match errno {
            Errno::TOOMANYREFS => Limit::DescriptorsInFlight,
            _ => Limit::System,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::MaxCapacity => "the writing side allows no larger ring (Options::max_capacity)",
            Limit::MaxPeerCapacity => {
                "the reading side allows no larger ring (Options::max_peer_capacity)"
            }
            Limit::ProcessMemory => {
                "the rings of the writing process have grown to its limit \
                 (slipring::set_memory_limit)"
            }
            Limit::System => "the system has no memory or descriptor left for the writing process",
            Limit::DescriptorsInFlight => {
                "too many descriptors are on their way to peers that have not received them"
            }
        })
    }
}

/// A call needed a larger ring than there was, and the ring did not grow.
///
/// It is inside the [`io::Error`] of the call; [`GrowthRefused::of`] takes it out. The
/// [`kind`](io::Error::kind) is `InvalidInput` for a limit of the options, under which the call can
/// never succeed on this stream, and `OutOfMemory` for the others, under which it may later. The
/// stream goes on either way.
///
/// # Examples
///
/// ```
/// use slipring::{GrowthRefused, Limit, Options};
///
/// let options = Options::new().capacity(16 << 10).max_capacity(64 << 10);
/// let (mut left, _right) = options.pair()?;
/// left.writer().reserve(60_000)?.commit(0);
/// let error = left.writer().reserve(70_000).unwrap_err();
/// let refused = GrowthRefused::of(&error).expect("the ring cannot grow that far");
/// assert_eq!((refused.needed, refused.limit), (70_000, Limit::MaxCapacity));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrowthRefused {
    /// Bytes that the ring would have to hold at once.
    pub needed: usize,
    /// Its capacity, in bytes.
    pub capacity: usize,
    /// What keeps it from growing.
    pub limit: Limit,
}

impl GrowthRefused {
    /// The refusal inside an [`io::Error`], if it is one.
    ///
    /// An error that was put into another one with [`io::Error::other`] is found as well.
    pub fn of(error: &io::Error) -> Option<GrowthRefused> {
        let inside = error.get_ref()?;
        match inside.downcast_ref() {
            Some(refused) => Some(*refused),
            None => GrowthRefused::of(inside.downcast_ref()?),
        }
    }

    pub(crate) fn into_error(self) -> io::Error {
        let kind = match self.limit {
            Limit::MaxCapacity | Limit::MaxPeerCapacity => io::ErrorKind::InvalidInput,
            Limit::ProcessMemory | Limit::System | Limit::DescriptorsInFlight => {
                io::ErrorKind::OutOfMemory
            }
        };
        io::Error::new(kind, self)
    }
}

impl fmt::Display for GrowthRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GrowthRefused {
            needed,
            capacity,
            limit,
        } = self;
        write!(
            f,
            "{needed} bytes would have to be in a ring of {capacity} at once, and {limit}"
        )
    }
}

impl std::error::Error for GrowthRefused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_inside_io_errors() {
        for limit in [
            Limit::MaxCapacity,
            Limit::MaxPeerCapacity,
            Limit::ProcessMemory,
            Limit::System,
            Limit::DescriptorsInFlight,
        ] {
            assert_eq!(Limit::from_wire(limit.to_wire()), Some(limit));
            let refused = GrowthRefused {
                needed: 7,
                capacity: 4,
                limit,
            };
            let error = io::Error::other(refused.into_error());
            assert_eq!(GrowthRefused::of(&error), Some(refused));
        }
        assert_eq!(Limit::from_wire(0), None);
        assert_eq!(Limit::from_wire(77), Some(Limit::System));
        assert_eq!(GrowthRefused::of(&io::ErrorKind::NotFound.into()), None);
    }
}
