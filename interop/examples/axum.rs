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
use axum::extract::{ConnectInfo, Path};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use slipring::tokio::{Listener, Stream};
use slipring::{Options, Peer};
use std::error::Error;
use std::future::{Future, pending};
use std::time::Duration;
use tokio::sync::oneshot;

type Outcome = Result<(), Box<dyn Error>>;

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
    let routes = routes.into_make_service_with_connect_info::<Peer>();
    axum::serve(Listener::bind(name)?, routes)
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}

/// Who asks is known by the kernel's word.
async fn hello(Path(name): Path<String>, ConnectInfo(peer): ConnectInfo<Peer>) -> String {
    format!("hello, {name}; you are user {}\n", peer.uid)
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
