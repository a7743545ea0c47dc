//! Errors of a ring in a file.

use super::indexes::Role;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

/// The result of opening a ring.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a ring in a file cannot be had, or cannot be used any longer. The text says what happened
/// and what to do next.
///
/// Reading and writing return [`io::Error`]s; such an error, if it is about the ring or its file,
/// has one of these inside, which [`Error::of`] takes out.
///
/// # Examples
///
/// ```
/// use slipring::mmf::{Error, Reader};
/// use std::io::Read;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("ring");
///
/// // A file that is no ring: by its indexes it holds more than it has room for.
/// std::fs::write(&path, [[0; 8], [0x20; 8], *b"trousers"].concat())?;
/// let error = Reader::open(&path).unwrap_err();
/// assert!(matches!(error, Error::Indexes { head: 0, tail: 0x2020_2020_2020_2020, .. }));
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file. `NotFound`.
    #[error("there is no file {}{}. Start the program that makes it, or create it with a \
        size", path.display(), after(*waited))]
    NotThere {
        /// The file.
        path: PathBuf,
        /// How long it was waited for; zero without waiting.
        waited: Duration,
    },

    /// The file that was to be created is there already. `AlreadyExists`.
    #[error(
        "the file {} is there already. Open it, or remove it if no program uses it",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// The path is a symbolic link to a file that is not there. `NotFound`.
    #[error(
        "{} is a symbolic link to a file that is not there. Remove it, or create the file that it \
            leads to",
        path.display()
    )]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },

    /// No ring can have the size that was asked for. `InvalidInput`.
    #[error(
        "a file of {size} bytes has no room for a ring: 16 are for the indexes. Ask for 17 or more"
    )]
    BadSize {
        /// The size asked for, in bytes.
        size: u64,
    },

    /// The file is too short for a ring. `InvalidData`.
    #[error(
        "{} has {size} bytes, and a ring has more than 16. See whether it is the right file, and \
         whether the program that makes it has given it its size",
        path.display()
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its size, in bytes.
        size: u64,
    },

    /// The file has another size than was expected. `InvalidData`.
    #[error(
        "{} has {found} bytes, and {expected} were expected. Both programs have to use the same \
         size: it decides where each byte lies",
        path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// The size that was expected, in bytes.
        expected: u64,
        /// The size that it has, in bytes.
        found: u64,
    },

    /// It is a directory, a pipe, a device. `InvalidInput`.
    #[error("{} is not a regular file, and nothing else can be mapped. Check the \
        path", path.display())]
    NotAFile {
        /// The path that is not a file.
        path: PathBuf,
    },

    /// Another slipring has this role in the ring. `ResourceBusy`.
    #[error(
        "{} has a slipring {role} already, and a ring has one. End the other one, or use another \
            file",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The role that is taken.
        role: Role,
    },

    /// The indexes cannot be those of a ring of this size. `InvalidData`. The handle is of no use
    /// any more.
    #[error(
        "{}: head {head} and tail {tail} make no sense in a ring of {capacity} bytes: {why}. See \
         whether both programs use the same size, and whether two of them write to it, or read \
         from it",
        path.display()
    )]
    Indexes {
        /// The file.
        path: PathBuf,
        /// Bytes ever consumed, as the file says.
        head: u64,
        /// Bytes ever written, as the file says.
        tail: u64,
        /// The size of the data, in bytes.
        capacity: u64,
        /// The fault in them.
        why: &'static str,
    },

    /// The size of the file has changed while it was used. `InvalidData`. The handle is of no use
    /// any more.
    #[error(
        "{} has {found} bytes now, and had {expected}. Leave its size alone while programs use \
            it, and open it again",
        path.display()
    )]
    Resized {
        /// The file.
        path: PathBuf,
        /// The size that it had, in bytes.
        expected: u64,
        /// The size that it has, in bytes. If it is the same, the file has been cut and grown
        /// again.
        found: u64,
    },

    /// The handle was made by the process that forked this one. `Other`.
    #[error("this end of {} belongs to the process that forked this one. Open the file \
        again", path.display())]
    Forked {
        /// The file.
        path: PathBuf,
    },

    /// A system call failed.
    #[error("{doing} {} failed: {source}", path.display())]
    Os {
        /// The step that failed.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    /// The error about a ring inside an [`io::Error`], if it is one.
    pub fn of(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// The kind that an [`io::Error`] made of this has.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotThere { .. } | Error::DanglingLink { .. } => ErrorKind::NotFound,
            Error::Exists { .. } => ErrorKind::AlreadyExists,
            Error::BadSize { .. } | Error::NotAFile { .. } => ErrorKind::InvalidInput,
            Error::InUse { .. } => ErrorKind::ResourceBusy,
            Error::TooShort { .. }
            | Error::WrongSize { .. }
            | Error::Indexes { .. }
            | Error::Resized { .. } => ErrorKind::InvalidData,
            Error::Forked { .. } => ErrorKind::Other,
            Error::Os { source, .. } => source.kind(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// A part of the text of [`Error::NotThere`].
fn after(waited: Duration) -> String {
    if waited.is_zero() {
        String::new()
    } else {
        format!(" after {waited:.1?} of waiting")
    }
}
