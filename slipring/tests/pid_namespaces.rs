//! Process ids in two PID namespaces: the same number is another process, and the number of another
//! namespace is told to nobody.
//!
//! That needs root, which alone may make such a namespace without a user namespace around it.

mod common;

use common::process::{self, Other};
use common::{Place, guard, users};
use slipring::{Error, Listener, NameState, Options, Stream, names};
use std::io::{Read, Write};
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        (
            "is process 1 and forks another with a stream",
            is_process_1_and_forks_another_with_a_stream,
        ),
        (
            "is process 1 and forks another",
            is_process_1_and_forks_another,
        ),
        ("binds as process 1", binds_as_process_1),
        ("looks as process 1", looks_as_process_1),
        ("binds", binds),
        ("looks", looks),
    ]);
}

/// Runs `body` in a child that is process 1 of a PID namespace of its own; returns its pid here.
fn as_process_1(body: impl FnOnce() -> i32) -> i32 {
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: as a fork: no stack and no pointers are given. The other threads of this process only
    // wait (in the harness and the watchdog), so that the child, which has none of them, finds no
    // lock held.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        0 => {
            // Nobody is left behind by a test that is killed.
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                .unwrap();
            assert_eq!(std::process::id(), 1);
            let status =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(111);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(status) }
        }
        -1 => panic!("{}", std::io::Error::last_os_error()),
        pid => pid as i32,
    }
}

/// Waits for a child and returns its status.
fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is alive; the pid is of a child that no other code waits for.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

/// Binds a name, and forks a child that has the same process id and drops its copy of the listener.
fn is_process_1_and_forks_another(arguments: &[&str]) {
    let name = arguments[0];
    let parent = as_process_1(|| {
        let mut listener = Some(Listener::bind(name).unwrap());
        let child = as_process_1(|| {
            drop(listener.take());
            0
        });
        assert_eq!(wait(child), 0);
        let listener = listener.unwrap();
        assert!(
            listener.path().exists(),
            "the child has removed its parent's socket"
        );
        process::say("forked");
        // Somebody connects, by the name.
        let mut stream = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        drop(stream);
        let path = listener.path().to_owned();
        drop(listener);
        assert!(!path.exists());
        0
    });
    assert_eq!(wait(parent), 0);
}

/// Has a stream, and forks a child that has the same process id and a stream of its own.
fn is_process_1_and_forks_another_with_a_stream(_: &[&str]) {
    let parent = as_process_1(|| {
        let mut pair = Some(Stream::pair().unwrap());
        let child = as_process_1(|| {
            let (mut left, mut right) = pair.take().unwrap();
            // The streams that the child makes for itself must not make it its parent.
            let (mut own, mut other) = Stream::pair().unwrap();
            own.write_all(b"own").unwrap();
            other.read_exact(&mut [0; 3]).unwrap();
            let refused = left.write(b"the child's").is_err() && right.read(&mut [0]).is_err();
            drop((left, right));
            i32::from(!refused)
        });
        assert_eq!(wait(child), 0);
        let (mut left, mut right) = pair.unwrap();
        left.write_all(b"the parent's").unwrap();
        drop(left);
        let mut text = String::new();
        right.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the parent's");
        0
    });
    assert_eq!(wait(parent), 0);
}

fn binds(arguments: &[&str]) {
    let _listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    process::told();
}

fn binds_as_process_1(arguments: &[&str]) {
    let child = as_process_1(|| {
        binds(arguments);
        0
    });
    assert_eq!(wait(child), 0);
}

/// Says which process is bound, by the list, and who is said to be in the way of binding.
fn looks(arguments: &[&str]) {
    let all = names().unwrap();
    let [bound] = all.as_slice() else {
        panic!("{all:?}")
    };
    let NameState::Live { pid, program } = &bound.state else {
        panic!("{bound:?}")
    };
    assert_eq!(pid.is_some(), program.is_some(), "{bound:?}");
    let Err(Error::NameInUse {
        pid: in_the_way, ..
    }) = Listener::bind(arguments[0])
    else {
        panic!()
    };
    assert_eq!(*pid, in_the_way);
    process::say(&pid.map_or_else(|| "somebody".into(), |pid| pid.to_string()));
}

fn looks_as_process_1(arguments: &[&str]) {
    let child = as_process_1(|| {
        looks(arguments);
        0
    });
    assert_eq!(wait(child), 0);
}

fn root_alone(body: impl FnOnce(Place) + Send + 'static) {
    users::need_root();
    guard(|| body(Place::new()));
}

fn start(place: &Place, role: &str) -> Other {
    process::start(place, role, &["clock"])
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_forked_child_with_its_parents_pid_leaves_the_parents_name() {
        root_alone(|place| {
            let name = place.name("x");
            let name = name.to_str().unwrap();
            let parent = process::start(&place, "is process 1 and forks another", &[name]);
            let options = Options::new().wait_for_listener(common::GENEROUS);
            let mut stream = options.connect(name).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
            parent.succeed();
            let error = Options::new()
                .wait_for_listener(Duration::from_millis(10))
                .connect(name)
                .unwrap_err();
            assert!(matches!(error, Error::NotBound { .. }), "{error}");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_forked_child_with_its_parents_pid_writes_into_no_ring_of_its_parents() {
        root_alone(|place| {
            process::start(&place, "is process 1 and forks another with a stream", &[]).succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_holder_in_another_pid_namespace_has_no_number_here() {
        root_alone(|place| {
            let mut holder = start(&place, "binds as process 1");
            holder.expect("bound");
            // Not this machine's first process; nor, in a namespace of its own, the one that asks.
            start(&place, "looks").expect("somebody");
            start(&place, "looks as process 1").expect("somebody");
            holder.tell("leave");
            holder.succeed();

            let mut holder = start(&place, "binds");
            holder.expect("bound");
            let pid = holder.id().to_string();
            start(&place, "looks").expect(&pid);
            start(&place, "looks as process 1").expect("somebody");
            holder.tell("leave");
            holder.succeed();
            let missing = Stream::connect(place.name("clock"));
            assert!(matches!(missing, Err(Error::NotBound { .. })));
        });
    }
}
