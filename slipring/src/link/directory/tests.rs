//! Tests of [`super`].

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use super::testing::{name, need_root, places};
use super::*;

const STRANGER: Option<u32> = Some(12345);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn unsafe_because(places: &Places, scope: Scope) -> String {
    match places.for_binding(scope) {
        Err(error @ Error::UnsafeDirectory { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_directory_for_names_that_can_be_had_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let mut places = places(temporary.path());
    let xdg = places.xdg.clone().unwrap();
    assert_eq!(
        places.for_binding(Scope::Local).unwrap(),
        xdg.join("slipring")
    );
    assert_eq!(mode(&xdg.join("slipring")), 0o700);
    assert_eq!(
        places.for_binding(Scope::Local).unwrap(),
        xdg.join("slipring"),
        "a second time"
    );

    places.xdg = None;
    let tmp = places.tmp.join(format!("slipring-{}", places.uid));
    assert_eq!(
        places.for_binding(Scope::Local).unwrap(),
        tmp,
        "there is no /run/user/UID"
    );
    assert_eq!(mode(&tmp), 0o700);

    let user = places.run.join("user").join(places.uid.to_string());
    fs::create_dir_all(&user).unwrap();
    assert_eq!(
        places.for_binding(Scope::Local).unwrap(),
        user.join("slipring")
    );
}

#[test]
fn no_parents_of_a_directory_for_names_are_made_and_all_reasons_listed() {
    let temporary = tempfile::tempdir().unwrap();
    let mut places = places(temporary.path());
    fs::remove_dir(places.xdg.clone().unwrap()).unwrap();
    places.tmp = temporary.path().join("nothing");
    fs::write(places.run.join("user"), "").unwrap();
    let Err(error @ Error::NoRuntimeDirectory { .. }) = places.for_binding(Scope::Local) else {
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
    assert!(!places.xdg.unwrap().exists());
}

#[test]
fn an_unsafe_directory_for_names_is_an_error_and_no_reason_to_go_elsewhere() {
    let temporary = tempfile::tempdir().unwrap();
    let mut places = places(temporary.path());
    let directory = places.xdg.clone().unwrap().join("slipring");
    fs::create_dir(&directory).unwrap();
    for wrong in [0o755, 0o701, 0o770, 0o1777] {
        set_mode(&directory, wrong);
        let text = unsafe_because(&places, Scope::Local);
        assert!(
            text.contains(&format!("{wrong:04o}")) && text.contains("chmod 700"),
            "{text}"
        );
    }
    set_mode(&directory, 0o700);
    places.for_binding(Scope::Local).unwrap();

    places.xdg = None;
    let directory = places.for_binding(Scope::Local).unwrap();
    set_mode(&directory, 0o777);
    assert!(unsafe_because(&places, Scope::Local).contains("slipring-"));
}

#[test]
fn a_link_or_a_file_is_no_directory_for_names() {
    let temporary = tempfile::tempdir().unwrap();
    let places = places(temporary.path());
    let directory = places.xdg.clone().unwrap().join("slipring");
    let elsewhere = temporary.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    set_mode(&elsewhere, 0o700);
    symlink(&elsewhere, &directory).unwrap();
    assert!(unsafe_because(&places, Scope::Local).contains("a symbolic link"));
    fs::remove_file(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    assert!(unsafe_because(&places, Scope::Local).contains("a regular file"));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_directory_of_another_user_is_unsafe() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        let directory = places.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&directory).unwrap();
        set_mode(&directory, 0o700);
        chown(&directory, STRANGER, None).unwrap();
        let text = unsafe_because(&places, Scope::Local);
        assert!(
            text.contains("belongs to user 12345, not to user 0"),
            "{text}"
        );

        // The same from the other side: a directory of root is nothing for user 12345.
        places.uid = 12345;
        places.xdg = None;
        fs::create_dir(places.tmp.join("slipring-12345")).unwrap();
        assert!(unsafe_because(&places, Scope::Local).contains("belongs to user 0"));
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_runtime_directory_left_over_from_another_user_is_not_used() {
        need_root();
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let xdg = places.xdg.clone().unwrap();
        chown(&xdg, STRANGER, None).unwrap();
        assert_eq!(
            places.for_binding(Scope::Local).unwrap(),
            places.tmp.join("slipring-0")
        );
        assert!(!xdg.join("slipring").exists());
        let Standing::Unusable(why) = &places.candidates(&name("x")).unwrap()[0].standing else {
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
        let mut places = places(temporary.path());
        places.uid = 12345;
        let text = places.for_binding(Scope::Global).unwrap_err().to_string();
        assert!(text.contains("d /run/slipring 1777 root root -"), "{text}");
        places.uid = 0;
        let directory = places.for_binding(Scope::Global).unwrap();
        assert_eq!(
            (directory.clone(), mode(&directory)),
            (places.run.join("slipring"), 0o1777)
        );
        places.uid = 12345;
        assert_eq!(places.for_binding(Scope::Global).unwrap(), directory);

        set_mode(&directory, 0o777);
        assert!(unsafe_because(&places, Scope::Global).contains("chmod 1777"));
        set_mode(&directory, 0o1777);
        chown(&directory, STRANGER, None).unwrap();
        assert!(unsafe_because(&places, Scope::Global).contains("not to root"));
    }
}
