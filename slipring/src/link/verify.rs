//! Everything that a peer sends is checked before it is used, in this order. First its hello:
//! versions, protocol, user, length of the header, capacity, this side's limit. Then the
//! descriptors that it passes: their number; seals, file system, size, allocation of the memory,
//! which is mapped then, and its preamble compared; and a doorbell has to be an eventfd.
//!
//! What depends on the kind of the name is the matter of its `Side`.

use super::message::{Hello, Kind, MAX_PROTOCOL, Refusal, VERSIONS, printable};
use crate::endpoint::passed::Unfit;
use crate::endpoint::ring_memory::{self, is_capacity};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::peer::{Admission, Peer};
use crate::sys::closing::Passed;
use crate::sys::mapping;
use crate::sys::socket::Credentials;
use crate::sys::user;
use std::os::fd::OwnedFd;

/// A refusal of the peer: the reason that is sent to it, and the error for the user here.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) why: Refusal,
    pub(super) detail: Vec<u8>,
    pub(super) error: Error,
}

impl Refused {
    pub(crate) fn new(why: Refusal, detail: impl Into<Vec<u8>>, error: Error) -> Refused {
        Refused {
            why,
            detail: detail.into(),
            error,
        }
    }

    /// The peer sent something that is not as it should be.
    pub(crate) fn bad(what: &'static str) -> Refused {
        Refused::new(
            Refusal::Descriptors,
            what,
            Error::BadPeer { what: what.into() },
        )
    }

    /// A user that may not be at the other end.
    pub(super) fn user(uid: u32, why: &str) -> Refused {
        Refused::new(
            Refusal::User,
            "",
            Error::UntrustedPeer {
                uid,
                why: why.into(),
            },
        )
    }

    /// One of too many clients that do not receive the answers that they were sent.
    pub(super) fn unreceived() -> Refused {
        let what = "clients of its user do not receive what they are answered";
        Refused::new(Refusal::Other, what, Error::BadPeer { what: what.into() })
    }

    /// This process lacks something, and only the peer has to be told.
    pub(super) fn resources() -> Refused {
        Refused::new(Refusal::Resources, "", Error::PeerGone)
    }
}

/// Why the descriptors that the peer passed cannot be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// They are not as they should be.
    Theirs(Refused),
    /// This process lacks something.
    Mine(Error),
}

impl Refused {
    /// What a user of this side is told.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

impl Fault {
    /// The same.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Fault::Theirs(refused) => refused.into_error(),
            Fault::Mine(error) => error,
        }
    }
}

impl From<Unfit> for Fault {
    fn from(unfit: Unfit) -> Fault {
        match unfit {
            Unfit::Theirs(what) => Refused::bad(what).into(),
            Unfit::Mine(error) => Fault::Mine(error),
        }
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        Fault::Theirs(refused)
    }
}

/// The facts of a hello that has passed.
#[derive(Debug)]
pub(crate) struct Introduced {
    pub(super) sender: Credentials,
    /// The peer could do anything to this process anyway: it is of the same user, or root.
    pub(crate) trusted: bool,
    /// It is of the same user.
    pub(super) of_my_user: bool,
    pub(crate) header_len: usize,
    pub(crate) capacity: usize,
    /// How far the rings may grow that it writes, and those that it accepts.
    pub(crate) growth: (usize, usize),
}

impl Introduced {
    /// The bytes of its memory, where header and ring are one.
    pub(crate) fn memory_len(&self) -> u64 {
        (self.header_len + self.capacity) as u64
    }

    pub(super) fn peer(&self) -> Peer {
        let Credentials { pid, uid, gid } = self.sender;
        Peer {
            pid: (pid != 0).then_some(pid),
            uid,
            gid,
        }
    }
}

/// Checks a hello. `mine_alone`: no other user could be where it comes from.
pub(super) fn hello(
    kind: Kind,
    expects_capacity: impl FnOnce(usize) -> bool,
    hello: &Hello,
    sender: Option<Credentials>,
    mine_alone: bool,
    options: &Options,
) -> std::result::Result<Introduced, Refused> {
    let (lowest, highest) = hello.versions;
    if lowest > VERSIONS.1 || highest < VERSIONS.0 {
        return Err(Refused::new(
            Refusal::Version,
            format!("{}-{}", VERSIONS.0, VERSIONS.1),
            Error::Version {
                ours: VERSIONS,
                theirs: hello.versions,
            },
        ));
    }
    if hello.kind != kind as u8 {
        return Err(Refused::new(
            Refusal::Kind,
            kind.name(),
            Error::Kind {
                ours: kind.name(),
                theirs: Kind::name_of(hello.kind).into(),
            },
        ));
    }
    if hello.protocol.len() > MAX_PROTOCOL || hello.protocol != options.protocol.as_bytes() {
        return Err(Refused::new(
            Refusal::Protocol,
            options.protocol.as_bytes(),
            Error::Protocol {
                ours: options.protocol.clone(),
                theirs: printable(&hello.protocol),
            },
        ));
    }
    // A message that was sent before this side asked for credentials has none, and the kernel shows
    // process 0 of the user without a number in their place.
    let sender = sender
        .filter(|sender| sender.pid != 0 || !user::is_nobody(sender.uid))
        .ok_or_else(|| Refused::bad("no credentials"))?;
    let trusted = match options.admits(sender.uid, mine_alone) {
        Admission::Trusted => true,
        Admission::Allowed => false,
        Admission::Refused(why) => return Err(Refused::user(sender.uid, why)),
    };
    let header_len = hello.header_len as usize;
    let page = mapping::page_size();
    if header_len < page || !header_len.is_multiple_of(page) || header_len > 1 << 16 {
        return Err(Refused::bad("the header has an impossible length"));
    }
    let capacity = usize::try_from(hello.capacity).unwrap_or(usize::MAX);
    if !expects_capacity(capacity) {
        return Err(Refused::bad("the capacity is impossible"));
    }
    if capacity > options.max_peer_capacity {
        let detail = format!("at most {} bytes are accepted", options.max_peer_capacity);
        return Err(Refused::new(
            Refusal::Capacity,
            detail,
            Error::Capacity {
                asked: capacity,
                why: format!(
                    "the peer's is larger than the {} bytes that this side accepts \
                        (Options::max_peer_capacity)",
                    options.max_peer_capacity
                ),
            },
        ));
    }
    // Anything that is no power within the limits allows no growth.
    let power = |log2: u8| 1usize.checked_shl(log2.into()).filter(|n| is_capacity(*n));
    Ok(Introduced {
        sender,
        trusted,
        of_my_user: user::is_same(sender.uid, mine_alone),
        header_len,
        capacity,
        growth: (
            power(hello.growth.own).unwrap_or(0),
            power(hello.growth.peer).unwrap_or(0),
        ),
    })
}

/// The refusal of memory that does not begin as it should.
pub(crate) fn other_preamble() -> Refused {
    Refused::bad("the memory does not begin with the preamble that was announced")
}

/// A doorbell is an eventfd.
pub(super) fn eventfd(passed: Passed) -> std::result::Result<OwnedFd, Fault> {
    match passed.is_eventfd() {
        Ok(true) => Ok(passed.harmless()),
        Ok(false) => Err(Refused::bad("a doorbell is not an eventfd").into()),
        Err(e) => Err(Fault::Mine(Error::os(
            "checking the peer's doorbell (is /proc mounted?)",
        )(e))),
    }
}

/// Checks the options of this side. Before anything is made.
pub(crate) fn check_options(options: &Options) -> Result<()> {
    let (min, max) = (ring_memory::min_capacity(), ring_memory::MAX_CAPACITY);
    let (start, most) = (options.capacity, options.max_capacity_or_default());
    for asked in [start, most] {
        if !is_capacity(asked) {
            let near = asked.clamp(min, max).next_power_of_two();
            return Err(Error::Capacity {
                asked,
                why: format!(
                    "it has to be a power of two from {min} to {max} bytes; {near} would do"
                ),
            });
        }
    }
    if most < start {
        return Err(Error::Capacity {
            asked: most,
            why: format!(
                "a ring that begins with {start} bytes (Options::capacity) cannot have a smaller \
                 max_capacity"
            ),
        });
    }
    check_protocol(options)
}

/// Checks the application protocol alone.
pub(crate) fn check_protocol(options: &Options) -> Result<()> {
    if options.protocol.len() > MAX_PROTOCOL {
        return Err(Error::ProtocolTooLong {
            len: options.protocol.len(),
            limit: MAX_PROTOCOL,
        });
    }
    Ok(())
}
