//! Finding and making the file of a ring.
//!
//! The program that comes first makes it. A C# program opens the file and then gives it its size,
//! so that for a moment there is a file of no size. An end that knows the size gives it as well
//! (both do the same); an end that does not waits for a short time. slipring itself makes a file
//! without a name, gives it its size and all its blocks, and then its name: nobody ever sees it in
//! between.

use super::error::{Error, Result};
use super::indexes::HEADER;
use crate::sys::errno::Errno;
use crate::sys::file::{FileType, Mode, OFlags, Stat, fstat, ftruncate, lstat, open, stat};
use crate::sys::shared_file::{allocate, give_name};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a file of no size is waited for to be given one.
const BEING_MADE: Duration = Duration::from_secs(1);

/// How often a file that is waited for is polled.
const POLL_EVERY: Duration = Duration::from_millis(2);

/// How often a file is opened, and made, that comes and goes meanwhile: far more often than
/// happens by chance.
const ATTEMPTS: u32 = 100;

/// Readable and writable by this user: the other program is of the same user, or has made the file
/// itself.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The way to a file, and the size that it has to have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Create(u64),
    Open,
    CreateOrOpen(u64),
}

/// An error of the system about a file.
pub(super) fn os<E: Into<std::io::Error>>(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> Error {
    move |source| Error::Os {
        doing,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Opens or makes the file; says what size it has.
pub(super) fn find(path: &Path, way: Way) -> Result<(OwnedFd, u64)> {
    match way {
        Way::Create(size) => {
            check_size(size)?;
            create(path, size)?.ok_or_else(|| Error::Exists {
                path: path.to_owned(),
            })
        }
        Way::Open => {
            let file = open_existing(path)?.ok_or_else(|| not_there(path, Duration::ZERO))?;
            let size = settled_size(&file, path)?;
            complete(&file, path, size)?;
            Ok((file, size))
        }
        Way::CreateOrOpen(size) => {
            check_size(size)?;
            for _ in 0..ATTEMPTS {
                if let Some(file) = open_existing(path)? {
                    return sized(file, path, size);
                }
                if let Some(made) = create(path, size)? {
                    return Ok(made);
                }
                // It came into being between the two, and may be gone again; or it leads nowhere,
                // and stays so.
                if is_dangling(path)? {
                    return Err(Error::DanglingLink {
                        path: path.to_owned(),
                    });
                }
            }
            Err(os("opening, which comes and goes,", path)(Errno::AGAIN))
        }
    }
}

/// Whether there is a symbolic link at this path, and nothing where it leads to.
fn is_dangling(path: &Path) -> Result<bool> {
    let is_link = match lstat(path) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Symlink,
        Err(Errno::NOENT) => false,
        Err(errno) => return Err(os("checking", path)(errno)),
    };
    Ok(is_link && matches!(stat(path), Err(Errno::NOENT)))
}

/// Blocks until there is a file that is long enough for a ring; returns its size in bytes.
///
/// For programs that come first and do not know the size. `None` waits for ever. The file is
/// polled every 2 ms.
///
/// # Errors
///
/// [`Error::NotThere`] or [`Error::TooShort`] after `timeout`; [`Error::NotAFile`]; [`Error::Os`].
///
/// # Examples
///
/// ```
/// use slipring::mmf;
/// use std::time::Duration;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("quotes");
///
/// let error = mmf::wait_for_file(&path, Some(Duration::from_millis(5))).unwrap_err();
/// assert!(matches!(error, mmf::Error::NotThere { .. }));
/// let _writer = mmf::Writer::create(&path, 4096)?;
/// assert_eq!(mmf::wait_for_file(&path, None)?, 4096);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_for_file(path: impl AsRef<Path>, timeout: Option<Duration>) -> Result<u64> {
    let path = path.as_ref();
    let start = Instant::now();
    loop {
        // Not opened, which could be refused.
        let found = match stat(path) {
            Ok(stat) => Some(regular_size(&stat, path)?),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(os("checking", path)(errno)),
        };
        if let Some(size) = found.filter(|size| *size > HEADER) {
            return Ok(size);
        }
        let waited = start.elapsed();
        if timeout.is_some_and(|timeout| waited >= timeout) {
            return Err(match found {
                Some(size) => too_short(path, size),
                None => not_there(path, waited),
            });
        }
        thread::sleep(POLL_EVERY);
    }
}

fn not_there(path: &Path, waited: Duration) -> Error {
    Error::NotThere {
        path: path.to_owned(),
        waited,
    }
}

fn too_short(path: &Path, size: u64) -> Error {
    Error::TooShort {
        path: path.to_owned(),
        size,
    }
}

fn check_size(size: u64) -> Result<()> {
    // The most that a file can have.
    if (HEADER + 1..=i64::MAX as u64).contains(&size) {
        Ok(())
    } else {
        Err(Error::BadSize { size })
    }
}

/// `None`: there is none.
fn open_existing(path: &Path) -> Result<Option<OwnedFd>> {
    // NONBLOCK: opening a pipe by mistake does not wait for its other end. A reader writes too: its
    // index.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    match open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::ISDIR | Errno::NXIO) => Err(Error::NotAFile {
            path: path.to_owned(),
        }),
        Err(errno) => Err(os("opening (to read and to write)", path)(errno)),
    }
}

/// The file's size now; fails if it is no regular file.
fn size_of(file: &OwnedFd, path: &Path) -> Result<u64> {
    let stat = fstat(file).map_err(os("checking", path))?;
    regular_size(&stat, path)
}

fn regular_size(stat: &Stat, path: &Path) -> Result<u64> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        // The size of a regular file is not negative.
        Ok(stat.st_size as u64)
    } else {
        Err(Error::NotAFile {
            path: path.to_owned(),
        })
    }
}

/// The size of a file that may just be about to get it.
fn settled_size(file: &OwnedFd, path: &Path) -> Result<u64> {
    let deadline = Instant::now() + BEING_MADE;
    loop {
        match size_of(file, path)? {
            0 if Instant::now() < deadline => thread::sleep(POLL_EVERY),
            size if size <= HEADER => return Err(too_short(path, size)),
            size => return Ok(size),
        }
    }
}

/// A file that is there, which is to have this size; one that has none yet is given it.
fn sized(file: OwnedFd, path: &Path, expected: u64) -> Result<(OwnedFd, u64)> {
    let mut found = size_of(&file, path)?;
    if found == 0 {
        ftruncate(&file, expected).map_err(os("giving a size to", path))?;
        found = size_of(&file, path)?;
    }
    if found != expected {
        return Err(Error::WrongSize {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    complete(&file, path, expected)?;
    Ok((file, expected))
}

/// Gives a file all its blocks, as far as the file system can: a lack of space is an error now, not
/// a SIGBUS later. Its size and its bytes stay as they are.
fn complete(file: &OwnedFd, path: &Path, size: u64) -> Result<()> {
    match allocate(file, size) {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(os("allocating", path)(errno)),
    }
}

/// Makes the file, with its size, all zeros; `None`: there is one already.
fn create(path: &Path, size: u64) -> Result<Option<(OwnedFd, u64)>> {
    let making = || os("creating", path);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let (file, named) = match open(
        parent.unwrap_or(Path::new(".")),
        flags | OFlags::TMPFILE,
        MODE,
    ) {
        Ok(file) => (file, false),
        // The file system cannot have files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            match open(path, flags | OFlags::CREATE | OFlags::EXCL, MODE) {
                Ok(file) => (file, true),
                Err(Errno::EXIST) => return Ok(None),
                Err(errno) => return Err(making()(errno)),
            }
        }
        Err(errno) => return Err(making()(errno)),
    };
    ftruncate(&file, size).map_err(making())?;
    complete(&file, path, size)?;
    if !named {
        match give_name(&file, path) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(None),
            Err(errno) => return Err(making()(errno)),
        }
    }
    Ok(Some((file, size)))
}
