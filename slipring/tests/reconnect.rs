//! A client that connects again: to one engine after the other, which are killed or finish.

mod common;

use common::process::{self, Other};
use common::{Place, eventually, guard};
use slipring::{EndReason, Error, Listener, Options, Reconnect};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("engine", engine)]);
}

/// Tells each client which process it is, and keeps what it hears.
fn engine(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    thread::scope(|scope| {
        loop {
            let mut stream = listener.accept().unwrap();
            scope.spawn(move || {
                let _ = stream.write_all(&std::process::id().to_le_bytes());
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
}

fn start(place: &Place, name: &str) -> Other {
    let mut engine = process::start(place, "engine", &[name]);
    engine.expect("bound");
    engine
}

#[test]
fn ten_panels_survive_ten_kills_of_their_engine() {
    guard(|| {
        const KILLS: u64 = 10;
        let place = Place::new();
        let path = place.name("engine");
        let name = path.to_str().unwrap();
        let (say, hear) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..10 {
                let say = say.clone();
                scope.spawn(move || {
                    let mut engine = Reconnect::new(name).unwrap();
                    for number in 0..=KILLS {
                        let mut session = engine.connect().unwrap();
                        assert_eq!(session.number, number);
                        assert!(session.tries >= 1);
                        let mut id = [0; 4];
                        session.stream.read_exact(&mut id).unwrap();
                        say.send(u32::from_le_bytes(id)).unwrap();
                        if number < KILLS {
                            session.stream.read(&mut [0]).unwrap_err();
                            let end = session.stream.reader().end().unwrap();
                            assert_eq!(end.reason, EndReason::PeerDied);
                        }
                    }
                });
            }
            for _ in 0..=KILLS {
                let mut engine = start(&place, name);
                for _ in 0..10 {
                    assert_eq!(hear.recv().unwrap(), engine.id());
                }
                engine.kill();
            }
        });
    });
}

#[test]
fn nothing_is_sent_twice() {
    guard(|| {
        let place = Place::new();
        let path = place.name("engine");
        let mut client = Reconnect::new(&path).unwrap();
        for number in 0..3 {
            let listener = Listener::bind(&path).unwrap();
            thread::scope(|scope| {
                let engine = scope.spawn(|| {
                    let mut stream = listener.accept().unwrap();
                    let mut heard = [0; 2];
                    stream.read_exact(&mut heard).unwrap();
                    // It leaves with more unread.
                    eventually("there is more", || stream.reader().available().unwrap() > 0);
                    heard
                });
                let mut session = client.connect().unwrap();
                assert_eq!(session.number, number);
                let said = [b'a', number as u8];
                session.stream.write_all(&said).unwrap();
                session.stream.write_all(b"lost").unwrap();
                assert_eq!(engine.join().unwrap(), said);
                // It was reset: bytes were unread.
                session.stream.read(&mut [0]).unwrap_err();
            });
        }
    });
}

#[test]
fn sessions_that_end_at_once_are_paused_between_longer_and_longer() {
    guard(|| {
        let place = Place::new();
        let path = place.name("engine");
        let listener = Listener::bind(&path).unwrap();
        let stopper = listener.stopper();
        thread::scope(|scope| {
            scope.spawn(|| listener.incoming().for_each(drop));
            let mut client = Reconnect::new(&path).unwrap();
            let begun = Instant::now();
            let mut waited = Duration::ZERO;
            for _ in 0..6 {
                let session = client.connect().unwrap();
                waited += session.waited;
            }
            // 10 + 20 + 40 + 80 + 160, and up to half as much by chance.
            let least = Duration::from_millis(310);
            assert!(waited >= least && begun.elapsed() >= least, "{waited:?}");
            stopper.stop();
        });
    });
}

#[test]
fn what_no_waiting_helps_is_an_error_and_so_is_the_end_of_the_time() {
    guard(|| {
        let place = Place::new();
        let path = place.name("engine");
        let mut client = Reconnect::with(
            &Options::new().wait_for_listener(Duration::from_millis(50)),
            &path,
        )
        .unwrap();
        let begun = Instant::now();
        assert!(matches!(client.connect(), Err(Error::NotBound { .. })));
        assert!(begun.elapsed() >= Duration::from_millis(50));

        let listener = Options::new().protocol("ticks/1").bind(&path).unwrap();
        let stopper = listener.stopper();
        thread::scope(|scope| {
            scope.spawn(|| listener.incoming().for_each(drop));
            let options = Options::new().protocol("orders/1");
            let mut other = Reconnect::with(&options, &path).unwrap();
            assert!(matches!(other.connect(), Err(Error::Protocol { .. })));
            // It can be asked again.
            assert!(matches!(other.connect(), Err(Error::Protocol { .. })));
            stopper.stop();
        });
        assert!(Reconnect::new("no/scope").is_err());
        assert!(Reconnect::with(&Options::new().capacity(1000), &path).is_err());
        drop(listener);

        // And goes on when there is somebody.
        let listener = Listener::bind(&path).unwrap();
        thread::scope(|scope| {
            let accepted = scope.spawn(|| listener.accept().unwrap());
            let session = client.connect().unwrap();
            assert_eq!(session.number, 0);
            drop((session, accepted.join().unwrap()));
        });
    });
}

#[test]
fn on_tokio_panels_survive_kills_and_a_connect_may_be_given_up() {
    guard(|| {
        let place = Place::new();
        let path = place.name("engine");
        let name = path.to_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            use tokio::io::AsyncReadExt;
            let mut client = slipring::tokio::Reconnect::new(&name).unwrap();
            for number in 0..4 {
                // Nobody is there, and another branch is faster.
                let moment = tokio::time::timeout(Duration::from_millis(15), client.connect());
                assert!(moment.await.is_err());
                let mut engine = start(&place, &name);
                let mut session = client.connect().await.unwrap();
                assert_eq!(session.number, number);
                let mut id = [0; 4];
                session.stream.read_exact(&mut id).await.unwrap();
                assert_eq!(u32::from_le_bytes(id), engine.id());
                engine.kill();
                session.stream.read(&mut [0]).await.unwrap_err();
            }
        });
    });
}
