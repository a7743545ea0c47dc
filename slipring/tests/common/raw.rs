//! A peer written by hand: it speaks the handshake byte by byte, and has its own outbox mapped
//! writable.

use rustix::cmsg_space;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, UCred, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub const LEN: usize = 96;
pub const VERSIONS: (u16, u16) = (3, 3);
pub const PAGE: usize = 4096;

/// Where the words of a header lie.
pub mod at {
    pub const TAIL: usize = 0x80;
    pub const RING: usize = 0x88;
    pub const FIN: usize = 0x90;
    pub const CODE: usize = 0x94;
    pub const HEAD: usize = 0x100;
    pub const STOP: usize = 0x108;
    pub const TAKEN: usize = 0x10c;
    pub const WAKE_AT_TAIL: usize = 0x180;
    pub const WAKE_AT_HEAD: usize = 0x200;
    pub const REFUSED_FOR: usize = 0x398;
    pub const ANSWERS: usize = 0x3a4;
}

/// A hello, every field of which can be wrong.
#[derive(Debug, Clone)]
pub struct Hello {
    pub magic: [u8; 8],
    pub kind: u32,
    pub versions: (u16, u16),
    pub capacity: u64,
    pub header_len: u32,
    pub protocol: Vec<u8>,
    /// Written in place of the protocol's own length.
    pub protocol_len: Option<u8>,
    /// How far rings may grow, as powers of two: the own ones, and those that are accepted.
    pub growth: (u8, u8),
}

impl Hello {
    pub fn new(capacity: usize) -> Hello {
        Hello {
            magic: *b"slipring",
            kind: 1,
            versions: VERSIONS,
            capacity: capacity as u64,
            header_len: PAGE as u32,
            protocol: Vec::new(),
            protocol_len: None,
            growth: (0, 0),
        }
    }

    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.magic);
        bytes[8..12].copy_from_slice(&self.kind.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.versions.0.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.versions.1.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[29] = self.protocol_len.unwrap_or(self.protocol.len() as u8);
        (bytes[30], bytes[31]) = self.growth;
        bytes[32..32 + self.protocol.len()].copy_from_slice(&self.protocol);
        bytes
    }
}

/// The message that goes with the memory and the doorbells, every field of which can be wrong.
#[derive(Debug, Clone)]
pub struct Memory {
    pub kind: u32,
    pub doorbells: u8,
}

impl Memory {
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(b"slipring");
        bytes[8..12].copy_from_slice(&self.kind.to_le_bytes());
        bytes[28] = self.doorbells;
        bytes
    }
}

/// A refusal, with a text.
pub fn refused(why: u32, text: &[u8]) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(b"slipring");
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    bytes[12..16].copy_from_slice(&why.to_le_bytes());
    bytes[29] = text.len() as u8;
    bytes[32..32 + text.len()].copy_from_slice(text);
    bytes
}

/// The seals that a header and a ring have.
pub fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// A memfd of `len` bytes, all allocated, without any seal.
pub fn memory(len: usize) -> OwnedFd {
    let fd = memfd_create("raw", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    fallocate(&fd, FallocateFlags::empty(), 0, len as u64).unwrap();
    fd
}

/// The same, but nothing allocated.
pub fn sparse(len: usize) -> OwnedFd {
    let fd = memfd_create("raw", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len as u64).unwrap();
    fd
}

pub fn doorbell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

/// Memory that is mapped, and whose words can be written by anybody at any time.
#[derive(Debug)]
pub struct Words {
    base: *mut u8,
    len: usize,
}

// SAFETY: it is used through atomics only, or by those who have agreed about the bytes.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    pub fn map(fd: BorrowedFd<'_>, len: usize, writable: bool) -> io::Result<Words> {
        let prot = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) }?;
        Ok(Words {
            base: base.cast(),
            len,
        })
    }

    /// A header of a page, and behind it the ring.
    pub fn both(
        header: BorrowedFd<'_>,
        ring: BorrowedFd<'_>,
        capacity: usize,
        writable: bool,
    ) -> io::Result<Words> {
        let prot = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        let len = PAGE + capacity;
        let (none, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, none, flags) }?;
        let fixed = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the first page of that mapping is replaced, which nobody else knows.
        unsafe { mmap(base, PAGE, prot, fixed, header, 0) }?;
        // SAFETY: the place is within that mapping.
        let behind = unsafe { base.byte_add(PAGE) };
        // SAFETY: as above.
        unsafe { mmap(behind, capacity, prot, fixed, ring, 0) }?;
        Ok(Words {
            base: base.cast(),
            len,
        })
    }

    pub fn u64(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= self.len && at.is_multiple_of(8));
        // SAFETY: within the mapping, as was just checked.
        let word = unsafe { self.base.add(at) };
        // SAFETY: aligned, mapped for as long as `self`, and only ever accessed as an atomic.
        unsafe { &*word.cast::<AtomicU64>() }
    }

    pub fn u32(&self, at: usize) -> &AtomicU32 {
        assert!(at + 4 <= self.len && at.is_multiple_of(4));
        // SAFETY: within the mapping, as was just checked.
        let word = unsafe { self.base.add(at) };
        // SAFETY: as in `u64`.
        unsafe { &*word.cast::<AtomicU32>() }
    }

    pub fn load(&self, at: usize) -> u64 {
        self.u64(at).load(Ordering::SeqCst)
    }

    pub fn store(&self, at: usize, value: u64) {
        self.u64(at).store(value, Ordering::SeqCst);
    }

    pub fn store32(&self, at: usize, value: u32) {
        self.u32(at).store(value, Ordering::SeqCst);
    }

    /// Copies bytes into the ring, at a position that does not wrap.
    pub fn put(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len);
        // SAFETY: within the mapping.
        let to = unsafe { self.base.add(at) };
        // SAFETY: `len` bytes at `to` are mapped writable, and no part of `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: there is no reference into it any more.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}

/// The resources that a side brings to a handshake: a header, a ring and two doorbells.
#[derive(Debug)]
pub struct Side {
    pub hello: Hello,
    pub passing: Memory,
    pub header: OwnedFd,
    /// The ring.
    pub memory: OwnedFd,
    pub doorbells: [OwnedFd; 2],
    pub words: Words,
}

impl Side {
    /// A side without a fault.
    pub fn new(capacity: usize) -> Side {
        let side = Side::unsealed(capacity);
        fcntl_add_seals(&side.header, seals()).unwrap();
        fcntl_add_seals(&side.memory, seals()).unwrap();
        side
    }

    /// A side that has everything but the seals.
    pub fn unsealed(capacity: usize) -> Side {
        let (header, memory) = (memory(PAGE), memory(capacity));
        let words = Words::both(header.as_fd(), memory.as_fd(), capacity, true).unwrap();
        stream_preamble(&words, PAGE as u32, capacity as u64);
        Side {
            hello: Hello::new(capacity),
            passing: Memory {
                kind: 3,
                doorbells: 0,
            },
            header,
            memory,
            doorbells: [doorbell(), doorbell()],
            words,
        }
    }

    /// The descriptors in the order in which they are sent.
    pub fn fds(&self) -> [BorrowedFd<'_>; 4] {
        [
            self.header.as_fd(),
            self.memory.as_fd(),
            self.doorbells[0].as_fd(),
            self.doorbells[1].as_fd(),
        ]
    }

    /// Sends all that there is to be sent, without waiting for an answer.
    pub fn greet(&self, link: &UnixStream) {
        self.say_hello(link);
        self.pass(link, &self.fds());
    }

    /// Sends the hello.
    pub fn say_hello(&self, link: &UnixStream) {
        send(link, &self.hello.encode(), &[]).unwrap();
    }

    /// Sends descriptors as memory and doorbells.
    pub fn pass(&self, link: &UnixStream, fds: &[BorrowedFd<'_>]) {
        // A side that has refused the hello may be gone.
        let _ = send(link, &self.passing.encode(), fds);
    }
}

/// The word of a ring.
pub fn ring_word(generation: u32, capacity: u64) -> u64 {
    u64::from(generation) << 32 | u64::from(capacity.trailing_zeros())
}

/// Writes the preamble of a stream's header, and announces the first ring.
pub fn stream_preamble(words: &Words, header_len: u32, capacity: u64) {
    words.store(0x00, u64::from_le_bytes(*b"slipring"));
    words.store32(0x08, 2);
    words.store32(0x0c, header_len);
    words.store(at::RING, ring_word(0, capacity));
}

/// Writes the preamble of a feed.
pub fn preamble(words: &Words, header_len: u32, capacity: u64) {
    words.store(0x00, u64::from_le_bytes(*b"slipring"));
    words.store32(0x08, 1);
    words.store32(0x0c, header_len);
    words.store(0x10, capacity);
}

/// A stream as its hand-written side sees it.
#[derive(Debug)]
pub struct Peer {
    pub link: UnixStream,
    pub mine: Side,
    /// The other side's header and first ring, read-only.
    pub theirs: Words,
    pub their_bells: [OwnedFd; 2],
    pub their_capacity: u64,
}

impl Peer {
    /// Connects to a listener, by the rules.
    pub fn connect(path: &Path, capacity: usize) -> Peer {
        let link = UnixStream::connect(path).unwrap();
        Peer::shake_hands(link, Side::new(capacity))
    }

    /// Shakes hands by the rules, speaking first.
    pub fn shake_hands(link: UnixStream, mine: Side) -> Peer {
        mine.greet(&link);
        let (hello, fds) = answer(&link);
        let their_capacity = u64::from_le_bytes(hello[16..24].try_into().unwrap());
        let [header, ring, reader, writer] = <[OwnedFd; 4]>::try_from(fds).unwrap();
        let capacity = their_capacity as usize;
        let theirs = Words::both(header.as_fd(), ring.as_fd(), capacity, false).unwrap();
        Peer {
            link,
            mine,
            theirs,
            their_bells: [reader, writer],
            their_capacity,
        }
    }

    /// Rings both doorbells of the other side.
    pub fn ring(&self) {
        for doorbell in &self.their_bells {
            let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
        }
    }
}

/// Receives all that the other side sends: its hello, and the descriptors of its memory and
/// doorbells.
pub fn answer(link: &UnixStream) -> ([u8; LEN], Vec<OwnedFd>) {
    let (hello, none) = receive(link).unwrap();
    assert_eq!(&hello[..12], b"slipring\x01\0\0\0", "a hello was expected");
    assert!(none.is_empty(), "a hello comes with no descriptors");
    let (memory, fds) = receive(link).unwrap();
    assert_eq!(
        &memory[..12],
        b"slipring\x03\0\0\0",
        "a memory was expected"
    );
    (hello, fds)
}

/// Sends bytes with this process's credentials, the descriptors with the first of them.
pub fn send(link: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_as(link, bytes, fds, true)
}

/// The same, with flags: out of band, for instance.
pub fn send_by(
    link: &UnixStream,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    send_with(link, bytes, fds, true, flags)
}

/// Sends bytes, with or without credentials.
pub fn send_as(
    link: &UnixStream,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    credentials: bool,
) -> io::Result<()> {
    send_with(link, bytes, fds, credentials, SendFlags::empty())
}

fn send_with(
    link: &UnixStream,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    credentials: bool,
    flags: SendFlags,
) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(253), ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if credentials {
        let me = UCred {
            pid: rustix::process::getpid(),
            uid: rustix::process::geteuid(),
            gid: rustix::process::getegid(),
        };
        assert!(control.push(SendAncillaryMessage::ScmCredentials(me)));
    }
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    let n = sendmsg(
        link,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL | flags,
    )?;
    assert_eq!(n, bytes.len());
    Ok(())
}

/// Receives a whole message with what came with it. `UnexpectedEof` if the other side hangs up
/// before.
pub fn receive(link: &UnixStream) -> io::Result<([u8; LEN], Vec<OwnedFd>)> {
    let mut bytes = [0; LEN];
    let mut fds = Vec::new();
    let mut arrived = 0;
    while arrived < LEN {
        let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(253), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let n = recvmsg(
            link,
            &mut [IoSliceMut::new(&mut bytes[arrived..])],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?
        .bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        arrived += n;
    }
    Ok((bytes, fds))
}
