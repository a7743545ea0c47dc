//! Two users: one may do nothing to the other by default, and only certain things when it is asked
//! for. The tests need root, which can be both.

mod common;

use common::process::{self, Other, say, told};
use common::raw::{PAGE, Peer, Side, at, receive};
use common::{Place, guard, users};
use slipring::{Error, Listener, Options, Peers, Spin};
use std::fs::{self, Permissions};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;

const STRANGER: u32 = 12345;
const CAPACITY: usize = 4096;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("connects", connects),
        ("binds", binds),
        ("changes its mind", changes_its_mind),
        ("brings plain doorbells", brings_plain_bells),
        ("upgrades without credentials", upgrades_without_credentials),
        ("exchanges rings", exchanges_rings),
    ]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Never)
}

fn allowing(uid: u32) -> Options {
    options().allow(Peers::Users(vec![uid]))
}

fn stranger(place: &Place, role: &str, arguments: &[&str]) -> Other {
    users::start(place, STRANGER, role, arguments)
}

fn mode(listener: &Listener) -> u32 {
    fs::metadata(listener.path()).unwrap().permissions().mode() & 0o777
}

fn name(place: &Place) -> String {
    place.name("x").to_str().unwrap().to_owned()
}

/// Connects, and prints the outcome.
fn connects(arguments: &[&str]) {
    match options().connect(arguments[0]) {
        Ok(mut stream) => {
            stream.write_all(b"hello").unwrap();
            say(&format!("connected to {}", stream.peer().uid));
            told();
        }
        Err(error) => {
            let text = error.to_string();
            say(&format!("{:?}: {text}", std::io::Error::from(error).kind()));
        }
    }
}

fn growing() -> Options {
    options().max_capacity(1 << 18)
}

/// Echoes far more than the first rings hold.
fn exchanges_rings(arguments: &[&str]) {
    let mut stream = growing().connect(arguments[0]).unwrap();
    let mut all = vec![0; 1 << 20];
    stream.read_exact(&mut all).unwrap();
    stream.write_all(&all).unwrap();
    stream.writer().wait_consumed().unwrap();
    say(&format!("{} {}", stream.capacity(), stream.peer_capacity()));
    told();
}

/// A stranger who connects is told, and so is the listener.
fn refused(place: &Place, listener: &Listener) {
    let mut other = stranger(place, "connects", &[&name(place)]);
    common::eventually("it is refused", || {
        assert!(listener.try_accept().unwrap().is_none());
        listener.refused() == 1
    });
    let said = other.hear();
    assert!(
        said.contains(&format!("does not allow user {STRANGER}")),
        "{said}"
    );
    assert!(
        listener
            .last_refusal()
            .unwrap()
            .contains(&STRANGER.to_string())
    );
}

/// Shakes hands as a client should that is of another user.
fn introduce(name: &str) -> Peer {
    let mut side = Side::new(CAPACITY);
    side.passing.doorbells = 1;
    Peer::shake_hands(UnixStream::connect(name).unwrap(), side)
}

/// Writes something else where it has published already.
fn changes_its_mind(arguments: &[&str]) {
    let peer = introduce(arguments[0]);
    peer.mine.words.put(PAGE, b"before");
    peer.mine.words.store(at::TAIL, 6);
    told();
    peer.mine.words.put(PAGE, b"behind");
    say("changed");
    told();
}

/// Comes with doorbells that it could make blocking.
fn brings_plain_bells(arguments: &[&str]) {
    let link = UnixStream::connect(arguments[0]).unwrap();
    let side = Side::new(CAPACITY);
    side.greet(&link);
    // The hello was right.
    receive(&link).unwrap();
    let (verdict, _) = receive(&link).unwrap();
    say(&String::from_utf8_lossy(
        &verdict[32..32 + verdict[29] as usize],
    ));
}

/// Binds a name, and serves one client.
fn binds(arguments: &[&str]) {
    let listener = allowing(0).bind(arguments[0]).unwrap();
    say("bound");
    let mut stream = listener.accept().unwrap();
    stream.write_all(b"hello").unwrap();
    told();
}

/// Makes a stream of a socket through which a hello without credentials has come already.
fn upgrades_without_credentials(_: &[&str]) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs
        .write_all(&Side::new(CAPACITY).hello.encode())
        .unwrap();
    let error = options().upgrade(ours).unwrap_err();
    say(&error.to_string());
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn other_users_are_kept_out_by_default() {
        guard(|| {
            let place = users::open_place();
            let listener = options().bind(name(&place)).unwrap();
            assert_eq!(mode(&listener), 0o600);
            let mut other = stranger(&place, "connects", &[&name(&place)]);
            let said = other.hear();
            assert!(said.starts_with("PermissionDenied"), "{said}");
            assert!(listener.try_accept().unwrap().is_none());
            assert_eq!(listener.refused(), 0);
            // Opening the socket to all does not open the listener.
            fs::set_permissions(listener.path(), Permissions::from_mode(0o666)).unwrap();
            refused(&place, &listener);
        });
    }

    /// The kernel shows a message without credentials as one of user 65534.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_message_without_credentials_is_not_of_the_user_nobody() {
        guard(|| {
            let place = users::open_place();
            let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap();
            let nobody = overflow.trim().parse().unwrap();
            let mut other = users::start(&place, nobody, "upgrades without credentials", &[]);
            let said = other.hear();
            assert!(said.contains("no credentials"), "{said}");
            other.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_user_who_is_not_among_those_allowed_is_refused() {
        guard(|| {
            let place = users::open_place();
            let listener = allowing(STRANGER + 1).bind(name(&place)).unwrap();
            assert_eq!(mode(&listener), 0o666);
            refused(&place, &listener);
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_user_who_is_allowed_gets_a_stream() {
        guard(|| {
            let place = users::open_place();
            let listener = allowing(STRANGER).bind(name(&place)).unwrap();
            let mut other = stranger(&place, "connects", &[&name(&place)]);
            let mut stream = listener.accept().unwrap();
            assert_eq!(stream.peer().uid, STRANGER);
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            other.expect("connected to 0");
            other.kill();
            assert_eq!(
                common::kind(stream.read(&mut [0])),
                ErrorKind::ConnectionReset
            );
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn rings_grow_between_users_too() {
        guard(|| {
            let place = users::open_place();
            let options = growing().allow(Peers::Users(vec![STRANGER]));
            let listener = options.bind(name(&place)).unwrap();
            let mut other = stranger(&place, "exchanges rings", &[&name(&place)]);
            let mut stream = listener.accept().unwrap();
            let all: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
            stream.write_all(&all).unwrap();
            // Views are bounced, whatever ring the bytes lie in.
            assert_eq!(
                stream.reader().fill_at_least(100_000).unwrap()[..100_000],
                all[..100_000]
            );
            let mut got = vec![0; all.len()];
            stream.read_exact(&mut got).unwrap();
            assert!(got == all);
            assert!(stream.capacity() > CAPACITY && stream.peer_capacity() > CAPACITY);
            let said = format!("{} {}", stream.peer_capacity(), stream.capacity());
            other.expect(&said);
            other.tell("done");
            other.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn bytes_lent_from_another_user_do_not_change() {
        guard(|| {
            let place = users::open_place();
            let listener = allowing(STRANGER).bind(name(&place)).unwrap();
            let mut other = stranger(&place, "changes its mind", &[&name(&place)]);
            let mut stream = listener.accept().unwrap();
            stream.set_read_timeout(Some(common::GENEROUS)).unwrap();
            // It publishes without waking: the last poll comes when the time is up, so poll until
            // the bytes are there.
            common::eventually("it has published", || {
                stream.reader().available().unwrap() == 6
            });
            let lent = stream.fill_buf().unwrap();
            assert_eq!(lent, b"before");
            other.tell("now");
            other.expect("changed");
            assert_eq!(lent, b"before");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn another_user_may_not_bring_a_bell_that_could_block() {
        guard(|| {
            let place = users::open_place();
            let listener = allowing(STRANGER).bind(name(&place)).unwrap();
            let mut other = stranger(&place, "brings plain doorbells", &[&name(&place)]);
            common::eventually("it is refused", || {
                assert!(listener.try_accept().unwrap().is_none());
                listener.refused() == 1
            });
            other.expect("a doorbell that another user could block");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_name_that_another_user_has_bound_is_not_connected_to() {
        guard(|| {
            let place = users::open_place();
            let squatted = place.name("theirs");
            fs::create_dir(&squatted).unwrap();
            chown(&squatted, Some(STRANGER), Some(STRANGER)).unwrap();
            let name = squatted.join("x");
            let name: &Path = &name;
            let mut other = stranger(&place, "binds", &[name.to_str().unwrap()]);
            other.expect("bound");
            let error = options().connect(name).unwrap_err();
            assert!(
                matches!(error, Error::UntrustedPeer { uid: STRANGER, .. }),
                "{error}"
            );
            // Unless it is asked for.
            let mut stream = allowing(STRANGER).connect(name).unwrap();
            assert_eq!(stream.peer().uid, STRANGER);
            stream.read_exact(&mut [0; 5]).unwrap();
            other.tell("leave");
            other.succeed();
        });
    }
}
