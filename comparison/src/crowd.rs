//! Many streams between the two processes, with a thread for each of them on both sides. The
//! streams do round trips, all at the same time.

use std::{
    fs, io,
    path::Path,
    process::exit,
    sync::{Barrier, mpsc},
    thread,
    time::Duration,
};

use crate::{
    case::Case,
    clock::{Cpu, now},
    half::Half,
    machine,
    order::{Answer, Order, Report},
    stats,
    transport::{Place, Transport},
    worker::{Args, orders, say},
};

/// Of a thread, bytes.
const STACK: usize = 256 << 10;

pub fn work<T: Transport>(
    transport: &T,
    args: &Args,
    case: &'static Case,
    streams: usize,
) -> io::Result<()> {
    machine::allow_descriptors()?;
    let before = machine::memory()?;
    let host = args.address.is_none();
    let together = Barrier::new(streams);
    let (opened, open) = mpsc::channel();
    let (reports, reported) = mpsc::channel();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..streams {
            let place = Place {
                directory: args.directory.join(number.to_string()),
                size: case.size,
            };
            let address = if host {
                fs::create_dir(&place.directory)?;
                None
            } else {
                Some(await_file(&place.directory.join("address"))?)
            };
            let (orders, ordered) = mpsc::channel::<Order>();
            let (opened, reports, together) = (opened.clone(), reports.clone(), &together);
            let work = move || -> io::Result<()> {
                let link = match address {
                    Some(address) => transport.connect(&place, &address)?,
                    None => transport.host(&place, |address| announce(&place, number, address))?,
                };
                let mut half = Half::new(link, case, Cpu::Thread);
                // What is made at the first use is part of what a stream takes.
                let first = Order {
                    messages: 1,
                    round: 0,
                    verify: true,
                };
                if host {
                    half.ask(first, |_| {})?;
                } else {
                    half.peer(first)?;
                }
                opened.send(()).map_err(io::Error::other)?;
                for order in ordered {
                    let report = if host {
                        // A list: a histogram for each order would take longer than what it
                        // records.
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
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, move || {
                    // The other streams would wait for ever for what is not there.
                    if let Err(error) = work() {
                        let _ = say(&Answer::Failed(error.to_string()));
                        exit(1);
                    }
                })?;
            threads.push(orders);
        }
        open.iter().take(streams).for_each(drop);
        let memory = machine::memory()?.saturating_sub(before);
        say(&Answer::Connected)?;
        orders(|order: Order| {
            let before = Cpu::Process.spent();
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
                cpu: Cpu::Process.spent() - before,
                latency: stats::counts(&latency),
                memory,
                ..all
            }])
        })
    })
}

/// Says where a stream can be found: in a file, and the first one to the parent, who starts the
/// other process then.
fn announce(place: &Place, number: usize, address: &str) -> io::Result<()> {
    // Nobody sees half an address.
    let draft = place.directory.join("draft");
    fs::write(&draft, address)?;
    fs::rename(draft, place.directory.join("address"))?;
    if number == 0 {
        say(&Answer::Listening(String::new()))?;
    }
    Ok(())
}

/// What the other process has written there, or is going to. Who waits in vain is killed.
fn await_file(path: &Path) -> io::Result<String> {
    while !path.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    fs::read_to_string(path)
}
