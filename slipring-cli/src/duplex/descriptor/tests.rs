//! Ends, losses and stops of single halves.

use std::net::TcpListener;

use rustix::io::write;

use super::*;
use crate::duplex::{Filled, ReadHalf, WriteHalf};

fn session() -> Session {
    Session::new(Vec::new()).unwrap()
}

/// Our end, and the other end.
fn tcp() -> (Arc<Descriptor>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let ours = Descriptor::nonblocking(ours.into(), Kind::Tcp, "the socket").unwrap();
    (Arc::new(ours), theirs)
}

fn read_one(descriptor: &Arc<Descriptor>) -> Result<Filled, Fault> {
    descriptor.wait(PollFlags::IN, &session()).unwrap();
    DescriptorReader::new(Arc::clone(descriptor)).read(&mut [0; 8])
}

fn writer(descriptor: &Arc<Descriptor>) -> DescriptorWriter {
    DescriptorWriter::new(Arc::clone(descriptor))
}

#[test]
fn a_reset_that_a_write_has_met_is_no_end_for_the_reader() {
    let (ours, theirs) = tcp();
    sockopt::set_socket_linger(&theirs, Some(std::time::Duration::ZERO)).unwrap();
    drop(theirs);
    ours.wait(PollFlags::IN, &session()).unwrap();
    // Past the writing half, so that nothing but the socket itself knows.
    assert_eq!(write(ours.as_fd(), b"x"), Err(Errno::CONNRESET));
    assert!(matches!(read_one(&ours), Err(Fault::Lost { .. })));
}

#[test]
fn an_end_is_an_end_whether_or_not_we_have_finished() {
    let (ours, theirs) = tcp();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_one(&ours).unwrap(), Filled::End);
    writer(&ours).check().unwrap();
    writer(&ours).finish().unwrap();
    assert_eq!(read_one(&ours).unwrap(), Filled::End);
}

#[test]
fn aborting_tcp_resets() {
    let (ours, mut theirs) = tcp();
    ours.abort();
    drop(ours);
    let error = io::Read::read(&mut theirs, &mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_pipe_without_a_reader_is_not_wanted() {
    let (reader, pipe) = io::pipe().unwrap();
    let pipe = Descriptor::nonblocking(pipe.into(), Kind::Pipe, "the pipe").unwrap();
    let mut writer = writer(&Arc::new(pipe));
    writer.check().unwrap();
    drop(reader);
    assert!(matches!(writer.check(), Err(Fault::NotReading)));
    assert!(matches!(
        writer.write(b"x", &session()),
        Err(Fault::NotReading)
    ));
}

#[test]
fn a_write_to_a_full_pipe_can_be_stopped() {
    let (_reader, pipe) = io::pipe().unwrap();
    let pipe = Descriptor::nonblocking(pipe.into(), Kind::Pipe, "the pipe").unwrap();
    let (mut writer, session) = (writer(&Arc::new(pipe)), session());
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            loop {
                if let Err(fault) = writer.write(&[0; 4096], &session) {
                    return fault;
                }
            }
        });
        session.close();
        assert!(matches!(writing.join().unwrap(), Fault::Stopped));
    });
}

#[test]
fn what_is_left_in_a_pipe_is_seen() {
    let (reader, mut pipe) = io::pipe().unwrap();
    let reader = Descriptor::new(reader.into(), Kind::Inherited, "the pipe");
    let mut reader = DescriptorReader::new(Arc::new(reader));
    assert!(!reader.has_more());
    io::Write::write_all(&mut pipe, b"x").unwrap();
    assert!(reader.has_more());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), Filled::Bytes(1));
    drop(pipe);
    assert!(!reader.has_more(), "the end is nothing more");
}

#[test]
fn devices_are_asked_whether_they_have_more() {
    for (path, more) in [("/dev/null", false), ("/dev/zero", true)] {
        let device = std::fs::File::open(path).unwrap();
        let device = Descriptor::new(device.into(), Kind::Inherited, "the device");
        assert_eq!(
            DescriptorReader::new(Arc::new(device)).has_more(),
            more,
            "{path}"
        );
    }
}

#[test]
fn a_file_has_more_until_it_is_read() {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, b"x").unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let file = Descriptor::new(file.into(), Kind::Inherited, "the file");
    let mut reader = DescriptorReader::new(Arc::new(file));
    assert!(reader.has_more());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), Filled::Bytes(1));
    assert!(!reader.has_more());
}
