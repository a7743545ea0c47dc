//! Tests with two users: the possibilities of one user with the other's names. They need root,
//! which can be both.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::binding::Binding;
use super::dial::{Dial, Dialed, Patience, Queue};
use super::directory::RuntimeDirs;
use super::directory::testing::{dirs, dirs_in, name, need_root};
use super::listing::{NameState, names_in};
use crate::error::{Error, Result};
use crate::name::Name;

const STRANGER: u32 = 12345;
const VISITED: &str = "SLIPRING_TEST_VISITED_DIRECTORY";
const LONG: Duration = Duration::from_secs(20);

fn dial(
    dirs: &RuntimeDirs,
    name: &Name,
    patience: Patience,
    trusted: &dyn Fn(u32) -> bool,
) -> Result<Dialed> {
    let queue = Queue {
        of_another: Some(LONG),
        of_this: LONG,
    };
    Dial::new(dirs.clone(), name.clone(), patience, queue).drive(trusted)
}

/// The stranger: another process, as another user.
#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    let directory = std::env::var_os(VISITED)
        .expect("started by a test only: leave it out with --skip child_process");
    let dirs = dirs_in(Path::new(&directory));
    assert_eq!(dirs.uid, STRANGER);
    let root_or_me = |uid| uid == 0 || uid == STRANGER;
    let bind = |text| Binding::new_in(&dirs, &name(text), 0o666, 16);

    dial(&dirs, &name("Global/open"), Patience::None, &root_or_me).unwrap();
    let result = dial(&dirs, &name("Global/open"), Patience::None, &|uid| uid != 0);
    assert!(
        matches!(result, Err(Error::UntrustedPeer { uid: 0, .. })),
        "{result:?}"
    );

    let closed = name("Global/closed");
    let denied = [
        dial(&dirs, &closed, Patience::None, &root_or_me),
        dial(&dirs, &closed, Patience::Endless, &root_or_me),
    ];
    for result in denied {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("closed.sock"), "{error}");
        assert_eq!(
            io::Error::from(error).kind(),
            io::ErrorKind::PermissionDenied
        );
    }

    let result = bind("Global/open");
    assert!(
        matches!(result, Err(Error::NameInUse { pid: Some(pid), .. }) if pid == parent()),
        "{result:?}"
    );
    let error = bind("Global/left").unwrap_err();
    let text = error.to_string();
    for part in [
        "left.lock belongs to user 0",
        "Nobody holds it",
        "slipring ls --clean",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::PermissionDenied
    );

    // XDG_RUNTIME_DIR is root's.
    let (local, _listener) = bind("mine").unwrap();
    assert_eq!(local.path(), dirs.tmp.join("slipring-12345/mine.sock"));
    let (_global, _listener) = bind("Global/mine").unwrap();
    let live: Vec<_> = names_in(&dirs)
        .unwrap()
        .into_iter()
        .filter_map(|bound| match bound.state {
            NameState::Live { pid, .. } => Some((bound.name.to_string(), pid)),
            _ => None,
        })
        .collect();
    let (mine, theirs) = (Some(std::process::id()), Some(parent()));
    assert_eq!(
        live,
        [
            ("Global/closed".into(), theirs),
            ("Global/mine".into(), mine),
            ("Global/open".into(), theirs),
            ("Local/mine".into(), mine)
        ]
    );
    // To leave something of a stranger's behind for root.
    std::process::exit(0);
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// The test of the child process, by the name that the test harness gives it.
fn child_process_of_this_module() -> String {
    let (_, module) = module_path!().split_once("::").unwrap();
    format!("{module}::child_process")
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn two_users_meet_only_at_shared_names() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path();
        let dirs = dirs(directory);
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&dirs.tmp, Permissions::from_mode(0o1777)).unwrap();
        let open = Binding::new_in(&dirs, &name("Global/open"), 0o666, 16).unwrap();
        let closed = Binding::new_in(&dirs, &name("Global/closed"), 0o600, 16).unwrap();
        // The file as a killed holder leaves it.
        fs::write(dirs.run.join("slipring/left.lock"), "1\n").unwrap();

        // A copy: the stranger may not be let into the directory where this program is.
        let program = directory.join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let visitor = Command::new(&program)
            .args([
                "--ignored",
                "--exact",
                &child_process_of_this_module(),
                "--nocapture",
            ])
            .env(VISITED, directory)
            .current_dir("/")
            .uid(STRANGER)
            .gid(STRANGER)
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&visitor.stdout) + String::from_utf8_lossy(&visitor.stderr);
        assert!(visitor.status.success(), "{said}");
        assert!(
            !said.contains("test result"),
            "{said}: it left as it should, at the end"
        );
        drop((open, closed));

        // The stranger's leftovers, as root finds them: stale, not root's to connect to or to
        // replace.
        let only_root = |uid| uid == 0;
        let mine = name("Global/mine");
        let result = dial(&dirs, &mine, Patience::None, &only_root);
        assert!(
            matches!(result, Err(Error::UntrustedPeer { uid: STRANGER, .. })),
            "{result:?}"
        );
        let error = Binding::new_in(&dirs, &mine, 0o666, 16).unwrap_err();
        assert!(
            error.to_string().contains("belongs to user 12345"),
            "{error}"
        );
        assert!(dirs.run.join("slipring/mine.sock").exists());
    }
}
