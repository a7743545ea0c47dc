//! Tests of [`super`].

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use super::super::directory::testing::{name, need_root};
use super::*;

fn lock_file() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x.lock");
    (temporary, path)
}

/// Like [`super::lock_state`], where nothing is wanting.
fn lock_state(path: &Path) -> LockState {
    super::lock_state(path).unwrap()
}

fn acquire(path: &Path) -> Result<Lock> {
    Lock::acquire(path, &name("x"), rustix::process::geteuid().as_raw())
}

#[test]
fn a_lock_is_held_by_one_says_by_whom_and_is_free_afterwards() {
    let (_temporary, path) = lock_file();
    assert_eq!(lock_state(&path), LockState::Free);
    let lock = acquire(&path).unwrap();
    let me = std::process::id();
    let written = format!("{me}\npidns {}\n", namespace().unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(
        lock_state(&path),
        LockState::Held {
            pid: Some(me),
            paired: false
        }
    );
    let second = acquire(&path);
    assert!(
        matches!(second, Err(Error::NameInUse { pid: Some(pid), .. }) if pid == me),
        "{second:?}"
    );

    lock.mark_paired().unwrap();
    assert_eq!(
        lock_state(&path),
        LockState::Held {
            pid: Some(me),
            paired: true
        }
    );
    drop(lock);
    assert_eq!(lock_state(&path), LockState::Free);
    assert!(!path.exists());
    let again = acquire(&path).unwrap();
    assert_eq!(
        lock_state(&path),
        LockState::Held {
            pid: Some(me),
            paired: false
        }
    );
    drop(again);
    assert_eq!(lock_state(&path), LockState::Free);
}

#[test]
fn a_lock_does_not_say_of_the_next_holder_what_a_killed_one_wrote() {
    let (_temporary, path) = lock_file();
    // No process has a number this high (the kernel's own limit is 2^22).
    fs::write(&path, "2147483000\npaired\n").unwrap();
    let held = fs::File::open(&path).unwrap();
    held.try_lock().unwrap();
    thread::scope(|scope| {
        let look = scope.spawn(|| lock_state(&path));
        fs::write(&path, Holder::here().to_string()).unwrap();
        let pid = Some(std::process::id());
        assert_eq!(look.join().unwrap(), LockState::Held { pid, paired: false });
    });
    // If that is all that ever comes, it was written where the numbers are others.
    fs::write(&path, "2147483000\npaired\n").unwrap();
    assert_eq!(
        lock_state(&path),
        LockState::Held {
            pid: None,
            paired: true
        }
    );
}

#[test]
fn a_lock_says_what_the_name_is_once_that_is_noted() {
    let (_temporary, path) = lock_file();
    let mut lock = acquire(&path).unwrap();
    assert_eq!(kind_at(&path), None);
    lock.mark_kind(Kind::Feed).unwrap();
    assert_eq!(kind_at(&path), Some(Kind::Feed));
    lock.mark_paired().unwrap();
    assert_eq!(kind_at(&path), Some(Kind::Feed));
    drop(lock);
    assert_eq!(kind_at(&path), None);
    let next = acquire(&path).unwrap();
    assert_eq!(
        kind_at(&path),
        None,
        "it does not say it of the next holder"
    );
    drop(next);
}

#[test]
fn a_forked_child_that_has_the_descriptor_does_not_keep_the_lock() {
    let (_temporary, path) = lock_file();
    let lock = acquire(&path).unwrap();
    let _in_the_child = lock.file.try_clone().unwrap();
    drop(lock);
    acquire(&path).unwrap();
}

#[test]
fn a_holder_of_another_pid_namespace_has_no_number_here() {
    let (_temporary, path) = lock_file();
    let me = std::process::id();
    let here = namespace().unwrap();
    fs::write(&path, "").unwrap();
    let held = fs::File::open(&path).unwrap();
    held.try_lock().unwrap();
    for (text, pid, paired) in [
        (format!("{me}\npidns {here}\n"), Some(me), false),
        (format!("{me}\npidns {here}\npaired\n"), Some(me), true),
        (format!("{me}\npidns {here}\nkind feed\n"), Some(me), false),
        (format!("{me}\npidns {}\n", here + 1), None, false),
        (format!("{me}\npidns {}\npaired\n", here + 1), None, true),
        // Of an older build.
        (format!("{me}\n"), None, false),
        (format!("{me}\npaired\n"), None, true),
    ] {
        fs::write(&path, &text).unwrap();
        assert_eq!(
            lock_state(&path),
            LockState::Held { pid, paired },
            "{text:?}"
        );
        let result = acquire(&path);
        assert!(
            matches!(result, Err(Error::NameInUse { pid: found, .. }) if found == pid),
            "{text:?}: {result:?}"
        );
    }
}

#[test]
fn a_holder_that_is_written_into_a_lock_is_read_again() {
    for namespace in [None, Some(0), Some(4_026_531_836), Some(u64::MAX)] {
        let kinds = [None, Some(Kind::Stream), Some(Kind::Feed)];
        for (kind, paired) in kinds.into_iter().zip([false, true, true]) {
            let holder = Holder {
                pid: u32::MAX,
                namespace,
                kind,
                activated: paired,
                paired,
            };
            let text = holder.to_string();
            assert!(text.len() <= LONGEST, "{text:?}");
            assert_eq!(parse(text.as_bytes()), Some(holder), "{text:?}");
        }
    }
}

#[test]
fn a_lock_waits_for_a_holder_that_leaves_without_a_word() {
    let (_temporary, path) = lock_file();
    fs::write(&path, "").unwrap();
    let held = fs::File::open(&path).unwrap();
    held.try_lock().unwrap();
    thread::scope(|scope| {
        let taken = scope.spawn(|| acquire(&path));
        thread::sleep(Duration::from_millis(20));
        fs::remove_file(&path).unwrap();
        held.unlock().unwrap();
        taken.join().unwrap().unwrap();
    });
}

#[test]
fn a_check_of_a_lock_is_not_taken_for_a_holder() {
    let (_temporary, path) = lock_file();
    // The file as a killed holder leaves it.
    fs::write(&path, "1\n").unwrap();
    let look = fs::File::open(&path).unwrap();
    look.try_lock_shared().unwrap();
    thread::scope(|scope| {
        let taken = scope.spawn(|| acquire(&path));
        thread::sleep(Duration::from_millis(5));
        look.unlock().unwrap();
        taken.join().unwrap().unwrap();
    });
    fs::write(&path, "1\n").unwrap();
    let look = fs::File::open(&path).unwrap();
    // A check that does not end is given up on, and nothing hangs.
    look.try_lock_shared().unwrap();
    assert!(matches!(
        acquire(&path),
        Err(Error::NameInUse { pid: None, .. })
    ));
    assert_eq!(lock_state(&path), LockState::Free);
}

#[test]
fn checks_of_a_lock_and_takers_at_once_end_with_one_holder() {
    let (_temporary, path) = lock_file();
    for _ in 0..20 {
        thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(|| acquire(&path))).collect();
            for _ in 0..20 {
                lock_state(&path);
            }
            let results: Vec<_> = takers
                .into_iter()
                .map(|taker| taker.join().unwrap())
                .collect();
            assert_eq!(
                results.iter().filter(|result| result.is_ok()).count(),
                1,
                "{results:?}"
            );
        });
    }
}

#[test]
fn takers_of_a_lock_that_race_with_a_leaving_holder_end_with_one_at_most() {
    let (_temporary, path) = lock_file();
    let mut all = 0;
    for _ in 0..200 {
        let leaving = acquire(&path).unwrap();
        thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            match acquire(&path) {
                                Err(Error::NameInUse { pid: Some(_), .. }) if !path.exists() => {}
                                outcome => return outcome,
                            }
                        }
                    })
                })
                .collect();
            drop(leaving);
            let results: Vec<_> = takers
                .into_iter()
                .map(|taker| taker.join().unwrap())
                .collect();
            let holders = results.iter().filter(|result| result.is_ok()).count();
            assert!(holders <= 1, "{results:?}");
            if holders == 1 {
                assert!(matches!(lock_state(&path), LockState::Held { .. }));
            }
            all += holders;
        });
    }
    assert!(all > 0, "nobody came after the holder had left");
}

#[test]
fn locking_touches_no_file_of_another_kind() {
    let (temporary, path) = lock_file();
    for contents in [
        "version = 4\n",
        "12",
        "12\n\n",
        "+1\n",
        "\n",
        "-1\npaired\n",
        "1\npidns\n",
        "1\npidns +1\n",
        "1\npaired\npidns 1\n",
        "1\npaired\nkind feed\n",
        "1\nfeed\n",
    ] {
        fs::write(&path, contents).unwrap();
        let error = acquire(&path).unwrap_err();
        assert!(
            error.to_string().contains("not slipring's"),
            "{contents:?}: {error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
    for contents in [
        "",
        "1\n",
        "4294967295\npaired\n",
        "1\npidns 2\n",
        "1\npidns 2\npaired\n",
        "1\npidns 2\nkind stream\npaired\n",
        // Of a later build.
        "1\npidns 2\nkind lamp\n",
    ] {
        fs::write(&path, contents).unwrap();
        acquire(&path).unwrap();
    }
    fs::write(&path, "").unwrap();
    fs::hard_link(&path, temporary.path().join("other")).unwrap();
    assert!(
        acquire(&path)
            .unwrap_err()
            .to_string()
            .contains("second name")
    );
    fs::remove_file(&path).unwrap();
    symlink(temporary.path().join("other"), &path).unwrap();
    assert!(
        acquire(&path)
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
    assert!(matches!(lock_state(&path), LockState::Unreadable(_)));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(
        acquire(&path)
            .unwrap_err()
            .to_string()
            .contains("a directory")
    );
    fs::remove_dir(&path).unwrap();
    let _socket = UnixListener::bind(&path).unwrap();
    assert!(acquire(&path).unwrap_err().to_string().contains("a socket"));
}

#[test]
fn locking_a_fifo_does_not_hang() {
    let (_temporary, path) = lock_file();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(
        lock_state(&path),
        LockState::Unreadable("the lock file is a FIFO".into())
    );
    assert!(acquire(&path).unwrap_err().to_string().contains("FIFO"));
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_lock_file_of_another_user_is_refused() {
        let (_temporary, path) = lock_file();
        need_root();
        fs::write(&path, "").unwrap();
        chown(&path, Some(12345), None).unwrap();
        let error = acquire(&path).unwrap_err();
        assert!(
            error.to_string().contains("belongs to user 12345"),
            "{error}"
        );
    }
}
