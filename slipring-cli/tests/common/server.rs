//! TCP servers and clients for the tests of `forward`.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::common::DEADLINE;

/// Serves each connection in a thread, for as long as the test runs.
pub fn serve(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            limit(&stream);
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// Sends back the bytes that come, piece by piece.
pub fn echo(mut stream: TcpStream) {
    let mut part = [0; 1 << 14];
    while let Ok(count @ 1..) = stream.read(&mut part) {
        if stream.write_all(&part[..count]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// Reads to the end, and then answers with the number of bytes.
pub fn count(mut stream: TcpStream) {
    let mut all = Vec::new();
    if stream.read_to_end(&mut all).is_ok() {
        let _ = write!(stream, "{}", all.len());
    }
}

/// Reads to the end of each connection, and reports how it came.
pub fn report_end() -> (SocketAddr, mpsc::Receiver<io::Result<usize>>) {
    let (sender, receiver) = mpsc::channel();
    let address = serve(move |mut stream| {
        let _ = sender.send(stream.read_to_end(&mut Vec::new()));
    });
    (address, receiver)
}

pub fn connect(address: impl Into<String>) -> TcpStream {
    let address = address.into();
    let stream =
        TcpStream::connect(address.trim_start_matches("tcp-listen:")).expect("a connection");
    limit(&stream);
    stream
}

/// A test fails rather than hangs.
fn limit(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
}

/// Sends everything, ends that direction, and reads to the end of the other.
pub fn exchange(mut stream: TcpStream, data: &[u8]) -> Vec<u8> {
    let mut sender = stream.try_clone().expect("a handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(data).expect("sent");
            sender.shutdown(Shutdown::Write).expect("ended");
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    })
}

/// Closes with a reset instead of an end.
pub fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
    drop(stream);
}

/// A port that nobody listens at.
pub fn dead_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
}
