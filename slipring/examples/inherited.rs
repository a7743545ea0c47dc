//! A child process over an inherited socket: no name, nothing in the file system. The child finds
//! the socket as its standard input.
//!
//! ```text
//! cargo run --example inherited
//! ```

use slipring::{Options, Stream};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("child") => child(),
        _ => parent(),
    }
}

fn parent() -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("child")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut stream: Stream = Options::new().upgrade(ours)?;
    println!("the child is process {:?}", stream.peer().pid);
    stream.write_all(b"how do you do?")?;
    stream.writer().finish()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("it says: {answer}");
    child.wait()?;
    Ok(())
}

fn child() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut stream = Options::new().upgrade(socket)?;
    let mut question = String::new();
    stream.read_to_string(&mut question)?;
    write!(stream, "{} bytes heard", question.len())
}
