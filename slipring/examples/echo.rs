//! An echo server and its client, as one would write them with `UnixStream`.
//!
//! ```text
//! cargo run --example echo -- server &
//! cargo run --example echo -- client "hello there"
//! ```
//!
//! Without arguments it starts a server, asks it once as a client, and leaves.

use slipring::{Listener, Options, Stream};
use std::io::{self, BufRead, Write};
use std::thread;
use std::time::Duration;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => serve("echo"),
        ["client", text] => ask("echo", text),
        [] => {
            let name = format!("echo-{}", std::process::id());
            let server = name.clone();
            thread::spawn(move || serve(&server));
            ask(&name, "hello there")
        }
        _ => Err(io::Error::other("say `server`, or `client TEXT`, or nothing")),
    }
}

/// Answers every line with the same line; a thread for each client.
fn serve(name: &str) -> io::Result<()> {
    for stream in Listener::bind(name)?.incoming() {
        let mut stream = stream?;
        thread::spawn(move || -> io::Result<()> {
            let mut line = String::new();
            while stream.read_line(&mut line)? > 0 {
                stream.write_all(line.as_bytes())?;
                line.clear();
            }
            Ok(())
        });
    }
    Ok(())
}

/// Sends one line and prints the answer.
fn ask(name: &str, text: &str) -> io::Result<()> {
    let mut stream: Stream = Options::new().wait_for_listener(Duration::from_secs(5)).connect(name)?;
    writeln!(stream, "{text}")?;
    let mut answer = String::new();
    stream.read_line(&mut answer)?;
    print!("{answer}");
    Ok(())
}
