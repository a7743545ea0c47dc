//! A process without descriptors gets an error for it from everything that has to do with names: a
//! file that it cannot check is not taken for absent.

mod common;

use common::process::{self, Other, alone};
use common::{GENEROUS, Place, guard};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{Error, Listener, NameState, Options, Result, Stream, names};
use std::fs::File;
use std::io::ErrorKind;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("binds", binds),
        ("has no descriptors", has_no_descriptors),
        ("locks its memory", locks_its_memory),
    ]);
}

/// Binds a name, says so, and accepts until it is told to leave.
fn binds(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let stopper = listener.stopper();
    std::thread::scope(|scope| {
        scope.spawn(|| listener.incoming().for_each(drop));
        process::told();
        stopper.stop();
    });
}

/// Runs `body` with room for so many descriptors, and no more.
fn with_room_for<T>(room: usize, body: impl FnOnce() -> T) -> T {
    let usual = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: Some(64),
        ..usual
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(taken.len() > room);
    taken.truncate(taken.len() - room);
    let result = body();
    setrlimit(Resource::Nofile, usual).unwrap();
    result
}

/// Whether it went well; else it must say that there is no descriptor left.
#[track_caller]
fn went_well<T>(room: usize, result: Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error, Error::Os { .. }), "room {room}: {error}");
            let number = Errno::MFILE.raw_os_error();
            assert_eq!(error.raw_os_error(), Some(number), "room {room}: {error}");
            false
        }
    }
}

fn has_no_descriptors(arguments: &[&str]) {
    let there = arguments[0];
    let waiting = Options::new().wait_for_listener(GENEROUS);
    let mut well = [0; 5];
    for room in 0..24 {
        let connected = with_room_for(room, || Stream::connect(there));
        well[0] += usize::from(went_well(room, connected));
        let connected = with_room_for(room, || waiting.connect(there));
        well[1] += usize::from(went_well(room, connected));
        // Nobody is bound to this: for want of a descriptor it must not be waited for, nor said to
        // be so.
        let absent = with_room_for(room, || Stream::connect("nobody"));
        let told = matches!(absent, Err(Error::NotBound { .. })) || went_well(room, absent);
        well[2] += usize::from(told);
        let listed = with_room_for(room, names);
        if let Ok(all) = &listed {
            // Others may have left names in places that all processes share.
            let bound = all.iter().find(|bound| bound.path.ends_with("clock.sock"));
            let bound = bound.unwrap_or_else(|| panic!("room {room}: {all:?}"));
            assert!(
                matches!(
                    &bound.state,
                    NameState::Live {
                        pid: Some(_),
                        program: Some(_)
                    }
                ),
                "room {room}: {all:?}"
            );
        }
        well[3] += usize::from(went_well(room, listed));
        let listener = with_room_for(room, || Listener::bind("mine"));
        if let Ok(listener) = &listener {
            let directory = std::env::var_os("XDG_RUNTIME_DIR").unwrap();
            assert!(
                listener.path().starts_with(directory),
                "{}",
                listener.path().display()
            );
        }
        well[4] += usize::from(went_well(room, listener));
    }
    // Each came about with room enough, and failed without.
    assert!(well.iter().all(|well| (1..24).contains(well)), "{well:?}");
}

fn start(place: &Place) -> Other {
    let mut other = process::start(place, "binds", &["clock"]);
    other.expect("bound");
    other
}

#[test]
fn a_process_without_descriptors_is_told_so() {
    guard(|| {
        let place = Place::new();
        let mut listener = start(&place);
        process::start(&place, "has no descriptors", &["clock"]).succeed();
        listener.tell("leave");
        listener.succeed();
    });
}

/// Makes streams, all of whose memory is locked, until there may be no more.
fn locks_its_memory(_: &[&str]) {
    let usual = getrlimit(Resource::Memlock);
    let limit = Rlimit {
        current: Some(6 << 20),
        ..usual
    };
    setrlimit(Resource::Memlock, limit).unwrap();
    if rustix::process::geteuid().is_root() {
        // For root there is no limit.
        // SAFETY: a call without pointers.
        assert_eq!(unsafe { libc::setresuid(12345, 12345, 12345) }, 0);
    }
    // SAFETY: a call without pointers.
    assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE) }, 0);
    let mut streams = Vec::new();
    let error = loop {
        match Options::new().pair() {
            Ok(pair) => streams.push(pair),
            Err(error) => break error,
        }
        assert!(streams.len() < 128);
    };
    assert!(
        error.to_string().contains("locked memory (RLIMIT_MEMLOCK"),
        "{error}"
    );
    let number = error.raw_os_error();
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::OutOfMemory);
    assert_eq!(number, Some(Errno::AGAIN.raw_os_error()));
}

#[test]
fn a_process_at_its_limit_of_locked_memory_is_told_so() {
    guard(|| alone("locks its memory"));
}
