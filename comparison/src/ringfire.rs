//! ringfire: a ring of slots of one type for each direction, told not to overwrite what is unread.

use std::io;

use ::ringfire::{
    BusySpin, FlowControl, FutexWait, RingConsumer, RingProducer, RingProducerBuilder, WaitStrategy,
};

use slipring_bench::{
    transport::{End, Link, Transport},
    worker::{Work, Worker},
};

/// As much as a slipring stream has by default, and at least some slots.
const CAPACITY: usize = 256 << 10;
const SLOTS: usize = 8;

#[derive(Clone, Copy)]
pub enum Ringfire {
    Spin,
    Futex,
}

/// The size of its messages is a matter of types.
impl Work for Ringfire {
    fn work(&self, worker: &Worker) -> io::Result<()> {
        match worker.case().size {
            8 => self.sized::<8>(worker),
            64 => self.sized::<64>(worker),
            1024 => self.sized::<1024>(worker),
            4096 => self.sized::<4096>(worker),
            16384 => self.sized::<16384>(worker),
            65536 => self.sized::<65536>(worker),
            262144 => self.sized::<262144>(worker),
            1048576 => self.sized::<1048576>(worker),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Ringfire {
    fn sized<const N: usize>(self, worker: &Worker) -> io::Result<()> {
        match self {
            Ringfire::Spin => Slots::<N, BusySpin>(BusySpin::new).work(worker),
            Ringfire::Futex => Slots::<N, FutexWait>(FutexWait::default).work(worker),
        }
    }
}

/// How to wait, and for messages of how many bytes.
struct Slots<const N: usize, W>(fn() -> W);

struct Rings<const N: usize, W> {
    producer: RingProducer<[u8; N]>,
    consumer: RingConsumer<[u8; N]>,
    wait: W,
}

impl<const N: usize, W: WaitStrategy> Slots<N, W> {
    fn produce(end: &End, name: &str) -> io::Result<RingProducer<[u8; N]>> {
        RingProducerBuilder::new((CAPACITY / N).max(SLOTS) as u64)
            .flow_control(FlowControl::LosslessBackpressure)
            .build(end.directory.join(name))
            .map_err(io::Error::other)
    }

    fn consume(end: &End, name: &str) -> io::Result<RingConsumer<[u8; N]>> {
        let ring = RingConsumer::builder().start_from_oldest();
        ring.attach(end.directory.join(name))
            .map_err(io::Error::other)
    }
}

impl<const N: usize, W: WaitStrategy> Transport for Slots<N, W> {
    type Link = Rings<N, W>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        let (outbox, inbox) = if end.host {
            ("there", "back")
        } else {
            ("back", "there")
        };
        let producer = Self::produce(&end, outbox)?;
        // Now both rings are there.
        end.meet()?;
        Ok(Rings {
            producer,
            consumer: Self::consume(&end, inbox)?,
            wait: (self.0)(),
        })
    }
}

impl<const N: usize, W: WaitStrategy> Link for Rings<N, W> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let message: &[u8; N] = message.try_into().map_err(io::Error::other)?;
        self.producer.push(message);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(&self.consumer.recv_blocking(&mut self.wait));
        Ok(())
    }

    /// One, and those that have come with it.
    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (places, _) = buffer.as_chunks_mut();
        let (first, rest) = places
            .split_first_mut()
            .ok_or(io::ErrorKind::InvalidInput)?;
        *first = self.consumer.recv_blocking(&mut self.wait);
        Ok(N + N * self.consumer.recv_batch(rest))
    }

    fn send_batch(&mut self, messages: &[u8], _size: usize) -> io::Result<()> {
        self.producer.push_batch(messages.as_chunks().0);
        Ok(())
    }
}
