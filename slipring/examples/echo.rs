//! An echo server and its client, as one would write them with `UnixStream`.
//!
//! ```text
//! cargo run --example echo -- server &
//! cargo run --example echo -- client "hello there"
//! ```
//!
//! Without arguments it starts a server, asks it once as a client, and leaves. The server of the
//! two processes serves until it is killed; the next one that binds the name replaces what it
//! leaves.

use slipring::{Listener, Options, Stream};
use std::io::{self, BufRead, Write};
use std::thread;
use std::time::Duration;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["server"] => {
            serve(&Listener::bind("echo")?);
            Ok(())
        }
        ["client", text] => ask("echo", text),
        [] => {
            let name = format!("echo-{}", std::process::id());
            let listener = Listener::bind(&name)?;
            let stopper = listener.stopper();
            // A server that were still in its loop when `main` returns would leave its name behind.
            thread::scope(|scope| {
                scope.spawn(|| serve(&listener));
                let asked = ask(&name, "hello there");
                stopper.stop();
                asked
            })
        }
        _ => Err(io::Error::other(
            "say `server`, or `client TEXT`, or nothing",
        )),
    }
}

/// Answers every line with the same line, a thread for each client, until it is stopped and the
/// last client has gone.
fn serve(listener: &Listener) {
    thread::scope(|clients| {
        for stream in listener {
            match stream {
                Ok(stream) => {
                    clients.spawn(|| {
                        answer(stream).unwrap_or_else(|e| eprintln!("echo: a client: {e}"))
                    });
                }
                // No descriptor was left, for instance. Those who are connected are served all the
                // same.
                Err(e) => eprintln!("echo: no new client: {e}"),
            }
        }
    });
}

fn answer(mut stream: Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        stream.write_all(line.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Sends one line and prints the answer.
fn ask(name: &str, text: &str) -> io::Result<()> {
    let mut stream: Stream = Options::new()
        .wait_for_listener(Duration::from_secs(5))
        .connect(name)?;
    writeln!(stream, "{text}")?;
    let mut answer = String::new();
    stream.read_line(&mut answer)?;
    print!("{answer}");
    Ok(())
}
