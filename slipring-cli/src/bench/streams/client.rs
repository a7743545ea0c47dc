//! A client process: answers whatever comes on its streams, until they end.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    task::JoinSet,
};

use super::{
    message::SIZE,
    order::{self, Ready},
    server::open,
    transport::Transport,
};
use crate::{bench::channel::Channel, failure::Failure};

pub fn answer<T: Transport>(channel: &Channel, transport: &T) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sockets = order::join(channel)?;
    runtime.block_on(async {
        let mut streams = JoinSet::new();
        for (reader, writer) in open(transport, sockets).await? {
            streams.spawn(echo::<T>(reader, writer));
        }
        channel.send(&Ready)?;
        while let Some(ended) = streams.join_next().await {
            // A stream that has not ended in order is for the server to tell: it waits for the
            // answer.
            let _: Result<io::Result<()>, _> = ended;
        }
        Ok(())
    })
}

async fn echo<T: Transport>(mut reader: T::Reader, mut writer: T::Writer) -> io::Result<()> {
    let mut message = [0; SIZE];
    loop {
        reader.read_exact(&mut message).await?;
        writer.write_all(&message).await?;
    }
}
