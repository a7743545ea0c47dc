//! Two pipes, one for each direction.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd,
};

use super::{End, Transport, duplex::Duplex};

/// A pair of pipes.
pub struct Pipe;

impl Transport for Pipe {
    type Link = Duplex<PipeReader, PipeWriter>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        if !end.host {
            let [reader, writer] = end.take()?;
            return Ok(Duplex {
                reader: reader.into(),
                writer: writer.into(),
            });
        }
        let (reader_there, writer) = io::pipe()?;
        let (reader, writer_there) = io::pipe()?;
        end.pass(&[reader_there.as_fd(), writer_there.as_fd()])?;
        Ok(Duplex { reader, writer })
    }
}
