//! Doorbells: one half wakes its peer by it, and the peer sleeps on it. An eventfd (eventfd(2)),
//! watched edge-triggered, never drained.

use super::errno::{self, Errno};
use super::failure::Failure;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::{ReadWriteFlags, preadv2, write};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How a doorbell is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By adding one. Fast; but the process that made the doorbell can fill its counter, clear
    /// `O_NONBLOCK` (a flag of the description that both share) and so block the waker for ever.
    /// Between processes of one user that is no new power.
    Plain,
    /// By taking one from a semaphore that starts out at 2^62, with a read that does not block,
    /// even if the flags say otherwise (`RWF_NOWAIT` in preadv2(2)). The sleeper waits for
    /// "writable". A wake costs about 0.5 µs more; Linux 5.8.
    Inverted,
}

impl Kind {
    pub(crate) fn to_wire(self) -> u8 {
        match self {
            Kind::Plain => 0,
            Kind::Inverted => 1,
        }
    }

    pub(crate) fn from_wire(byte: u8) -> Option<Kind> {
        match byte {
            0 => Some(Kind::Plain),
            1 => Some(Kind::Inverted),
            _ => None,
        }
    }
}

/// One doorbell, held by the half that sleeps on it and by the peer's half that wakes it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    fd: OwnedFd,
    kind: Kind,
}

impl Doorbell {
    pub(crate) fn new(kind: Kind) -> Result<Doorbell, Failure> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let fd = match kind {
            Kind::Plain => eventfd(0, flags),
            Kind::Inverted => eventfd(0, flags | EventfdFlags::SEMAPHORE),
        }
        .map_err(Failure::of("making a doorbell (eventfd)"))?;
        let doorbell = Doorbell { fd, kind };
        if kind == Kind::Inverted {
            write(&doorbell.fd, &(1u64 << 62).to_ne_bytes())
                .map_err(Failure::of("filling a doorbell (eventfd)"))?;
            match doorbell.take_one() {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    return Err(Failure::Unsupported {
                        what: "a doorbell that another user cannot block (preadv2 with \
                            RWF_NOWAIT on an eventfd)",
                        needs: "Linux 5.8 or newer",
                    });
                }
                Err(e) => return Err(Failure::of("trying a doorbell (preadv2)")(e)),
            }
        }
        Ok(doorbell)
    }

    /// The peer's doorbell, whose descriptor `link::verify` has found to be an eventfd.
    pub(crate) fn of_peer(fd: OwnedFd, kind: Kind) -> Doorbell {
        Doorbell { fd, kind }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The events that a sleeper watches for.
    pub(crate) fn interest(&self) -> epoll::EventFlags {
        match self.kind {
            Kind::Plain => epoll::EventFlags::IN,
            Kind::Inverted => epoll::EventFlags::OUT,
        }
    }

    /// Wakes the half that sleeps on it, or ends its next sleep. One system call.
    pub(crate) fn wake(&self) {
        // A failure here is the peer's doing and its own loss: a saturated or emptied counter
        // (EAGAIN).
        let _ = match self.kind {
            Kind::Plain => write(&self.fd, &1u64.to_ne_bytes()).map(|_| ()),
            Kind::Inverted => self.take_one(),
        };
    }

    fn take_one(&self) -> errno::Result<()> {
        let mut count = [0; 8];
        // Offset -1: the current position, which an eventfd does not have (preadv2(2)).
        preadv2(
            &self.fd,
            &mut [IoSliceMut::new(&mut count)],
            u64::MAX,
            ReadWriteFlags::NOWAIT,
        )
        .map(|_| ())
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The two doorbells of one endpoint, by the half that sleeps on them.
#[derive(Debug)]
pub(crate) struct Doorbells {
    pub(crate) reader: Doorbell,
    pub(crate) writer: Doorbell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

    /// Doorbells for other users need a system call of Linux 5.8.
    #[test]
    fn bells_for_others_need_a_newer_kernel() {
        // A filter holds for the thread that imposes it.
        let tried = std::thread::spawn(|| {
            let fails = SeccompAction::Errno(libc::EOPNOTSUPP as u32);
            let arch = std::env::consts::ARCH.try_into().unwrap();
            let calls = [(libc::SYS_preadv2, vec![])].into_iter().collect();
            let filter = SeccompFilter::new(calls, SeccompAction::Allow, fails, arch).unwrap();
            apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
            let error = Doorbell::new(Kind::Inverted).unwrap_err();
            assert!(
                matches!(
                    error,
                    Failure::Unsupported {
                        needs: "Linux 5.8 or newer",
                        ..
                    }
                ),
                "{error:?}"
            );
            Doorbell::new(Kind::Plain).unwrap();
        });
        tried.join().unwrap();
    }
}
