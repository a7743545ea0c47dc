//! How long ten panels are without their engine when it is killed and started anew: with
//! `Reconnect`, blocking and on tokio, and with Unix sockets that retry each 10 ms.
//!
//!     cargo bench -p slipring --features tokio --bench reconnect
//!
//! Takes a minute. The engine is killed when all panels have been connected for a tenth of a
//! second, and is started again at once, or after a tenth of a second, as a service manager does. A
//! time runs from the kill to the first byte of the new engine. The starts of the transports are
//! alternated.

use slipring::{Listener, Reconnect};
use std::env;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const PANELS: usize = 10;
const KILLS: usize = 40;
const LIFE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(10);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "slipring", path] => engine_of_slipring(path),
        [_, "unix", path] => engine_of_sockets(path),
        // Cargo passes `--bench`.
        _ => measure(),
    }
}

fn measure() {
    println!("| started again after | panels | median, ms | p99, ms |\n|---|---|---|---|");
    for pause in [0, 100].map(Duration::from_millis) {
        let mut all = [
            ("`Reconnect`", "slipring", blocking as Panel, Vec::new()),
            ("`tokio::Reconnect`", "slipring", on_tokio, Vec::new()),
            (
                "Unix socket, retried each 10 ms",
                "unix",
                sockets,
                Vec::new(),
            ),
        ];
        for _ in 0..4 {
            for (_, engine, panel, times) in &mut all {
                times.extend(without_engine(engine, *panel, pause, KILLS / 4));
            }
        }
        for (name, _, _, mut times) in all {
            times.sort();
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64();
            let (median, p99) = (at(0.5) * 1e3, at(0.99) * 1e3);
            println!(
                "| {} ms | {name} | {median:.2} | {p99:.2} |",
                pause.as_millis()
            );
        }
    }
}

/// A panel: reports each time that it is served.
type Panel = fn(&Path, &Sender<Instant>);

/// The times that panels were without an engine.
fn without_engine(engine: &str, panel: Panel, pause: Duration, kills: usize) -> Vec<Duration> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("engine");
    let mut running = start(engine, &path);
    let (say, served) = channel();
    for _ in 0..PANELS {
        let (say, path) = (say.clone(), path.clone());
        // It ends with this process.
        thread::spawn(move || panel(&path, &say));
    }
    for _ in 0..PANELS {
        served.recv().unwrap();
    }
    let mut times = Vec::new();
    for _ in 0..kills {
        // Not an engine that dies as soon as it is there, which is paused for.
        thread::sleep(LIFE);
        let killed = Instant::now();
        running.kill().unwrap();
        running.wait().unwrap();
        thread::sleep(pause);
        running = start(engine, &path);
        for _ in 0..PANELS {
            times.push(served.recv().unwrap() - killed);
        }
    }
    drop(served);
    running.kill().unwrap();
    running.wait().unwrap();
    times
}

fn start(engine: &str, path: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(engine).arg(path).spawn().unwrap()
}

fn engine_of_slipring(path: &str) {
    let listener = Listener::bind(path).unwrap();
    let mut streams = Vec::new();
    loop {
        let mut stream = listener.accept().unwrap();
        stream.write_all(b"!").unwrap();
        streams.push(stream);
    }
}

fn engine_of_sockets(path: &str) {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    let mut streams = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"!").unwrap();
        streams.push(stream);
    }
}

fn blocking(path: &Path, served: &Sender<Instant>) {
    let mut engine = Reconnect::new(path).unwrap();
    loop {
        let mut stream = engine.connect().unwrap().stream;
        if serve(&mut stream, served) {
            return;
        }
    }
}

fn on_tokio(path: &Path, served: &Sender<Instant>) {
    use tokio::io::AsyncReadExt;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut engine = slipring::tokio::Reconnect::new(path).unwrap();
        loop {
            let mut stream = engine.connect().await.unwrap().stream;
            if stream.read_exact(&mut [0]).await.is_ok() && served.send(Instant::now()).is_err() {
                return;
            }
            let _ = stream.read(&mut [0]).await;
        }
    });
}

fn sockets(path: &Path, served: &Sender<Instant>) {
    loop {
        let mut stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(RETRY),
            }
        };
        if serve(&mut stream, served) {
            return;
        }
    }
}

/// Reports the first byte, and waits for the engine's end. Says whether nobody hears it any more.
fn serve(stream: &mut impl Read, served: &Sender<Instant>) -> bool {
    if stream.read_exact(&mut [0]).is_ok() && served.send(Instant::now()).is_err() {
        return true;
    }
    let _ = stream.read(&mut [0]);
    false
}
