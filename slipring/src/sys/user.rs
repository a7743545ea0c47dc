//! Which user a number of the kernel's stands for.
//!
//! In a user namespace (user_namespaces(7)) the kernel shows every user without a number there as
//! the one number of `/proc/sys/kernel/overflowuid`, 65534 by default. So that number identifies
//! nobody, unless the namespace has a number for each user. A process that has it itself can still
//! learn whether a file is its own: by an operation that the kernel allows the owner alone.

use rustix::fs::{Mode, Stat, chmod};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::OnceLock;

/// The user whose rights this process has.
pub(crate) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether the number stands for one user alone.
pub(crate) fn is_told(uid: u32) -> bool {
    uid != overflow()
        || std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_whole(&map))
}

/// Whether this process has the number that the kernel also shows where it knows no user.
pub(crate) fn is_nobody(uid: u32) -> bool {
    uid == me() && uid == overflow()
}

/// Whether the number is this process's user. `mine_alone`: the kernel lets no other user but root
/// get there, which decides where the number does not identify a user.
pub(crate) fn is_same(uid: u32, mine_alone: bool) -> bool {
    uid == me() && (mine_alone || is_told(uid))
}

/// Whether this process's user has a number in its namespace. Without one it cannot show its
/// credentials.
pub(crate) fn has_number() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| numbers(&map).any(|range| range.holds(me())))
        && std::fs::read_to_string("/proc/self/gid_map").is_ok_and(|map| {
            numbers(&map).any(|range| range.holds(rustix::process::getegid().as_raw()))
        })
}

/// Whether the file belongs to this process's user. `stat` is that of `file`, which may be open as
/// without access (`O_PATH`).
pub(crate) fn owns(file: BorrowedFd<'_>, stat: &Stat) -> bool {
    stat.st_uid == me() && (is_told(stat.st_uid) || may_set_mode(file, stat))
}

/// Sets the mode that the file has already, which only its owner may do (chmod(2)).
fn may_set_mode(file: BorrowedFd<'_>, stat: &Stat) -> bool {
    let path = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
    chmod(path, Mode::from_raw_mode(stat.st_mode & 0o7777)).is_ok()
}

/// The number that stands for all users without one.
fn overflow() -> u32 {
    static NUMBER: OnceLock<u32> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/overflowuid")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(65534)
    })
}

/// A line of `uid_map`, without where its numbers lie in the outer namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    count: u32,
}

impl Range {
    fn holds(self, number: u32) -> bool {
        number
            .checked_sub(self.first)
            .is_some_and(|at| at < self.count)
    }
}

fn numbers(map: &str) -> impl Iterator<Item = Range> {
    map.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let first = words.next()?.parse().ok()?;
        let count = words.nth(1)?.parse().ok()?;
        Some(Range { first, count })
    })
}

/// Whether every number but the last, which is none, stands for a user.
fn is_whole(map: &str) -> bool {
    numbers(map).eq([Range {
        first: 0,
        count: u32::MAX,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_map_of_users_is_whole() {
        assert!(is_whole("         0          0 4294967295\n"));
        for map in [
            "",
            "0 100000 65536\n",
            "0 0 65536\n65536 65536 4294901759\n",
            "1 1 4294967294",
            "x y z",
        ] {
            assert!(!is_whole(map), "{map:?}");
        }
    }

    #[test]
    fn ranges_of_a_map_of_users_hold_their_numbers() {
        let map = "0 100000 1000\n5000 200000 1\n";
        let held = |number| numbers(map).any(|range| range.holds(number));
        assert_eq!(
            [0, 999, 1000, 4999, 5000, 5001].map(held),
            [true, true, false, false, true, false]
        );
    }

    #[test]
    fn the_user_of_this_process_is_told() {
        assert!(is_same(me(), false) && has_number());
        assert!(!is_same(me() + 1, true));
    }
}
