//! TLS: rustls on both sides, each in a process of its own, over slipring streams.

use futures_util::future::join_all;
use slipring::tokio::Stream;
use slipring_interop::{MUCH, Peer, accept_all, assert_finished, listen, noise, run};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The host name of the certificate.
const HOST: &str = "slipring.test";

/// The file beside the name in which the server leaves its certificate.
const CERTIFICATE: &str = "certificate";

/// A protocol that a client asks for, by ALPN.
const ECHO: &[u8] = b"echo";
const RUDE: &[u8] = b"rude";

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    listen(async |listener, connections| {
        // Before the first accept, so that a client finds it when it is connected.
        let acceptor = acceptor(&listener.path().with_file_name(CERTIFICATE));
        accept_all(listener, connections, |stream| {
            answer(acceptor.clone(), stream)
        })
        .await;
    });
}

fn acceptor(certificate: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    std::fs::write(certificate, made.cert.der()).expect("a file");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config
        .with_single_cert(vec![made.cert.into()], key.into())
        .expect("a configuration");
    config.alpn_protocols = vec![ECHO.to_vec(), RUDE.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn answer(acceptor: TlsAcceptor, stream: Stream) {
    let mut stream = acceptor.accept(stream).await.expect("a handshake");
    if stream.get_ref().1.alpn_protocol() == Some(RUDE) {
        stream.write_all(b"cut").await.expect("written");
        stream.flush().await.expect("flushed");
        // The stream ends in order below TLS, which has said nothing.
        return;
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    // An end without a close_notify would be an error.
    tokio::io::copy(&mut reader, &mut writer)
        .await
        .expect("an echo");
    writer.shutdown().await.expect("a close_notify");
    assert_finished(reader.unsplit(writer).into_inner().0).await;
}

async fn client(peer: &Peer, protocol: &[u8]) -> TlsStream<Stream> {
    let stream = peer.connect().await;
    let certificate =
        std::fs::read(peer.name().with_file_name(CERTIFICATE)).expect("the server's certificate");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(certificate))
        .expect("a certificate");
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let host = HOST.try_into().expect("a name");
    connector.connect(host, stream).await.expect("a handshake")
}

/// Sends everything and the close_notify while it reads up to that of the other side.
async fn exchange(stream: TlsStream<Stream>, data: &[u8]) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut answer = Vec::new();
    tokio::try_join!(
        async {
            writer.write_all(data).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut answer)
    )?;
    assert_finished(reader.unsplit(writer).into_inner().0).await;
    Ok(answer)
}

#[test]
fn tls_carries_megabytes_both_ways_and_closes_cleanly() {
    run(async {
        let peer = Peer::start(1);
        let sent = noise(1, 2 * MUCH);
        assert!(
            exchange(client(&peer, ECHO).await, &sent)
                .await
                .expect("a clean close")
                == sent
        );
        peer.finishes().await;
    });
}

#[test]
fn tls_serves_many_connections_at_once() {
    run(async {
        let peer = Peer::start(8);
        join_all((0..8).map(async |seed| {
            let sent = noise(seed, 700_001);
            let answer = exchange(client(&peer, ECHO).await, &sent)
                .await
                .expect("a clean close");
            assert!(answer == sent, "connection {seed}");
        }))
        .await;
        peer.finishes().await;
    });
}

#[test]
fn tls_carries_small_records_one_at_a_time() {
    run(async {
        let peer = Peer::start(1);
        let mut stream = client(&peer, ECHO).await;
        for round in 0..2000u64 {
            stream.write_u64(round).await.unwrap();
            stream.flush().await.unwrap();
            assert_eq!(stream.read_u64().await.unwrap(), round);
        }
        assert!(
            exchange(stream, b"")
                .await
                .expect("a clean close")
                .is_empty()
        );
        peer.finishes().await;
    });
}

#[test]
fn a_tls_end_without_close_notify_is_told_from_a_clean_one() {
    run(async {
        let peer = Peer::start(1);
        let mut stream = client(&peer, RUDE).await;
        let mut answer = Vec::new();
        let error = stream.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(answer, b"cut");
        peer.finishes().await;
    });
}

#[test]
fn a_killed_tls_server_is_a_reset() {
    run(async {
        let mut peer = Peer::start(1);
        let mut stream = client(&peer, ECHO).await;
        stream.write_all(b"here").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        peer.kill().await;
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}
