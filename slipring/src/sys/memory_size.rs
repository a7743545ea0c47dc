//! How much memory this process may have at most: what the machine has (sysinfo(2)), or what its
//! control groups allow (cgroups(7)).

use rustix::system::sysinfo;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Bytes: the smallest of all limits that can be read.
pub(crate) fn most() -> u64 {
    let info = sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits(Path::new("/sys/fs/cgroup"), &groups).fold(machine, u64::min)
}

/// The limits of all groups that this process is in, as `groups`, the text of `/proc/self/cgroup`,
/// names them. Of version 2 is the line `0::PATH`, of version 1 that of the controller `memory`.
fn limits(root: &Path, groups: &str) -> impl Iterator<Item = u64> {
    let files = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        Some((root, path.trim_start_matches('/').to_owned(), file))
    });
    let files: Vec<_> = files.collect();
    files
        .into_iter()
        .flat_map(|(root, path, file)| of_path(&root, &path, file))
}

/// The limits of a group and of all above it. In a namespace of its own a group is the root.
fn of_path(root: &Path, path: &str, file: &str) -> Vec<u64> {
    let group: PathBuf = root.join(path);
    group
        .ancestors()
        .take_while(|above| above.starts_with(root))
        // `max`, and a file that is not there, are no limit.
        .filter_map(|group| read_to_string(group.join(file)).ok()?.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn the_limits_of_all_groups_above_count() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        create_dir_all(root.join("a/b")).unwrap();
        create_dir_all(root.join("memory/c")).unwrap();
        write(root.join("a/memory.max"), "4096000\n").unwrap();
        write(root.join("a/b/memory.max"), "max\n").unwrap();
        write(root.join("memory/memory.limit_in_bytes"), "9000\n").unwrap();
        let of = |groups: &str| limits(root, groups).min();
        assert_eq!(of("0::/a/b\n"), Some(4_096_000));
        assert_eq!(of("5:cpu:/x\n4:memory:/c\n0::/a\n"), Some(9000));
        assert_eq!(of("0::/elsewhere\n"), None);
        assert_eq!(of("nonsense"), None);
    }

    #[test]
    fn this_process_has_some() {
        assert!(most() > 1 << 20);
    }
}
