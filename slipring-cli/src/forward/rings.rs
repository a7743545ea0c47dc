//! Opening the rings of a C# program, for `mmf:PATH` and `mmf:IN,OUT`.

use std::path::Path;

use slipring::mmf::{Error, Reader, Writer, survive_truncation};

use super::endpoint::Side;
use crate::{
    address::{Files, Rings},
    duplex::Duplex,
    failure::Failure,
};

pub fn open(rings: &Rings, side: Side) -> Result<Duplex, Failure> {
    // This process is the command's own: a file that another process cuts is to end a connection
    // and nothing else.
    survive_truncation().map_err(Failure::doing("handle SIGBUS"))?;
    let (incoming, outgoing) = match (&rings.files, side) {
        (Files::Both { incoming, outgoing }, _) => (Some(incoming), Some(outgoing)),
        (Files::One(path), Side::From) => (Some(path), None),
        (Files::One(path), Side::To) => (None, Some(path)),
    };
    let reader = incoming.map(|path| one(path, rings.size, Reader::open, Reader::create_or_open));
    let writer = outgoing.map(|path| one(path, rings.size, Writer::open, Writer::create_or_open));
    Ok(Duplex::mmf(reader.transpose()?, writer.transpose()?)?)
}

fn one<'p, T>(
    path: &'p Path,
    size: Option<u64>,
    open: impl FnOnce(&'p Path) -> Result<T, Error>,
    create_or_open: impl FnOnce(&'p Path, u64) -> Result<T, Error>,
) -> Result<T, Failure> {
    match size {
        Some(size) => Ok(create_or_open(path, size)?),
        None => open(path).map_err(|error| match error {
            Error::NotThere { .. } => Failure::unreachable(format!(
                "there is no file {}; start the program that makes it, or write ?size=N behind it, \
                 with the size that this program uses",
                path.display()
            )),
            error => error.into(),
        }),
    }
}
