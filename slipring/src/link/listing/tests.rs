//! Tests of [`super`].

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use super::super::binding::Binding;
use super::super::directory::testing::{dirs, name, need_root, stale_socket};
use super::*;

fn bind(dirs: &RuntimeDirs, text: &str) -> Binding {
    // The listening socket is dropped: the list goes by the lock.
    Binding::new_in(dirs, &name(text), 0o600, 16).unwrap().0
}

/// The names, with their states in a word.
fn listed(dirs: &RuntimeDirs) -> Vec<(String, &'static str)> {
    let word = |state: &NameState| match state {
        NameState::Live { .. } => "live",
        NameState::Activatable => "activatable",
        NameState::Stale => "stale",
        NameState::Unknown { .. } => "unknown",
    };
    names_in(dirs)
        .unwrap()
        .iter()
        .map(|bound| (bound.name.to_string(), word(&bound.state)))
        .collect()
}

#[test]
fn a_listing_shows_bound_names_in_order() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    assert!(listed(&dirs).is_empty());
    let elsewhere = RuntimeDirs {
        xdg: None,
        ..dirs.clone()
    };
    let bound = [
        bind(&dirs, "b"),
        bind(&dirs, "a.b"),
        bind(&elsewhere, "b"),
        bind(&elsewhere, "a"),
    ];
    let all = listed(&dirs);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Local/a", "Local/a.b", "Local/b", "Local/b"]);
    assert!(all.iter().all(|(_, state)| *state == "live"), "{all:?}");
    drop(bound);
    assert!(listed(&dirs).is_empty(), "what is left are lock files");
}

#[test]
fn a_listed_live_name_tells_its_process_and_socket() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let mut binding = bind(&dirs, "clock");
    let all = names_in(&dirs).unwrap();
    let [bound] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(bound.path, binding.path());
    let NameState::Live { pid, program } = &bound.state else {
        panic!("{bound:?}")
    };
    assert_eq!(*pid, Some(std::process::id()));
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(program.as_deref(), Some(comm.trim_end()));

    // It cannot be reached, unless it has met somebody and is not to be reached any more.
    binding.retire_socket();
    let all = names_in(&dirs).unwrap();
    let NameState::Unknown { why } = &all[0].state else {
        panic!("{all:?}")
    };
    let holder = format!("process {} holds it", std::process::id());
    assert!(
        why.contains(&holder) && why.contains("socket has been removed"),
        "{why}"
    );
    binding.mark_paired().unwrap();
    assert_eq!(listed(&dirs), [("Local/clock".into(), "live")]);
}

#[test]
fn a_listing_tells_stale_from_unknown_and_leaves_other_files_out() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let directory = dirs.for_binding(Scope::Local).unwrap();
    stale_socket(&directory.join("stale.sock"));
    fs::write(directory.join("stale.lock"), "").unwrap();
    stale_socket(&directory.join("foreign.sock"));
    fs::create_dir(directory.join("odd.lock")).unwrap();
    fs::write(directory.join("left.lock"), "").unwrap();
    fs::write(directory.join("notes.txt"), "").unwrap();
    fs::write(directory.join("a b.sock"), "").unwrap();
    assert_eq!(
        listed(&dirs),
        [
            ("Local/foreign".into(), "unknown"),
            ("Local/odd".into(), "unknown"),
            ("Local/stale".into(), "stale")
        ]
    );
}

#[test]
fn a_listing_waits_once_for_many_locks_that_say_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let directory = dirs.for_binding(Scope::Local).unwrap();
    let held: Vec<_> = (0..400)
        .map(|n| {
            let lock = fs::File::create(directory.join(format!("{n}.lock"))).unwrap();
            lock.try_lock().unwrap();
            stale_socket(&directory.join(format!("{n}.sock")));
            lock
        })
        .collect();
    let started = Instant::now();
    assert_eq!(listed(&dirs).len(), held.len());
    // Not for each of them: that would be 8 s.
    assert!(
        started.elapsed() < SETTLING * 200,
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_listing_keeps_nobody_from_binding() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    drop(bind(&dirs, "clock"));
    std::thread::scope(|scope| {
        let checks = scope.spawn(|| (0..200).for_each(|_| drop(names_in(&dirs).unwrap())));
        loop {
            drop(bind(&dirs, "clock"));
            if checks.is_finished() {
                break;
            }
        }
    });
}

#[test]
fn a_listing_believes_nothing_in_an_unsafe_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let _bound = bind(&dirs, "clock");
    let directory = dirs.for_binding(Scope::Local).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    let all = names_in(&dirs).unwrap();
    let NameState::Unknown { why } = &all[0].state else {
        panic!("{all:?}")
    };
    assert!(why.contains("0777"), "{why}");
}

#[test]
fn a_program_without_a_name_in_proc_has_none() {
    assert_eq!(program(u32::MAX).unwrap(), None);
    assert!(program(std::process::id()).unwrap().is_some());
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_listing_shows_global_names_before_local_ones() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let _bound = [bind(&dirs, "a"), bind(&dirs, "Global/z")];
        let names: Vec<String> = listed(&dirs).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Global/z", "Local/a"]);
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_listing_believes_nothing_in_a_directory_of_another_user() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let _bound = bind(&dirs, "clock");
        let directory = dirs.for_binding(Scope::Local).unwrap();
        chown(&directory, Some(12345), None).unwrap();
        let all = names_in(&dirs).unwrap();
        assert!(
            matches!(&all[0].state, NameState::Unknown { why } if why.contains("12345")),
            "{all:?}"
        );
    }
}
