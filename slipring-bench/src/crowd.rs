//! Many streams between the two processes, with a thread for each of them on both sides. The
//! streams do round trips, all at the same time.

use std::{
    io,
    process::exit,
    sync::{Barrier, mpsc},
    thread,
};

use crate::{
    clock::{self, now},
    half::Half,
    order::{Order, Report},
    stats,
    transport::Transport,
    worker::Worker,
};

/// Of a thread, bytes.
const STACK: usize = 256 << 10;

/// Resources that are made at the first use are counted as those of a stream.
pub(crate) const FIRST: Order = Order {
    messages: 1,
    round: 0,
    verify: true,
};

pub(crate) fn work<T: Transport>(transport: &T, worker: &Worker) -> io::Result<()> {
    let ends = worker.ends()?;
    let (streams, host) = (ends.len(), worker.is_host());
    let together = Barrier::new(streams);
    let (opened, open) = mpsc::channel();
    let (reports, reported) = mpsc::channel();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for end in ends {
            let (orders, ordered) = mpsc::channel::<Order>();
            let (opened, reports, together) = (opened.clone(), reports.clone(), &together);
            let work = move || -> io::Result<()> {
                let link = transport.open(end)?;
                let mut half = Half::new(link, worker.case(), clock::thread_cpu);
                if host {
                    half.ask(FIRST, |_| {})?;
                } else {
                    half.peer(FIRST)?;
                }
                opened.send(()).map_err(io::Error::other)?;
                for order in ordered {
                    let report = if host {
                        // A list: a histogram for each order would take longer than the round trips
                        // that it records.
                        let mut latency = Vec::with_capacity(order.messages as usize);
                        together.wait();
                        let start = now();
                        half.ask(order, |taken| latency.push(taken))?;
                        (start, now(), latency)
                    } else {
                        let report = half.peer(order)?;
                        (report.start, report.end, Vec::new())
                    };
                    reports.send(report).map_err(io::Error::other)?;
                }
                Ok(())
            };
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, move || {
                // The other streams would wait for ever for bytes that are not there.
                if let Err(error) = work() {
                    worker.tell_failure(&error);
                    exit(1);
                }
            })?;
            threads.push(orders);
        }
        open.iter().take(streams).for_each(drop);
        // Moved, so that the threads end when there are no more orders.
        worker.orders(move |order| {
            let before = clock::cpu();
            for thread in &threads {
                thread.send(order).map_err(io::Error::other)?;
            }
            let mut all = Report {
                start: u64::MAX,
                ..Report::default()
            };
            let mut latency = stats::histogram();
            for (start, end, taken) in reported.iter().take(streams) {
                all.start = all.start.min(start);
                all.end = all.end.max(end);
                taken
                    .into_iter()
                    .for_each(|taken| latency.saturating_record(taken));
            }
            Ok(vec![Report {
                cpu: clock::cpu() - before,
                latency: stats::counts(&latency),
                ..all
            }])
        })
    })
}
