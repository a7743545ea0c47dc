//! Processes of other users, which root can start.

use super::Place;
use super::process::{self, Other};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// For a test that starts processes of other users, gives files to them or makes namespaces: fails
/// without root.
#[track_caller]
pub fn need_root() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "this test needs other users: run it as root");
}

/// A place that others are let into, with a copy of this program: they may not be let into where it
/// is. Fails without root.
#[track_caller]
pub fn open_place() -> Place {
    need_root();
    let place = Place::new();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    // By another process: a child that another test forks while this one has the copy open for
    // writing would keep it from being executed, until it executes something itself (execve(2),
    // ETXTBSY).
    let copied = Command::new("cp")
        .args([std::env::current_exe().unwrap(), place.name("program")])
        .status();
    assert!(copied.unwrap().success());
    place
}

/// The command that runs the copy in a role, for [`process::start_as`].
pub fn command(place: &Place, role: &str, arguments: &[&str]) -> Command {
    let usual = process::command(place, role, arguments);
    let mut command = Command::new(place.name("program"));
    command.args(usual.get_args());
    command.envs(
        usual
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A process of that user.
pub fn start(place: &Place, user: u32, role: &str, arguments: &[&str]) -> Other {
    let mut command = command(place, role, arguments);
    command.uid(user).gid(user);
    process::start_as(command, role)
}
