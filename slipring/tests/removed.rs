//! The files of a name that are removed under its listener, as cleaners of temporary files do: all
//! tell the same, the listener learns of it, and it can be found again.

mod common;

use common::process;
use common::{GENEROUS, Place, guard};
use slipring::{Condition, Error, Listener, Options, Stream};
use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("binds", binds)]);
}

/// Binds a name and greets each client. Reports the state of its files each time that it is told to
/// check, and makes missing ones anew.
fn binds(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let stopper = listener.stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming() {
                let _ = stream.unwrap().write_all(b"hello");
            }
        });
        while let Some(word) = process::told() {
            match word.as_str() {
                "look" => process::say(&format!("{:?}", listener.check().unwrap())),
                "repair" => match listener.repair() {
                    Ok(_) => process::say(&format!("{:?}", listener.check().unwrap())),
                    Err(error) => process::say(&error.to_string()),
                },
                _ => break,
            }
        }
        stopper.stop();
    });
}

#[track_caller]
fn assert_greeted(mut stream: Stream) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_removed_socket_is_told_alike_and_made_anew() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = process::start(&place, "binds", &[name.to_str().unwrap()]);
        other.expect("bound");
        let its_pid = Some(other.id());
        fs::remove_file(&name).unwrap();

        let connected = Stream::connect(&name);
        assert!(
            matches!(&connected, Err(Error::SocketGone { pid, path, .. })
                if *pid == its_pid && *path == name),
            "{connected:?}"
        );
        let hasty = Options::new().wait_for_listener(Duration::from_millis(20));
        let connected = hasty.connect(&name);
        assert!(
            matches!(&connected, Err(Error::SocketGone { pid, waited, .. })
                if *pid == its_pid && !waited.is_zero()),
            "{connected:?}"
        );
        let bound = Listener::bind(&name);
        assert!(
            matches!(&bound, Err(Error::NameInUse { pid, socket_gone: Some(path), .. })
                if *pid == its_pid && *path == name),
            "{bound:?}"
        );

        other.tell("look");
        other.expect(&format!("{:?}", Condition::SocketGone));
        let patient = Options::new().wait_for_listener(GENEROUS);
        thread::scope(|scope| {
            // It waits, and is served once it can be.
            let waiting = scope.spawn(|| patient.connect(&name).unwrap());
            other.tell("repair");
            other.expect(&format!("{:?}", Condition::Sound));
            assert_greeted(waiting.join().unwrap());
        });
        assert_greeted(Stream::connect(&name).unwrap());
        other.tell("leave");
        other.succeed();
        assert!(!name.exists() && !place.name("x.lock").exists());
    });
}

#[test]
fn a_removed_name_that_another_has_taken_stays_with_that_one() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut first = process::start(&place, "binds", &[name.to_str().unwrap()]);
        first.expect("bound");
        // Kept: else the next could get the same inode number.
        fs::rename(&name, place.name("kept")).unwrap();
        fs::remove_file(place.name("x.lock")).unwrap();
        let mut second = process::start(&place, "binds", &[name.to_str().unwrap()]);
        second.expect("bound");
        first.tell("look");
        first.expect(&format!("{:?}", Condition::LockGone));
        first.tell("repair");
        let said = first.hear();
        assert!(
            said.contains(&format!("in use by process {}", second.id())),
            "{said}"
        );
        first.tell("leave");
        first.succeed();
        // The first has removed nothing of the second's.
        second.tell("look");
        second.expect(&format!("{:?}", Condition::Sound));
        assert_greeted(Stream::connect(&name).unwrap());
        second.tell("leave");
        second.succeed();
    });
}
