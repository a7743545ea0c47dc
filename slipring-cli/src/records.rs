//! Records on standard input and output: lines, or bytes with their length before them.

use std::io::{self, BufRead, BufReader, Read, Write};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::BorrowedFd,
    io::Errno,
    stdio::{stdin, stdout},
};

use crate::failure::Failure;

/// The most that is read or written at once.
const CHUNK: usize = 64 << 10;

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Each is a line, without its end.
    Lines,
    /// Each has its length before it: 4 bytes, little-endian.
    Frames,
}

/// A record could not be read.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// It has more bytes than it may have; a frame says how many.
    TooLong(Option<usize>),
    /// The input ended within a frame.
    Torn,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Records out of a stream of bytes.
#[derive(Debug)]
pub struct RecordReader<R> {
    input: R,
    form: Form,
    longest: usize,
    record: Vec<u8>,
}

impl RecordReader<BufReader<StandardInput>> {
    pub fn standard(form: Form, longest: usize) -> Self {
        let input = BufReader::with_capacity(CHUNK, StandardInput);
        RecordReader::new(input, form, longest)
    }
}

impl<R: BufRead> RecordReader<R> {
    fn new(input: R, form: Form, longest: usize) -> Self {
        Self {
            input,
            form,
            longest,
            record: Vec::new(),
        }
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.record.clear();
        let is_there = match self.form {
            Form::Lines => self.line()?,
            Form::Frames => self.frame()?,
        };
        Ok(is_there.then_some(&self.record))
    }

    fn line(&mut self) -> Result<bool, ReadError> {
        // The end of the line, and one byte to see that it is too long.
        let most = self.longest as u64 + 1;
        let mut part = self.input.by_ref().take(most);
        if part.read_until(b'\n', &mut self.record)? == 0 {
            return Ok(false);
        }
        if self.record.last() == Some(&b'\n') {
            self.record.pop();
        }
        if self.record.len() > self.longest {
            return Err(ReadError::TooLong(None));
        }
        Ok(true)
    }

    fn frame(&mut self) -> Result<bool, ReadError> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > self.longest {
            return Err(ReadError::TooLong(Some(length)));
        }
        let mut record = std::mem::take(&mut self.record);
        record.resize(length, 0);
        let filled = self.fill(&mut record);
        self.record = record;
        filled.map(|()| true)
    }

    fn fill(&mut self, room: &mut [u8]) -> Result<(), ReadError> {
        self.input
            .read_exact(room)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ReadError::Torn,
                _ => ReadError::Io(error),
            })
    }
}

/// Writes one record.
pub fn write(output: &mut impl Write, form: Form, record: &[u8]) -> io::Result<()> {
    match form {
        Form::Lines => {
            output.write_all(record)?;
            output.write_all(b"\n")
        }
        Form::Frames => {
            // A feed's records have less than 1 GiB.
            let length = u32::try_from(record.len()).map_err(io::Error::other)?;
            output.write_all(&length.to_le_bytes())?;
            output.write_all(record)
        }
    }
}

/// Standard input. Other processes may have made the open file non-blocking.
#[derive(Debug)]
pub struct StandardInput;

impl Read for StandardInput {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        patiently(stdin(), PollFlags::IN, || {
            rustix::io::read(stdin(), &mut *room)
        })
    }
}

/// Standard output, likewise.
#[derive(Debug)]
pub struct StandardOutput;

impl StandardOutput {
    pub fn buffered() -> io::BufWriter<StandardOutput> {
        io::BufWriter::with_capacity(CHUNK, StandardOutput)
    }
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(stdout(), PollFlags::OUT, || {
            rustix::io::write(stdout(), bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn patiently(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    mut act: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match act() {
            Err(Errno::AGAIN) => match poll(&mut [PollFd::from_borrowed_fd(fd, events)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            },
            Err(Errno::INTR) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}

impl ReadError {
    /// What went wrong with the record of this number, counted from 1.
    pub fn failure(self, form: Form, number: u64, longest: usize) -> Failure {
        let what = match form {
            Form::Lines => "line",
            Form::Frames => "frame",
        };
        match self {
            Self::Io(error) => Failure::doing("read standard input")(error),
            Self::TooLong(length) => {
                let has = match length {
                    Some(length) => format!("{length} bytes, and {longest} are the most"),
                    None => format!("more than {longest} bytes, which are the most"),
                };
                Failure::failed(format!(
                    "{what} {number} has {has}; raise --max-record, and --capacity to four times \
                     as many or more"
                ))
            }
            Self::Torn => Failure::failed(format!(
                "standard input ends within {what} {number}; each frame is its length in 4 bytes, \
                 little-endian, and then as many bytes"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(form: Form, longest: usize, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut reader = RecordReader::new(bytes, form, longest);
        let mut all = Vec::new();
        while let Some(record) = reader.next()? {
            all.push(record.to_vec());
        }
        Ok(all)
    }

    #[test]
    fn a_line_is_a_record_with_or_without_its_end() {
        let lines = |bytes: &[u8]| all(Form::Lines, 3, bytes).unwrap();
        assert_eq!(lines(b"a\n\nbcd\nef"), [&b"a"[..], b"", b"bcd", b"ef"]);
        assert_eq!(lines(b"abc\n"), [b"abc"]);
        assert_eq!(lines(b"abc"), [b"abc"]);
        assert!(lines(b"").is_empty());
        let error = all(Form::Lines, 3, b"abcd\n").unwrap_err();
        assert!(matches!(error, ReadError::TooLong(None)));
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let records = [&b"a\nb"[..], b"", &[7; 300]];
        let mut bytes = Vec::new();
        for record in records {
            write(&mut bytes, Form::Frames, record).unwrap();
        }
        assert_eq!(all(Form::Frames, 300, &bytes).unwrap(), records);
        for end in [1, 3, 6, bytes.len() - 1] {
            let error = all(Form::Frames, 300, &bytes[..end]).unwrap_err();
            assert!(matches!(error, ReadError::Torn), "{end}: {error:?}");
        }
        let error = all(Form::Frames, 299, &bytes).unwrap_err();
        assert!(matches!(error, ReadError::TooLong(Some(300))));
    }
}
