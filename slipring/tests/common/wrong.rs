//! Every fault of a hello and of the messages after it, one at a time.

use super::raw::{
    self, Hello, PAGE, Side, Words, at, doorbell, memory, refused, ring_word, seals, send, sparse,
};
use rustix::event::epoll;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create,
    open,
};
use std::fs::File;
use std::os::unix::net::UnixStream;

/// The protocol and the largest capacity of the side that is under test.
pub const PROTOCOL: &[u8] = b"test/1";
pub const MAX: usize = 1 << 20;
const CAPACITY: usize = 8192;

/// The messages and descriptors that are sent, and the expected outcome.
pub struct Wrong {
    pub what: String,
    pub send: Box<dyn Fn(&UnixStream)>,
    /// A part of the error on the side under test.
    pub error: &'static str,
    /// The reason in the refusal that is sent back; `None` if there is none.
    pub refusal: Option<u32>,
}

const VERSION: Option<u32> = Some(1);
const OTHER_PROTOCOL: Option<u32> = Some(2);
const TOO_LARGE: Option<u32> = Some(3);
const DESCRIPTORS: Option<u32> = Some(5);

/// A side without a fault, for the side under test.
pub fn right() -> Side {
    side(CAPACITY)
}

fn side(capacity: usize) -> Side {
    named(Side::new(capacity))
}

fn named(mut side: Side) -> Side {
    side.hello.protocol = PROTOCOL.to_vec();
    side
}

fn wrong(
    what: impl Into<String>,
    error: &'static str,
    refusal: Option<u32>,
    send: impl Fn(&UnixStream) + 'static,
) -> Wrong {
    Wrong {
        what: what.into(),
        send: Box::new(send),
        error,
        refusal,
    }
}

/// A hello that is wrong in itself, with the right descriptors.
fn hello(
    what: &str,
    error: &'static str,
    refusal: Option<u32>,
    change: impl Fn(&mut Hello) + 'static,
) -> Wrong {
    wrong(what, error, refusal, move |link| {
        let mut side = right();
        change(&mut side.hello);
        side.greet(link);
    })
}

/// All that is wrong with the text of a hello.
pub fn hellos() -> Vec<Wrong> {
    const NOT_SLIPRING: &str = "does not speak slipring";
    let mut all = vec![
        hello("another magic", NOT_SLIPRING, None, |h| {
            h.magic = *b"slipknot"
        }),
        hello("no magic", NOT_SLIPRING, None, |h| h.magic = [0; 8]),
        hello("no kind", NOT_SLIPRING, None, |h| h.kind = 0),
        hello("an unknown kind", NOT_SLIPRING, None, |h| h.kind = 4),
        hello("a wild kind", NOT_SLIPRING, None, |h| h.kind = u32::MAX),
        hello("a protocol that is too long", NOT_SLIPRING, None, |h| {
            h.protocol_len = Some(65)
        }),
        hello("a wildly long protocol", NOT_SLIPRING, None, |h| {
            h.protocol_len = Some(255)
        }),
        hello("a later version", "the peer 4 to 5", VERSION, |h| {
            h.versions = (4, 5)
        }),
        hello("no version", "the peer 0 to 0", VERSION, |h| {
            h.versions = (0, 0)
        }),
        hello("an earlier version", "the peer 1 to 1", VERSION, |h| {
            h.versions = (1, 1)
        }),
        hello("the version before", "the peer 2 to 2", VERSION, |h| {
            h.versions = (2, 2)
        }),
        hello("versions upside down", "the peer 2 to 1", VERSION, |h| {
            h.versions = (2, 1)
        }),
        hello(
            "the last version",
            "the peer 65535 to 65535",
            VERSION,
            |h| h.versions = (u16::MAX, u16::MAX),
        ),
        hello("no protocol", r#"the protocol """#, OTHER_PROTOCOL, |h| {
            h.protocol.clear()
        }),
        hello("another protocol", r#""test/2""#, OTHER_PROTOCOL, |h| {
            h.protocol = b"test/2".into()
        }),
        hello("a longer protocol", r#""test/1.""#, OTHER_PROTOCOL, |h| {
            h.protocol = b"test/1.".into()
        }),
        hello("a shorter protocol", r#""test/""#, OTHER_PROTOCOL, |h| {
            h.protocol_len = Some(5)
        }),
        hello("a protocol that is no text", "x1b", OTHER_PROTOCOL, |h| {
            h.protocol = b"\x1b[31m\xff\0".into()
        }),
    ];
    for capacity in [0, 1, 2048, 4095, 4097, 3 << 20, 1 << 31, 1 << 63, u64::MAX] {
        let what = format!("a capacity of {capacity}");
        all.push(hello(
            &what,
            "the capacity is impossible",
            DESCRIPTORS,
            move |h| h.capacity = capacity,
        ));
    }
    for header_len in [0, 128, 895, 4095, 4097, 1 << 17, u32::MAX] {
        let what = format!("a header of {header_len} bytes");
        all.push(hello(
            &what,
            "the header has an impossible length",
            DESCRIPTORS,
            move |h| {
                h.header_len = header_len;
            },
        ));
    }
    all.push(hello(
        "a larger capacity than there is",
        "another size",
        DESCRIPTORS,
        |h| h.capacity *= 2,
    ));
    all.push(hello(
        "a smaller capacity than there is",
        "another size",
        DESCRIPTORS,
        |h| h.capacity /= 2,
    ));
    all.push(hello(
        "a longer header than there is",
        "another size",
        DESCRIPTORS,
        |h| h.header_len *= 2,
    ));
    all.push(wrong(
        "a capacity beyond the limit",
        "1048576",
        TOO_LARGE,
        |link| side(2 * MAX).greet(link),
    ));
    all
}

/// All that can be wrong with messages that are right in themselves.
pub fn turns() -> Vec<Wrong> {
    const OUT_OF_TURN: &str = "out of turn";
    const NOT_SLIPRING: &str = "does not speak slipring";
    vec![
        wrong("memory without a hello", OUT_OF_TURN, DESCRIPTORS, |link| {
            let side = right();
            side.pass(link, &side.fds());
        }),
        wrong("a refusal", "go away", None, |link| {
            send(link, &refused(7, b"go away"), &[]).unwrap()
        }),
        wrong("a refusal after the hello", "go away", None, |link| {
            right().say_hello(link);
            send(link, &refused(7, b"go away"), &[]).unwrap()
        }),
        wrong("a refusal for an unknown reason", "go away", None, |link| {
            send(link, &refused(4711, b"go away"), &[]).unwrap();
        }),
        wrong("a refusal for no reason", NOT_SLIPRING, None, |link| {
            right().say_hello(link);
            send(link, &refused(0, b""), &[]).unwrap();
        }),
        wrong("two hellos", OUT_OF_TURN, DESCRIPTORS, |link| {
            right().say_hello(link);
            right().greet(link);
        }),
        wrong(
            "a hello with a descriptor",
            "more descriptors",
            DESCRIPTORS,
            |link| {
                send(link, &right().hello.encode(), &[doorbell().as_fd()]).unwrap();
            },
        ),
        wrong(
            "a hello with all descriptors",
            "more descriptors",
            DESCRIPTORS,
            |link| {
                send(link, &right().hello.encode(), &right().fds()).unwrap();
            },
        ),
        wrong("unknown doorbells", NOT_SLIPRING, None, |link| {
            let mut side = right();
            side.passing.doorbells = 2;
            side.greet(link);
        }),
        wrong("wild doorbells", NOT_SLIPRING, None, |link| {
            let mut side = right();
            side.passing.doorbells = 255;
            side.greet(link);
        }),
        wrong("garbage after the hello", NOT_SLIPRING, None, |link| {
            right().say_hello(link);
            send(link, &[0xaa; raw::LEN], &[]).unwrap();
        }),
        wrong("something else altogether", NOT_SLIPRING, None, |link| {
            let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \
                curl/8.5.0\r\nAccept: */*\r\nAccept-Language: en, de;q=0.5\r\n\r\n";
            send(link, request, &[]).unwrap();
        }),
    ]
}

/// Sends a right hello, and these descriptors.
fn with(link: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let side = right();
    side.say_hello(link);
    side.pass(link, fds);
}

/// All kinds of descriptors that are no doorbell; nearly none is memory.
fn kinds() -> Vec<(&'static str, OwnedFd)> {
    let (reading, writing) = rustix::pipe::pipe().unwrap();
    let (socket, _) = UnixStream::pair().unwrap();
    let timer = rustix::time::timerfd_create(
        rustix::time::TimerfdClockId::Monotonic,
        rustix::time::TimerfdFlags::CLOEXEC,
    );
    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC);
    let memory = right().memory;
    let place = |path: &str| open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    vec![
        ("the reading end of a pipe", reading),
        ("the writing end of a pipe", writing),
        ("a socket", socket.into()),
        ("a timer", timer.unwrap()),
        ("an inotify instance", inotify.unwrap()),
        (
            "an epoll set",
            epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(),
        ),
        ("/dev/null", File::open("/dev/null").unwrap().into()),
        ("a directory", File::open("/").unwrap().into()),
        ("a regular file", tempfile::tempfile().unwrap().into()),
        ("a place", place("/")),
        (
            "memory that is a place",
            place(&format!("/proc/self/fd/{}", memory.as_raw_fd())),
        ),
        ("a program", File::open("/proc/self/exe").unwrap().into()),
        (
            "a text of the kernel's",
            File::open("/proc/version").unwrap().into(),
        ),
    ]
}

/// All that can be wrong with the number and the kinds of descriptors.
pub fn descriptors() -> Vec<Wrong> {
    const MISSING: &str = "a descriptor is missing";
    const TOO_MANY: &str = "more descriptors than expected";
    let mut all = vec![
        wrong("no descriptors", MISSING, DESCRIPTORS, |link| {
            with(link, &[])
        }),
        wrong("one descriptor", MISSING, DESCRIPTORS, |link| {
            with(link, &right().fds()[..1])
        }),
        wrong("two descriptors", MISSING, DESCRIPTORS, |link| {
            with(link, &right().fds()[..2])
        }),
        wrong("three descriptors", MISSING, DESCRIPTORS, |link| {
            with(link, &right().fds()[..3])
        }),
    ];
    for more in [1, 2, 100, 249] {
        all.push(wrong(
            format!("{more} too many"),
            TOO_MANY,
            DESCRIPTORS,
            move |link| {
                let (side, extra) = (right(), doorbell());
                let mut fds = side.fds().to_vec();
                fds.extend(vec![extra.as_fd(); more]);
                with(link, &fds);
            },
        ));
    }
    all.push(wrong(
        "too many, one with each byte",
        TOO_MANY,
        DESCRIPTORS,
        |link| {
            let (bytes, doorbell) = (right().passing.encode(), doorbell());
            right().say_hello(link);
            for byte in &bytes[..90] {
                // It may hang up meanwhile.
                let _ = send(link, &[*byte], &[doorbell.as_fd()]);
            }
        },
    ));
    for which in 0..kinds().len() {
        let what = kinds()[which].0;
        for of in [HEADER, RING] {
            all.push(wrong(
                format!("{what} for memory"),
                "the memory cannot be sealed",
                DESCRIPTORS,
                move |link| {
                    let (side, kinds) = (right(), kinds());
                    let mut fds = side.fds();
                    fds[of] = kinds[which].1.as_fd();
                    with(link, &fds);
                },
            ));
        }
        for first in [true, false] {
            all.push(wrong(
                format!("{what} for a doorbell"),
                "a doorbell is not an eventfd",
                DESCRIPTORS,
                move |link| {
                    let (side, kinds) = (right(), kinds());
                    let mut fds = side.fds();
                    fds[if first { 2 } else { 3 }] = kinds[which].1.as_fd();
                    with(link, &fds);
                },
            ));
        }
    }
    all.push(wrong(
        "the memory for a doorbell",
        "a doorbell is not an eventfd",
        DESCRIPTORS,
        |link| {
            let side = right();
            let mut fds = side.fds();
            fds[2] = side.memory.as_fd();
            with(link, &fds);
        },
    ));
    for of in [HEADER, RING] {
        all.push(wrong(
            "a doorbell for memory",
            "the memory cannot be sealed",
            DESCRIPTORS,
            move |link| {
                let side = right();
                let mut fds = side.fds();
                fds[of] = side.doorbells[0].as_fd();
                with(link, &fds);
            },
        ));
    }
    all.push(wrong(
        "header and ring the other way round",
        "another size",
        DESCRIPTORS,
        |link| {
            let side = right();
            let mut fds = side.fds();
            fds.swap(HEADER, RING);
            with(link, &fds);
        },
    ));
    all
}

/// The places of the two memories among the descriptors.
const HEADER: usize = 0;
const RING: usize = 1;

/// Sends this memory in the place of another, after it has got all its seals.
fn with_memory(link: &UnixStream, of: usize, memory: &OwnedFd) {
    fcntl_add_seals(memory, seals()).unwrap();
    with_unsealed(link, of, memory);
}

fn with_unsealed(link: &UnixStream, of: usize, memory: &OwnedFd) {
    let side = right();
    let mut fds = side.fds();
    fds[of] = memory.as_fd();
    with(link, &fds);
}

/// All that can be wrong with memory that is a memfd.
pub fn memories() -> Vec<Wrong> {
    let mut all = of_memory(HEADER, PAGE);
    all.append(&mut of_memory(RING, CAPACITY));
    // A change to the preamble's fields: magic, version, length of the header; and to the ring.
    type Lie = (&'static str, fn(&Words));
    let lies: [Lie; 7] = [
        ("nothing", |words| raw::stream_preamble(words, 0, 1)),
        ("another magic", |words| words.store(0, 1)),
        ("another version", |words| words.store32(8, 1)),
        ("another length", |words| words.store32(12, 8192)),
        ("another capacity", |words| {
            words.store(at::RING, ring_word(0, 4096))
        }),
        ("an absurd capacity", |words| {
            words.store(at::RING, u64::MAX)
        }),
        ("no capacity", |words| words.store(at::RING, 0)),
    ];
    for (what, lie) in lies {
        all.push(wrong(
            format!("a preamble with {what}"),
            "the preamble that was announced",
            DESCRIPTORS,
            move |link| {
                let side = right();
                lie(&side.words);
                side.greet(link);
            },
        ));
    }
    all
}

/// The faults of the header, or of the ring, which has `size` bytes.
fn of_memory(of: usize, size: usize) -> Vec<Wrong> {
    const OTHER_SIZE: &str = "another size";
    const NOT_ALLOCATED: &str = "not allocated";
    let mut all = Vec::new();
    for missing in 1..16u32 {
        let each = [
            SealFlags::SHRINK,
            SealFlags::GROW,
            SealFlags::FUTURE_WRITE,
            SealFlags::SEAL,
        ];
        let left = each
            .into_iter()
            .enumerate()
            .filter(|(i, _)| missing & 1 << i == 0);
        let left = left.fold(SealFlags::empty(), |all, (_, seal)| all | seal);
        all.push(wrong(
            format!("only {left:?}"),
            "the memory is not sealed",
            DESCRIPTORS,
            move |link| {
                let memory = memory(size);
                fcntl_add_seals(&memory, left).unwrap();
                with_unsealed(link, of, &memory);
            },
        ));
    }
    all.push(wrong(
        "memory that takes no seals",
        "the memory is not sealed",
        DESCRIPTORS,
        move |link| {
            let memory = memfd_create("raw", MemfdFlags::CLOEXEC).unwrap();
            with_unsealed(link, of, &memory);
        },
    ));
    for len in [0, 1, size - 1, size / 2, size + 1, size + PAGE, 1 << 20] {
        all.push(wrong(
            format!("memory of {len} bytes"),
            OTHER_SIZE,
            DESCRIPTORS,
            move |link| {
                let memory = if len == 0 { sparse(0) } else { memory(len) };
                with_memory(link, of, &memory);
            },
        ));
    }
    all.push(wrong(
        "memory that is not allocated",
        NOT_ALLOCATED,
        DESCRIPTORS,
        move |link| with_memory(link, of, &sparse(size)),
    ));
    for page in 0..size / PAGE {
        let punched = move || {
            let memory = memory(size);
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let at = (page * PAGE) as u64;
            fallocate(&memory, punch, at, PAGE as u64).unwrap();
            memory
        };
        all.push(wrong(
            "memory with a hole",
            NOT_ALLOCATED,
            DESCRIPTORS,
            move |link| with_memory(link, of, &punched()),
        ));
        all.push(wrong(
            "memory with a hole, and as much beyond its end",
            NOT_ALLOCATED,
            DESCRIPTORS,
            move |link| {
                let (memory, keep) = (punched(), FallocateFlags::KEEP_SIZE);
                fallocate(&memory, keep, size as u64, PAGE as u64).unwrap();
                with_memory(link, of, &memory);
            },
        ));
    }
    all.push(wrong(
        "memory that is open for reading alone",
        "not open for writing",
        DESCRIPTORS,
        move |link| {
            let memory = memory(size);
            let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
            fcntl_add_seals(&memory, seals()).unwrap();
            let again = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            with_unsealed(link, of, &again);
        },
    ));
    let huge = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    match memfd_create("huge", huge) {
        Ok(_) => all.push(wrong(
            "huge pages",
            "not an ordinary memfd",
            DESCRIPTORS,
            move |link| {
                let memory = memfd_create("huge", huge).unwrap();
                rustix::fs::ftruncate(&memory, 2 << 20).unwrap();
                with_memory(link, of, &memory);
            },
        )),
        Err(e) => eprintln!("no huge pages here: {e}"),
    }
    all
}
