//! The work of a process over a transport: it opens its ends of the connections, and does its half.

use std::{io, process, sync::mpsc, thread};

use crate::{
    case::Kind,
    clock, crowd,
    half::Half,
    order::Order,
    transport::{End, Transport},
    worker::{Work, Worker},
};

impl<T: Transport> Work for T {
    fn alone(&self) -> bool {
        T::THREADS
    }

    fn work(&self, worker: &Worker) -> io::Result<()> {
        if let Kind::Streams(_) = worker.case().kind {
            return crowd::work(self, worker);
        }
        if T::THREADS {
            return threads(self, worker);
        }
        let link = self.open(worker.end_of_one()?)?;
        let mut half = Half::new(link, worker.case(), clock::cpu);
        worker.orders(|order| {
            let report = match worker.is_host() {
                true => half.host(order),
                false => half.peer(order),
            };
            report.map(|report| vec![report])
        })
    }
}

/// Both halves in this process, each on a thread of its own.
fn threads<T: Transport>(transport: &T, worker: &Worker) -> io::Result<()> {
    let both = <[End; 2]>::try_from(worker.ends()?);
    let [here, there] = both.map_err(|_| io::ErrorKind::NotConnected)?;
    let here = transport.open(here)?;
    let there = End {
        host: false,
        ..there
    };
    let (order_sender, order_receiver) = mpsc::channel::<Order>();
    let (report_sender, report_receiver) = mpsc::channel();
    let peer = move || -> io::Result<()> {
        worker.pin(worker.other_cpu())?;
        let link = transport.open(there)?;
        let mut half = Half::new(link, worker.case(), clock::thread_cpu);
        while let Ok(order) = order_receiver.recv() {
            if report_sender.send(half.peer(order)?).is_err() {
                break;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            // The host would wait for ever for a thread that is not there.
            if let Err(error) = peer() {
                worker.tell_failure(&error);
                process::exit(1);
            }
        });
        let gone = || io::Error::other("the other thread has ended");
        let mut half = Half::new(here, worker.case(), clock::thread_cpu);
        // Moved, so that the other thread ends when there are no more orders.
        worker.orders(move |order| {
            order_sender.send(order).map_err(|_| gone())?;
            let here = half.host(order)?;
            Ok(vec![here, report_receiver.recv().map_err(|_| gone())?])
        })
    })
}
