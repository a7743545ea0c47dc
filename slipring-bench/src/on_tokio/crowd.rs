//! Many streams between the two processes: one thread on each side, and a task for each stream.
//! They do round trips, all at the same time.

use std::{io, mem};

use tokio::{runtime::Runtime, task::JoinSet};

use super::connection::{Connection, half};
use crate::{
    clock,
    crowd::FIRST,
    half::timed,
    order::{Order, Report},
    stats,
    worker::Worker,
};

pub(super) fn converse<S: Connection>(
    mut streams: Vec<S>,
    runtime: &Runtime,
    worker: &Worker,
) -> io::Result<()> {
    streams = runtime.block_on(all(streams, FIRST, worker))?.0;
    worker.orders(|order| {
        let mut taken = Vec::new();
        let report = timed(clock::cpu, || {
            let done = runtime.block_on(all(mem::take(&mut streams), order, worker));
            (streams, taken) = done?;
            Ok(Report::default())
        })?;
        let mut latency = stats::histogram();
        taken
            .into_iter()
            .for_each(|taken| latency.saturating_record(taken));
        let latency = stats::counts(&latency);
        Ok(vec![Report { latency, ..report }])
    })
}

/// Lets all streams do an order; gives them back, with how long each round trip took.
async fn all<S: Connection>(
    streams: Vec<S>,
    order: Order,
    worker: &Worker,
) -> io::Result<(Vec<S>, Vec<u64>)> {
    let (host, size) = (worker.is_host(), worker.case().size);
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let (mut message, mut taken) = (vec![0; size], Vec::new());
            let record = |time| taken.push(time);
            half(&mut stream, &mut message, order, host, record).await?;
            io::Result::Ok((stream, taken))
        });
    }
    let (mut streams, mut taken) = (Vec::with_capacity(tasks.len()), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (stream, its) = done??;
        streams.push(stream);
        taken.extend(its);
    }
    Ok((streams, taken))
}
