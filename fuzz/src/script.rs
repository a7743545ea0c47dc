//! A peer's side of a handshake, as the input has it: messages that are right or nearly so, or any
//! bytes; whole, cut, or in pieces; and with them descriptors of every kind.

use crate::input::Input;
use crate::raw::{
    self, LEN, PAGE, Side, at, doorbell, memory, receive, refused, seals, send_as, sparse,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, open};
use std::fs::File;
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// The size of the rings.
pub const CAPACITY: usize = 4096;

/// More messages than these prove nothing more.
const MOST: usize = 12;

/// Whether the script is played while the other side is at work, and not before.
pub fn is_concurrent(data: &[u8]) -> bool {
    data.first().is_some_and(|how| how & 2 != 0)
}

/// Plays a script to its end, and hangs up. The returned socket only listens any more, or not even
/// that.
pub fn play(data: &[u8], link: UnixStream) -> UnixStream {
    let mut input = Input::new(data);
    let side = Side::new(CAPACITY);
    let how = input.byte();
    // The script ends where nothing more fits into the socket.
    link.set_nonblocking(true).unwrap();
    for _ in 0..MOST {
        if input.is_empty() || !message(&mut input, &link, &side) {
            break;
        }
    }
    // Closing would not do: the socket may be on its way through itself.
    let hang_up = if how & 1 == 0 {
        Shutdown::Both
    } else {
        Shutdown::Write
    };
    // The other side may have gone before.
    let _ = link.shutdown(hang_up);
    link
}

/// Sends one message, or waits for one. Returns whether there is still a receiver.
pub fn message(input: &mut Input<'_>, link: &UnixStream, side: &Side) -> bool {
    let what = input.byte();
    let (hello, passing) = (side.hello.encode(), side.passing.encode());
    let mut bytes = match what % 8 {
        0 | 2 => hello.to_vec(),
        1 | 3 => passing.to_vec(),
        4 => {
            let (why, len) = (input.byte(), input.below(LEN - 31));
            refused(why.into(), input.take(len)).to_vec()
        }
        5 => {
            let len = input.below(2 * LEN);
            let bytes = input.take(len);
            // Nothing can be sent only by sending something.
            if bytes.is_empty() {
                vec![0]
            } else {
                bytes.to_vec()
            }
        }
        6 => [hello, passing].concat(),
        _ => {
            pause(input.byte(), link);
            return true;
        }
    };
    for _ in 0..what >> 3 & 3 {
        let (at, byte) = (input.below(bytes.len()), input.byte());
        bytes[at] = byte;
    }
    if what & 0x20 != 0 {
        bytes.truncate(1 + input.below(bytes.len()));
    }
    let chosen: Vec<OwnedFd>;
    let fds: Vec<BorrowedFd<'_>> = match what % 8 {
        0 => Vec::new(),
        // All that belongs to them.
        1 | 6 => side.fds().to_vec(),
        _ => {
            let n = input.byte() as usize;
            // Mostly few; the kernel takes 253 at most.
            let n = if n > 250 { 253 } else { n % 6 };
            // A first byte of 7 is a header.
            let is_header = input.peek() % 21 == 7;
            chosen = (0..n).map(|_| descriptor(input, link, side)).collect();
            let chosen = chosen.iter().map(AsFd::as_fd);
            // Three of them are a header, or a ring, and the doorbells: the other one is right.
            let mut all: Vec<_> = chosen.collect();
            if n == 3 {
                let right = if is_header {
                    &side.memory
                } else {
                    &side.header
                };
                all.insert(usize::from(is_header), right.as_fd());
            }
            all
        }
    };
    let (piece, with_the_last) = if what & 0x80 == 0 {
        (bytes.len(), false)
    } else {
        let how = input.byte();
        (1 + usize::from(how & 0x7f), how & 0x80 != 0)
    };
    let last = bytes.chunks(piece).count() - 1;
    let with = if with_the_last { last } else { 0 };
    bytes.chunks(piece).enumerate().all(|(number, piece)| {
        let fds = if number == with { &fds[..] } else { &[] };
        send_as(link, piece, fds, what & 0x40 == 0).is_ok()
    })
}

/// Lets some time pass; or receives the next message, which may take some time.
fn pause(how: u8, link: &UnixStream) {
    let patience = Duration::from_micros(8 * u64::from(how >> 1));
    if how & 1 == 0 {
        return thread::sleep(patience);
    }
    let patience = Timespec::try_from(patience).unwrap();
    let _ = poll(&mut [PollFd::new(link, PollFlags::IN)], Some(&patience));
    let _ = receive(link);
}

/// A descriptor of one of all kinds.
fn descriptor(input: &mut Input<'_>, link: &UnixStream, side: &Side) -> OwnedFd {
    let whole = CAPACITY;
    let sealed = |memory: OwnedFd| {
        fcntl_add_seals(&memory, seals()).unwrap();
        memory
    };
    let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    let again = |flags| {
        open(
            format!("/proc/self/fd/{}", side.memory.as_raw_fd()),
            flags,
            Mode::empty(),
        )
        .unwrap()
    };
    match input.byte() % 21 {
        0 => copy(side.doorbells[0].as_fd()),
        1 => doorbell(),
        2 => memory(whole),
        3 => sealed(memory(1 + input.below(4) * PAGE)),
        4 => sealed(sparse(whole)),
        5 => {
            let memory = memory(whole);
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&memory, punch, (input.below(2) * PAGE) as u64, PAGE as u64).unwrap();
            sealed(memory)
        }
        6 => {
            let memory = memory(whole);
            let some = SealFlags::from_bits_truncate(u32::from(input.byte()));
            fcntl_add_seals(&memory, some & seals()).unwrap();
            memory
        }
        // A header, of which one word is a lie.
        7 => {
            let header = memory(PAGE);
            let words = raw::Words::map(header.as_fd(), PAGE, true).unwrap();
            raw::stream_preamble(&words, PAGE as u32, CAPACITY as u64);
            words.store([0, 8, 0, at::RING][input.below(4)], input.word());
            drop(words);
            sealed(header)
        }
        8 => again(OFlags::RDONLY | OFlags::CLOEXEC),
        9 => again(OFlags::PATH | OFlags::CLOEXEC),
        10 => rustix::pipe::pipe().unwrap().0,
        11 => copy(link.as_fd()),
        12 => File::open("/dev/null").unwrap().into(),
        13 => tempfile::tempfile().unwrap().into(),
        14 => rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap(),
        15 => File::open("/").unwrap().into(),
        16 => eventfd(3, EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE).unwrap(),
        17 => TcpListener::bind(("127.0.0.1", 0)).unwrap().into(),
        // A socket with a descriptor on its way through it.
        18 => {
            let (one, other) = UnixStream::pair().unwrap();
            send_as(&one, &[0], &[side.memory.as_fd()], true).unwrap();
            other.into()
        }
        19 => copy(side.doorbells[1].as_fd()),
        _ => copy(side.memory.as_fd()),
    }
}
