//! One publisher and many subscribers, over a feed, or over a stream or a socket each: a process
//! publishes so many messages a second, and another one has a thread for each subscriber.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::exit,
    sync::mpsc,
    thread,
};

use ::slipring::{
    Spin,
    feed::{Event, Publisher, Subscriber, SubscriberOptions, Wake},
};

use crate::{
    clock::{self, MILLISECOND, SECOND, now},
    half::WARM_UP,
    order::{Order, Report},
    pattern::fill,
    stats,
    transport::{End, slipring::Slipring},
    usage,
    worker::{Work, Worker},
};

/// Of a thread, bytes.
const STACK: usize = 256 << 10;
/// The time of the publication, and the number.
const HEAD: usize = 16;
/// The thread of a publisher that wakes.
const WAKER: &str = "slipring-feed";
/// Between two looks of a subscriber with a timer: 60 a second.
const FRAME: u64 = SECOND / 60;

/// How a subscriber of a feed gets to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It sleeps, and is woken at once.
    Woken,
    /// It looks again and again.
    Spinning,
    /// It has a timer of its own, and takes the newest.
    Timer,
}

/// The way from the publisher to its subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// One feed.
    Feed(Pace),
    /// A stream each, which sleeps.
    Streams,
    /// A Unix socket each.
    Sockets,
}

/// Publications a second: as many as keep thousands of wake-ups a second within two cores.
pub(crate) fn rate(subscribers: usize) -> u64 {
    (20_000 / subscribers.max(1) as u64).clamp(20, 1000)
}

impl Work for Subscribed {
    fn work(&self, worker: &Worker) -> io::Result<()> {
        let ends = worker.ends()?;
        if worker.is_host() {
            publish(Outlet::open(*self, ends)?, worker)
        } else {
            subscribe(*self, ends, worker)
        }
    }
}

/// Where a publisher writes.
enum Outlet {
    Feed(Box<Publisher>),
    Each(Vec<Box<dyn Write>>),
}

impl Outlet {
    fn open(way: Subscribed, ends: Vec<End>) -> io::Result<Outlet> {
        match way {
            Subscribed::Feed(_) => {
                let name = format!("bench-feed-{}", std::process::id());
                let publisher = Publisher::bind(&name)?;
                for mut end in ends {
                    end.socket.write_all(name.as_bytes())?;
                    end.socket.shutdown(Shutdown::Write)?;
                }
                Ok(Outlet::Feed(Box::new(publisher)))
            }
            Subscribed::Streams => {
                let open = |end: End| -> io::Result<Box<dyn Write>> {
                    Ok(Box::new(asleep().upgrade(end.socket)?.into_split().1))
                };
                let all = ends.into_iter().map(open);
                Ok(Outlet::Each(all.collect::<io::Result<_>>()?))
            }
            Subscribed::Sockets => {
                let all = ends.into_iter();
                let all = all.map(|end| Box::new(end.socket) as Box<dyn Write>);
                Ok(Outlet::Each(all.collect()))
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Outlet::Feed(publisher) => publisher.publish(message).map(drop)?,
            Outlet::Each(all) => {
                for one in all {
                    one.write_all(message)?;
                }
            }
        }
        Ok(())
    }
}

fn asleep() -> ::slipring::Options {
    let transport = Slipring {
        spin: Spin::Never,
        capacity: None,
    };
    transport.options()
}

fn publish(mut outlet: Outlet, worker: &Worker) -> io::Result<()> {
    let period = SECOND / rate(worker.case().kind.streams());
    let mut message = vec![0; worker.case().size];
    let mut number = 0_u64;
    worker.orders(|order| {
        let (cpu, waking) = (clock::thread_cpu(), usage::of_threads(WAKER)?);
        // Time for all subscribers to go to sleep.
        let start = now() + period.max(20 * MILLISECOND);
        let mut publishing = stats::histogram();
        for turn in 0..order.messages {
            fill(&mut message, number);
            message[8..HEAD].copy_from_slice(&number.to_le_bytes());
            clock::sleep_until(start + turn * period);
            let before = now();
            message[..8].copy_from_slice(&before.to_le_bytes());
            outlet.send(&message)?;
            if turn >= order.messages / WARM_UP {
                publishing.saturating_record(now() - before);
            }
            number += 1;
        }
        Ok(vec![Report {
            start,
            end: now(),
            cpu: clock::thread_cpu() - cpu,
            waking: usage::of_threads(WAKER)? - waking,
            publishing: stats::counts(&publishing),
            ..Report::default()
        }])
    })
}

/// Where a subscriber reads.
enum Inlet {
    Feed(Box<Subscriber>, Pace),
    Bytes(Box<dyn Read>),
}

impl Inlet {
    fn open(way: Subscribed, end: End) -> io::Result<Inlet> {
        Ok(match way {
            Subscribed::Feed(pace) => {
                let wake = match pace {
                    Pace::Woken => Wake::AtOnce,
                    Pace::Spinning | Pace::Timer => Wake::Never,
                };
                let options = SubscriberOptions::new().wake(wake).spin(Spin::Never);
                let subscriber = options.connect(name_of(end.socket)?)?;
                Inlet::Feed(Box::new(subscriber), pace)
            }
            Subscribed::Streams => {
                Inlet::Bytes(Box::new(asleep().upgrade(end.socket)?.into_split().0))
            }
            Subscribed::Sockets => Inlet::Bytes(Box::new(end.socket)),
        })
    }

    /// Waits for a message, copies it, and tells how many were passed over before it.
    fn receive(&mut self, message: &mut [u8]) -> io::Result<u64> {
        let (subscriber, pace) = match self {
            Inlet::Bytes(reader) => return reader.read_exact(message).map(|()| 0),
            Inlet::Feed(subscriber, pace) => (subscriber, *pace),
        };
        loop {
            let event = match pace {
                Pace::Woken => Some(subscriber.recv()?),
                Pace::Spinning => subscriber.try_recv()?,
                Pace::Timer => {
                    clock::sleep_until(now() + FRAME);
                    subscriber.latest()?
                }
            };
            match event {
                Some(Event::Record(record)) if record.payload.len() == message.len() => {
                    message.copy_from_slice(record.payload);
                    return Ok(record.skipped);
                }
                None => std::hint::spin_loop(),
                Some(other) => return Err(io::Error::other(format!("not a message: {other:?}"))),
            }
        }
    }
}

/// What the publisher says over the socket of a subscriber.
fn name_of(mut socket: UnixStream) -> io::Result<String> {
    let mut name = String::new();
    socket.read_to_string(&mut name)?;
    Ok(name)
}

/// One subscriber, and the number of the message that comes next.
struct One {
    inlet: Inlet,
    next: u64,
    message: Vec<u8>,
    expected: Vec<u8>,
}

impl One {
    /// Receives the messages of an order. Their latencies, and when the last one came.
    fn carry_out(&mut self, order: Order) -> io::Result<(u64, Vec<u64>)> {
        let mut latency = Vec::with_capacity(order.messages as usize);
        let (begin, end) = (self.next, self.next + order.messages);
        while self.next < end {
            let skipped = self.inlet.receive(&mut self.message)?;
            let came = now();
            let number = self.next + skipped;
            fill(&mut self.expected, number);
            self.expected[8..HEAD].copy_from_slice(&number.to_le_bytes());
            let (sent, rest) = self
                .message
                .split_first_chunk()
                .ok_or(io::ErrorKind::InvalidData)?;
            if *rest != self.expected[8..] {
                return Err(io::Error::other("a message is not what was sent"));
            }
            if number - begin >= order.messages / WARM_UP {
                latency.push(came.saturating_sub(u64::from_le_bytes(*sent)));
            }
            self.next = number + 1;
        }
        Ok((now(), latency))
    }
}

fn subscribe(way: Subscribed, ends: Vec<End>, worker: &Worker) -> io::Result<()> {
    let (size, subscribers) = (worker.case().size, ends.len());
    let (opened, open) = mpsc::channel();
    let (reports, reported) = mpsc::channel();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for end in ends {
            let (orders, ordered) = mpsc::channel::<Order>();
            let (opened, reports) = (opened.clone(), reports.clone());
            let work = move || -> io::Result<()> {
                let mut one = One {
                    inlet: Inlet::open(way, end)?,
                    next: 0,
                    message: vec![0; size],
                    expected: vec![0; size],
                };
                opened.send(()).map_err(io::Error::other)?;
                for order in ordered {
                    let report = one.carry_out(order)?;
                    reports.send(report).map_err(io::Error::other)?;
                }
                Ok(())
            };
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, move || {
                // The others would wait for ever for messages that are not there.
                if let Err(error) = work() {
                    worker.tell_failure(&error);
                    exit(1);
                }
            })?;
            threads.push(orders);
        }
        open.iter().take(subscribers).for_each(drop);
        // Moved, so that the threads end when there are no more orders.
        worker.orders(move |order| {
            let before = clock::cpu();
            for thread in &threads {
                thread.send(order).map_err(io::Error::other)?;
            }
            let mut all = Report::default();
            let mut latency = stats::histogram();
            for (end, taken) in reported.iter().take(subscribers) {
                all.end = all.end.max(end);
                for taken in taken {
                    latency.saturating_record(taken);
                }
            }
            Ok(vec![Report {
                cpu: clock::cpu() - before,
                latency: stats::counts(&latency),
                ..all
            }])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_subscribers_get_fewer_publications() {
        assert_eq!([1, 10, 100, 500, 5000].map(rate), [1000, 1000, 200, 40, 20]);
    }
}
