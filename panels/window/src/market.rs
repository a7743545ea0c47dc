//! The panel's knowledge: the newest quotes, what happened to them, the fills, and how the engine
//! is.

use crate::orders::{Desk, Outcome};
use slipring::board::{self, Change};
use slipring::feed::{self, Start, Wake};
use slipring_panels_engine::{Fill, Order, PROTOCOL, Quote, fills, now};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The seconds of a price line.
const MINUTE: f64 = 60.0;

/// From one of its points to the next one.
const POINT: Duration = Duration::from_millis(200);

/// The most fills that are kept.
const FILLS: usize = 200;

/// How long rates and lags are gathered before they are shown.
const GATHER: Duration = Duration::from_millis(500);

/// How long a new engine is news.
const NEWS: Duration = Duration::from_secs(5);

/// A symbol.
pub(crate) struct Row {
    pub symbol: String,
    pub quote: Quote,
    /// When the price last moved, and whether up.
    pub moved: Option<(Instant, bool)>,
    /// Seconds since the panel was started, and the price.
    pub line: VecDeque<[f64; 2]>,
}

/// How the engine is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// There has been none yet.
    Waiting,
    Live,
    /// It is gone, since then and for this reason; another one is waited for.
    Lost(Instant, String),
}

/// Measurements of the last half second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Changes per second that the engine made.
    pub published: f64,
    /// Changes per second that were told to this panel: a key once in each frame.
    pub told: f64,
    pub frames: f64,
    /// How old the newest price was when a frame took it: the median and the longest, in seconds.
    pub lag: f64,
    pub longest_lag: f64,
}

#[derive(Default)]
struct Gathering {
    begun: Option<Instant>,
    next: u64,
    told: u64,
    frames: u64,
    lags: Vec<u64>,
}

type Connection = io::Result<(board::Subscriber, feed::Subscriber)>;

pub(crate) struct Market {
    pub rows: Vec<Row>,
    at: HashMap<String, usize>,
    pub state: State,
    pub restarted: Option<Instant>,
    pub engines: u32,
    pub figures: Figures,
    gathering: Gathering,
    /// The newest first.
    pub fills: VecDeque<Fill>,
    pub desk: Desk,
    /// The outcome of the last order.
    pub outcome: Option<Outcome>,
    pub error: Option<String>,
    board: Option<board::Subscriber>,
    feed: Option<feed::Subscriber>,
    connecting: Receiver<Connection>,
    started: Instant,
    next_point: Instant,
}

impl Market {
    /// Begins to connect, on another thread: there need not be an engine yet.
    pub fn new(engine: &str) -> Market {
        let (sender, connecting) = channel();
        let name = engine.to_owned();
        thread::spawn(move || {
            // The window may be closed meanwhile.
            let _ = sender.send(connect(&name));
        });
        Market {
            rows: Vec::new(),
            at: HashMap::new(),
            state: State::Waiting,
            restarted: None,
            engines: 0,
            figures: Figures::default(),
            gathering: Gathering::default(),
            fills: VecDeque::new(),
            desk: Desk::new(engine),
            outcome: None,
            error: None,
            board: None,
            feed: None,
            connecting,
            started: Instant::now(),
            next_point: Instant::now(),
        }
    }

    pub fn row(&self, symbol: &str) -> Option<&Row> {
        self.at.get(symbol).map(|&place| &self.rows[place])
    }

    /// Seconds since the panel was started.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The engine's process.
    pub fn engine(&self) -> Option<u32> {
        self.board.as_ref()?.peer().pid
    }

    /// Whether a new engine is news.
    pub fn has_new_engine(&self) -> bool {
        self.restarted.is_some_and(|since| since.elapsed() < NEWS)
    }

    /// Gives an order to the engine that the prices come from.
    pub fn order(&mut self, symbol: &str, quantity: i64) {
        let mut padded = [0; 8];
        let length = symbol.len().min(8);
        padded[..length].copy_from_slice(&symbol.as_bytes()[..length]);
        if let Some(board) = &self.board {
            self.desk.order(padded, quantity, board.epoch());
        }
    }

    /// Takes in what has happened since the last frame. Waits for nothing.
    pub fn look(&mut self) {
        if let Ok(connected) = self.connecting.try_recv() {
            match connected {
                Ok((board, feed)) => {
                    (self.board, self.feed) = (Some(board), Some(feed));
                    self.engines = 1;
                    self.state = State::Live;
                }
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        if let Some(mut board) = self.board.take() {
            if let Err(error) = self.look_at_board(&mut board) {
                self.error = Some(error.to_string());
            }
            self.gather(board.next());
            self.board = Some(board);
        }
        if let Some(mut feed) = self.feed.take() {
            if let Err(error) = self.look_at_fills(&mut feed) {
                self.error = Some(error.to_string());
            }
            self.feed = Some(feed);
        }
        self.outcome = self.desk.outcome().or(self.outcome.take());
        self.add_points();
    }

    fn look_at_board(&mut self, board: &mut board::Subscriber) -> io::Result<()> {
        let mut newest = 0;
        while let Some(event) = board.try_changed()? {
            match event {
                board::Event::Changes(changes) => {
                    for change in changes {
                        newest = newest.max(self.change(change));
                    }
                    // One look a frame, or a fast engine would never let it be painted.
                    break;
                }
                board::Event::Restarted(_) => {
                    self.rows.clear();
                    self.at.clear();
                    self.engines += 1;
                    self.restarted = Some(Instant::now());
                    self.gathering = Gathering::default();
                    self.state = State::Live;
                }
                board::Event::Ended(_) => break,
            }
        }
        if newest > 0 {
            self.gathering.lags.push(now().saturating_sub(newest));
        }
        match (board.reconnects_at(), &self.state) {
            (None, State::Lost(..)) => self.state = State::Live,
            (Some(_), State::Live) => {
                let why = board.end().map(|end| end.to_string()).unwrap_or_default();
                self.state = State::Lost(Instant::now(), why);
                self.figures = Figures::default();
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in one change; returns the time of the quote.
    fn change(&mut self, change: Change<'_>) -> u64 {
        self.gathering.told += 1;
        let Ok(symbol) = std::str::from_utf8(change.key()) else {
            return 0;
        };
        let (Change::Set { value, .. }, at) = (change, self.at.get(symbol)) else {
            if let Some(place) = self.at.remove(symbol) {
                self.rows.remove(place);
                let places = self.rows.iter().enumerate();
                self.at = places.map(|(i, row)| (row.symbol.clone(), i)).collect();
            }
            return 0;
        };
        let Some(quote) = Quote::from_bytes(value) else {
            return 0;
        };
        match at {
            Some(&place) => {
                let row = &mut self.rows[place];
                if quote.last != row.quote.last {
                    row.moved = Some((Instant::now(), quote.last > row.quote.last));
                }
                row.quote = quote;
            }
            None => {
                self.at.insert(symbol.to_owned(), self.rows.len());
                self.rows.push(Row {
                    symbol: symbol.to_owned(),
                    quote,
                    moved: None,
                    line: VecDeque::new(),
                });
            }
        }
        quote.time
    }

    fn look_at_fills(&mut self, feed: &mut feed::Subscriber) -> io::Result<()> {
        while let Some(event) = feed.try_recv()? {
            match event {
                feed::Event::Record(record) => {
                    if let Some(fill) = Fill::from_bytes(record.payload) {
                        self.fills.push_front(fill);
                        self.fills.truncate(FILLS);
                    }
                }
                feed::Event::Lagged(_) | feed::Event::Restarted(_) => {}
                feed::Event::Ended(_) => break,
            }
        }
        Ok(())
    }

    fn gather(&mut self, next: u64) {
        let gathering = &mut self.gathering;
        gathering.frames += 1;
        let Some(begun) = gathering.begun else {
            // All that was there at first is no rate.
            *gathering = Gathering {
                begun: Some(Instant::now()),
                next,
                ..Gathering::default()
            };
            return;
        };
        let seconds = begun.elapsed().as_secs_f64();
        if seconds < GATHER.as_secs_f64() || self.state != State::Live {
            return;
        }
        let lags = &mut gathering.lags;
        lags.sort_unstable();
        let lag = |place: usize| lags.get(place).map_or(0.0, |&lag| lag as f64 / 1e9);
        self.figures = Figures {
            published: next.saturating_sub(gathering.next) as f64 / seconds,
            told: gathering.told as f64 / seconds,
            frames: gathering.frames as f64 / seconds,
            lag: lag(lags.len() / 2),
            longest_lag: lag(lags.len().wrapping_sub(1)),
        };
        *gathering = Gathering {
            begun: Some(Instant::now()),
            next,
            ..Gathering::default()
        };
    }

    fn add_points(&mut self) {
        if self.state != State::Live || Instant::now() < self.next_point {
            return;
        }
        self.next_point = Instant::now() + POINT;
        let seconds = self.seconds();
        for row in &mut self.rows {
            row.line.push_back([seconds, row.quote.last as f64 / 100.0]);
            while row
                .line
                .front()
                .is_some_and(|point| point[0] < seconds - MINUTE)
            {
                row.line.pop_front();
            }
        }
    }
}

fn connect(engine: &str) -> Connection {
    // Until there is an engine, or the window is closed.
    let patience = Duration::from_secs(365 * 24 * 3600);
    let board = board::SubscriberOptions::new()
        .protocol(PROTOCOL)
        .wake(Wake::Never)
        .reconnect(true)
        .wait_for_publisher(patience)
        .connect(engine)?;
    let feed = feed::SubscriberOptions::new()
        .protocol(PROTOCOL)
        .wake(Wake::Never)
        .reconnect(true)
        .start(Start::Oldest)
        .wait_for_publisher(patience)
        .connect(fills(engine))?;
    Ok((board, feed))
}

/// Whether an order of this process made this fill.
pub(crate) fn is_own(fill: &Fill) -> bool {
    fill.pid == std::process::id()
}

/// The quantity and the symbol of an order, for people.
pub(crate) fn shown(order: &Order) -> String {
    let word = if order.quantity < 0 { "Sold" } else { "Bought" };
    format!(
        "{word} {} {}",
        order.quantity.unsigned_abs(),
        order.symbol()
    )
}
