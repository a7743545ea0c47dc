//! Two that meet at a name, in either order.

mod common;

use common::{GENEROUS, Place, guard, process};
use slipring::{Error, Listener, Options, Stream};
use std::io::{Read, Write};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("meets", meets)]);
}

/// Meets the other process, and exchanges a word with it.
fn meets(arguments: &[&str]) {
    let stream = Options::new()
        .wait_for_listener(GENEROUS)
        .rendezvous(arguments[0]);
    match stream {
        Ok(mut stream) => {
            stream.write_all(b"hello").unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            process::say("met");
            process::told();
        }
        Err(Error::RendezvousTaken { .. }) => process::say("taken"),
        Err(e) => process::say(&format!("{e:?}")),
    }
}

#[test]
fn two_processes_meet_at_a_rendezvous_and_a_third_is_refused() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let name = name.to_str().unwrap();
        for _ in 0..5 {
            let mut both = [0, 1].map(|_| process::start(&place, "meets", &[name]));
            both.iter_mut().for_each(|one| one.expect("met"));
            let mut third = process::start(&place, "meets", &[name]);
            third.expect("taken");
            third.succeed();
            assert!(matches!(Stream::connect(name), Err(Error::NotBound { .. })));
            both.iter_mut().for_each(|one| one.tell("leave"));
            both.into_iter().for_each(process::Other::succeed);
        }
        // The name is free, also for a listener, which is no rendezvous.
        let listener = Listener::bind(name).unwrap();
        let refused = Options::new()
            .wait_for_listener(Duration::from_millis(30))
            .rendezvous(name);
        assert!(refused.is_err());
        drop(listener);
        let error = Options::new()
            .wait_for_listener(Duration::from_millis(10))
            .rendezvous(name)
            .unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    });
}

/// Of three that come at the same time two meet, and the third gets to know it: nobody holds a
/// stream that leads nowhere.
#[test]
fn of_three_that_come_to_a_rendezvous_at_once_two_meet() {
    guard(|| {
        let place = Place::new();
        for round in 0..100 {
            let name = place.name(&format!("{round}"));
            let barrier = Barrier::new(3);
            let met: Vec<_> = thread::scope(|scope| {
                let come = || {
                    barrier.wait();
                    let mut stream = match Options::new()
                        .capacity(4096)
                        .max_capacity(4096)
                        .wait_for_listener(GENEROUS)
                        .rendezvous(&name)
                    {
                        Ok(stream) => stream,
                        Err(Error::RendezvousTaken { .. }) => return Ok(None),
                        Err(e) => panic!("round {round}: {e}"),
                    };
                    stream.write_all(b"hello")?;
                    stream.read_exact(&mut [0; 5])?;
                    Ok(Some(stream))
                };
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(come)).collect();
                // All at the end: the streams are kept until everyone has met.
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect::<Vec<std::io::Result<_>>>()
            });
            let both = met.iter().filter(|one| matches!(one, Ok(Some(_)))).count();
            let refused = met.iter().filter(|one| matches!(one, Ok(None))).count();
            assert_eq!(
                (both, refused),
                (2, 1),
                "round {round}: {:?}",
                met.iter().find_map(|one| one.as_ref().err())
            );
        }
    });
}
