//! The same messages over anything that reads and writes bytes: the ring of a C# program, a pipe, a
//! TCP connection.
//!
//! The format is the one of the [module above](super), so that a [`Sender`](super::Sender) at one
//! end of a stream and a [`Receiver`] here understand each other, whatever lies between. Nothing is
//! lent in place: a message is copied into memory of the receiver.
//!
//! A sender or receiver gives up what it works on between two messages only. One that works on a
//! borrowed writer or reader (`&mut W`), and is dropped inside a message, leaves that one there.
//!
#![cfg_attr(feature = "mmf", doc = "```")]
#![cfg_attr(not(feature = "mmf"), doc = "```ignore")]
//! use slipring::{frame::plain, mmf};
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("ring");
//!
//! let mut sender = plain::Sender::new(mmf::Writer::create_or_open(&path, 65536)?);
//! let mut receiver = plain::Receiver::new(mmf::Reader::create_or_open(&path, 65536)?);
//! sender.send(b"EURUSD 1.0842")?;
//! assert_eq!(receiver.recv()?, Some(&b"EURUSD 1.0842"[..]));
//! # Ok::<(), std::io::Error>(())
//! ```

use super::DEFAULT_MAX;
use super::error::Error;
use super::header::{Bounds, HEADER, Header};
use crate::endpoint::EndReason;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// The most payload of a part: with its header it fits into the smallest ring that a stream can
/// have.
const PUBLISH_CHUNK: usize = 4096 - HEADER;

/// So much goes to the writer at once.
const BATCH: usize = 64 << 10;

/// What pads a payload.
const ZEROS: [u8; HEADER] = [0; HEADER];

/// Sends messages over a writer, which carries nothing else from then on.
///
/// # Examples
///
/// ```
/// use slipring::frame::plain::{Receiver, Sender};
/// use std::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut sender = Sender::new(TcpStream::connect(listener.local_addr()?)?);
/// let mut receiver = Receiver::new(listener.accept()?.0);
/// sender.send(b"over TCP")?;
/// assert_eq!(receiver.recv()?, Some(&b"over TCP"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sender<W> {
    writer: W,
    batch: Vec<u8>,
    torn: bool,
}

impl<W: Write> Sender<W> {
    /// Sends over this writer.
    pub fn new(writer: W) -> Sender<W> {
        Sender {
            writer,
            batch: Vec::new(),
            torn: false,
        }
    }

    /// The writer, after what has been sent, as long as that is whole messages.
    ///
    /// # Errors
    ///
    /// [`IntoInnerError`] with this sender, if a message was torn by an error of the writer: what
    /// is written behind it would be taken for a part of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::frame::plain::Sender;
    ///
    /// let mut sender = Sender::new(Vec::new());
    /// sender.send(b"hi")?;
    /// assert_eq!(sender.into_inner()?, *b"\x02\0\0\0\0\0\0\0hi\0\0\0\0\0\0");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> Result<W, IntoInnerError<Sender<W>>> {
        if self.torn {
            Err(IntoInnerError(self))
        } else {
            Ok(self.writer)
        }
    }

    /// The writer below, to be looked at.
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// Sends a message of any length, and flushes.
    ///
    /// # Errors
    ///
    /// Those of the writer. One that comes in the middle of a message (after a timeout of the
    /// writer, say) leaves it torn: each further message is `BrokenPipe`. If nothing of the message
    /// was written, it can be sent again.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::new(
                ErrorKind::BrokenPipe,
                "an earlier message was torn by an error",
            ));
        }
        self.batch.clear();
        let mut parts = message.chunks(PUBLISH_CHUNK).peekable();
        if message.is_empty() {
            self.batch.extend(Header::last(0).to_bytes());
        }
        while let Some(part) = parts.next() {
            let header = match parts.peek() {
                Some(_) => Header::more(part.len()),
                None => Header::last(part.len()),
            };
            self.batch.extend(header.to_bytes());
            self.batch.extend(part);
            self.batch
                .extend(&ZEROS[..part.len().next_multiple_of(HEADER) - part.len()]);
            if self.batch.len() >= BATCH {
                // From here on an error tears the message.
                self.pass_on()?;
            }
        }
        self.pass_on()?;
        self.torn = false;
        self.writer.flush()
    }

    /// Writes the batch.
    fn pass_on(&mut self) -> io::Result<()> {
        let mut rest = &self.batch[..];
        while !rest.is_empty() {
            // A writer that panics does not tell how much it has written.
            let torn = std::mem::replace(&mut self.torn, true);
            match self.writer.write(rest) {
                Ok(n) if n > 0 => rest = &rest[n..],
                outcome => {
                    self.torn = torn;
                    match outcome {
                        Ok(_) => return Err(ErrorKind::WriteZero.into()),
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        self.batch.clear();
        Ok(())
    }
}

/// Receives messages over a reader, which carries nothing else from then on.
///
/// An error of the reader that passes, such as `WouldBlock` after its timeout, loses nothing: the
/// next call goes on where this one has stopped. What cannot be a message is an [`Error`], for
/// good.
///
/// # Examples
///
/// ```
/// use slipring::frame::plain::Receiver;
///
/// let mut receiver = Receiver::new(&b"\x02\0\0\0\0\0\0\0hi\0\0\0\0\0\0"[..]);
/// assert_eq!(receiver.recv()?, Some(&b"hi"[..]));
/// assert_eq!(receiver.recv()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Receiver<R> {
    reader: R,
    max: usize,
    timeout: Option<Duration>,
    /// Bytes of frames that are done with.
    position: u64,
    header: [u8; HEADER],
    /// Bytes of the present frame that have come.
    arrived: usize,
    /// Its header, once it has been checked.
    frame: Option<Header>,
    /// The payload of the message, as far as it has come.
    message: Vec<u8>,
    /// The message was handed out.
    delivered: bool,
    fault: Option<Error>,
}

impl<R: Read> Receiver<R> {
    /// Receives messages of up to [`DEFAULT_MAX`] bytes.
    pub fn new(reader: R) -> Receiver<R> {
        Receiver {
            reader,
            max: DEFAULT_MAX,
            timeout: None,
            position: 0,
            header: [0; HEADER],
            arrived: 0,
            frame: None,
            message: Vec::new(),
            delivered: false,
            fault: None,
        }
    }

    /// Receives messages of up to so many bytes.
    pub fn with_max(mut self, bytes: usize) -> Receiver<R> {
        self.max = bytes;
        self
    }

    /// The reader, after what has been received, as long as that is whole messages: nothing else
    /// has been read.
    ///
    /// # Errors
    ///
    /// [`IntoInnerError`] with this receiver, if it has read a part of a message, or what cannot be
    /// one: what comes next from the reader is not where a message begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::frame::plain::Receiver;
    /// use std::io::Read;
    ///
    /// let mut receiver = Receiver::new(&b"\x02\0\0\0\0\0\0\0hi\0\0\0\0\0\0raw"[..]);
    /// assert_eq!(receiver.recv()?, Some(&b"hi"[..]));
    /// let mut raw = [0; 3];
    /// receiver.into_inner()?.read_exact(&mut raw)?;
    /// assert_eq!(raw, *b"raw");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> Result<R, IntoInnerError<Receiver<R>>> {
        let between = self.arrived == 0 && (self.message.is_empty() || self.delivered);
        if between && self.fault.is_none() {
            Ok(self.reader)
        } else {
            Err(IntoInnerError(self))
        }
    }

    /// The reader below, to be looked at.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Lets [`recv`](Self::recv) fail with `WouldBlock` after `timeout`, however much comes
    /// meanwhile that is no whole message. `None`, the default, goes on for ever.
    ///
    /// The clock is looked at between two reads, so a reader that blocks needs a timeout of its
    /// own, or to be non-blocking. By itself that is not enough: it is the time of each read, and a
    /// call reads as often as something comes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "a timeout of zero; use `None` for no timeout, or a reader that does not block",
            ));
        }
        self.timeout = timeout;
        Ok(())
    }

    /// The next message; `None` at the end. Blocks as the reader does.
    ///
    /// # Errors
    ///
    /// Those of the reader; `WouldBlock` after the timeout, if one was set; an [`Error`] for what
    /// cannot be a message, or is larger than the maximum, or is torn by the end.
    pub fn recv(&mut self) -> io::Result<Option<&[u8]>> {
        if std::mem::take(&mut self.delivered) {
            self.message.clear();
        }
        // A time that no clock reaches is none.
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let mut has_read = false;
        loop {
            if let Some(fault) = self.fault {
                return Err(fault.into());
            }
            if has_read && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(ErrorKind::WouldBlock.into());
            }
            has_read = true;
            let Some(frame) = self.frame else {
                if !self.read_header()? {
                    return Ok(None);
                }
                continue;
            };
            if !self.read_payload(frame)? {
                continue;
            }
            self.position += frame.frame_len() as u64;
            self.frame = None;
            self.arrived = 0;
            if frame.gives_up() {
                self.message.clear();
            } else if !frame.has_more() {
                self.delivered = true;
                return Ok(Some(&self.message));
            }
        }
    }

    /// Reads some of a header; `false` at the end, if that is in order.
    fn read_header(&mut self) -> io::Result<bool> {
        match self.reader.read(&mut self.header[self.arrived..]) {
            Ok(0) if self.arrived == 0 && self.message.is_empty() => return Ok(false),
            Ok(0) => self.fault = Some(self.torn()),
            Ok(n) => self.arrived += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if self.arrived == HEADER {
            let bounds = Bounds {
                position: self.position,
                arrived: self.message.len(),
                // Parts are as long as the sender likes.
                ring: usize::MAX,
                max: self.max,
            };
            match Header::check(self.header, bounds) {
                Ok(frame) => self.frame = Some(frame),
                Err(error) => self.fault = Some(error),
            }
        }
        Ok(true)
    }

    /// Reads some of a payload and of its padding; `true` when all of it is there. Memory is taken
    /// for what comes, not for what is announced.
    fn read_payload(&mut self, frame: Header) -> io::Result<bool> {
        let payload_left = (HEADER + frame.len()).saturating_sub(self.arrived);
        let read = if payload_left > 0 {
            let (old, more) = (self.message.len(), payload_left.min(BATCH));
            self.message.resize(old + more, 0);
            let read = self.reader.read(&mut self.message[old..]);
            self.message.truncate(old + *read.as_ref().unwrap_or(&0));
            read
        } else if self.arrived < frame.frame_len() {
            let mut padding = ZEROS;
            self.reader
                .read(&mut padding[..frame.frame_len() - self.arrived])
        } else {
            return Ok(true);
        };
        match read {
            Ok(0) => self.fault = Some(self.torn()),
            Ok(n) => self.arrived += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(self.arrived == frame.frame_len())
    }

    fn torn(&self) -> Error {
        Error::Torn {
            arrived: self.message.len() as u64,
            reason: EndReason::Finished,
        }
    }
}

/// A [`Sender`] or [`Receiver`] that is inside a message, and keeps what it works on: it is in
/// here.
///
/// A receiver can go on, and be taken apart behind that message. A sender of which a message was
/// torn cannot.
///
/// # Examples
///
/// ```
/// use slipring::frame::plain::Receiver;
///
/// // A header that announces two bytes, and the end.
/// let mut receiver = Receiver::new(&b"\x02\0\0\0\0\0\0\0"[..]);
/// assert!(receiver.recv().is_err());
/// let error = receiver.into_inner().unwrap_err();
/// println!("{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IntoInnerError<T>(pub T);

impl<T> fmt::Debug for IntoInnerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoInnerError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for IntoInnerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what lies below can be had only between two messages, and this is inside one")
    }
}

impl<T> std::error::Error for IntoInnerError<T> {}

impl<T> From<IntoInnerError<T>> for io::Error {
    /// `InvalidInput`, without what is in there.
    fn from(error: IntoInnerError<T>) -> io::Error {
        io::Error::new(ErrorKind::InvalidInput, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "mmf")]
    use crate::mmf;
    use crate::{Stream, frame};
    use std::thread;

    fn messages() -> Vec<Vec<u8>> {
        [0, 1, 7, 8, 9, 4087, 4088, 4089, 70_000, 300_000, 0]
            .into_iter()
            .map(|len| (0..len).map(|i| (i * 31 % 251) as u8).collect())
            .collect()
    }

    #[cfg(feature = "mmf")]
    #[test]
    fn messages_pass_plain_rings_of_any_size() {
        for size in [17, 30, 4096, 65537] {
            // In a ring of a byte each byte is handed over by itself, to a thread that nobody
            // wakes.
            let messages = move || {
                messages()
                    .into_iter()
                    .filter(move |message| message.len() as u64 <= 1000 * size)
            };
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ring");
            let mut sender = Sender::new(mmf::Writer::create(&path, size).unwrap());
            let mut receiver = Receiver::new(mmf::Reader::open(&path).unwrap());
            let sending = thread::spawn(move || {
                messages().for_each(|message| sender.send(&message).unwrap())
            });
            for message in messages() {
                assert!(receiver.recv().unwrap() == Some(&message[..]));
            }
            sending.join().unwrap();
        }
    }

    #[test]
    fn plain_messages_and_those_of_a_stream_understand_each_other() {
        let (left, right) = Stream::pair().unwrap();
        let (mut plain_receiver, plain_writer) = {
            let (reader, writer) = left.into_split();
            (Receiver::new(reader), writer)
        };
        let (mut sender, mut receiver) = frame::split(right).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut plain = Sender::new(plain_writer);
                messages()
                    .iter()
                    .for_each(|message| plain.send(message).unwrap());
            });
            scope.spawn(move || {
                messages()
                    .iter()
                    .for_each(|message| sender.send(message).unwrap())
            });
            for message in messages() {
                assert!(*receiver.recv().unwrap().unwrap() == message[..]);
                assert!(plain_receiver.recv().unwrap() == Some(&message[..]));
            }
            assert!(receiver.recv().unwrap().is_none());
            assert_eq!(plain_receiver.recv().unwrap(), None);
        });
    }

    #[test]
    fn plain_messages_have_the_bytes_of_the_format() {
        let mut sender = Sender::new(Vec::new());
        sender.send(b"hi").unwrap();
        sender.send(b"").unwrap();
        let expected = [[2, 0, 0, 0, 0, 0, 0, 0], *b"hi\0\0\0\0\0\0", [0; 8]].concat();
        assert_eq!(sender.into_inner().unwrap(), expected);
    }

    #[test]
    fn a_plain_message_that_was_given_up_is_not_delivered() {
        let bytes = [
            Header::more(8).to_bytes(),
            *b"12345678",
            Header::GIVE_UP.to_bytes(),
        ]
        .concat();
        let bytes = [&bytes[..], &Header::last(1).to_bytes(), b"x\0\0\0\0\0\0\0"].concat();
        let mut receiver = Receiver::new(&bytes[..]);
        assert_eq!(receiver.recv().unwrap(), Some(&b"x"[..]));
        assert_eq!(receiver.recv().unwrap(), None);
    }

    #[test]
    fn nonsense_and_ends_inside_a_plain_message_are_errors_for_good() {
        let whole = [Header::last(3).to_bytes(), *b"abc\0\0\0\0\0"].concat();
        for len in 1..whole.len() {
            let mut receiver = Receiver::new(&whole[..len]);
            for _ in 0..2 {
                let error = receiver.recv().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{len}");
            }
        }
        let mut receiver = Receiver::new(&[0xff; 16][..]);
        for _ in 0..2 {
            let error = receiver.recv().unwrap_err();
            assert!(matches!(
                Error::of(&error),
                Some(Error::UnknownFlags { .. })
            ));
        }
        let mut receiver = Receiver::new(&whole[..]).with_max(2);
        let error = receiver.recv().unwrap_err();
        assert_eq!(Error::of(&error), Some(&Error::TooLarge { len: 3, max: 2 }));
    }

    #[cfg(feature = "mmf")]
    #[test]
    fn a_plain_message_outlasts_would_block_and_a_torn_one_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring");
        // Room for 20 bytes: one short message, and a part of the next.
        let mut writer = mmf::Writer::create(&path, 36).unwrap();
        writer.set_nonblocking(true);
        let mut reader = mmf::Reader::open(&path).unwrap();
        reader.set_nonblocking(true);
        let (mut sender, mut receiver) = (Sender::new(writer), Receiver::new(reader));
        assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
        sender.send(b"first").unwrap();
        assert_eq!(
            sender.send(b"second").unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(receiver.recv().unwrap(), Some(&b"first"[..]));
        sender.send(b"second").unwrap();
        assert_eq!(receiver.recv().unwrap(), Some(&b"second"[..]));
        assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(
            sender.send(&[7; 50]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(sender.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(sender.into_inner().is_err());
    }

    /// Gives and takes so many bytes at a time, and then has no more for now.
    struct Sparing {
        bytes: Vec<u8>,
        at: usize,
        left: usize,
    }

    impl Read for Sparing {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = buf.len().min(self.left);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            buf[..n].copy_from_slice(&self.bytes[self.at..][..n]);
            (self.at, self.left) = (self.at + n, self.left - n);
            Ok(n)
        }
    }

    impl Write for Sparing {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let n = buf.len().min(self.left);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.bytes.extend(&buf[..n]);
            self.left -= n;
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_plain_half_is_given_back_between_messages_alone() {
        let parts = [
            &Header::more(8).to_bytes(),
            &[7; 8],
            &Header::GIVE_UP.to_bytes()[..],
        ]
        .concat();
        let whole = [
            &parts[..],
            &Header::last(3).to_bytes(),
            &b"abc\0\0\0\0\0"[..],
        ]
        .concat();
        for left in 0..=whole.len() {
            let bytes = whole.clone();
            let mut receiver = Receiver::new(Sparing { bytes, at: 0, left });
            let got = receiver.recv().map(|got| got.map(<[u8]>::to_vec));
            assert_eq!(got.is_ok(), left == whole.len());
            let between = [0, parts.len(), whole.len()].contains(&left);
            match receiver.into_inner() {
                Ok(reader) => assert!(between && reader.at == left, "{left}"),
                Err(error) => assert!(!between && error.0.reader().at == left, "{left}"),
            }
        }
        for left in 0..=16 {
            let mut sender = Sender::new(Sparing {
                bytes: Vec::new(),
                at: 0,
                left,
            });
            assert_eq!(sender.send(b"abc").is_ok(), left == 16);
            // If nothing was written the message can be sent later, or by somebody else.
            match sender.into_inner() {
                Ok(writer) => assert!((left == 0 || left == 16) && writer.bytes.len() == left),
                Err(error) => assert!(left % 16 != 0 && error.0.writer().bytes.len() == left),
            }
        }
    }

    #[test]
    fn a_flood_of_given_up_plain_messages_does_not_block_for_ever() {
        /// Begins messages and gives them up, a byte at a time, until it is used up.
        struct Flood {
            given: usize,
        }
        const MOST: usize = 1 << 30;
        impl Read for Flood {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let lap = [
                    &Header::more(8).to_bytes(),
                    &[7; 8],
                    &Header::GIVE_UP.to_bytes()[..],
                ]
                .concat();
                if self.given == MOST || buf.is_empty() {
                    return Ok(0);
                }
                buf[0] = lap[self.given % lap.len()];
                self.given += 1;
                Ok(1)
            }
        }
        let mut receiver = Receiver::new(Flood { given: 0 });
        assert_eq!(
            receiver
                .set_timeout(Some(Duration::ZERO))
                .unwrap_err()
                .kind(),
            ErrorKind::InvalidInput
        );
        receiver
            .set_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        for _ in 0..3 {
            assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert!(receiver.reader().given < MOST);
        receiver.set_timeout(Some(Duration::MAX)).unwrap();
        let mut whole = Receiver::new(&[0; 8][..]);
        whole.set_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(whole.recv().unwrap(), Some(&b""[..]));
    }

    #[test]
    fn a_plain_receiver_that_has_failed_keeps_its_reader() {
        let mut receiver = Receiver::new(&[0xff; 8][..]);
        assert!(receiver.recv().is_err());
        let error = io::Error::from(receiver.into_inner().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_writer_that_panics_tears_the_plain_message() {
        struct Panics;
        impl Write for Panics {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("on purpose")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sender = Sender::new(Panics);
        let sending = std::panic::AssertUnwindSafe(|| sender.send(b"x"));
        assert!(std::panic::catch_unwind(sending).is_err());
        assert_eq!(sender.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(sender.into_inner().is_err());
    }
}
