//! iceoryx2: publish and subscribe of slices of bytes, a service for each direction, polled.

use std::{fmt::Display, hint::spin_loop, io, slice};

use ::iceoryx2::{
    port::{publisher::Publisher, subscriber::Subscriber},
    prelude::*,
    sample::Sample,
};

use slipring_bench::{
    scratch,
    transport::{End, Link, Transport, in_place::Lend},
};

/// Of messages under way, beyond which the publisher waits: as much as a slipring stream has by
/// default, and at least some messages.
const CAPACITY: usize = 256 << 10;
const MESSAGES: usize = 8;

pub struct Iceoryx2;

pub struct Ports {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    _node: Node<ipc::Service>,
}

fn failed(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn open(end: &End) -> io::Result<Ports> {
    set_log_level(LogLevel::Error);
    let unique = scratch::name(&end.directory);
    // The defaults, whatever a configuration file says, but for where its files lie and what they
    // are called.
    let mut config = Config::default();
    let root = end.directory.to_string_lossy();
    config
        .global
        .set_root_path(&Path::new(root.as_bytes()).map_err(failed)?);
    config.global.prefix = FileName::new(format!("{unique}_").as_bytes()).map_err(failed)?;
    let node = NodeBuilder::new()
        .config(&config)
        .create::<ipc::Service>()
        .map_err(failed)?;
    let buffer = (CAPACITY / end.size).max(MESSAGES);
    let service = |direction: &str| {
        let name = format!("{unique}/{direction}");
        node.service_builder(&name.as_str().try_into().map_err(failed)?)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(buffer)
            .history_size(0)
            .open_or_create()
            .map_err(failed)
    };
    let (outbox, inbox) = if end.host {
        ("there", "back")
    } else {
        ("back", "there")
    };
    let publisher = service(outbox)?
        .publisher_builder()
        .initial_max_slice_len(end.size)
        .create()
        .map_err(failed)?;
    let subscriber = service(inbox)?
        .subscriber_builder()
        .buffer_size(buffer)
        .create()
        .map_err(failed)?;
    Ok(Ports {
        publisher,
        subscriber,
        _node: node,
    })
}

impl Ports {
    fn next(&self) -> io::Result<Sample<ipc::Service, [u8], ()>> {
        loop {
            if let Some(sample) = self.subscriber.receive().map_err(failed)? {
                return Ok(sample);
            }
            spin_loop();
        }
    }
}

impl Transport for Iceoryx2 {
    type Link = Ports;

    fn open(&self, end: End) -> io::Result<Ports> {
        end.in_turn(|| open(&end))
    }
}

impl Link for Ports {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let sample = self
            .publisher
            .loan_slice_uninit(message.len())
            .map_err(failed)?;
        sample.write_from_slice(message).send().map_err(failed)?;
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let sample = self.next()?;
        let message = sample.payload();
        let place = buffer
            .get_mut(..message.len())
            .ok_or(io::ErrorKind::InvalidData)?;
        place.copy_from_slice(message);
        Ok(message.len())
    }
}

impl Lend for Ports {
    fn send_in_place(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(size).map_err(failed)?;
        let place = sample.payload_mut();
        let (start, length) = (place.as_mut_ptr().cast(), place.len());
        // SAFETY: the memory of `place`, which is not used otherwise meanwhile: shared memory,
        // which the kernel has filled with zeros.
        write(unsafe { slice::from_raw_parts_mut(start, length) });
        // SAFETY: initialised, as above.
        let sample = unsafe { sample.assume_init() };
        sample.send().map_err(failed)?;
        Ok(())
    }

    fn receive_in_place(&mut self, _size: usize, read: impl FnOnce(&[u8])) -> io::Result<()> {
        read(self.next()?.payload());
        Ok(())
    }
}
