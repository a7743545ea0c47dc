//! A process with no addresses or no mappings left, and one that more connect to than it accepts:
//! an error that says so, nothing is left behind, streams that are there go on, and new ones come
//! when there is room again.

mod common;

use common::process::{self, alone, say, start, told};
use common::{GENEROUS, Place, descriptors, eventually, guard};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{Error, Listener, Options, Spin, Stream};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("no addresses", no_addresses),
        ("no mappings", no_mappings),
        ("a crowd", a_crowd),
        ("connects", connects),
    ]);
}

fn options() -> Options {
    Options::new().spin(Spin::Never).handshake_timeout(GENEROUS)
}

/// Goes on as if nothing had happened.
fn goes_on((left, right): &mut (Stream, Stream)) {
    left.write_all(b"still there").unwrap();
    let mut buf = [0; 11];
    right.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still there");
}

/// How many mappings this process has. Reads piece by piece: there may be no memory for more.
fn mappings() -> usize {
    let mut maps = std::fs::File::open("/proc/self/maps").unwrap();
    let (mut buf, mut lines) = ([0; PAGE], 0);
    loop {
        match maps.read(&mut buf).unwrap() {
            0 => return lines,
            n => lines += buf[..n].iter().filter(|byte| **byte == b'\n').count(),
        }
    }
}

fn is_about_mappings(error: &Error) -> bool {
    matches!(error, Error::Os { .. }) && error.to_string().contains("mmap")
}

/// Connects, says how it went, and greets.
fn connects(arguments: &[&str]) {
    match options()
        .capacity(MIB)
        .max_capacity(MIB)
        .connect(arguments[0])
    {
        Ok(mut stream) => {
            stream.write_all(b"ping").unwrap();
            say("connected");
            told();
        }
        Err(e) => say(&e.to_string()),
    }
}

#[test]
fn a_process_with_no_addresses_left_says_so_and_goes_on() {
    guard(|| alone("no addresses"));
}

/// Runs `body` with room for `more` bytes of addresses beyond those that are taken.
fn with_addresses<T>(more: usize, body: impl FnOnce() -> T) -> T {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let taken = statm.split(' ').next().unwrap().parse::<usize>().unwrap() * PAGE;
    let usual = getrlimit(Resource::As);
    let current = Some((taken + more) as u64);
    setrlimit(Resource::As, Rlimit { current, ..usual }).unwrap();
    let result = body();
    setrlimit(Resource::As, usual).unwrap();
    result
}

fn no_addresses(_: &[&str]) {
    let place = Place::new();
    let mut other = options().pair().unwrap();
    drop(options().capacity(MIB).max_capacity(MIB).pair().unwrap());
    let listener = options()
        .capacity(MIB)
        .max_capacity(MIB)
        .bind(place.name("x"))
        .unwrap();
    let before = (descriptors(), mappings());
    // A ring of a mebibyte is mapped twice in a row, and so is the peer's: over eight, for both
    // sides.
    let mut failed = 0;
    for room in (1..32).step_by(2) {
        let made = with_addresses(room * MIB, || {
            goes_on(&mut other);
            options().capacity(MIB).max_capacity(MIB).pair()
        });
        match made {
            Ok(mut pair) => {
                assert!(room > 8, "{room}");
                goes_on(&mut pair);
            }
            Err(e) => {
                assert!(room < 16 && is_about_mappings(&e), "{room}: {e}");
                failed += 1;
            }
        }
        goes_on(&mut other);
        eventually("nothing is left", || (descriptors(), mappings()) == before);
    }
    assert!(failed >= 4, "{failed}");
    // The same for one that listens: a client is told, and the next one served.
    let name = listener.path().to_str().unwrap().to_owned();
    for room in [1, 3] {
        let mut client = start(&place, "connects", &[&name]);
        let error = with_addresses(room * MIB, || listener.accept_timeout(GENEROUS)).unwrap_err();
        assert!(is_about_mappings(&error), "{error}");
        let said = client.hear();
        assert!(said.contains("no memory or no descriptors"), "{said}");
        goes_on(&mut other);
    }
    let _client = start(&place, "connects", &[&name]);
    let mut stream = listener.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    drop(stream);
}

#[test]
fn a_process_with_no_mappings_left_says_so_and_goes_on() {
    guard(|| alone("no mappings"));
}

/// One page. Neighbours of different rights stay mappings of their own.
fn map_a_page(number: usize) -> Option<usize> {
    let rights = if number.is_multiple_of(2) {
        ProtFlags::READ
    } else {
        ProtFlags::empty()
    };
    // SAFETY: at an address that the kernel chooses, where nothing is.
    unsafe { mmap_anonymous(std::ptr::null_mut(), PAGE, rights, MapFlags::PRIVATE) }
        .ok()
        .map(|address| address as usize)
}

fn unmap_a_page(address: usize) {
    // SAFETY: a page from `map_a_page`, which no code has used.
    unsafe { munmap(address as *mut _, PAGE) }.unwrap();
}

fn no_mappings(_: &[&str]) {
    let mut other = options().pair().unwrap();
    drop(options().pair().unwrap());
    // Neither reading nor the counted operations may need memory later.
    let mut pages = Vec::with_capacity(1 << 23);
    let (before, settled) = (descriptors(), mappings());
    while let Some(page) = map_a_page(pages.len()) {
        pages.push(page);
    }
    assert!(pages.len() > 1000, "{}", pages.len());
    let mut made_with = None;
    // Each endpoint has four: two spans of two rings.
    for room in 0..24 {
        let full = mappings();
        match options().pair() {
            Ok(mut pair) => {
                goes_on(&mut pair);
                made_with.get_or_insert(room);
            }
            Err(e) => {
                assert!(is_about_mappings(&e), "{room}: {e}");
                assert_eq!(made_with, None, "{room}: with less it went well");
            }
        }
        goes_on(&mut other);
        assert_eq!((descriptors(), mappings()), (before, full), "{room}");
        unmap_a_page(pages.pop().unwrap());
    }
    assert!(made_with.is_some_and(|room| room >= 4), "{made_with:?}");
    pages.into_iter().for_each(unmap_a_page);
    goes_on(&mut options().pair().unwrap());
    // The mappings that the allocator made for itself, at most.
    assert!(mappings() <= settled + 4, "{} {settled}", mappings());
}

#[test]
fn thousands_that_connect_and_leave_keep_nobody_out_of_a_slow_acceptor() {
    guard(|| alone("a crowd"));
}

fn a_crowd(_: &[&str]) {
    let place = Place::new();
    let mut other = options().pair().unwrap();
    let listener: Listener = options().bind(place.name("x")).unwrap();
    let before = descriptors();
    let (rude, honest) = (4000, 20);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..rude / 4).for_each(|_| drop(UnixStream::connect(listener.path()).unwrap()))
            });
        }
        scope.spawn(|| {
            for _ in 0..honest {
                let mut stream = options().connect(listener.path()).unwrap();
                stream.write_all(b"ping").unwrap();
                stream.read_exact(&mut [0; 4]).unwrap();
            }
        });
        for _ in 0..honest {
            let mut stream = listener.accept().unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(b"pong").unwrap();
            goes_on(&mut other);
            // Meanwhile the backlog fills.
            thread::sleep(Duration::from_millis(5));
        }
        eventually("all the others are counted", || {
            assert!(listener.try_accept().unwrap().is_none());
            listener.refused() == rude
        });
    });
    assert_eq!(descriptors(), before);
}
