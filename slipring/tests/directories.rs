//! The places of names: the runtime directory of the environment, the fallback without one, and the
//! list of bound names.

mod common;

use common::process::{self, alone};
use common::{Place, guard, users};
use slipring::{Error, Listener, NameState, Scope, Stream, names};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::thread;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("binds", binds),
        ("local names", local_names),
        ("a listing", a_listing),
        ("no directory", no_directory),
        ("a directory of somebody else", a_directory_of_somebody_else),
    ]);
}

/// Binds a name, says so, and serves each client until it is told to leave.
fn binds(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let stopper = listener.stopper();
    let serving = thread::spawn(move || {
        listener
            .incoming()
            .for_each(|stream| greet(stream.unwrap()))
    });
    process::told();
    stopper.stop();
    serving.join().unwrap();
}

fn greet(mut stream: Stream) {
    let _ = stream.write_all(b"hello");
}

#[track_caller]
fn assert_greeted(mut stream: Stream) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

/// Local names, in a process whose runtime directory is its own.
fn local_names(arguments: &[&str]) {
    let listener = Listener::bind("clock").unwrap();
    assert_eq!(
        listener.path(),
        Path::new(arguments[0]).join("slipring/clock.sock")
    );
    assert_eq!(
        (
            listener.name().scope(),
            listener.name().to_string().as_str()
        ),
        (Scope::Local, "Local/clock")
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&Path::new(arguments[0]).join("slipring")), 0o700);
    assert_eq!(mode(listener.path()), 0o600);
    for same in ["clock", "Local/clock", r"Local\clock"] {
        assert!(matches!(
            Listener::bind(same),
            Err(Error::NameInUse { pid: Some(_), .. })
        ));
        thread::scope(|scope| {
            let client = scope.spawn(|| Stream::connect(same).unwrap());
            greet(listener.accept().unwrap());
            let stream = client.join().unwrap();
            assert_eq!(
                stream.name().map(ToString::to_string).as_deref(),
                Some("Local/clock")
            );
            assert_greeted(stream);
        });
    }
    for other in ["Clock", "clock.", "Global/no-such-clock"] {
        assert!(
            matches!(Stream::connect(other), Err(Error::NotBound { .. })),
            "{other}"
        );
    }
}

#[test]
fn local_names_are_kept_in_the_runtime_directory() {
    guard(|| alone("local names"));
}

fn a_listing(arguments: &[&str]) {
    let mine = |bound: &slipring::BoundName| bound.path.starts_with(arguments[0]);
    let listed = || {
        names()
            .unwrap()
            .into_iter()
            .filter(mine)
            .collect::<Vec<_>>()
    };
    assert!(listed().is_empty());
    let b = Listener::bind("b").unwrap();
    let a = Listener::bind("a").unwrap();
    let live = NameState::Live {
        pid: Some(std::process::id()),
        program: Some(
            fs::read_to_string("/proc/self/comm")
                .unwrap()
                .trim_end()
                .to_owned(),
        ),
    };
    let all = listed();
    assert_eq!(
        all.iter()
            .map(|bound| bound.name.to_string())
            .collect::<Vec<_>>(),
        ["Local/a", "Local/b"]
    );
    assert!(all.iter().all(|bound| bound.state == live), "{all:?}");
    assert_eq!(
        (all[0].path.as_path(), all[1].path.as_path()),
        (a.path(), b.path())
    );
    drop(a);
    assert_eq!(listed().len(), 1);
    // The files that a killed process leaves.
    let place = Place::new();
    let command = {
        let mut command = process::command(&place, "binds", &["killed"]);
        command.env("XDG_RUNTIME_DIR", arguments[0]);
        command
    };
    let mut other = process::start_as(command, "binds");
    other.expect("bound");
    let state = |name: &str| {
        listed()
            .into_iter()
            .find(|bound| bound.name.to_string() == name)
            .map(|bound| bound.state)
    };
    let Some(NameState::Live { pid, .. }) = state("Local/killed") else {
        panic!("it is listed as live")
    };
    assert_eq!(pid, Some(other.id()));
    other.kill();
    assert_eq!(state("Local/killed"), Some(NameState::Stale));
    drop(Listener::bind("killed").unwrap());
    assert_eq!(state("Local/killed"), None);
}

#[test]
fn bound_names_are_listed() {
    guard(|| alone("a listing"));
}

/// The variable names a directory that is not there: the next place is taken, by both sides.
fn no_directory(_: &[&str]) {
    let listener = Listener::bind("lost").unwrap();
    assert!(!listener.path().starts_with("/nowhere"));
    thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect("lost").unwrap());
        greet(listener.accept().unwrap());
        assert_greeted(client.join().unwrap());
    });
    let Err(Error::NotBound { tried, .. }) = Stream::connect("somebody-else") else {
        panic!("nobody is bound to that")
    };
    assert!(
        tried.len() >= 2 && tried[0].starts_with("/nowhere"),
        "{tried:?}"
    );
}

#[test]
fn without_a_runtime_directory_there_is_another_place() {
    guard(|| {
        let place = Place::new();
        let mut command = process::command(&place, "no directory", &[]);
        command.env("XDG_RUNTIME_DIR", "/nowhere/at/all");
        process::start_as(command, "no directory").succeed();
    });
}

fn a_directory_of_somebody_else(arguments: &[&str]) {
    let runtime = Path::new(arguments[0]);
    let directory = runtime.join("slipring");
    fs::create_dir(&directory).unwrap();
    // The directory itself is another user's: nothing in it is to be believed.
    chown(&directory, Some(12345), None).unwrap();
    let error = Listener::bind("x").unwrap_err();
    assert!(
        matches!(&error, Error::UnsafeDirectory { path, .. } if *path == directory),
        "{error}"
    );
    assert!(error.to_string().contains("12345"), "{error}");
    let Err(Error::NotBound { passed_over, .. }) = Stream::connect("x") else {
        panic!("nobody is bound to that")
    };
    assert!(
        passed_over.iter().any(|(path, _)| *path == directory),
        "{passed_over:?}"
    );
    // Others are let into it.
    chown(&directory, Some(0), None).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(
        Listener::bind("x"),
        Err(Error::UnsafeDirectory { .. })
    ));
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    drop(Listener::bind("x").unwrap());
    // The one above it is another user's, as after `sudo`: it is left to that user.
    fs::remove_dir_all(&directory).unwrap();
    chown(runtime, Some(12345), None).unwrap();
    let listener = Listener::bind("after-sudo").unwrap();
    assert!(
        !listener.path().starts_with(runtime),
        "{:?}",
        listener.path()
    );
    assert!(!directory.exists());
    chown(runtime, Some(0), None).unwrap();
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_directory_of_somebody_else_is_not_used() {
        guard(|| {
            users::need_root();
            alone("a directory of somebody else");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_global_name_is_seen_from_every_runtime_directory() {
        guard(|| {
            users::need_root();
            let (here, there) = (Place::new(), Place::new());
            let name = format!("Global/slipring-test-{}", std::process::id());
            let mut other = process::start(&here, "binds", &[&name]);
            other.expect("bound");
            let mut second = process::start(&there, "binds", &[&name]);
            assert_eq!(second.try_hear(), None, "it cannot be bound twice");
            assert!(!second.wait().success());
            for same in [name.clone(), name.replace('/', r"\")] {
                let stream = Stream::connect(&same).unwrap();
                assert_eq!(stream.name().unwrap().scope(), Scope::Global);
                assert_greeted(stream);
            }
            let listed = names().unwrap();
            let bound = listed
                .iter()
                .find(|bound| bound.name.to_string() == name)
                .unwrap();
            assert!(
                matches!(bound.state, NameState::Live { pid: Some(pid), .. } if pid == other.id())
            );
            other.tell("leave");
            other.succeed();
            assert!(!bound.path.exists());
            // A lock file may stay behind, as it should; but not that of a test.
            let _ = fs::remove_file(bound.path.with_extension("lock"));
        });
    }
}
