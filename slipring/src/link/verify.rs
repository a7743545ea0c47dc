//! What a peer sends is checked before it is used, in this order: versions, protocol, user; number of descriptors;
//! seals, file system, size, allocation, my limit; then it is mapped and its preamble compared; and a bell has to be
//! an eventfd.

use super::message::{Hello, MAX_PROTOCOL, Refusal, VERSIONS, printable};
use crate::error::{Error, Result};
use crate::options::{Options, Peer};
use crate::ring::{Header, LAYOUT_VERSION, MAGIC, Std};
use crate::sys::barrier;
use crate::sys::bell::{self, Bell, Bells};
use crate::sys::memory::{self, FIXED, Inbox, SEALS};
use crate::sys::socket::Credentials;
use crate::sys::user;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate, readlink};
use rustix::io::Errno;
use std::sync::atomic::Ordering;

/// `TMPFS_MAGIC` of statfs(2). A memfd of huge pages takes the same seals and is of another type.
const TMPFS: u64 = 0x0102_1994;

/// The descriptors that come with a hello.
pub(super) const DESCRIPTORS: usize = 3;

/// Something about the peer that is refused: what it is told, and what the user here is told.
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

    /// A lack of mine, not a fault of the peer's.
    pub(super) fn resources(error: Error) -> Refused {
        Refused::new(Refusal::Resources, "", error)
    }

    /// What the peer sent is not what it should be.
    pub(super) fn bad(what: &'static str) -> Refused {
        Refused::new(Refusal::Descriptors, what, Error::BadPeer { what: what.into() })
    }
}

/// What has passed.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) inbox: Inbox,
    pub(super) bells: Bells,
    pub(super) peer: Peer,
    pub(super) copy_reads: bool,
    pub(super) excusable: bool,
}

/// Checks a hello with all that came with it.
pub(super) fn verify(
    hello: &Hello,
    fds: Vec<OwnedFd>,
    truncated: bool,
    sender: Option<Credentials>,
    options: &Options,
) -> std::result::Result<Verified, Refused> {
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
    let peer = user(sender, options)?;
    // Root could do anything to this process anyway.
    let trusted = peer.uid == user::me() || peer.uid == 0;
    if !trusted && hello.bells != bell::Kind::Inverted {
        return Err(Refused::bad("a bell that another user could block"));
    }
    if truncated {
        // There is room for all that the kernel can pass; so it is this process that has no descriptors left.
        return Err(Refused::resources(Error::os("receiving the peer's descriptors")(
            Errno::MFILE,
        )));
    }
    if fds.len() < DESCRIPTORS {
        return Err(Refused::bad("a descriptor is missing"));
    }
    let Ok([outbox, reader_bell, writer_bell]) = <[OwnedFd; DESCRIPTORS]>::try_from(fds) else {
        return Err(Refused::bad("more descriptors than expected"));
    };
    let inbox = inbox(outbox.as_fd(), hello, options, options.trust_peer && trusted)?;
    for bell in [&reader_bell, &writer_bell] {
        eventfd(bell.as_fd())?;
    }
    Ok(Verified {
        inbox,
        bells: Bells {
            reader: Bell::of_peer(reader_bell, hello.bells),
            writer: Bell::of_peer(writer_bell, hello.bells),
        },
        peer,
        copy_reads: options.copy_reads || !trusted,
        // Whoever cannot be interrupted goes on with fences, whatever the peer says. Another user gets nothing done to this process.
        excusable: trusted && hello.excuses && barrier::register(),
    })
}

fn user(sender: Option<Credentials>, options: &Options) -> std::result::Result<Peer, Refused> {
    let sender = sender.ok_or_else(|| Refused::bad("no credentials"))?;
    if !options.trusts(sender.uid) {
        return Err(Refused::new(
            Refusal::User,
            "",
            Error::UntrustedPeer {
                uid: sender.uid,
                why: "a peer of this user is not allowed; allow it with Options::allow".into(),
            },
        ));
    }
    Ok(Peer {
        pid: (sender.pid != 0).then_some(sender.pid),
        uid: sender.uid,
        gid: sender.gid,
    })
}

/// The seals of the peer's memory, after those that it has left to this side have been added; unless it is `open`, trusted
/// without.
fn sealed(fd: BorrowedFd<'_>, open: bool) -> std::result::Result<SealFlags, Refused> {
    let seals = || fcntl_get_seals(fd).map_err(|_| Refused::bad("the memory cannot be sealed"));
    let theirs = seals()?;
    let left_open = theirs & SEALS == FIXED;
    if theirs.contains(SEALS) || left_open && open {
        return Ok(theirs);
    }
    if left_open {
        // Without them the peer could take pages out of it again. If they are refused, that shows below.
        if let Err(Errno::INVAL) = fcntl_add_seals(fd, SEALS - FIXED) {
            return Err(Refused::resources(memory::no_seals()));
        }
    }
    let all = seals()?;
    if !all.contains(SEALS) {
        return Err(Refused::bad("the memory is not sealed"));
    }
    Ok(all)
}

fn inbox(fd: BorrowedFd<'_>, hello: &Hello, options: &Options, open: bool) -> std::result::Result<Inbox, Refused> {
    // First, because it calls into no file system that somebody else wrote; a pipe, a socket, an ordinary file end
    // here.
    let seals = sealed(fd, open)?;
    let file_system =
        fstatfs(fd).map_err(|e| Refused::resources(Error::os("checking the peer's memory (fstatfs)")(e)))?;
    if file_system.f_type as u64 != TMPFS {
        return Err(Refused::bad("the memory is not an ordinary memfd"));
    }
    let page = rustix::param::page_size();
    let header_len = hello.header_len as usize;
    if header_len < size_of::<Header<Std>>() || !header_len.is_multiple_of(page) || header_len > 1 << 16 {
        return Err(Refused::bad("the header has an impossible length"));
    }
    let capacity = usize::try_from(hello.capacity).unwrap_or(usize::MAX);
    if !capacity.is_power_of_two() || capacity < memory::min_capacity() || capacity > memory::MAX_CAPACITY {
        return Err(Refused::bad("the capacity is impossible"));
    }
    // Pages that the peer has not allocated would be allocated, and paid for, by whoever touches them first. Those that it has
    // beyond the end, where nobody looks for them (fallocate(2), `FALLOC_FL_KEEP_SIZE`), would count as well; so they go, and the seals
    // keep it from making others. Any other size than it has is against the seals.
    let len = (header_len + capacity) as u64;
    ftruncate(fd, len).map_err(|e| {
        Refused::bad(match e {
            Errno::PERM => "the memory has another size than announced",
            _ => "the memory is not open for writing",
        })
    })?;
    let stat = fstat(fd).map_err(|e| Refused::resources(Error::os("checking the peer's memory (fstat)")(e)))?;
    if (stat.st_blocks as u64).saturating_mul(512) < len {
        return Err(Refused::bad("the memory is not allocated"));
    }
    if capacity > options.max_peer_capacity {
        let detail = format!("at most {} bytes are accepted", options.max_peer_capacity);
        return Err(Refused::new(
            Refusal::Capacity,
            detail,
            Error::Capacity {
                asked: capacity,
                why: format!(
                    "the peer's is larger than the {} bytes that this side accepts (Options::max_peer_capacity)",
                    options.max_peer_capacity
                ),
            },
        ));
    }
    let writable = !seals.contains(SealFlags::FUTURE_WRITE);
    let inbox = Inbox::map(fd, header_len, capacity, writable).map_err(Refused::resources)?;
    let preamble = &inbox.header().preamble.0;
    // Relaxed: the message that brought the descriptor came after the preamble was written.
    let honest = preamble.magic.load(Ordering::Relaxed) == MAGIC
        && preamble.version.load(Ordering::Relaxed) == LAYOUT_VERSION
        && preamble.header_len.load(Ordering::Relaxed) == hello.header_len
        && preamble.capacity.load(Ordering::Relaxed) == hello.capacity;
    if !honest {
        return Err(Refused::bad(
            "the memory does not begin with the preamble that was announced",
        ));
    }
    Ok(inbox)
}

/// A bell is an eventfd: asked of /proc before anything is done with it, since even adding a strange file to an epoll
/// set calls into whoever implements it.
fn eventfd(fd: BorrowedFd<'_>) -> std::result::Result<(), Refused> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    match readlink(path, Vec::new()) {
        Ok(target) if target.as_bytes() == b"anon_inode:[eventfd]" => Ok(()),
        Ok(_) => Err(Refused::bad("a bell is not an eventfd")),
        Err(e) => Err(Refused::resources(Error::os(
            "checking the peer's bell (is /proc mounted?)",
        )(e))),
    }
}

/// Checks the options of this side. Before anything is made.
pub(crate) fn check_options(options: &Options) -> Result<()> {
    let capacity = options.capacity;
    let (min, max) = (memory::min_capacity(), memory::MAX_CAPACITY);
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
