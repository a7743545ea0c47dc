//! One connection, and the round trips over it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{clock, half::WARM_UP, order::Order, pattern::fill};

/// A connection, on this runtime.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for S {}

/// One side's round trips. Tells how long each took, without the first ones.
pub(super) async fn half<S: Connection>(
    stream: &mut S,
    message: &mut [u8],
    order: Order,
    host: bool,
    mut record: impl FnMut(u64),
) -> io::Result<()> {
    if !host {
        for _ in 0..order.messages {
            stream.read_exact(message).await?;
            stream.write_all(message).await?;
        }
        return Ok(());
    }
    let mut echo = vec![0; message.len()];
    for number in 0..order.messages {
        if order.verify {
            fill(message, number * 1009);
        }
        message[..8].copy_from_slice(&number.to_le_bytes());
        let sent = clock::now();
        stream.write_all(message).await?;
        stream.read_exact(&mut echo).await?;
        let taken = clock::now() - sent;
        if number >= order.messages / WARM_UP {
            record(taken);
        }
        if echo[..8] != message[..8] || (order.verify && echo != *message) {
            return Err(io::Error::other("an echo is not what was sent"));
        }
    }
    Ok(())
}
