//! A server of axum over a slipring name, and a client of it.
//!
//! ```text
//! cargo run --example axum -- server &
//! cargo run --example axum -- client /hello/Ada
//! ```
//!
//! Without arguments it starts a server, asks it once as a client, ends the server in order, and
//! leaves.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use slipring::Options;
use slipring::tokio::{Listener, Stream};
use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;

type Outcome = Result<(), Box<dyn Error>>;

/// Both types are foreign here, the trait and the listener, so that a type of this program's stands
/// between them.
struct Names(Listener);

impl axum::serve::Listener for Names {
    type Io = Stream;
    /// In place of a TCP client's address: the identity of the client, as the kernel tells it.
    type Addr = slipring::Peer;

    async fn accept(&mut self) -> (Stream, slipring::Peer) {
        loop {
            match self.0.accept().await {
                Ok(stream) => {
                    let peer = stream.peer().clone();
                    return (stream, peer);
                }
                // No descriptor was left, for instance. axum wants no errors, and its own listeners
                // wait as well.
                Err(e) => {
                    eprintln!("no new client: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<slipring::Peer> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a name has no address",
        ))
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server"] => serve("axum", pending()).await,
        ["client", path] => ask("axum", path).await,
        [] => {
            let name = format!("axum-{}", std::process::id());
            let (stop, stopped) = oneshot::channel::<()>();
            let client = async {
                let outcome = ask(&name, "/hello/Ada").await;
                drop(stop);
                outcome
            };
            let stopped = async { drop(stopped.await) };
            tokio::try_join!(serve(&name, stopped), client).map(|_| ())
        }
        _ => Err("say `server`, or `client PATH`, or nothing".into()),
    }
}

/// Serves until it is stopped, and then until the last client has its answer.
async fn serve(name: &str, stopped: impl Future<Output = ()> + Send + 'static) -> Outcome {
    let routes = Router::new().route("/hello/{name}", get(hello));
    axum::serve(Names(Listener::bind(name)?), routes)
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

/// Asks once, and prints the answer.
async fn ask(name: &str, path: &str) -> Outcome {
    let options = Options::new().wait_for_listener(Duration::from_secs(30));
    let stream = TokioIo::new(Stream::connect_with(&options, name).await?);
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let response = client
        .send_request(Request::get(path).body(Empty::<Bytes>::new())?)
        .await?;
    println!("{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    Ok(())
}
