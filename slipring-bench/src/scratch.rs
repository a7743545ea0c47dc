//! A directory for the files that one measurement shares, and the end of all that it leaves behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// In memory: the files that transports put there are meant to be shared memory.
const MEMORY: &str = "/dev/shm";

/// Removed when dropped, after the processes that use it. Some transports have to put files beside
/// it, and leave them when they are killed; all of these have the directory's name in theirs.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> io::Result<Scratch> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only that no two are the same matters.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // The dot ends the number, so that no name begins another one.
        let path = Path::new(MEMORY).join(format!("slipring-bench-{}-{number}.", process::id()));
        fs::create_dir(&path)?;
        Ok(Scratch(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn beside(&self) -> Vec<PathBuf> {
        let name = name(self.path());
        let entries = fs::read_dir(MEMORY).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path != self.path() && path.to_string_lossy().contains(&name))
            .collect()
    }
}

/// A name for something that goes with the directory, or with one inside it. Nothing else on the
/// machine has this name.
pub fn name(directory: &Path) -> String {
    let inside = directory.strip_prefix(MEMORY).unwrap_or(directory);
    inside.to_string_lossy().replace('/', "-")
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for file in self.beside() {
            // Its maker may be removing it, too.
            let _ = fs::remove_file(file);
        }
        // If it stays, nothing more can be done here.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_its_name_goes_with_it_and_nothing_else() -> io::Result<()> {
        let (one, other) = (Scratch::new()?, Scratch::new()?);
        let path = |scratch: &Scratch| {
            Path::new(MEMORY).join(format!("sem.test.{}-there", name(scratch.path())))
        };
        let (of_one, of_other) = (path(&one), path(&other));
        fs::write(&of_one, "")?;
        fs::write(&of_other, "")?;
        let directory = one.path().to_owned();
        fs::write(directory.join("inside"), "")?;
        drop(one);
        assert!(!of_one.exists() && !directory.exists());
        assert!(of_other.exists() && other.path().exists());
        drop(other);
        assert!(!of_other.exists());
        Ok(())
    }
}
