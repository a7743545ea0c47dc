//! The 16-byte ring of programs in C# that are built on `MemoryMappedFile`.
//!
//! Such programs talk through a file for each direction that both have mapped. This module talks to
//! them as they are. Between two programs that can be changed a [`Stream`](crate::Stream) is the
//! better choice; `docs/from-csharp.md` compares the two and says how to move.
//!
//! ```
//! use slipring::mmf::Duplex;
//! use std::io::{BufRead, Write};
//! # let directory = tempfile::tempdir()?;
//! # let path = |name: &str| directory.path().join(name);
//! # let mut panel = slipring::mmf::Writer::create_or_open(path("orders"), 65536)?;
//! # panel.write_all(b"buy 100\n")?;
//!
//! // The engine; the panel, in C#, reads `quotes` and writes `orders`. Either may start first.
//! let mut engine = Duplex::create_or_open(path("orders"), path("quotes"), 65536)?;
//! engine.write_all(b"EURUSD 1.0842\n")?;
//! let mut order = String::new();
//! engine.read_line(&mut order)?;
//! assert_eq!(order, "buy 100\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The layout
//!
//! ```text
//! offset   0        8        16                          size of the file
//!          │ head   │ tail   │ data ..................... │
//! ```
//!
//! Both indexes are `u64`, little-endian, and only ever grow: bytes ever consumed, which the reader
//! writes, and bytes ever produced, which the writer writes. The byte at position `p` lies at `16 +
//! p % (size - 16)`. A file of 17 bytes or more will do, of any size; on a file system in memory,
//! such as `/dev/shm`, nothing is ever written to a disk.
//!
//! # What there is, and what there is not
//!
//! * The indexes live in the file. Either side may end and start again, at any time, and goes on
//!   where it was. Bytes that were written wait for a reader. A new file is all zeros: an empty
//!   ring.
//! * There is no end: nobody can tell a writer that has gone from one that has nothing to say. Nor
//!   does a writer learn that its reader has gone, other than by the ring staying full.
//! * There is no doorbell: an end that waits polls. It spins for a while if that has paid
//!   lately ([`Spin`]), offers the CPU to others, then sleeps for a quarter of the time waited so
//!   far, up to [a bound](Reader::set_longest_sleep). An idle end costs less than 1 % of a core; an
//!   answer after a long silence comes later by that bound at most.
//! * A lock (`F_OFD_SETLK`, on the index that an end moves) keeps two sliprings from reading, or
//!   writing, one file. A program in C# takes none that this could see, nor is it hindered by this
//!   one. So a second *C#* writer is found out only by what it does: an index that another process
//!   has moved is an error at the next operation.
//! * Messages are a matter of both sides. Such programs write plain bytes;
//!   [`frame::plain`](crate::frame::plain) puts the messages of [`frame`](crate::frame) on top
//!   where both sides want it.
//!
//! # Trust
//!
//! Everything in the file is input. An index is loaded once and checked (`head <= tail`, no more
//! than the ring can hold, no step back) before it is used; nonsense is a typed error that names
//! both ([`Error::Indexes`]), and the handle stays broken. No access ever leaves the file. But
//! unlike a stream's memory the file is writable for the peer. `read` copies by raw pointer, no
//! matter how the peer behaves. Slices that are lent
//! ([`fill_buf`](std::io::BufRead::fill_buf), [`Reader::fill_pieces`]) rely on the peer not to
//! rewrite bytes that it has published until they have been consumed. The users that may open the
//! file are those that are trusted: it is made with the mode 0600.
//!
//! # When the file shrinks
//!
//! Any process that may write the file may also cut it, and touching a part that is no longer there
//! is a SIGBUS, which ends the process. No seal can prevent it, as for a stream: seals are for
//! files without a name. The remedies:
//!
//! * The size is checked after every sleep, before the memory is touched; when the clock of the
//!   kernel has ticked (every few milliseconds) before any other operation; and while spinning. A
//!   change is [`Error::Resized`]. So a file that is cut while nothing flows, which is when people
//!   do it, is an error.
//! * The moments between such a check and the next touch remain. [`survive_truncation`] closes them
//!   too, with a handler for SIGBUS. A handler belongs to the whole process, so the program
//!   decides; the command `slipring` does it.
//! * A lack of space is no SIGBUS: all blocks are allocated when the file is opened (where the file
//!   system can do that).
//!
//! # Which C# programs
//!
//! Their loads and stores of an index have to be whole: 64-bit processes, or `Interlocked`. On
//! x86-64 plain accesses are ordered well enough; elsewhere they need `Volatile.Read` and
//! `Volatile.Write`. The repository has one such program in `examples/csharp`, which the tests use.

mod duplex;
mod error;
mod file;
mod indexes;
mod reader;
mod ring;
mod waiting;
mod writer;

pub use crate::wait::Spin;
pub use duplex::Duplex;
pub use error::{Error, Result};
pub use file::wait_for_file;
pub use indexes::Role;
pub use reader::Reader;
pub use writer::Writer;

/// From now on no file of a ring that shrinks ends this process: installs a handler for SIGBUS.
///
/// It acts only on faults within the rings of this module, those opened before included: the ring's
/// memory becomes zeros of this process's own, and the operation that touched it fails with
/// [`Error::Resized`]. Any other SIGBUS is left to the handler that was there before. A program
/// that installs one later should do the same. Calling this again does nothing.
///
/// While a slice is lent ([`Reader::fill_pieces`]) its bytes become zeros too. The next operation's
/// error tells that the results made of them are in doubt.
///
/// # Errors
///
/// The error of the system if no handler can be installed.
///
/// # Examples
///
/// ```
/// use slipring::mmf::{self, Error, Writer};
/// use std::io::Write;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("ring");
///
/// mmf::survive_truncation()?;
/// let mut writer = Writer::create(&path, 4096)?;
/// std::fs::File::options().write(true).open(&path)?.set_len(0)?;
/// let error = writer.write_all(b"into the void").unwrap_err();
/// assert!(matches!(Error::of(&error), Some(Error::Resized { expected: 4096, found: 0, .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn survive_truncation() -> std::io::Result<()> {
    crate::sys::sigbus::install()
}
