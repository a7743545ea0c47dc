//! An engine that keeps the newest quote of each symbol on a board, a window that paints sixty
//! times a second what has changed, and a log that takes the whole board and then follows every
//! change.
//!
//! ```text
//! cargo run --example board
//! ```

use slipring::board::{Change, Event, PublisherOptions, Subscriber, SubscriberOptions, Update};
use slipring::feed::Wake;
use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const SYMBOLS: u64 = 100;
const QUOTES: u64 = 200_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("paint"), Some(name)) => return paint(&name),
        (Some("log"), Some(name)) => return log(&name),
        _ => {}
    }
    let name = format!("quotes-{}", std::process::id());
    let mut board = PublisherOptions::new().max_value(8).bind(&name)?;
    let panel = |role: &str| {
        let mut program = Command::new(std::env::current_exe()?);
        program.args([role, &name]).spawn()
    };
    let panels = [panel("paint")?, panel("log")?];
    while board.subscribers().len() < panels.len() {
        sleep(Duration::from_millis(1));
    }
    for quote in 0..QUOTES {
        let symbol = format!("SYM{}", quote % SYMBOLS);
        board.set(symbol.as_bytes(), &quote.to_le_bytes())?;
    }
    board.finish();
    for mut panel in panels {
        assert!(panel.wait()?.success());
    }
    Ok(())
}

/// Paints what has changed in each frame. Nobody wakes it.
fn paint(name: &str) -> io::Result<()> {
    let mut board = SubscriberOptions::new().wake(Wake::Never).connect(name)?;
    let mut window = BTreeMap::new();
    loop {
        match board.try_changed()? {
            Some(Event::Changes(changes)) => {
                for change in changes {
                    match change {
                        Change::Set { key, value, .. } => {
                            window.insert(key.to_vec(), value.to_vec())
                        }
                        Change::Removed { key } => window.remove(key),
                    };
                }
            }
            Some(Event::Restarted(_)) => window.clear(),
            Some(Event::Ended(_)) => break,
            None => {}
        }
        sleep(Duration::from_millis(16));
    }
    // Nothing is lost to it, however little it looks.
    let expected = (QUOTES - SYMBOLS..QUOTES).map(|quote| quote.to_le_bytes().to_vec());
    let mut shown: Vec<_> = window.into_values().collect();
    shown.sort_by_key(|quote| u64::from_le_bytes(quote[..].try_into().expect("8 bytes")));
    assert!(shown.iter().cloned().eq(expected));
    println!("the window shows {} symbols", shown.len());
    Ok(())
}

/// Takes the whole board, then follows every change.
fn log(name: &str) -> io::Result<()> {
    let mut board = Subscriber::connect(name)?;
    let mut next = board.snapshot()?.next;
    let mut events = board.events();
    loop {
        match events.recv()? {
            Update::Change { sequence, .. } => {
                assert_eq!(sequence, next);
                next += 1;
            }
            Update::Lagged(lagged) => next += lagged.missed,
            Update::Restarted(_) => unreachable!("it does not reconnect"),
            Update::Ended(end) => break assert_eq!((end.next, next), (QUOTES, QUOTES)),
        }
    }
    println!("the log has every change behind its snapshot, or knows how many it missed");
    Ok(())
}
