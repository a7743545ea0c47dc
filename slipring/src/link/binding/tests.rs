//! Tests of [`super`].

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::thread;

use super::super::directory::testing::{dirs, name, need_root, stale_socket};
use super::super::lock::{LockState, kind_at, lock_state};
use super::*;

const ROLE: &str = "SLIPRING_TEST_BINDING_PATH";

fn bind_path(path: &Path) -> Result<(Binding, OwnedFd)> {
    Binding::new(&name(path), 0o600, 16)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

fn lock_of(path: &Path) -> LockState {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    lock_state(Path::new(&lock)).unwrap()
}

/// Another process: it binds a path, says so, and holds it until its input ends.
#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    let path = std::env::var_os(ROLE)
        .expect("started by a test only: leave it out with --skip child_process");
    let _bound = bind_path(Path::new(&path)).unwrap();
    println!("the child is bound");
    let _ = std::io::stdin().read(&mut [0]);
}

struct BoundChild {
    process: Child,
    /// Kept open: the child's last words must go somewhere.
    _output: BufReader<ChildStdout>,
}

/// Starts this very program once more, and returns when it has bound the path.
fn bound_child(path: &Path) -> BoundChild {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            &format!("{module}::child_process"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("the child is bound") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child failed");
    }
    BoundChild {
        process: child,
        _output: output,
    }
}

#[test]
fn a_binding_listens_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let (binding, listener) = Binding::new_in(&dirs, &name("clock"), 0o640, 16).unwrap();
    let path = binding.path().to_owned();
    assert_eq!(path, dirs.xdg.unwrap().join("slipring/clock.sock"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    let listener = UnixListener::from(listener);
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    UnixStream::connect(&path).unwrap();
    listener.accept().unwrap();
    let flags = rustix::io::fcntl_getfd(&listener).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));

    drop(binding);
    assert!(!path.exists());
    assert!(!path.with_extension("lock").exists());
}

#[test]
fn a_name_in_use_names_the_process() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let mut child = bound_child(&path);
    let pid = child.process.id();
    let second = bind_path(&path);
    assert!(
        matches!(second, Err(Error::NameInUse { pid: Some(found), .. }) if found == pid),
        "{second:?}"
    );
    assert!(is_socket(&path));
    drop(child.process.stdin.take());
    assert!(child.process.wait().unwrap().success());
    assert!(!path.exists(), "the child has left");
    bind_path(&path).unwrap();
}

#[test]
fn a_socket_left_by_a_killed_process_is_replaced() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    for _ in 0..3 {
        let mut child = bound_child(&path);
        child.process.kill().unwrap();
        child.process.wait().unwrap();
        assert!(is_socket(&path), "a killed process tidies nothing up");
        assert_eq!(lock_of(&path), LockState::Free);
    }
    let (binding, _listener) = bind_path(&path).unwrap();
    assert_eq!(
        lock_of(&path),
        LockState::Held {
            pid: Some(std::process::id()),
            paired: false
        }
    );
    UnixStream::connect(binding.path()).unwrap();
}

#[test]
fn of_two_that_bind_at_once_exactly_one_wins() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    for round in 0..50 {
        if round % 2 == 0 {
            stale_socket(&path);
            assert!(is_socket(&path), "a stale one, to be replaced by both");
        }
        let barrier = Barrier::new(2);
        let race = || {
            barrier.wait();
            bind_path(&path)
        };
        thread::scope(|scope| {
            let other = scope.spawn(race);
            let results = [race(), other.join().unwrap()];
            let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
            assert_eq!(
                (winners.len(), losers.len()),
                (1, 1),
                "{winners:?} {losers:?}"
            );
            assert!(
                matches!(losers[0], Err(Error::NameInUse { .. })),
                "{losers:?}"
            );
            UnixStream::connect(&path).unwrap();
        });
        assert!(!path.exists());
    }
}

#[test]
fn a_live_listener_without_the_lock_is_respected() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let listener = UnixListener::bind(&path).unwrap();
    // The kernel says which process listens.
    let me = std::process::id();
    assert!(matches!(
        bind_path(&path),
        Err(Error::NameInUse { pid: Some(pid), activated: false, .. }) if pid == me
    ));
    // Not closed, but shut: another test's child may have a copy for a moment.
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    bind_path(&path).unwrap();
    let datagrams = UnixDatagram::bind(&path).unwrap();
    assert!(matches!(
        bind_path(&path),
        Err(Error::NameInUse { pid: None, .. })
    ));
    drop(datagrams);

    // Its backlog may be full.
    fs::remove_file(&path).unwrap();
    let listener = new_socket().unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert!(matches!(
        bind_path(&path),
        Err(Error::NameInUse { pid: None, .. })
    ));
    assert!(is_socket(&path));
}

#[test]
fn binding_touches_nothing_that_is_no_socket() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    fs::write(&path, "precious").unwrap();
    let error = bind_path(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a regular file, not a socket, and was not touched"),
        "{error}"
    );
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(lock_of(&path), LockState::Free);

    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(temporary.path().join("nowhere"), &path).unwrap();
    assert!(
        bind_path(&path)
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
    assert!(path.is_symlink());
}

#[test]
fn a_binding_removes_only_its_own_socket() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let (binding, _listener) = bind_path(&path).unwrap();
    // The first socket is kept under another name: else the new one could get its inode number.
    fs::rename(&path, temporary.path().join("kept")).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(binding);
    assert!(is_socket(&path));
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_binding_holds_its_name_without_its_socket() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let (mut binding, listener) = bind_path(&path).unwrap();
    drop(listener);
    binding.mark_paired().unwrap();
    binding.retire_socket();
    assert!(!path.exists());
    assert_eq!(
        lock_of(&path),
        LockState::Held {
            pid: Some(std::process::id()),
            paired: true
        }
    );
    assert!(matches!(bind_path(&path), Err(Error::NameInUse { .. })));
    let _other = UnixListener::bind(&path).unwrap();
    binding.retire_socket();
    drop(binding);
    assert!(is_socket(&path), "it has none any more to remove");
    assert_eq!(lock_of(&path), LockState::Free);
}

#[test]
fn binding_tells_of_a_holder_whose_socket_is_gone() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let (mut binding, _listener) = bind_path(&path).unwrap();
    let in_the_way = || match bind_path(&path) {
        Err(Error::NameInUse { socket_gone, .. }) => socket_gone,
        other => panic!("{other:?}"),
    };
    assert_eq!(in_the_way(), None);
    fs::remove_file(&path).unwrap();
    assert_eq!(in_the_way(), Some(path.clone()));
    // It has met somebody, and is not to be reached any more.
    binding.mark_paired().unwrap();
    binding.retire_socket();
    assert_eq!(in_the_way(), None);
}

#[test]
fn a_binding_learns_that_its_files_are_gone_and_makes_them_anew() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("d");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("x");
    let lock = directory.join("x.lock");
    let (mut binding, mut listener) = Binding::new(&name(&path), 0o620, 16).unwrap();
    binding.mark_kind(Kind::Feed).unwrap();
    assert_eq!(binding.condition().unwrap(), Condition::Sound);
    assert!(binding.repair().unwrap().is_none());

    let kept = temporary.path().join("kept");
    let sockets: [&dyn Fn(); 3] = [
        &|| fs::remove_file(&path).unwrap(),
        // The old one is kept: else the new one could get its inode number.
        &|| {
            fs::rename(&path, &kept).unwrap();
            stale_socket(&path);
        },
        &|| {
            fs::remove_dir_all(&directory)
                .and_then(|()| fs::create_dir(&directory))
                .unwrap()
        },
    ];
    for (remove, expected) in sockets.iter().zip([
        Condition::SocketGone,
        Condition::SocketGone,
        Condition::LockGone,
    ]) {
        remove();
        assert_eq!(binding.condition().unwrap(), expected);
        listener = binding.repair().unwrap().expect("a new socket");
        assert_eq!(binding.condition().unwrap(), Condition::Sound);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o620);
        UnixStream::connect(&path).unwrap();
        assert!(matches!(
            lock_of(&path),
            LockState::Held { pid: Some(_), .. }
        ));
        assert_eq!(kind_at(&lock), Some(Kind::Feed));
        assert!(matches!(
            bind_path(&path),
            Err(Error::NameInUse {
                socket_gone: None,
                ..
            })
        ));
    }
    fs::remove_file(&lock).unwrap();
    assert_eq!(binding.condition().unwrap(), Condition::LockGone);
    assert!(binding.repair().unwrap().is_none(), "the socket is there");
    assert!(matches!(lock_of(&path), LockState::Held { .. }));
    drop((binding, listener));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_name_that_somebody_else_has_taken_is_not_taken_back() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x");
    let (mut binding, _listener) = bind_path(&path).unwrap();
    fs::rename(&path, temporary.path().join("kept")).unwrap();
    fs::remove_file(temporary.path().join("x.lock")).unwrap();
    let (other, _other_listener) = bind_path(&path).unwrap();
    assert_eq!(binding.condition().unwrap(), Condition::LockGone);
    assert!(matches!(binding.repair(), Err(Error::NameInUse { .. })));
    drop(binding);
    assert_eq!(other.condition().unwrap(), Condition::Sound);
    UnixStream::connect(&path).unwrap();

    // Or has its socket there, without the lock.
    let (mut binding, _listener) = bind_path(&temporary.path().join("y")).unwrap();
    fs::remove_file(binding.path()).unwrap();
    let _other = UnixListener::bind(binding.path()).unwrap();
    assert_eq!(binding.condition().unwrap(), Condition::SocketGone);
    assert!(matches!(binding.repair(), Err(Error::NameInUse { .. })));
    let path = binding.path().to_owned();
    drop(binding);
    assert!(is_socket(&path));
}

#[test]
fn binding_refuses_too_long_a_path_before_anything_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("n".repeat(107));
    assert!(matches!(
        bind_path(&path),
        Err(Error::PathTooLong { limit: 107, .. })
    ));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn binding_names_a_missing_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("missing/x");
    let error = bind_path(&path).unwrap_err();
    assert!(error.to_string().contains("missing/x.lock"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn global_names_are_bound_by_anybody_in_the_directory_of_root() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let (binding, _listener) =
            Binding::new_in(&dirs, &name("Global/clock"), 0o666, 16).unwrap();
        assert_eq!(binding.path(), dirs.run.join("slipring/clock.sock"));
        assert_eq!(fs::metadata(binding.path()).unwrap().mode() & 0o777, 0o666);
    }
}
