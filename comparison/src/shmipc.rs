//! shmipc, CloudWeGo's Rust port: buffers in shared memory, their places in a queue, and an eventfd
//! to wake.
//!
//! It knows no back-pressure: without a free buffer a stream goes over to its socket, and stays
//! there. So a sender looks here whether its message lies in shared memory before it lets it go,
//! and otherwise tries again.

use std::{any::Any, fmt::Display, io, os::unix::net::SocketAddr};

use ::shmipc::{
    Listener,
    buffer::BufferReader,
    config::{Config, ProtocolMode, SizePercentPair},
    session::{SessionManager, SessionManagerConfig},
    stream::Stream,
    transport::{DefaultUnixConnect, DefaultUnixListen},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
};

use slipring_bench::transport::{End, Link, Transport};

/// Both directions share it. It takes no less, and some messages have to fit.
const CAPACITY: usize = 1 << 20;
const MESSAGES: usize = 16;
/// before each buffer
const HEADER: usize = 20;
/// A buffer is no smaller here: an index a cache line.
const LEAST: usize = 64;

pub struct Shmipc;

pub struct Session {
    /// drives the tasks of the session, too, while this half waits
    runtime: Runtime,
    stream: Stream,
    /// bytes of the largest message
    size: usize,
    /// whose stream it is: must outlive it
    _origin: Box<dyn Any>,
}

fn failed(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn address(end: &End) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(end.directory.join("socket"))
}

/// Buffers of the message's size, and a queue that holds them all.
fn config(end: &End) -> Config {
    let buffer = end.size.max(LEAST);
    let capacity = CAPACITY.max(MESSAGES * (buffer + HEADER));
    let mut config = Config {
        share_memory_buffer_cap: capacity as u32,
        buffer_slice_sizes: vec![SizePercentPair {
            size: buffer as u32,
            percent: 100,
        }],
        queue_cap: (capacity / buffer) as u32,
        share_memory_path_prefix: end.directory.join("shmipc").to_string_lossy().into_owned(),
        ..Config::default().with_v4_eventfd()
    };
    config.protocol.mode = ProtocolMode::V4 { fallback: false };
    config
}

impl Transport for Shmipc {
    type Link = Session;

    fn open(&self, end: End) -> io::Result<Session> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (origin, stream) = runtime.block_on(async {
            if end.host {
                accepted(&end).await
            } else {
                connected(&end).await
            }
        })?;
        Ok(Session {
            runtime,
            stream,
            size: end.size,
            _origin: origin,
        })
    }
}

async fn accepted(end: &End) -> io::Result<(Box<dyn Any>, Stream)> {
    let mut listener = Listener::new(DefaultUnixListen, address(end)?, config(end)).await?;
    end.meet()?;
    let mut stream = listener.accept().await?;
    stream.discard(1).await.map_err(failed)?;
    Ok((Box::new(listener), stream))
}

async fn connected(end: &End) -> io::Result<(Box<dyn Any>, Stream)> {
    end.meet()?;
    let config = SessionManagerConfig::new().with_config(config(end));
    let manager = SessionManager::new(config, DefaultUnixConnect, address(end)?).await;
    let manager = manager.map_err(failed)?;
    let mut stream = manager.get_stream().map_err(failed)?;
    // The other side learns of a stream by its first bytes.
    stream.write_bytes(&[0]).map_err(failed)?;
    stream.flush(false).await.map_err(failed)?;
    Ok((Box::new(manager), stream))
}

impl Link for Session {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let stream = &mut self.stream;
        self.runtime.block_on(async {
            loop {
                stream.write_bytes(message).map_err(failed)?;
                if stream.send_buf().is_from_share_memory() {
                    return stream.flush(false).await.map_err(failed);
                }
                // It has no means to sleep until there is room.
                stream.send_buf().recycle();
                yield_now().await;
            }
        })
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let stream = &mut self.stream;
        self.runtime.block_on(async {
            let message = stream
                .read_exact_bytes(buffer.len())
                .await
                .map_err(failed)?;
            buffer.copy_from_slice(&message);
            drop(message);
            stream.recv_buf().release_previous_read();
            Ok(())
        })
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (stream, room) = (&mut self.stream, buffer.len());
        self.runtime.block_on(async {
            let part = if room < self.size {
                // A chunk may be larger.
                stream.peek(1).await.map_err(failed)?;
                let there = stream.recv_buf().len();
                stream.read_exact_bytes(there.min(room)).await
            } else {
                stream.read_chunk().await
            };
            let part = part.map_err(failed)?;
            let place = buffer
                .get_mut(..part.len())
                .ok_or(io::ErrorKind::InvalidData)?;
            place.copy_from_slice(&part);
            let length = part.len();
            drop(part);
            stream.recv_buf().release_previous_read();
            Ok(length)
        })
    }
}
