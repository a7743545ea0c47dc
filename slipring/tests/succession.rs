//! A name that stays bound while its server is replaced: by a successor that the server starts, or
//! by a service manager that holds the socket.
//!
//! `ci/restarts.sh` runs the test under load with more clients and restarts.

mod common;

use common::process::{self, Other};
use common::users;
use common::{GENEROUS, Place, eventually, guard, guard_for, setting};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use slipring::{
    Condition, Error, Listener, ListenerFd, NameState, Options, Peers, Stream, inherited_fd,
    pass_fd,
};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("serves", serves),
        ("serves once", serves_once),
        ("crowd", crowd),
        ("lists", lists),
        ("binds", binds),
        ("fails half-way", fails_half_way),
    ]);
}

/// Set for a successor that dies as soon as it has taken the name over.
const DIES: &str = "SLIPRING_TEST_DIES";

/// A user that has no name here, as a rule.
const STRANGER: u32 = 12345;

fn options() -> Options {
    Options::new().capacity(4096)
}

/// Serves a name in threads, and starts its own successor when it is told `restart`. Each client is
/// told the process that serves it, and gets its bytes back.
fn serves(arguments: &[&str]) {
    // It outlives the process that has started it, and ends with the test, by its input.
    set_parent_process_death_signal(None).unwrap();
    let _ = slipring::raise_descriptor_limit().unwrap();
    let ready = inherited_fd(|label, _| label == "ready").unwrap();
    let listener = options().inherit_or_bind(arguments[0]).unwrap();
    if std::env::var_os(DIES).is_some() {
        std::process::abort();
    }
    if let Some(ready) = ready {
        std::fs::File::from(ready).write_all(b"!").unwrap();
    }
    process::say(&std::process::id().to_string());
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                match listener.accept() {
                    Ok(stream) => drop(scope.spawn(|| serve(stream))),
                    Err(Error::Stopped) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        loop {
            match process::told().as_deref() {
                Some("restart") if start_successor(&listener, Command::new(own_path())) => break,
                Some("restart") => process::say("no successor"),
                Some("fail") => {
                    assert!(!start_successor(&listener, Command::new("/bin/false")));
                    process::say("no successor");
                }
                Some("die") => {
                    // It takes the name over, and dies before it serves.
                    let mut command = Command::new(own_path());
                    command.env(DIES, "1");
                    assert!(!start_successor(&listener, command));
                    listener.reclaim().unwrap();
                    process::say("no successor");
                }
                _ => std::process::exit(0),
            }
        }
        listener.retire();
    });
    process::say("drained");
}

fn own_path() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// Whether it is ready.
fn start_successor(listener: &Listener, mut command: Command) -> bool {
    let (mut ready, theirs) = std::io::pipe().unwrap();
    command.args(std::env::args_os().skip(1));
    pass_fd(&mut command, "ready", theirs).unwrap();
    listener.to_fd().unwrap().pass_to(&mut command).unwrap();
    let mut child = command.spawn().unwrap();
    drop(command);
    if ready.read_exact(&mut [0]).is_ok() {
        // It goes on for longer than this process.
        drop(thread::spawn(move || child.wait()));
        return true;
    }
    child.wait().unwrap();
    false
}

fn serve(mut stream: Stream) {
    let me = std::process::id().to_le_bytes();
    // A client may leave whenever it likes.
    if stream.write_all(&me).is_err() {
        return;
    }
    let mut bytes = [0; 64];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..n]).is_err() {
            return;
        }
    }
}

/// Which process serves this stream.
fn server(stream: &mut Stream) -> u32 {
    let mut id = [0; 4];
    stream.read_exact(&mut id).unwrap();
    u32::from_le_bytes(id)
}

#[track_caller]
fn is_served(stream: &mut Stream) {
    let mut back = [0; 5];
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

/// Clients that connect all the time, are served, and leave. Every failure counts.
fn crowd(arguments: &[&str]) {
    let _ = slipring::raise_descriptor_limit().unwrap();
    let (name, count) = (arguments[0], arguments[1].parse::<u64>().unwrap());
    let (stop, served, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..count {
            let client = || {
                // Relaxed: statistics, and a flag with nothing behind it.
                while !stop.load(Ordering::Relaxed) {
                    let visit = || -> std::io::Result<()> {
                        let mut stream = options().connect(name)?;
                        stream.read_exact(&mut [0; 4])?;
                        stream.write_all(b"x")?;
                        stream.read_exact(&mut [0])
                    };
                    match visit() {
                        Ok(()) => served.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            eprintln!("a client: {error}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            };
            let builder = thread::Builder::new().stack_size(128 << 10);
            builder.spawn_scoped(scope, client).unwrap();
        }
        // Each time that it is asked, all clients are served once more, on an average.
        while process::told().as_deref() == Some("go on") {
            let enough = served.load(Ordering::Relaxed) + count;
            eventually("clients are served", || {
                served.load(Ordering::Relaxed) >= enough
            });
            process::say("served");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (served, failed) = (served.into_inner(), failed.into_inner());
    process::say(&format!("{served} served, {failed} failed"));
}

/// Says how a name is listed, and why it cannot be bound, each time that it is asked.
fn lists(arguments: &[&str]) {
    while process::told().is_some() {
        let all = slipring::names().unwrap();
        let bound = all
            .iter()
            .find(|bound| bound.name.to_string() == arguments[0]);
        let state = bound.map(|bound| match &bound.state {
            NameState::Live { pid: Some(pid), .. } => format!("live {pid} {}", bound.activated),
            state => format!("{state:?} {}", bound.activated),
        });
        process::say(&state.unwrap_or_else(|| "nothing".into()));
    }
}

fn binds(arguments: &[&str]) {
    match Listener::bind(arguments[0]) {
        Ok(_) => process::say("bound"),
        Err(error) => process::say(&error.to_string()),
    }
}

fn listed(lists: &mut Other) -> String {
    lists.tell("look");
    lists.hear()
}

fn why_not_bound(place: &Place, name: &str) -> String {
    let mut binds = process::start(place, "binds", &[name]);
    let said = binds.hear();
    binds.succeed();
    said
}

#[test]
fn no_client_is_refused_while_servers_replace_each_other() {
    let clients = setting("SLIPRING_CLIENTS", 40);
    let restarts = setting("SLIPRING_RESTARTS", 6);
    guard_for(Duration::from_secs(120 + 10 * restarts), move || {
        let place = Place::new();
        let name = place.name("served");
        let name = name.to_str().unwrap();
        let mut server = process::start(&place, "serves", &[name]);
        let mut last = server.hear();
        let mut command = process::command(&place, "crowd", &[name, &clients.to_string()]);
        command.env(common::CHILD_SECONDS, (120 + 10 * restarts).to_string());
        let mut crowd = process::start_as(command, "crowd");
        for _ in 0..restarts {
            crowd.tell("go on");
            crowd.expect("served");
            server.tell("restart");
            // The successor says who it is, and the predecessor that it is done, in any order.
            let mut said = [server.hear(), server.hear()];
            said.sort();
            let [next, drained] = said;
            assert_eq!(drained, "drained");
            assert_ne!(next, last);
            last = next;
        }
        crowd.tell("go on");
        crowd.expect("served");
        crowd.tell("stop");
        let said = crowd.hear();
        println!("{clients} clients, {restarts} restarts: {said}");
        assert!(said.ends_with(" served, 0 failed"), "{said}");
        crowd.succeed();
        server.tell("end");
        eventually("the last server is gone", || {
            !Path::new("/proc").join(&last).exists()
        });
    });
}

#[test]
fn a_predecessor_drains_what_it_has_and_the_successor_has_the_name() {
    guard(|| {
        let place = Place::new();
        let name = "Local/served";
        let mut lists = process::start(&place, "lists", &[name]);
        assert_eq!(listed(&mut lists), "nothing");
        let mut predecessor = process::start(&place, "serves", &[name]);
        let first = predecessor.hear();
        assert_eq!(listed(&mut lists), format!("live {first} false"));
        let path = place.path().join("slipring/served.sock");
        let mut old = Stream::connect(&path).unwrap();
        assert_eq!(server(&mut old).to_string(), first);

        predecessor.tell("restart");
        let second = predecessor.hear();
        eventually("the predecessor accepts nobody", || {
            let mut new = Stream::connect(&path).unwrap();
            server(&mut new).to_string() == second
        });
        assert_eq!(listed(&mut lists), format!("live {second} false"));
        let why = why_not_bound(&place, name);
        assert!(why.contains(&format!("process {second}")), "{why}");
        is_served(&mut old);
        let mut new = Stream::connect(&path).unwrap();
        assert_eq!(server(&mut new).to_string(), second);
        assert_eq!(new.peer().pid, second.parse().ok());

        drop(old);
        predecessor.expect("drained");
        is_served(&mut new);
        assert_eq!(listed(&mut lists), format!("live {second} false"));
        predecessor.tell("end");
        eventually("nothing is left", || listed(&mut lists) == "Stale false");
    });
}

#[test]
fn a_predecessor_that_is_killed_does_not_take_the_name_along() {
    guard(|| {
        let place = Place::new();
        let name = "Local/served";
        let mut predecessor = process::start(&place, "serves", &[name]);
        let _first = predecessor.hear();
        let path = place.path().join("slipring/served.sock");
        let mut old = Stream::connect(&path).unwrap();
        server(&mut old);
        predecessor.tell("restart");
        let second = predecessor.hear();
        predecessor.signal(Signal::KILL);
        assert!(old.read(&mut [0]).is_err(), "the death is told");
        let mut new = Stream::connect(&path).unwrap();
        assert_eq!(server(&mut new).to_string(), second);
        let why = why_not_bound(&place, name);
        assert!(why.contains(&format!("process {second}")), "{why}");
    });
}

#[test]
fn a_server_whose_successor_does_not_start_goes_on() {
    guard(|| {
        let place = Place::new();
        let name = place.name("served");
        let name = name.to_str().unwrap();
        let mut server = process::start(&place, "serves", &[name]);
        let first = server.hear();
        for how in ["fail", "die"] {
            server.tell(how);
            server.expect("no successor");
            let mut stream = Stream::connect(name).unwrap();
            assert_eq!(self::server(&mut stream).to_string(), first);
            is_served(&mut stream);
            let why = why_not_bound(&place, name);
            assert!(why.contains(&format!("process {first}")), "{how}: {why}");
        }
        // And it can still be replaced.
        server.tell("restart");
        assert_ne!(server.hear(), first);
        server.tell("end");
    });
}

/// A successor that lacks something when it takes over leaves all of it to its predecessor.
#[test]
fn a_successor_that_fails_half_way_leaves_the_name_alone() {
    guard(|| process::alone("fails half-way"));
}

fn fails_half_way(arguments: &[&str]) {
    let path = Path::new(arguments[0]).join("served");
    let predecessor = options().bind(&path).unwrap();
    let (socket, lock) = predecessor.to_fd().unwrap().into_parts();
    // No descriptor is left for its set.
    let usual = getrlimit(Resource::Nofile);
    let current = Some(common::descriptors() as u64 - 1);
    setrlimit(Resource::Nofile, Rlimit { current, ..usual }).unwrap();
    let failed = options().from_fd(ListenerFd::from_parts(socket, lock));
    setrlimit(Resource::Nofile, usual).unwrap();
    let error = failed.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
    predecessor.reclaim().unwrap();
    assert_eq!(predecessor.check().unwrap(), Condition::Sound);
    let again = Listener::bind(&path);
    assert!(matches!(again, Err(Error::NameInUse { .. })), "{again:?}");
    thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect(&path).unwrap());
        drop(predecessor.accept().unwrap());
        drop(client.join().unwrap());
    });
    drop(predecessor);
    assert!(!path.exists());
}

/// Every thread that accepts learns that the listener has retired. A client that is still shaking
/// hands then is waited for, though not without end.
#[test]
fn all_threads_of_a_retired_listener_are_told() {
    guard(|| {
        let place = Place::new();
        let path = place.name("served");
        let limit = Duration::from_millis(300);
        let predecessor = options().handshake_timeout(limit).bind(&path).unwrap();
        let begun = Instant::now();
        let _silent = UnixStream::connect(&path).unwrap();
        // It is taken up, and has said nothing.
        assert!(predecessor.try_accept().unwrap().is_none());
        let successor = options().from_fd(predecessor.to_fd().unwrap()).unwrap();
        predecessor.retire();
        thread::scope(|scope| {
            let accepting: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| predecessor.accept()))
                .collect();
            for accepted in accepting {
                let accepted = accepted.join().unwrap();
                assert!(matches!(accepted, Err(Error::Stopped)), "{accepted:?}");
            }
        });
        assert!(begun.elapsed() >= limit);
        assert_eq!(predecessor.refused(), 1);
        assert!(matches!(predecessor.try_accept(), Err(Error::Stopped)));
        assert!(!predecessor.repair().unwrap(), "the files are another's");
        drop(predecessor);
        assert_eq!(successor.check().unwrap(), Condition::Sound);
        thread::scope(|scope| {
            let client = scope.spawn(|| Stream::connect(&path).unwrap());
            let stream = successor.accept_timeout(GENEROUS).unwrap();
            drop((client.join().unwrap(), stream));
        });
        // The successor has it as if it had bound it.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(successor.check().unwrap(), Condition::SocketGone);
        assert!(successor.repair().unwrap());
        assert_eq!(successor.check().unwrap(), Condition::Sound);
        drop(successor);
        assert!(!path.exists() && !place.name("served.lock").exists());
    });
}

/// Threads that were accepting already when the listener retires.
#[test]
fn a_retiring_listener_wakes_the_threads_that_accept() {
    guard(|| {
        let place = Place::new();
        let listener = options().bind(place.name("served")).unwrap();
        let _fds = listener.to_fd().unwrap();
        let listener = std::sync::Arc::new(listener);
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let listener = std::sync::Arc::clone(&listener);
                process::asleep(move || listener.accept())
            })
            .collect();
        listener.retire();
        for accepted in accepting {
            assert!(matches!(accepted.join().unwrap(), Err(Error::Stopped)));
        }
    });
}

#[test]
fn what_is_no_listener_is_not_taken_over() {
    let place = Place::new();
    let told = |fd: OwnedFd| match Listener::from_fd(fd) {
        Ok(listener) => panic!("{listener:?}"),
        Err(error) => error.to_string(),
    };
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for fd in [
        OwnedFd::from(tcp),
        UnixStream::pair().unwrap().0.into(),
        std::io::pipe().unwrap().0.into(),
    ] {
        let why = told(fd);
        assert!(why.contains("ListenStream=/an/absolute/path"), "{why}");
    }
    // A socket that its listener has taken along.
    let listener = Listener::bind(place.name("gone")).unwrap();
    let (socket, lock) = listener.to_fd().unwrap().into_parts();
    drop(listener);
    let fds = ListenerFd::from_parts(socket, None);
    let why = Listener::from_fd(fds).unwrap_err().to_string();
    assert!(why.contains("without having retired"), "{why}");
    drop(lock);
    // A name whose lock another listener has.
    let path = place.name("held");
    let _held = Listener::bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let why = told(other.into());
    assert!(why.contains("in use"), "{why}");
    assert!(pass_fd(&mut Command::new("true"), "two words", place_file(&place)).is_err());
}

fn place_file(place: &Place) -> OwnedFd {
    std::fs::File::create(place.name("file")).unwrap().into()
}

/// Serves one client by a socket that a service manager has passed, and ends.
fn serves_once(arguments: &[&str]) {
    let listener = options().inherit_or_bind(arguments[0]).unwrap();
    assert!(ListenerFd::inherited(arguments[0]).unwrap().is_none());
    process::say(&format!(
        "{} at {}",
        listener.name(),
        listener.path().display()
    ));
    process::told();
    assert_eq!(listener.check().unwrap(), Condition::Sound);
    let mut stream = listener.accept().unwrap();
    stream.write_all(&std::process::id().to_le_bytes()).unwrap();
    // To the client's end: else it would be a death.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Starts a service as a service manager does: the socket is descriptor 3, and `LISTEN_PID` is the
/// service's own.
fn activate(service: Command, user: Option<u32>, socket: &UnixListener) -> Other {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])
        .arg(service.get_program())
        .args(service.get_args())
        .envs(
            service
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .current_dir("/")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "any.socket")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let socket = socket.as_raw_fd();
    let pass = move || {
        let passed = match socket {
            // SAFETY: a system call on numbers, between fork and exec. The socket is open.
            3 => unsafe { libc::fcntl(3, libc::F_SETFD, 0) },
            // SAFETY: as above.
            _ => unsafe { libc::dup2(socket, 3) },
        };
        if passed < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: the closure makes one system call.
    unsafe { command.pre_exec(pass) };
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    process::start_as(command, "serves once")
}

#[test]
fn a_name_whose_socket_a_service_manager_holds_is_never_free() {
    guard(|| {
        let place = Place::new();
        let name = "Local/activated";
        let directory = place.path().join("slipring");
        std::fs::create_dir(&directory).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&directory, private).unwrap();
        let path = directory.join("activated.sock");
        let socket = UnixListener::bind(&path).unwrap();
        let service = || process::command(&place, "serves once", &[name]);
        let mut lists = process::start(&place, "lists", &[name]);
        let state = listed(&mut lists);
        assert!(state.contains("a service manager"), "{state}");

        for _ in 0..3 {
            let mut service = activate(service(), None, &socket);
            let at = service.hear();
            assert_eq!(at, format!("{name} at {}", path.display()));
            let pid = service.id();
            assert_eq!(listed(&mut lists), format!("live {pid} true"));
            let why = why_not_bound(&place, name);
            let both = format!("process {pid}, and a service manager holds its socket");
            assert!(why.contains(&both), "{why}");
            service.tell("accept");
            let mut client = Stream::connect(&path).unwrap();
            assert_eq!((server(&mut client), client.peer().pid), (pid, Some(pid)));
            drop(client);
            service.succeed();

            assert_eq!(listed(&mut lists), "Activatable true");
            let why = why_not_bound(&place, name);
            assert!(why.contains("a service manager, which holds"), "{why}");
        }
        // A client that comes between two services is served by the next one.
        thread::scope(|scope| {
            let client = scope.spawn(|| server(&mut Stream::connect(&path).unwrap()));
            let mut service = activate(service(), None, &socket);
            service.hear();
            service.tell("accept");
            assert_eq!(client.join().unwrap(), service.id());
            service.succeed();
        });
        // The unit is stopped: the name is free, whatever is left.
        drop(socket);
        assert_eq!(listed(&mut lists), "Stale false");
        assert_eq!(why_not_bound(&place, name), "bound");
        assert_eq!(listed(&mut lists), "nothing");
    });
}

/// A socket of a service manager's stays as it was, whoever has had it.
#[test]
fn a_listener_leaves_a_service_managers_socket_as_it_was() {
    guard(|| {
        let place = Place::new();
        let path = place.name("activated");
        let socket = UnixListener::bind(&path).unwrap();
        let copy = || OwnedFd::from(socket.try_clone().unwrap());
        let listener = Listener::from_fd(copy()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(listener.check().unwrap(), Condition::SocketGone);
        let why = listener.repair().unwrap_err().to_string();
        assert!(why.contains("restart its socket unit"), "{why}");
        drop(listener);

        std::fs::remove_file(place.name("activated.lock")).unwrap();
        let socket = UnixListener::bind(&path).unwrap();
        let listener = Listener::from_fd(OwnedFd::from(socket.try_clone().unwrap())).unwrap();
        let client = thread::spawn({
            let path = path.clone();
            move || Stream::connect(path).unwrap()
        });
        let stream = listener.accept().unwrap();
        drop((client.join().unwrap(), stream, listener));
        UnixStream::connect(&path).unwrap();
        socket.accept().unwrap();
    });
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_service_that_may_write_nothing_beside_its_socket_serves_all_the_same() {
        guard(|| {
            let place = users::open_place();
            let path = place.name("activated");
            let socket = UnixListener::bind(&path).unwrap();
            // As `SocketMode=0666` does.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(&path, mode).unwrap();
            let name = path.to_str().unwrap();
            let command = users::command(&place, "serves once", &[name]);
            let mut service = activate(command, Some(STRANGER), &socket);
            assert_eq!(service.hear(), format!("{name} at {name}"));
            assert!(!place.name("activated.lock").exists());
            service.tell("accept");
            let options = options().allow(Peers::Users(vec![STRANGER]));
            let mut client = options.connect(&path).unwrap();
            assert_eq!(client.peer().uid, STRANGER);
            assert_eq!(server(&mut client), service.id());
            drop(client);
            service.succeed();
            assert!(why_not_bound(&place, name).contains("in use"));
        });
    }
}
