//! A panel that survives its engine: that is killed ten times, and started anew.
//!
//! ```sh
//! cargo run -p slipring --example reconnect
//! ```
//!
//! A new engine knows nothing of what the panel has asked the last one. So the panel begins each
//! session as its first one: it says what it wants to see.

use slipring::{Listener, Reconnect};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command};
use std::{env, thread};

const KILLS: u64 = 10;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1) {
        Some(name) => engine(name),
        None => panel(&format!("reconnect-{}", std::process::id())),
    }
}

/// Sends prices of what a panel asks for, without end.
fn engine(name: &str) -> io::Result<()> {
    let listener = Listener::bind(name)?;
    loop {
        let stream = listener.accept()?;
        thread::spawn(move || -> io::Result<()> {
            let (reader, mut writer) = stream.into_split();
            let mut symbol = String::new();
            BufReader::new(reader).read_line(&mut symbol)?;
            for price in 1.. {
                writeln!(writer, "{} {price}", symbol.trim_end())?;
            }
            Ok(())
        });
    }
}

fn panel(name: &str) -> io::Result<()> {
    let mut running = start(name)?;
    let mut engine = Reconnect::new(name)?;
    let mut seen = 0;
    loop {
        let session = engine.connect()?;
        let (reader, mut writer) = session.stream.into_split();
        writeln!(writer, "ACME")?;
        let mut prices = BufReader::new(reader).lines();
        for _ in 0..1000 {
            let line = prices.next().expect("the engine sends without end")?;
            assert!(line.starts_with("ACME "), "{line}");
            seen += 1;
        }
        if session.number == KILLS {
            break;
        }
        // Not by chance: somebody has started the engine anew, as a service manager would.
        running.kill()?;
        running.wait()?;
        running = start(name)?;
        // What had been published yet; and then the death, as an error.
        let last = prices.find_map(Result::err).expect("it was killed");
        println!("session {}: {last}", session.number);
    }
    running.kill()?;
    running.wait()?;
    println!("{KILLS} kills survived, {seen} prices seen");
    Ok(())
}

fn start(name: &str) -> io::Result<Child> {
    Command::new(env::current_exe()?).arg(name).spawn()
}
