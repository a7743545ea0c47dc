//! Where programs run: containers, priorities, cgroups, signals. Each row of `docs/deploying.md`
//! names its test here or elsewhere.

mod common;

use common::process::{self, Other};
use common::{GENEROUS, Place, guard, users};
use rustix::process::Signal;
use slipring::{EndReason, Error, Listener, Options, Spin, Stream};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("listens", listens),
        ("connects", connects),
        ("finds nobody", finds_nobody),
        ("answers with a priority", answers_with_a_priority),
        ("asks with a priority", asks_with_a_priority),
        ("is limited", is_limited),
    ]);
}

/// Greets one client, and tells of its death.
fn listens(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let mut stream = listener.accept().unwrap();
    process::say(&format!("{:?}", stream.peer().pid));
    stream.write_all(b"hello").unwrap();
    let kind = stream.read(&mut [0]).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::ConnectionReset);
    assert_eq!(stream.reader().end().unwrap().reason, EndReason::PeerDied);
    process::say("it died");
}

fn connects(arguments: &[&str]) {
    let mut stream = Stream::connect(arguments[0]).unwrap();
    process::say(&format!("{:?}", stream.peer().pid));
    stream.read_exact(&mut [0; 5]).unwrap();
    process::say("greeted");
    process::told();
}

fn finds_nobody(arguments: &[&str]) {
    let error = Stream::connect(arguments[0]).unwrap_err();
    assert!(matches!(error, Error::NotBound { .. }), "{error}");
    process::say("nobody");
}

/// A container: namespaces of its own (of processes, mounts, the network, IPC, users and host
/// names), and a `/tmp` of its own as `PrivateTmp=` gives it. The place is at `/mnt` there.
fn contained(place: &Place, role: &str, argument: &str) -> Other {
    let inner = users::command(place, role, &[argument]);
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["--mount", "--mount-proc", "--net", "--ipc", "--uts"])
        .args(["sh", "-c"])
        .arg("mount --bind \"$0\" /mnt && mount -t tmpfs none /tmp && exec /mnt/program \"$@\"")
        .arg(place.path())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    process::start_as(command, role)
}

/// Reads and writes of this thread are interrupted, many times in each millisecond.
fn interrupted<T>(body: impl FnOnce() -> T) -> T {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: all zeros is a valid action: no flags, and so no SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing, so it may run at any moment.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
    // SAFETY: a call without arguments.
    let this = unsafe { libc::pthread_self() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: it says that it is time to end, and nothing else.
            while !done.load(Ordering::Relaxed) {
                // SAFETY: that thread waits for this one before it ends.
                assert_eq!(unsafe { libc::pthread_kill(this, libc::SIGALRM) }, 0);
                thread::sleep(Duration::from_micros(100));
            }
        });
        let result = body();
        // Relaxed: as above.
        done.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn no_call_fails_for_a_signal_without_sa_restart() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let options = Options::new().capacity(4096).spin(Spin::Never);
        let listener = options.bind(&name).unwrap();
        let all = common::bytes::mix(7).to_le_bytes().repeat(16 << 10);
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                interrupted(|| {
                    let mut stream = options.connect(&name).unwrap();
                    // Each write waits until the reader has made room.
                    stream.write_all(&all).unwrap();
                    stream.read_exact(&mut [0; 4]).unwrap();
                })
            });
            interrupted(|| {
                let mut stream = listener.accept().unwrap();
                let mut read = vec![0; all.len()];
                for part in read.chunks_mut(1000) {
                    stream.read_exact(part).unwrap();
                }
                assert!(read == all);
                stream.write_all(b"done").unwrap();
            });
            client.join().unwrap();
        });
    });
}

/// This process on the first core alone, with a real-time priority.
fn with_priority(priority: i32) {
    let mut core = rustix::thread::CpuSet::new();
    core.set(0);
    // The first thread as well: a peer looks at that one.
    for thread in [None, Some(rustix::process::getpid())] {
        rustix::thread::sched_setaffinity(thread, &core).unwrap();
    }
    let how = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: `how` is alive.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const how) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

const ROUNDS: usize = 2000;

fn answers_with_a_priority(arguments: &[&str]) {
    with_priority(arguments[1].parse().unwrap());
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let mut stream = listener.accept().unwrap();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 {
        stream.write_all(&byte).unwrap();
    }
}

/// Asks a peer on the same core, and says how often it had no answer in time.
fn asks_with_a_priority(arguments: &[&str]) {
    let spin = match arguments[2] {
        "always" => Spin::Always,
        _ => Spin::default(),
    };
    with_priority(arguments[1].parse().unwrap());
    let mut stream = Options::new().spin(spin).connect(arguments[0]).unwrap();
    let rounds = if spin == Spin::Always { 1 } else { ROUNDS };
    let mut late = 0;
    let limit = Duration::from_millis(300);
    stream.set_read_timeout(Some(limit)).unwrap();
    for _ in 0..rounds {
        stream.write_all(b"?").unwrap();
        let mut byte = [0];
        while let Err(error) = stream.read_exact(&mut byte) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            late += 1;
            // The first core is free now: in the kernel, and so the peer may run.
            thread::sleep(limit / 10);
        }
    }
    process::say(&format!("{late} late"));
}

/// What somebody says that asks with a priority on the core of its peer.
fn asked(peer: &str, own: &str, spin: &str) -> String {
    let place = Place::new();
    let path = place.name("x");
    let name = path.to_str().unwrap();
    let mut answers = process::start(&place, "answers with a priority", &[name, peer]);
    answers.expect("bound");
    let mut asks = process::start(&place, "asks with a priority", &[name, own, spin]);
    let said = asks.hear();
    asks.succeed();
    answers.succeed();
    said
}

/// A process of a cgroup whose memory is limited makes streams without end.
fn is_limited(arguments: &[&str]) {
    std::fs::write(arguments[0], std::process::id().to_string()).unwrap();
    let mut held = Stream::connect(arguments[1]).unwrap();
    held.write_all(b"!").unwrap();
    let mut streams = Vec::new();
    let options = Options::new().capacity(1 << 20);
    process::say("begins");
    while streams.len() < 1000 {
        streams.push(options.pair().unwrap());
    }
    process::say("not limited");
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn two_containers_share_but_the_directory_of_a_socket() {
        guard(|| {
            let place = users::open_place();
            let mut server = contained(&place, "listens", "/mnt/socket");
            server.expect("bound");
            let mut client = contained(&place, "connects", "/mnt/socket");
            // Neither sees the other's process.
            server.expect("None");
            client.expect("None");
            client.expect("greeted");
            client.kill();
            server.expect("it died");
            server.succeed();
        });
    }

    /// As a service with `PrivateTmp=`: a name in `/tmp` is another one there.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_private_tmp_hides_the_names_in_it() {
        guard(|| {
            let place = users::open_place();
            let path = place.name("socket");
            assert!(path.starts_with("/tmp"));
            let listener = Listener::bind(&path).unwrap();
            let mut client = contained(&place, "finds nobody", path.to_str().unwrap());
            client.expect("nobody");
            client.succeed();
            let mut client = contained(&place, "connects", "/mnt/socket");
            let mut stream = listener.accept_timeout(GENEROUS).unwrap();
            client.expect("None");
            // A process of an inner namespace has a number here.
            assert!(stream.peer().pid.is_some());
            stream.write_all(b"hello").unwrap();
            client.expect("greeted");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn real_time_priorities_on_one_core_finish_with_the_default_spin() {
        guard(|| {
            for (peer, own) in [("1", "1"), ("1", "2"), ("2", "1")] {
                assert_eq!(asked(peer, own, "default"), "0 late", "{peer} {own}");
            }
        });
    }

    /// The peer cannot run while a half of a higher priority spins on its core without end.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_spinner_without_end_starves_a_peer_of_a_lower_priority_on_its_core() {
        guard(|| {
            let said = asked("1", "2", "always");
            assert_ne!(said, "0 late");
            // Of the same priority it is let run now and then: both know that they share a core.
            assert_eq!(asked("2", "2", "always"), "0 late");
        });
    }
}

mod needs_cgroup {
    use super::*;
    use std::path::{Path, PathBuf};

    /// A cgroup with 32 MiB, by either version of the interface. Removed when dropped.
    struct Limited(PathBuf);

    impl Limited {
        fn new() -> Limited {
            let name = format!("slipring-test-{}", std::process::id());
            let (root, file) = [
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                ("/sys/fs/cgroup", "memory.max"),
            ]
            .into_iter()
            .find(|(root, _)| Path::new(root).join("cgroup.procs").exists())
            .expect("cgroups are mounted");
            let path = Path::new(root).join(name);
            std::fs::create_dir(&path).unwrap();
            let limited = Limited(path);
            std::fs::write(limited.0.join(file), "33554432").unwrap();
            limited
        }
    }

    impl Drop for Limited {
        fn drop(&mut self) {
            common::eventually("the cgroup is empty", || {
                std::fs::remove_dir(&self.0).is_ok()
            });
        }
    }

    #[test]
    #[ignore = "needs a cgroup with a limit of memory: .ci/run runs it where there can be one"]
    fn a_process_beyond_the_memory_of_its_cgroup_is_killed_and_its_peer_is_told() {
        guard(|| {
            let limited = Limited::new();
            let place = Place::new();
            let listener = Listener::bind(place.name("x")).unwrap();
            let path = listener.path().to_str().unwrap().to_owned();
            let procs = limited.0.join("cgroup.procs");
            let mut other = process::start(&place, "is limited", &[procs.to_str().unwrap(), &path]);
            let mut stream = listener.accept().unwrap();
            stream.read_exact(&mut [0]).unwrap();
            other.expect("begins");
            let begun = Instant::now();
            let kind = stream.read(&mut [0]).unwrap_err().kind();
            assert_eq!(kind, ErrorKind::ConnectionReset, "{:?}", begun.elapsed());
            assert_eq!(other.wait().signal(), Some(Signal::KILL.as_raw()));
        });
    }
}
