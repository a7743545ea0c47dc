//! Tests of [`super`].

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use super::testing::{dirs, name, need_root};
use super::*;

const STRANGER: Option<u32> = Some(12345);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn unsafe_because(dirs: &RuntimeDirs, scope: Scope) -> String {
    match dirs.for_binding(scope) {
        Err(error @ Error::UnsafeDirectory { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_directory_for_names_that_can_be_had_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let mut dirs = dirs(temporary.path());
    let xdg = dirs.xdg.clone().unwrap();
    assert_eq!(
        dirs.for_binding(Scope::Local).unwrap(),
        xdg.join("slipring")
    );
    assert_eq!(mode(&xdg.join("slipring")), 0o700);
    assert_eq!(
        dirs.for_binding(Scope::Local).unwrap(),
        xdg.join("slipring"),
        "a second time"
    );

    dirs.xdg = None;
    let tmp = dirs.tmp.join(format!("slipring-{}", dirs.uid));
    assert_eq!(
        dirs.for_binding(Scope::Local).unwrap(),
        tmp,
        "there is no /run/user/UID"
    );
    assert_eq!(mode(&tmp), 0o700);

    let user = dirs.run.join("user").join(dirs.uid.to_string());
    fs::create_dir_all(&user).unwrap();
    assert_eq!(
        dirs.for_binding(Scope::Local).unwrap(),
        user.join("slipring")
    );
}

#[test]
fn no_parents_of_a_directory_for_names_are_made_and_all_reasons_listed() {
    let temporary = tempfile::tempdir().unwrap();
    let mut dirs = dirs(temporary.path());
    fs::remove_dir(dirs.xdg.clone().unwrap()).unwrap();
    dirs.tmp = temporary.path().join("nothing");
    fs::write(dirs.run.join("user"), "").unwrap();
    let Err(error @ Error::NoRuntimeDirectory { .. }) = dirs.for_binding(Scope::Local) else {
        panic!()
    };
    let text = error.to_string();
    for part in [
        "xdg/slipring (",
        "/slipring-",
        "No such file",
        "Not a directory",
    ] {
        assert!(text.contains(part), "{part} is missing from {text}");
    }
    assert!(!dirs.xdg.unwrap().exists());
}

#[test]
fn an_unsafe_directory_for_names_is_an_error_and_no_reason_to_go_elsewhere() {
    let temporary = tempfile::tempdir().unwrap();
    let mut dirs = dirs(temporary.path());
    let directory = dirs.xdg.clone().unwrap().join("slipring");
    fs::create_dir(&directory).unwrap();
    for wrong in [0o755, 0o701, 0o770, 0o1777] {
        set_mode(&directory, wrong);
        let text = unsafe_because(&dirs, Scope::Local);
        assert!(
            text.contains(&format!("{wrong:04o}")) && text.contains("chmod 700"),
            "{text}"
        );
    }
    set_mode(&directory, 0o700);
    dirs.for_binding(Scope::Local).unwrap();

    dirs.xdg = None;
    let directory = dirs.for_binding(Scope::Local).unwrap();
    set_mode(&directory, 0o777);
    assert!(unsafe_because(&dirs, Scope::Local).contains("slipring-"));
}

#[test]
fn a_link_or_a_file_is_no_directory_for_names() {
    let temporary = tempfile::tempdir().unwrap();
    let dirs = dirs(temporary.path());
    let directory = dirs.xdg.clone().unwrap().join("slipring");
    let elsewhere = temporary.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    set_mode(&elsewhere, 0o700);
    symlink(&elsewhere, &directory).unwrap();
    assert!(unsafe_because(&dirs, Scope::Local).contains("a symbolic link"));
    fs::remove_file(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    assert!(unsafe_because(&dirs, Scope::Local).contains("a regular file"));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_directory_of_another_user_is_unsafe() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let mut dirs = dirs(temporary.path());
        let directory = dirs.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&directory).unwrap();
        set_mode(&directory, 0o700);
        chown(&directory, STRANGER, None).unwrap();
        let text = unsafe_because(&dirs, Scope::Local);
        assert!(
            text.contains("belongs to user 12345, not to user 0"),
            "{text}"
        );

        // The same from the other side: a directory of root is nothing for user 12345.
        dirs.uid = 12345;
        dirs.xdg = None;
        fs::create_dir(dirs.tmp.join("slipring-12345")).unwrap();
        assert!(unsafe_because(&dirs, Scope::Local).contains("belongs to user 0"));
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_runtime_directory_left_over_from_another_user_is_not_used() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let xdg = dirs.xdg.clone().unwrap();
        chown(&xdg, STRANGER, None).unwrap();
        assert_eq!(
            dirs.for_binding(Scope::Local).unwrap(),
            dirs.tmp.join("slipring-0")
        );
        assert!(!xdg.join("slipring").exists());
        let DirTrust::Unusable(why) = &dirs.candidates(&name("x")).unwrap()[0].trust else {
            panic!()
        };
        assert!(
            why.contains("belongs to user 12345, not to user 0"),
            "{why}"
        );
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn root_makes_the_global_directory_and_others_are_told_how() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let mut dirs = dirs(temporary.path());
        dirs.uid = 12345;
        let text = dirs.for_binding(Scope::Global).unwrap_err().to_string();
        assert!(text.contains("d /run/slipring 1777 root root -"), "{text}");
        dirs.uid = 0;
        let directory = dirs.for_binding(Scope::Global).unwrap();
        assert_eq!(
            (directory.clone(), mode(&directory)),
            (dirs.run.join("slipring"), 0o1777)
        );
        dirs.uid = 12345;
        assert_eq!(dirs.for_binding(Scope::Global).unwrap(), directory);

        set_mode(&directory, 0o777);
        assert!(unsafe_because(&dirs, Scope::Global).contains("chmod 1777"));
        set_mode(&directory, 0o1777);
        chown(&directory, STRANGER, None).unwrap();
        assert!(unsafe_because(&dirs, Scope::Global).contains("not to root"));
    }
}
