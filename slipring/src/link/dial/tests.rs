//! Tests of [`super`].

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use rustix::net::sockopt::{Timeout, socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::super::binding::Binding;
use super::super::directory::testing::{dirs, name, need_root, stale_socket};
use super::*;

const LONG: Duration = Duration::from_secs(20);

fn me(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

/// A limit of that length in the queue.
fn within(limit: Duration) -> Queue {
    Queue {
        of_another: Some(limit),
        of_this: limit,
    }
}

fn soon() -> Queue {
    within(LONG)
}

fn dial_in(
    dirs: &RuntimeDirs,
    name: &Name,
    queue: Queue,
    trusted: &dyn Fn(u32) -> bool,
) -> Result<OwnedFd> {
    let dial = Dial::new(dirs.clone(), name.clone(), Patience::None, queue);
    Ok(dial.drive(trusted)?.socket)
}

fn dial_waiting_in(
    dirs: &RuntimeDirs,
    name: &Name,
    patience: Option<Duration>,
    trusted: &dyn Fn(u32) -> bool,
) -> Result<OwnedFd> {
    let dial = Dial::new(dirs.clone(), name.clone(), Patience::of(patience), soon());
    Ok(dial.drive(trusted)?.socket)
}

fn bind(dirs: &RuntimeDirs, text: &str) -> (Binding, UnixListener) {
    let (binding, listener) = Binding::new_in(dirs, &name(text), 0o600, 16).unwrap();
    (binding, UnixListener::from(listener))
}

/// Waits for the name without a limit, while `act` makes it come.
fn waiting_while(dirs: &RuntimeDirs, name: &Name, act: impl FnOnce() -> (Binding, OwnedFd)) {
    thread::scope(|scope| {
        let dialler = scope.spawn(|| dial_waiting_in(dirs, name, None, &me));
        let _bound = act();
        dialler.join().unwrap().unwrap();
    });
}

#[test]
fn dialing_leaves_a_blocking_socket_without_a_time_limit() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (binding, listener) = bind(&dirs, "clock");
    let socket = dial_in(&dirs, &name(r"Local\clock"), soon(), &me).unwrap();
    assert_eq!(socket_timeout(&socket, Timeout::Send).unwrap(), None);
    assert!(
        !rustix::fs::fcntl_getfl(&socket)
            .unwrap()
            .contains(OFlags::NONBLOCK)
    );
    assert!(
        rustix::io::fcntl_getfd(&socket)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    listener.accept().unwrap();
    let peer = UnixStream::from(socket).peer_addr().unwrap();
    assert_eq!(peer.as_pathname(), Some(binding.path()));
}

#[test]
fn dialing_finds_a_name_in_any_of_the_directories() {
    let temporary = tempfile::tempdir().unwrap();
    let all = dirs(temporary.path());
    // The listener runs without XDG_RUNTIME_DIR.
    let _bound = bind(
        &RuntimeDirs {
            xdg: None,
            ..all.clone()
        },
        "clock",
    );
    dial_in(&all, &name("clock"), soon(), &me).unwrap();
}

#[test]
fn dialing_an_unbound_name_lists_what_was_tried() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let result = dial_in(&dirs, &name("clock"), soon(), &me);
    let Err(Error::NotBound {
        name,
        tried,
        waited,
        ..
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!((name.as_str(), waited), ("Local/clock", Duration::ZERO));
    assert_eq!(tried.len(), 3);
    assert_eq!(tried[0], dirs.xdg.unwrap().join("slipring/clock.sock"));
}

#[test]
fn dialing_a_stale_socket_says_that_it_is_stale() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let path = dirs
        .for_binding(crate::name::Scope::Local)
        .unwrap()
        .join("clock.sock");
    stale_socket(&path);
    let error = dial_in(&dirs, &name("clock"), soon(), &me).unwrap_err();
    let Error::NotBound { passed_over, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(passed_over[0].0, path);
    assert!(error.to_string().contains("stale"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
}

#[test]
fn dialing_tells_of_a_holder_whose_socket_is_gone() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (mut binding, _listener) = bind(&dirs, "clock");
    fs::remove_file(binding.path()).unwrap();
    let wait = Duration::from_millis(30);
    for (result, waits) in [
        (dial_in(&dirs, &name("clock"), soon(), &me), false),
        (
            dial_waiting_in(&dirs, &name("clock"), Some(wait), &me),
            true,
        ),
    ] {
        let Err(error @ Error::SocketGone { .. }) = result else {
            panic!("{result:?}")
        };
        let text = error.to_string();
        assert!(
            text.contains(&format!("process {} is bound", std::process::id())),
            "{text}"
        );
        assert_eq!(text.contains("of waiting"), waits, "{text}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }
    // It comes back.
    thread::scope(|scope| {
        let dialler = scope.spawn(|| dial_waiting_in(&dirs, &name("clock"), None, &me));
        let _listener = binding.repair().unwrap();
        dialler.join().unwrap().unwrap();
        binding.mark_paired().unwrap();
        binding.retire_socket();
    });
    let result = dial_in(&dirs, &name("clock"), soon(), &me);
    assert!(matches!(result, Err(Error::NotBound { .. })), "{result:?}");
}

#[test]
fn dialing_reports_an_unsafe_directory_and_does_not_use_it() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (binding, listener) = bind(&dirs, "clock");
    let directory = binding.path().parent().unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    let error = dial_in(&dirs, &name("clock"), soon(), &me).unwrap_err();
    assert!(matches!(error, Error::NotBound { .. }), "{error:?}");
    assert!(error.to_string().contains("0755"), "{error}");
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn dialing_refuses_an_owner_of_the_socket_who_is_not_trusted() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (_binding, listener) = bind(&dirs, "clock");
    let nobody = |_| false;
    let result = dial_in(&dirs, &name("clock"), soon(), &nobody);
    assert!(
        matches!(result, Err(Error::UntrustedPeer { uid, .. }) if me(uid)),
        "{result:?}"
    );
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock,
        "nobody had connected"
    );
}

#[test]
fn dialing_follows_symbolic_links_in_paths_only() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (binding, _listener) = bind(&dirs, "clock");
    symlink(binding.path(), binding.path().with_file_name("link.sock")).unwrap();
    let error = dial_in(&dirs, &name("link"), soon(), &me).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is a symbolic link, not a socket"),
        "{error}"
    );

    let link = temporary.path().join("link");
    symlink(binding.path(), &link).unwrap();
    dial_in(&dirs, &name(&link), soon(), &me).unwrap();
}

#[test]
fn dialing_tells_what_is_no_stream_socket() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let path = temporary.path().join("x");
    fs::write(&path, "").unwrap();
    let error = dial_in(&dirs, &name(&path), soon(), &me).unwrap_err();
    assert!(
        error.to_string().contains("a regular file, not a socket"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    assert!(matches!(
        dial_in(&dirs, &name(&path), soon(), &me),
        Err(Error::NotSlipring)
    ));
}

#[test]
fn dialing_a_full_backlog_ends_at_the_deadline() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let name = name("clock");
    let (_binding, listener) = Binding::new_in(&dirs, &name, 0o600, 1).unwrap();
    let listener = UnixListener::from(listener);
    let limit = Duration::from_millis(100);
    let mut waiting = Vec::new();
    let (error, took) = loop {
        let started = Instant::now();
        match dial_in(&dirs, &name, within(limit), &me) {
            Ok(socket) => waiting.push(socket),
            Err(error) => break (error, started.elapsed()),
        }
    };
    assert!(
        !waiting.is_empty() && waiting.len() < 10,
        "{}",
        waiting.len()
    );
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("backlog is full"), "{error}");
    // The kernel counts in ticks of up to 10 ms.
    assert!(took >= limit - Duration::from_millis(10), "{took:?}");

    // Somebody is accepted, and the next goes through, deadline or not.
    thread::scope(|scope| {
        let dialler = scope.spawn(|| dial_in(&dirs, &name, soon(), &me));
        listener.accept().unwrap();
        dialler.join().unwrap().unwrap();
    });
}

#[test]
fn dialing_ends_when_the_listener_goes_while_it_is_in_line() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let name = name("clock");
    let (binding, listener) = Binding::new_in(&dirs, &name, 0o600, 0).unwrap();
    let _first = dial_in(&dirs, &name, soon(), &me).unwrap();
    thread::scope(|scope| {
        let dialler = scope.spawn(|| dial_in(&dirs, &name, soon(), &me));
        // Shut first: another test's child may have a copy for a moment.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        drop((listener, binding));
        let result = dialler.join().unwrap();
        assert!(matches!(result, Err(Error::NotBound { .. })), "{result:?}");
    });
}

#[test]
fn a_name_that_is_bound_is_found_without_a_watch() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (binding, _listener) = bind(&dirs, "clock");
    let mut dial = Dial::new(dirs.clone(), name("clock"), Patience::Endless, soon());
    assert!(matches!(
        dial.search(&me, WhenFull::Return),
        Ok(Step::Connected(_))
    ));
    assert!(dial.watch.is_none());
    drop(binding);
    let mut dial = Dial::new(dirs, name("clock"), Patience::Endless, soon());
    assert!(matches!(
        dial.search(&me, WhenFull::Return),
        Ok(Step::Wait { until: None })
    ));
    assert!(dial.watch.is_some());
}

#[test]
fn dialing_waits_until_the_name_is_bound() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    dirs.for_binding(crate::name::Scope::Local).unwrap();
    let name = name("clock");
    waiting_while(&dirs, &name, || {
        thread::sleep(Duration::from_millis(50));
        Binding::new_in(&dirs, &name, 0o600, 16).unwrap()
    });
}

#[test]
fn dialing_waits_for_a_directory_that_does_not_exist_yet() {
    let temporary = tempfile::tempdir().unwrap();
    let mut dirs = dirs(temporary.path());
    let clock = name("clock");
    waiting_while(&dirs, &clock, || {
        thread::sleep(Duration::from_millis(50));
        Binding::new_in(&dirs, &clock, 0o600, 16).unwrap()
    });

    // Not even its parents: logind makes /run/user/UID when the user comes.
    dirs.xdg = None;
    let user = dirs.run.join("user").join(dirs.uid.to_string());
    waiting_while(&dirs, &clock, || {
        thread::sleep(Duration::from_millis(20));
        fs::create_dir(user.parent().unwrap()).unwrap();
        thread::sleep(Duration::from_millis(20));
        fs::create_dir(&user).unwrap();
        Binding::new_in(&dirs, &clock, 0o600, 16).unwrap()
    });

    let path = temporary.path().join("a/b/c/socket");
    waiting_while(&dirs, &name(&path), || {
        thread::sleep(Duration::from_millis(20));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Binding::new_in(&dirs, &name(&path), 0o600, 16).unwrap()
    });
}

#[test]
fn dialing_waits_past_a_stale_socket_and_an_unsafe_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let clock = name("clock");
    let directory = dirs.for_binding(crate::name::Scope::Local).unwrap();
    stale_socket(&directory.join("clock.sock"));
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    waiting_while(&dirs, &clock, || {
        thread::sleep(Duration::from_millis(20));
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        thread::sleep(Duration::from_millis(20));
        Binding::new_in(&dirs, &clock, 0o600, 16).unwrap()
    });
}

#[test]
fn dialing_misses_no_creation_at_any_moment() {
    for round in 0..100 {
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let name = name("clock");
        waiting_while(&dirs, &name, || {
            thread::sleep(Duration::from_micros(10 * round));
            Binding::new_in(&dirs, &name, 0o600, 16).unwrap()
        });
    }
}

#[test]
fn dialing_tries_a_socket_again_that_does_not_listen_yet() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let path = temporary.path().join("x");
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    thread::scope(|scope| {
        let dialler = scope.spawn(|| dial_waiting_in(&dirs, &name(&path), None, &me));
        thread::sleep(Duration::from_millis(20));
        // No event comes of this.
        rustix::net::listen(&socket, 1).unwrap();
        dialler.join().unwrap().unwrap();
    });
}

#[test]
fn dialing_stops_waiting_and_says_how_long_it_was() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let wait = Duration::from_millis(30);
    let path = temporary.path().join("stale");
    stale_socket(&path);
    for text in [Path::new("clock"), &path] {
        let result = dial_waiting_in(&dirs, &name(text), Some(wait), &me);
        let Err(Error::NotBound { waited, tried, .. }) = result else {
            panic!("{result:?}")
        };
        assert!(waited >= wait && !tried.is_empty(), "{waited:?}");
    }
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn dialing_accepts_another_owner_of_the_socket_who_is_trusted() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let (binding, listener) = bind(&dirs, "clock");
        chown(binding.path(), Some(12345), None).unwrap();
        let result = dial_in(&dirs, &name("clock"), soon(), &me);
        assert!(
            matches!(result, Err(Error::UntrustedPeer { uid: 12345, .. })),
            "{result:?}"
        );
        dial_in(&dirs, &name("clock"), soon(), &|uid| uid == 12345).unwrap();
        listener.accept().unwrap();
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "one had connected"
        );
    }
}
