//! Starting a thread for a connection without losing the connection if no thread can be had.

use std::{io, sync::mpsc, thread};

/// Runs `serve` with `connection` in a new thread, or gives the connection back. If it were dropped
/// along with the closure of a failed spawn, its peer would take that for an end in order.
pub fn spawn_with<T: Send + 'static>(
    name: String,
    connection: T,
    serve: impl FnOnce(T) + Send + 'static,
) -> Result<(), (io::Error, T)> {
    let (hand, handed) = mpsc::sync_channel(1);
    let serve = move || handed.recv().map_or((), serve);
    match thread::Builder::new().name(name).spawn(serve) {
        Ok(_) => {
            // The thread is there to receive it.
            let _ = hand.send(connection);
            Ok(())
        }
        Err(error) => Err((error, connection)),
    }
}
