//! An HTTP server and its client over a slipring name. hyper takes the stream as it takes one of
//! TCP.
//!
//! ```text
//! cargo run --example http -- server &
//! cargo run --example http -- client /hello
//! ```
//!
//! Without arguments it starts a server, asks it once as a client, and leaves.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use slipring::Options;
use slipring::tokio::{Listener, Stream};
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server"] => serve("http").await,
        ["client", path] => get("http", path).await,
        [] => {
            let name = format!("http-{}", std::process::id());
            tokio::select! {
                ended = serve(&name) => ended,
                ended = get(&name, "/hello") => ended,
            }
        }
        _ => Err("say `server`, or `client PATH`, or nothing".into()),
    }
}

/// A task for each connection.
async fn serve(name: &str) -> Outcome {
    let listener = Listener::bind(name)?;
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => TokioIo::new(stream),
            // No descriptor was left, for instance. Those who are connected are served all the
            // same.
            Err(e) => {
                eprintln!("no new client: {e}");
                continue;
            }
        };
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(stream, service_fn(answer));
            if let Err(e) = connection.await {
                eprintln!("{e}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("you have asked for {}\n", request.uri().path());
    Ok(Response::new(Full::from(text)))
}

/// Asks once, and prints the answer.
async fn get(name: &str, path: &str) -> Outcome {
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
