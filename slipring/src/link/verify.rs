//! Everything that a peer sends is checked before it is used, in this order. First its hello:
//! versions, protocol, user, length of the header, capacity, this side's limit. Then the
//! descriptors that it passes: their number; seals, file system, size, allocation of the memory,
//! which is mapped then, and its preamble compared; and a doorbell has to be an eventfd.

use super::message::{Hello, MAX_PROTOCOL, Memory, Refusal, VERSIONS, printable};
use crate::endpoint::region::{self, PeerRegion};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::peer::{Admission, Peer};
use crate::ring::{Header, LAYOUT_VERSION, MAGIC, Std};
use crate::sys::closing::Passed;
use crate::sys::doorbell::{self, Doorbell, Doorbells};
use crate::sys::errno::Errno;
use crate::sys::mapping;
use crate::sys::memfd;
use crate::sys::socket::Credentials;
use crate::sys::user;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

/// The descriptors that come with a hello.
pub(super) const DESCRIPTORS: usize = 3;

/// A refusal of the peer: the reason that is sent to it, and the error for the user here.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) why: Refusal,
    pub(super) detail: Vec<u8>,
    pub(super) error: Error,
}

impl Refused {
    fn new(why: Refusal, detail: impl Into<Vec<u8>>, error: Error) -> Refused {
        Refused {
            why,
            detail: detail.into(),
            error,
        }
    }

    /// The peer sent something that is not as it should be.
    pub(super) fn bad(what: &'static str) -> Refused {
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
pub(super) enum Fault {
    /// They are not as they should be.
    Theirs(Refused),
    /// This process lacks something.
    Mine(Error),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        Fault::Theirs(refused)
    }
}

/// The facts of a hello that has passed.
#[derive(Debug)]
pub(super) struct Introduced {
    pub(super) sender: Credentials,
    /// The peer could do anything to this process anyway: it is of the same user, or root.
    pub(super) trusted: bool,
    /// It is of the same user.
    pub(super) of_my_user: bool,
    header_len: usize,
    capacity: usize,
}

/// The peer's memory and doorbells, after they have passed.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) peer_region: PeerRegion,
    pub(super) doorbells: Doorbells,
    pub(super) peer: Peer,
    pub(super) copy_reads: bool,
}

/// Checks a hello. `mine_alone`: no other user could be where it comes from.
pub(super) fn hello(
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
    if header_len < size_of::<Header<Std>>()
        || !header_len.is_multiple_of(page)
        || header_len > 1 << 16
    {
        return Err(Refused::bad("the header has an impossible length"));
    }
    let capacity = usize::try_from(hello.capacity).unwrap_or(usize::MAX);
    if !capacity.is_power_of_two()
        || capacity < region::min_capacity()
        || capacity > region::MAX_CAPACITY
    {
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

/// Checks the descriptors of a peer that has been introduced, and maps its memory.
pub(super) fn memory(
    memory: Memory,
    fds: Vec<Passed>,
    introduced: &Introduced,
    options: &Options,
) -> std::result::Result<Verified, Fault> {
    let trusted = introduced.trusted;
    if !trusted && memory.doorbells != doorbell::Kind::Inverted {
        return Err(Refused::bad("a doorbell that another user could block").into());
    }
    if fds.len() < DESCRIPTORS {
        return Err(Refused::bad("a descriptor is missing").into());
    }
    let Ok([own_region, reader_bell, writer_bell]) = <[Passed; DESCRIPTORS]>::try_from(fds) else {
        return Err(Refused::bad("more descriptors than expected").into());
    };
    let peer_region = peer_region(own_region, introduced)?;
    let doorbell = |passed| eventfd(passed).map(|fd| Doorbell::of_peer(fd, memory.doorbells));
    let doorbells = Doorbells {
        reader: doorbell(reader_bell)?,
        writer: doorbell(writer_bell)?,
    };
    peer_region.populate(options.capacity);
    let Credentials { pid, uid, gid } = introduced.sender;
    Ok(Verified {
        peer_region,
        doorbells,
        peer: Peer {
            pid: (pid != 0).then_some(pid),
            uid,
            gid,
        },
        copy_reads: options.copy_reads || !trusted,
        // Of any user: one that says so and sleeps all the same is its own loss.
    })
}

fn peer_region(passed: Passed, introduced: &Introduced) -> std::result::Result<PeerRegion, Fault> {
    let want = |doing| move |e: Errno| Fault::Mine(Error::os(doing)(e));
    let Introduced {
        header_len,
        capacity,
        ..
    } = *introduced;
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
    let fd = passed.harmless();
    // Pages that the peer has not allocated would be allocated, and paid for, by the process that
    // touches them first. Those that it has beyond the end, where nothing is mapped (fallocate(2),
    // `FALLOC_FL_KEEP_SIZE`), would count as well; so they go, and the seals keep it from making
    // others. Any other size than it has is against the seals.
    let len = (header_len + capacity) as u64;
    memfd::set_len(&fd, len).map_err(|e| {
        Refused::bad(match e {
            Errno::PERM => "the memory has another size than announced",
            _ => "the memory is not open for writing",
        })
    })?;
    if memfd::allocated(&fd).map_err(want("checking the peer's memory (fstat)"))? < len {
        return Err(Refused::bad("the memory is not allocated").into());
    }
    let peer_region = PeerRegion::map(fd.as_fd(), header_len, capacity).map_err(Fault::Mine)?;
    let preamble = &peer_region.header().preamble.0;
    // Relaxed: the message that brought the descriptor came after the preamble was written.
    let honest = preamble.magic.load(Ordering::Relaxed) == MAGIC
        && preamble.version.load(Ordering::Relaxed) == LAYOUT_VERSION
        && preamble.header_len.load(Ordering::Relaxed) as usize == header_len
        && preamble.capacity.load(Ordering::Relaxed) == capacity as u64;
    if !honest {
        return Err(
            Refused::bad("the memory does not begin with the preamble that was announced").into(),
        );
    }
    Ok(peer_region)
}

/// A doorbell is an eventfd.
fn eventfd(passed: Passed) -> std::result::Result<OwnedFd, Fault> {
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
    if !capacity.is_power_of_two() || capacity < min || capacity > max {
        let near = capacity.clamp(min, max).next_power_of_two();
        return Err(Error::Capacity {
            asked: capacity,
            why: format!("it has to be a power of two from {min} to {max} bytes; {near} would do"),
        });
    }
    if options.protocol.len() > MAX_PROTOCOL {
        return Err(Error::ProtocolTooLong {
            len: options.protocol.len(),
            limit: MAX_PROTOCOL,
        });
    }
    Ok(())
}
