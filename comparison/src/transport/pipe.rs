//! Two pipes, one for each direction: named ones, so that the other process can open them.

use std::{fs::File, io};

use rustix::fs::{CWD, Mode, mkfifoat};

use super::{Place, Transport, duplex::Duplex};

pub struct Pipe;

impl Transport for Pipe {
    type Link = Duplex<File, File>;

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        for name in ["there", "back"] {
            mkfifoat(CWD, place.directory.join(name), Mode::RUSR | Mode::WUSR)?;
        }
        announce("")?;
        // Each of these waits for the other process, which opens in the same order.
        let writer = File::options()
            .write(true)
            .open(place.directory.join("there"))?;
        let reader = File::open(place.directory.join("back"))?;
        Ok(Duplex { reader, writer })
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        let reader = File::open(place.directory.join("there"))?;
        let writer = File::options()
            .write(true)
            .open(place.directory.join("back"))?;
        Ok(Duplex { reader, writer })
    }
}
