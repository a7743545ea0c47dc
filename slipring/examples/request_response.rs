//! Requests and responses of any length between two processes, pipelined: the client has many
//! questions under way at once.
//!
//! ```text
//! cargo run --example request_response
//! ```

use slipring::{Options, Reader, Stream, Writer};
use std::io::{self, Read, Write};
use std::process::Command;
use std::thread;
use std::time::Duration;

const REQUESTS: u32 = 100_000;

fn main() -> io::Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        let options = Options::new()
            .protocol("squares/1")
            .wait_for_listener(Duration::from_secs(5));
        return ask(options.connect(name)?);
    }
    let name = format!("squares-{}", std::process::id());
    let listener = Options::new().protocol("squares/1").bind(&name)?;
    let mut client = Command::new(std::env::current_exe()?).arg(&name).spawn()?;
    answer(listener.accept()?)?;
    if client.wait()?.success() {
        Ok(())
    } else {
        Err(io::Error::other("the client failed"))
    }
}

/// The serving side: reads numbers, answers with their squares, until the client has no more.
fn answer(stream: Stream) -> io::Result<()> {
    let (mut requests, mut responses) = stream.into_split();
    while let Some(number) = receive(&mut requests)? {
        let number = u64::from_le_bytes(number.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
        send(&mut responses, &(number * number).to_le_bytes())?;
    }
    responses.finish()
}

/// The asking side: one thread asks, the other takes the answers.
fn ask(stream: Stream) -> io::Result<()> {
    let (mut responses, mut requests) = stream.into_split();
    let asking = thread::spawn(move || -> io::Result<()> {
        for number in 0..u64::from(REQUESTS) {
            send(&mut requests, &number.to_le_bytes())?;
        }
        // Half-close: no more questions, but the answers still come.
        requests.finish()
    });
    let mut sum = 0u64;
    while let Some(square) = receive(&mut responses)? {
        sum += u64::from_le_bytes(square.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
    }
    asking
        .join()
        .map_err(|_| io::Error::other("the asking thread panicked"))??;
    println!("{REQUESTS} requests answered, the sum of their squares is {sum}");
    Ok(())
}

/// A message: its length in four bytes, then its bytes; published at once.
fn send(to: &mut Writer, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut batch = to.batch();
    batch.write_all(&length.to_le_bytes())?;
    batch.write_all(message)
}

/// The next message; `None` at the end of the stream.
fn receive(from: &mut Reader) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..])?,
    }
    let mut message = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut message)?;
    Ok(Some(message))
}
