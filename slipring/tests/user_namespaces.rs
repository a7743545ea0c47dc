//! In a user namespace all users without a number there are shown as one, 65534. A process that has
//! this number itself takes none of their files for its own, and finds its own files all the same.
//!
//! That needs root, which alone may give a namespace many numbers.

mod common;

use common::process::{self, Other};
use common::{Place, guard, users};
use rustix::process::{Pid, getpid};
use slipring::{Error, Listener, Options, Peers, Stream};
use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The number that stands for all who have none, and that the processes in the namespace have.
const NOBODY: u32 = 65534;
/// Where the namespace's numbers begin outside of it.
const FIRST: u32 = 100_000;
/// A user outside, who has no number inside.
const OUTSIDER: u32 = 1235;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("binds", binds),
        ("connects", connects),
        ("tries to bind", tries_to_bind),
        ("admits some", admits_some),
        ("admits anyone", admits_anyone),
        ("connects to anyone", connects_to_anyone),
    ]);
}

/// Binds a name, for anyone if it is a path, and greets each client.
fn binds(arguments: &[&str]) {
    let mut options = Options::new();
    if arguments[0].starts_with('/') {
        options = options.allow(Peers::Anyone);
    }
    let listener = options.bind(arguments[0]).unwrap();
    process::say("bound");
    let stopper = listener.stopper();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming() {
                let _ = stream.unwrap().write_all(b"hello");
            }
        });
        process::told();
        stopper.stop();
    });
}

/// Connects with the default options, and prints the outcome.
fn connects(arguments: &[&str]) {
    let said = Stream::connect(arguments[0])
        .map_err(io::Error::from)
        .and_then(|mut stream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        });
    process::say(&said.unwrap_or_else(|error| error.to_string()));
}

/// Binds a name for users with numbers, that of all who have none among them, and says who was
/// refused.
fn admits_some(arguments: &[&str]) {
    let listener = Options::new()
        .allow(Peers::Users(vec![5, NOBODY]))
        .bind(arguments[0])
        .unwrap();
    process::say("bound");
    common::eventually("somebody is refused", || {
        assert!(listener.try_accept().unwrap().is_none());
        listener.refused() == 1
    });
    process::say(&listener.last_refusal().unwrap());
    process::told();
}

/// Binds a name for anyone, and prints which user came.
fn admits_anyone(arguments: &[&str]) {
    let listener = Options::new()
        .allow(Peers::Anyone)
        .bind(arguments[0])
        .unwrap();
    process::say("bound");
    let mut stream = listener.accept().unwrap();
    stream.write_all(b"hello").unwrap();
    process::say(&format!("user {}", stream.peer().uid));
    process::told();
}

fn connects_to_anyone(arguments: &[&str]) {
    let said = Options::new()
        .allow(Peers::Anyone)
        .connect(arguments[0])
        .map_err(io::Error::from)
        .and_then(|mut stream| stream.read_exact(&mut [0; 5]));
    process::say(&said.map_or_else(|error| error.to_string(), |()| "hello".into()));
}

fn tries_to_bind(arguments: &[&str]) {
    let said =
        Listener::bind(arguments[0]).map_or_else(|error| error.to_string(), |_| "bound".into());
    process::say(&said);
}

/// Moves this process, which is about to run a program, into a user namespace with 65536 numbers,
/// as 65534.
fn into_namespace() -> io::Result<()> {
    let (ready, go) = rustix::pipe::pipe()?;
    let me = getpid();
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            // Outside: only there may many numbers be given.
            drop(go);
            let _ = rustix::io::read(&ready, &mut [0; 1]);
            let status = i32::from(give_numbers(me).is_err());
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(status) }
        }
        -1 => return Err(io::Error::last_os_error()),
        helper => {
            // SAFETY: a call without pointers.
            done(unsafe { libc::unshare(libc::CLONE_NEWUSER) })?;
            rustix::io::write(&go, &[1])?;
            let mut status = 0;
            // SAFETY: `status` is alive; the helper is this process's own child.
            done(unsafe { libc::waitpid(helper, &raw mut status, 0) })?;
            if status != 0 {
                return Err(io::Error::other("no numbers were given"));
            }
        }
    }
    // SAFETY: no pointer is read, as the list is empty.
    done(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: a call without pointers.
    done(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) })?;
    // SAFETY: a call without pointers.
    done(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) })
}

/// Moves this process, which is about to run a program, into a user namespace without any number.
fn without_numbers() -> io::Result<()> {
    // SAFETY: a call without pointers.
    done(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
}

fn give_numbers(process: Pid) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        let path = CString::new(format!("/proc/{}/{map}", process.as_raw_nonzero()))?;
        let file = rustix::fs::open(
            path.as_c_str(),
            rustix::fs::OFlags::WRONLY,
            rustix::fs::Mode::empty(),
        )?;
        rustix::io::write(&file, format!("0 {FIRST} 65536").as_bytes())?;
    }
    Ok(())
}

fn done(returned: i32) -> io::Result<()> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A place that both can access, with a copy of this program (they may not be let into the
/// directory where it is).
struct Stage {
    place: Place,
}

impl Stage {
    /// A directory of that user outside.
    fn directory(&self, name: &str, owner: u32, mode: u32) -> String {
        let path = self.place.name(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, runtime: &str, role: &str, argument: &str) -> Command {
        let mut command = users::command(&self.place, role, &[argument]);
        command.env("XDG_RUNTIME_DIR", runtime);
        command
    }

    fn inside(&self, runtime: &str, role: &str, argument: &str) -> Other {
        let mut command = self.command(runtime, role, argument);
        // SAFETY: between fork and exec the child has one thread, and the other threads of this
        // process hold no lock that it takes: the C library sees to its own.
        unsafe { command.pre_exec(into_namespace) };
        process::start_as(command, role)
    }

    fn outside(&self, runtime: &str, role: &str, argument: &str) -> Other {
        let mut command = self.command(runtime, role, argument);
        command.uid(OUTSIDER).gid(OUTSIDER);
        process::start_as(command, role)
    }
}

fn root_alone(body: impl FnOnce(Stage) + Send + 'static) {
    guard(|| {
        body(Stage {
            place: users::open_place(),
        });
    });
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn two_in_a_user_namespace_find_each_other_by_name() {
        root_alone(|stage| {
            let runtime = stage.directory("runtime", FIRST + NOBODY, 0o700);
            let mut listener = stage.inside(&runtime, "binds", "clock");
            listener.expect("bound");
            assert!(Path::new(&runtime).join("slipring/clock.sock").exists());
            stage.inside(&runtime, "connects", "clock").expect("hello");
            let said = stage.inside(&runtime, "tries to bind", "clock").hear();
            assert!(
                said.contains(&format!("in use by process {}", listener.id())),
                "{said}"
            );
            listener.tell("leave");
            listener.succeed();
            stage
                .inside(&runtime, "tries to bind", "clock")
                .expect("bound");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_socket_of_a_user_without_a_number_here_is_not_trusted() {
        root_alone(|stage| {
            let theirs = stage.directory("theirs", OUTSIDER, 0o755);
            let name = format!("{theirs}/x");
            let mut listener = stage.outside(&theirs, "binds", &name);
            listener.expect("bound");
            let said = stage.inside(&theirs, "connects", &name).hear();
            assert!(
                said.contains("is not trusted")
                    && said.contains("no number in this user namespace"),
                "{said}"
            );
            listener.tell("leave");
            listener.succeed();
        });
    }

    /// A listener that is the user of all who have no number lets none of them in, for any number
    /// that it allows.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_client_without_a_number_here_is_not_the_listeners_user() {
        root_alone(|stage| {
            let shared = stage.directory("shared", FIRST + NOBODY, 0o755);
            let name = format!("{shared}/x");
            let mut listener = stage.inside(&shared, "admits some", &name);
            listener.expect("bound");
            let said = stage.outside(&shared, "connects to anyone", &name).hear();
            assert!(
                said.contains(&format!("does not allow user {OUTSIDER}")),
                "{said}"
            );
            let refusal = listener.hear();
            assert!(refusal.contains("none in this user namespace"), "{refusal}");
            listener.tell("leave");
            listener.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn peers_anyone_lets_in_a_user_without_a_number_here() {
        root_alone(|stage| {
            let shared = stage.directory("shared", FIRST + NOBODY, 0o755);
            let name = format!("{shared}/x");
            let mut listener = stage.inside(&shared, "admits anyone", &name);
            listener.expect("bound");
            stage
                .outside(&shared, "connects to anyone", &name)
                .expect("hello");
            listener.expect(&format!("user {NOBODY}"));
            listener.tell("leave");
            listener.succeed();
        });
    }

    /// A process whose own user has no number cannot say who it is, and is told so.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_process_without_a_number_of_its_own_is_told_so() {
        root_alone(|stage| {
            let shared = stage.directory("shared", 0, 0o755);
            let name = format!("{shared}/x");
            let mut listener = process::start(&stage.place, "binds", &[&name]);
            listener.expect("bound");
            let mut command = stage.command(&shared, "connects", &name);
            // SAFETY: as in `inside`.
            unsafe { command.pre_exec(without_numbers) };
            let said = process::start_as(command, "connects").hear();
            assert!(
                said.contains("number for this process's user or group"),
                "{said}"
            );
            listener.tell("leave");
            listener.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_directory_of_a_user_without_a_number_here_is_not_trusted() {
        root_alone(|stage| {
            let theirs = stage.directory("theirs", OUTSIDER, 0o755);
            let said = stage.inside(&theirs, "connects", "clock").hear();
            let expected = format!(
                "passed over {theirs}/slipring ({theirs} belongs to a user who has no number"
            );
            assert!(said.contains(&expected), "{said}");

            // The same of the directory itself, in one's own.
            let runtime = stage.directory("runtime", FIRST + NOBODY, 0o700);
            stage.directory("runtime/slipring", OUTSIDER, 0o700);
            let said = stage.inside(&runtime, "tries to bind", "clock").hear();
            assert!(
                said.contains("cannot be trusted")
                    && said.contains("no number in this user namespace"),
                "{said}"
            );
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_lock_file_of_a_user_without_a_number_here_is_not_trusted() {
        root_alone(|stage| {
            let shared = stage.directory("shared", OUTSIDER, 0o777);
            let lock = format!("{shared}/x.lock");
            fs::write(&lock, "").unwrap();
            fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
            chown(&lock, Some(OUTSIDER), Some(OUTSIDER)).unwrap();
            let said = stage
                .inside(&shared, "tries to bind", &format!("{shared}/x"))
                .hear();
            assert!(said.contains("no number in this user namespace"), "{said}");
            assert!(Path::new(&lock).exists());
            // With one's own it goes well.
            chown(&lock, Some(FIRST + NOBODY), Some(FIRST + NOBODY)).unwrap();
            stage
                .inside(&shared, "tries to bind", &format!("{shared}/x"))
                .expect("bound");
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn outside_of_a_namespace_errors_speak_of_no_missing_number() {
        // Outside, where every number is somebody's, 65534 is a user as any other.
        users::need_root();
        let place = Place::new();
        let listener = Listener::bind(place.name("x")).unwrap();
        chown(listener.path(), Some(NOBODY), None).unwrap();
        let error = Stream::connect(place.name("x")).unwrap_err();
        assert!(
            matches!(error, Error::UntrustedPeer { uid: NOBODY, .. }),
            "{error}"
        );
        assert!(!error.to_string().contains("no number"), "{error}");
    }
}
