//! The prices of a board in browsers: a page, and a WebSocket for each page that is open.
//!
//! ```text
//! cargo run -p slipring-panels-gateway -- market 8080
//! ```
//!
//! A page gets the whole board first, and then what has changed. It asks
//! for more when it has painted that: a page that is slow, or stopped, is told less often, each key
//! with its newest value, and holds up neither the engine nor other pages. One task reads the board
//! for all pages, so that the engine has one subscriber.

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use slipring::board::{Change, Event, SubscriberOptions};
use slipring::feed::Wake;
use slipring::tokio::board::Subscriber;
use slipring_panels_engine::{PROTOCOL, Quote};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the board is looked at. A page is told that often at most.
const FRAME: Duration = Duration::from_millis(33);

/// The board as the gateway knows it. A quote has the number of the frame that brought it.
#[derive(Default)]
struct Board {
    quotes: HashMap<String, (Quote, u64)>,
    frame: u64,
    /// The frame in which keys went last.
    since: u64,
    engine: Option<u32>,
}

/// The board, and the number of the newest frame.
type Gateway = (Arc<Mutex<Board>>, watch::Receiver<u64>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("give the name of an engine, and a port".into());
    };
    let (told, frames) = watch::channel(0);
    let board = Arc::new(Mutex::new(Board::default()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    eprintln!("http://{}", listener.local_addr()?);
    let of_pages = Arc::clone(&board);
    let pages = axum::Router::new()
        .route("/", get(|| async { Html(include_str!("../page.html")) }))
        .route("/prices", get(join))
        .with_state((of_pages, frames));
    tokio::select! {
        served = axum::serve(listener, pages) => served?,
        followed = follow(&name, &board, &told) => followed?,
    }
    Ok(())
}

/// Keeps the board as it is, frame by frame, also over the engine's restarts.
async fn follow(
    name: &str,
    board: &Mutex<Board>,
    told: &watch::Sender<u64>,
) -> Result<(), Box<dyn Error>> {
    let options = SubscriberOptions::new()
        .protocol(PROTOCOL)
        .wake(Wake::Never)
        .reconnect(true)
        .wait_for_publisher(Duration::from_secs(365 * 24 * 3600));
    let mut subscriber = Subscriber::connect_with(&options, name).await?;
    let mut ticks = tokio::time::interval(FRAME);
    loop {
        ticks.tick().await;
        let mut board = lock(board);
        let frame = board.frame + 1;
        match subscriber.try_changed()? {
            Some(Event::Changes(changes)) => {
                for change in changes {
                    let key = String::from_utf8_lossy(change.key()).into_owned();
                    let quote = match change {
                        Change::Set { value, .. } => Quote::from_bytes(value),
                        Change::Removed { .. } => None,
                    };
                    if let Some(quote) = quote {
                        board.quotes.insert(key, (quote, frame));
                    } else if board.quotes.remove(&key).is_some() {
                        board.since = frame;
                    }
                }
            }
            Some(Event::Restarted(_)) => {
                board.quotes.clear();
                board.since = frame;
            }
            Some(Event::Ended(end)) => return Err(end.to_string().into()),
            None => {}
        }
        board.engine = subscriber.peer().pid.filter(|_| subscriber.end().is_none());
        board.frame = frame;
        told.send_replace(frame);
    }
}

async fn join(State(gateway): State<Gateway>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| serve(socket, gateway))
}

/// Tells one page, for as long as it is there: one frame, and the next one when it asks for more.
async fn serve(mut socket: WebSocket, (board, mut frames): Gateway) {
    let mut told = 0;
    while frames.changed().await.is_ok() {
        let (text, frame) = message(&lock(&board), told);
        told = frame;
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
        let Some(Ok(Message::Text(_))) = socket.recv().await else {
            return;
        };
    }
}

/// The changes behind the frame `told`; everything, if the page has keys that are gone. And
/// the frame of now.
fn message(board: &Board, told: u64) -> (String, u64) {
    let is_whole = told == 0 || told < board.since;
    let rows = board.quotes.iter();
    let rows = rows.filter(|(_, (_, frame))| is_whole || *frame > told);
    let rows = rows.map(|(key, (q, _))| {
        let row = json!([q.last, q.open, q.bid, q.ask, q.volume, q.time / 1_000_000]);
        (key.clone(), row)
    });
    let (engine, frame) = (board.engine, board.frame);
    let rows: Map<String, Value> = rows.collect();
    let message = json!({ "whole": is_whole, "engine": engine, "frame": frame, "rows": rows });
    (message.to_string(), frame)
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
