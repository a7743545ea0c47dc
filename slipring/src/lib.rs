//! A full-duplex byte stream between two processes on one machine, in shared memory, that behaves like a connected
//! socket.
//!
//! In the steady state no system call is made and no lock is taken: a byte costs a cache-line transfer. Blocking
//! reads and writes, back-pressure, end of file, half-close, listeners and names are those of a Unix socket, and so
//! are `Read`, `BufRead` and `Write`. What sockets cannot do comes on top: reading and writing in place, "at least n
//! bytes" as one slice, batches, positions, and an end that says how it came about.
//!
//! ```
//! use slipring::{Listener, Stream};
//! use std::io::{Read, Write};
//! # let name = format!("doc-crate-{}", std::process::id());
//!
//! // In one process:
//! let listener = Listener::bind(&name)?;
//! # let other = std::thread::spawn({ let name = name.clone(); move || -> std::io::Result<()> {
//!
//! // In another:
//! let mut stream = Stream::connect(&name)?;
//! stream.write_all(b"ping")?;
//! # stream.read_exact(&mut [0; 4]) }});
//!
//! // And in the first again:
//! let mut stream = listener.accept()?;
//! let mut word = [0; 4];
//! stream.read_exact(&mut word)?;
//! assert_eq!(&word, b"ping");
//! stream.write_all(b"pong")?;
//! # other.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same on [tokio](https://docs.rs/tokio), with the feature `tokio`: hundreds of such streams live on one thread.
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use slipring::tokio::{Listener, Stream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let name = format!("doc-crate-tokio-{}", std::process::id());
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//!
//! // In one process:
//! let listener = Listener::bind(&name)?;
//! # let other = tokio::spawn({ let name = name.clone(); async move {
//!
//! // In another:
//! let mut stream = Stream::connect(&name).await?;
//! stream.write_all(b"ping").await?;
//! # stream.read_exact(&mut [0; 4]).await }});
//!
//! // And in the first again:
//! let mut stream = listener.accept().await?;
//! let mut word = [0; 4];
//! stream.read_exact(&mut word).await?;
//! assert_eq!(&word, b"ping");
//! stream.write_all(b"pong").await?;
//! # other.await.unwrap()?;
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it cannot do
//!
//! * It connects processes of one machine (and one memory): not machines, not a container with a file system of its
//!   own unless the socket's directory is shared.
//! * It needs 64-bit little-endian Linux, 5.1 or newer, with `/proc` mounted; 5.8 for peers of other users.
//! * A stream has two ends. Many readers of one writer are many streams.
//! * It carries bytes (and [messages](frame) on top of them), but no descriptors.
//! * It costs memory: both rings are allocated and populated when the stream is made (256 KiB a side, by default);
//!   and seven descriptors an endpoint.
//!
//! # Names
//!
//! `NAME` and `Local/NAME` belong to this user: the socket lies in `$XDG_RUNTIME_DIR/slipring/`, or
//! `/run/user/UID/slipring/`, or `/tmp/slipring-UID/`. `Global/NAME` is machine-wide (`/run/slipring/`). `Local\NAME`
//! and `Global\NAME` are other spellings of the same. An absolute path is a name as well. A name lives as long as its
//! [`Listener`]; what a killed one leaves behind is replaced. Without a name: [`Options::upgrade`] over any connected
//! Unix socket, [`Options::pair`] within a process, and [`Options::rendezvous`] for two that do not want to say who
//! is first.
//!
//! # Coming from `UnixStream`
//!
//! Replace `UnixListener::bind(path)` by [`Listener::bind`] and `UnixStream::connect(path)` by [`Stream::connect`];
//! most programs need no other change. What is different:
//!
//! * **No `try_clone`, no `Read for &Stream`.** A ring has *one* writer and *one* reader; that is why it needs no
//!   lock. Two handles that could both write would have to take one. Instead: [`Stream::split`] and
//!   [`Stream::into_split`] give a reader and a writer that can live on two threads; [`Stream::closer`] gives a
//!   handle that any thread can end the stream with; a `Mutex<Writer>` is there for those who want many writers.
//! * **`connect` returns after `accept`**, not from the backlog; see [`Options::connect`].
//! * **Leaving without dropping is a death.** After `process::exit` or a signal the peer gets `ConnectionReset`
//!   (after the last byte), where a socket shows an end of file. [`Writer::finish`] before leaving is the cure.
//! * **`fork`**: a forked child can neither use nor end its parent's streams. As long as it lives, though, and has
//!   not called `exec`, a parent that is *killed* does not seem dead to its peers.
//!
//! # Ends
//!
//! | what happened | the reader gets | the writer gets |
//! |---|---|---|
//! | the peer's writer finished or was dropped | every byte, then `Ok(0)` | goes on writing |
//! | the peer's reader was dropped | goes on reading | `BrokenPipe` |
//! | the peer died | every byte that was published, then `ConnectionReset` | `BrokenPipe`; without ever filling the ring, within 10 ms of writing |
//! | the peer aborted | the bytes up to the abort, then `ConnectionAborted` | `ConnectionAborted` |
//! | the peer's header makes no sense | `InvalidData` | `InvalidData` |
//!
//! [`Reader::end`] and [`Writer::end`] tell the reason and the position. A peer that is paused is not dead, however
//! long. A timeout is `WouldBlock`, as with sockets.
//!
//! # Trust
//!
//! A peer is of the same user (or root) unless [`Options::allow`] says otherwise. It cannot write one byte of this
//! process's memory, nor shrink or thin out what both share: the kernel sees to that. Whatever it writes
//! into its own memory is input here: loaded once, checked, then used; nonsense ends that stream with an error and
//! touches nothing else. Two things rest on the good behaviour of a peer of the same user, who could as well attach a debugger: that
//! it does not rewrite published bytes while this side holds them borrowed ([`fill_buf`](std::io::BufRead::fill_buf),
//! [`Reader::fill_at_least`]; [`Options::copy_reads`] does without that), and that it does not block a bell. Towards
//! other users neither is relied on: views are copied, and bells are of a kind that cannot block. `read` copies
//! always.
//!
//! # Waiting
//!
//! A blocked call looks, spins for a while if that has paid lately, then sleeps in the kernel until it is woken by
//! the other side; it never polls. [`Spin`] chooses, within a bound for the whole process. An idle stream costs
//! nothing.
//!
//! An event loop waits by itself: `slipring::tokio` with the feature `tokio`, any other by
//! [`Reader::arm`] and a descriptor to poll; see [`Readiness`]. `docs/choosing.md` in the repository helps to choose
//! between them, and a capacity, with measurements.
//!
//! # Coming from C#
//!
//! [`mmf`] talks to programs that are built on `MemoryMappedFile`, through the ring that they use. Everything above is
//! about streams; that ring has none of it.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("slipring needs 64-bit little-endian Linux");

mod blocking;
mod closer;
mod end;
mod endpoint;
mod error;
#[cfg(not(feature = "fail-points"))]
mod fail_points;
#[cfg(feature = "fail-points")]
pub mod fail_points;
pub mod frame;
mod grant;
mod half;
mod lease;
mod link;
mod listener;
pub mod mmf;
mod name;
mod options;
mod reader;
mod readiness;
mod ring;
mod stream;
mod sys;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wait;
mod writer;

pub use closer::Closer;
pub use end::{End, EndReason};
pub use error::{Error, Result};
pub use grant::{Batch, Grant};
pub use link::{BoundName, Condition, Leftover, NameState, Stopper, names, passed_over, remove_leftovers};
pub use listener::{Incoming, Listener};
pub use name::{Name, Scope};
pub use options::{Options, Peer, Peers};
pub use reader::Reader;
pub use readiness::Readiness;
pub use stream::{ReuniteError, Stream};
pub use sys::descriptor_limit::{DescriptorLimit, raise_descriptor_limit};
pub use wait::Spin;
pub use writer::Writer;

/// The code in the README is compiled with the tests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// And so is that for those who come from C#.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-csharp.md")]
struct FromCSharp;
