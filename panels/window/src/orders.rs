//! Orders, over a stream to the engine, on a thread of their own.

use slipring::{Options, frame};
use slipring_panels_engine::{Fill, Order, PROTOCOL, orders};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How an order ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It was filled, and the answer was there after so long.
    Filled(Fill, Duration),
    /// It is not known to have been filled.
    Failed(Order, String),
}

/// An order, and the engine that it is meant for: the epoch of its board.
type Wish = (Order, u64);

/// Where the window leaves its orders.
pub(crate) struct Desk {
    wishes: Sender<Wish>,
    outcomes: Receiver<Outcome>,
    next: u64,
}

impl Desk {
    pub fn new(engine: &str) -> Desk {
        let (wishes, to_do) = channel();
        let (done, outcomes) = channel();
        let name = orders(engine);
        thread::spawn(move || work(&name, &to_do, &done));
        Desk {
            wishes,
            outcomes,
            next: 1,
        }
    }

    pub fn order(&mut self, symbol: [u8; 8], quantity: i64, engine: u64) {
        let order = Order {
            id: self.next,
            symbol,
            quantity,
        };
        self.next += 1;
        // The thread lives as long as this.
        let _ = self.wishes.send((order, engine));
    }

    /// The newest outcome that has not been asked for.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcomes.try_iter().last()
    }
}

fn work(name: &str, to_do: &Receiver<Wish>, done: &Sender<Outcome>) {
    // The stream, and the engine that it goes to.
    let mut stream = None;
    for (order, engine) in to_do {
        let result = (|| {
            let (sender, receiver) = match &mut stream {
                Some((ends, its)) if *its == engine => ends,
                _ => &mut stream.insert((connect(name)?, engine)).0,
            };
            ask(sender, receiver, &order)
        })();
        let outcome = match result {
            Ok((fill, took)) => Outcome::Filled(fill, took),
            Err(error) => {
                stream = None;
                Outcome::Failed(order, error.to_string())
            }
        };
        if done.send(outcome).is_err() {
            return;
        }
    }
}

fn connect(name: &str) -> io::Result<(frame::Sender, frame::Receiver)> {
    let options = Options::new()
        .protocol(PROTOCOL)
        .wait_for_listener(Duration::from_secs(1));
    Ok(frame::split(options.connect(name)?)?)
}

fn ask(
    sender: &mut frame::Sender,
    receiver: &mut frame::Receiver,
    order: &Order,
) -> io::Result<(Fill, Duration)> {
    let begun = Instant::now();
    sender.send(&order.to_bytes())?;
    let answer = receiver.recv()?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let fill = Fill::from_bytes(&answer).filter(|fill| fill.order == *order);
    let fill = fill.ok_or(io::ErrorKind::InvalidData)?;
    Ok((fill, begun.elapsed()))
}
