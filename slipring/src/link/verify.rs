//! Everything that a peer sends is checked before it is used, in this order. First its hello:
//! versions, protocol, user, length of the header, capacity, this side's limit. Then the
//! descriptors that it passes: their number; seals, file system, size, allocation of the memory,
//! which is mapped then, and its preamble compared; and a doorbell has to be an eventfd.
//!
//! What depends on the kind of the name is the matter of its `Side`.

use super::message::{Hello, Kind, MAX_PROTOCOL, Refusal, VERSIONS, printable};
use crate::endpoint::region;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::peer::{Admission, Peer};
use crate::sys::closing::Passed;
use crate::sys::errno::Errno;
use crate::sys::mapping;
use crate::sys::memfd;
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
}

impl Introduced {
    /// The bytes of its memory.
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
    Ok(Introduced {
        sender,
        trusted,
        of_my_user: user::is_same(sender.uid, mine_alone),
        header_len,
        capacity,
    })
}

/// Whether it is a power of two within the limits of a ring.
pub(crate) fn is_capacity(capacity: usize) -> bool {
    capacity.is_power_of_two()
        && (region::min_capacity()..=region::MAX_CAPACITY).contains(&capacity)
}

/// Checks memory that a peer has passed, of `len` bytes: sealed, of ordinary pages, of that size,
/// and allocated.
pub(crate) fn memory(passed: Passed, len: u64) -> std::result::Result<OwnedFd, Fault> {
    whole(sealed(passed)?, len)
}

/// The same of memory whose length was not announced: at most `most` bytes; and its length.
pub(crate) fn memory_up_to(
    passed: Passed,
    most: u64,
) -> std::result::Result<(OwnedFd, u64), Fault> {
    let fd = sealed(passed)?;
    let len = memfd::len(&fd)
        .map_err(|e| Fault::Mine(Error::os("checking the peer's memory (fstat)")(e)))?;
    if len > most {
        let what = "the memory is larger than this side accepts (max_capacity)";
        return Err(Refused::bad(what).into());
    }
    Ok((whole(fd, len)?, len))
}

/// Sealed, and of ordinary pages.
fn sealed(passed: Passed) -> std::result::Result<OwnedFd, Fault> {
    let want = |doing| move |e: Errno| Fault::Mine(Error::os(doing)(e));
    // First, because it calls into no file system that somebody else wrote; a pipe, a socket, an
    // ordinary file end here.
    let is_sealed =
        memfd::is_sealed(&passed).map_err(|_| Refused::bad("the memory cannot be sealed"))?;
    if !is_sealed {
        return Err(Refused::bad("the memory is not sealed").into());
    }
    if !memfd::is_ordinary(&passed).map_err(want("checking the peer's memory (fstatfs)"))? {
        return Err(Refused::bad("the memory is not an ordinary memfd").into());
    }
    Ok(passed.harmless())
}

/// Of that size, and allocated.
fn whole(fd: OwnedFd, len: u64) -> std::result::Result<OwnedFd, Fault> {
    let want = |doing| move |e: Errno| Fault::Mine(Error::os(doing)(e));
    // Pages that the peer has not allocated would be allocated, and paid for, by the process that
    // touches them first. Those that it has beyond the end, where nothing is mapped (fallocate(2),
    // `FALLOC_FL_KEEP_SIZE`), would count as well; so they go, and the seals keep it from making
    // others. Any other size than it has is against the seals.
    memfd::set_len(&fd, len).map_err(|e| {
        Refused::bad(match e {
            Errno::PERM => "the memory has another size than announced",
            _ => "the memory is not open for writing",
        })
    })?;
    if memfd::allocated(&fd).map_err(want("checking the peer's memory (fstat)"))? < len {
        return Err(Refused::bad("the memory is not allocated").into());
    }
    Ok(fd)
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
    let capacity = options.capacity;
    let (min, max) = (region::min_capacity(), region::MAX_CAPACITY);
    if !is_capacity(capacity) {
        let near = capacity.clamp(min, max).next_power_of_two();
        return Err(Error::Capacity {
            asked: capacity,
            why: format!("it has to be a power of two from {min} to {max} bytes; {near} would do"),
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
