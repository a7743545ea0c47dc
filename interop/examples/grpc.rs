//! A gRPC server and its client over a slipring name. tonic takes the stream as it takes one of
//! TCP, and the server learns from the kernel which process is asking.
//!
//! ```text
//! cargo run --example grpc -- server &
//! cargo run --example grpc -- client Ada Grace
//! ```
//!
//! Without arguments it starts a server, greets it twice as a client, and leaves.
//!
//! The code that `tonic-prost-build` would generate from a `.proto` file is written by hand,
//! because that needs `protoc`:
//!
//! ```proto
//! message Hello { string name = 1; }
//! message Greeting { string text = 1; uint32 pid = 2; }
//! service Greeter { rpc Greet(stream Hello) returns (stream Greeting); }
//! ```

use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use slipring::Options;
use slipring::tokio::{Listener, Stream};
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;
use tonic::body::Body;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

const GREET: &str = "/greeter.Greeter/Greet";

#[derive(Clone, PartialEq, prost::Message)]
struct Hello {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    pid: u32,
}

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server"] => serve("grpc").await,
        ["client", ref names @ ..] => greet("grpc", names).await,
        [] => {
            let name = format!("grpc-{}", std::process::id());
            tokio::select! {
                ended = serve(&name) => ended,
                ended = greet(&name, &["Ada", "Grace"]) => ended,
            }
        }
        _ => Err("say `server`, or `client NAME...`, or nothing".into()),
    }
}

/// Serves each client that connects to the name.
async fn serve(name: &str) -> Outcome {
    let listener = Listener::bind(name)?;
    let incoming = stream::unfold(listener, async |listener| {
        Some((listener.accept().await, listener))
    });
    Server::builder()
        .serve_with_incoming(service_fn(route), incoming)
        .await?;
    Ok(())
}

async fn route(request: hyper::Request<Body>) -> Result<hyper::Response<Body>, Infallible> {
    let codec = ProstCodec::<Greeting, Hello>::default();
    Ok(match request.uri().path() {
        GREET => {
            tonic::server::Grpc::new(codec)
                .streaming(service_fn(greetings), request)
                .await
        }
        other => Status::unimplemented(other).into_http(),
    })
}

type Greetings = stream::BoxStream<'static, Result<Greeting, Status>>;

/// Answers each name as it comes.
async fn greetings(request: Request<Streaming<Hello>>) -> Result<Response<Greetings>, Status> {
    let peer = request.extensions().get::<slipring::Peer>();
    let pid = peer.and_then(|peer| peer.pid).unwrap_or_default();
    let greetings = request.into_inner().map(move |hello| {
        let text = format!("hello, {}", hello?.name);
        Ok(Greeting { text, pid })
    });
    Ok(Response::new(greetings.boxed()))
}

/// Sends the names in one call, and prints the greetings.
async fn greet(name: &str, names: &[&str]) -> Outcome {
    let (name, options) = (
        name.to_owned(),
        Options::new().wait_for_listener(Duration::from_secs(30)),
    );
    let connector = service_fn(move |_| {
        let (name, options) = (name.clone(), options.clone());
        async move { Stream::connect_with(&options, name).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://slipring")
        .connect_with_connector(connector)
        .await?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let hellos: Vec<Hello> = names
        .iter()
        .map(|&name| Hello {
            name: name.to_owned(),
        })
        .collect();
    let codec = ProstCodec::<Hello, Greeting>::default();
    let path = GREET.parse()?;
    let mut answers = client
        .streaming(Request::new(stream::iter(hellos)), path, codec)
        .await?
        .into_inner();
    while let Some(Greeting { text, pid }) = answers.message().await? {
        println!("{text} (process {pid})");
    }
    Ok(())
}
