//! The calls that each side gets, with halves that only write them down.

use std::sync::{Mutex, mpsc};

use super::*;
use crate::duplex::Filled;

/// The calls that the halves of both sides got, in order.
type Told = Arc<Mutex<Vec<String>>>;

/// Gives each of its pieces, and then the fault or the end.
struct Source {
    name: &'static str,
    pieces: Vec<&'static [u8]>,
    fault: Option<Fault>,
    /// Waits for the other direction to have ended or stopped before it ends.
    patient: bool,
    told: Told,
}

struct Sink {
    name: &'static str,
    fault: Option<Fault>,
    told: Told,
    /// Dropped with the sink.
    _alive: Option<mpsc::Sender<()>>,
}

fn tell(told: &Told, what: String) {
    told.lock().unwrap().push(what);
}

impl ReadHalf for Source {
    fn transfer(
        &mut self,
        sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        if let Some(piece) = self.pieces.pop() {
            return sink.write(piece, session).map_err(StepError::Sink);
        }
        while self.patient && !session.other_ended() && !session.is_stopped() {
            thread::yield_now();
        }
        if self.patient && session.is_stopped() {
            return Err(StepError::Source(Fault::Stopped));
        }
        self.fault
            .take()
            .map_or(Ok(0), |fault| Err(StepError::Source(fault)))
    }

    fn stop(&mut self, _link: &Session) {
        tell(&self.told, format!("{} stop", self.name));
    }

    fn abort(&mut self) {
        tell(&self.told, format!("{} abort", self.name));
    }
}

impl WriteHalf for Sink {
    fn write(&mut self, data: &[u8], _link: &Session) -> Result<usize, Fault> {
        self.fault.take().map_or(Ok(data.len()), Err)
    }

    fn write_with(
        &mut self,
        _fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
        _link: &Session,
    ) -> Result<Filled, StepError> {
        unreachable!("these sources lend")
    }

    fn check(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        tell(&self.told, format!("{} finish", self.name));
        Ok(())
    }

    fn abort(&mut self, code: u32) {
        tell(&self.told, format!("{} abort {code}", self.name));
    }
}

fn lost(code: Option<u32>) -> Fault {
    Fault::Lost {
        why: "gone".to_owned(),
        code,
    }
}

/// Runs `a` with this end of its source, and `b` with this fault of its sink; the other direction
/// has nothing to say and lasts as long as it may. Returns the calls, sorted.
fn told(source: Option<Fault>, sink: Option<Fault>) -> Vec<String> {
    let told = Told::default();
    let duplex =
        |reader: [&'static str; 2], pieces: &[&'static [u8]], fault, sink, patient| Duplex {
            reader: Box::new(Source {
                name: reader[0],
                pieces: pieces.to_vec(),
                fault,
                patient,
                told: Arc::clone(&told),
            }),
            writer: Box::new(Sink {
                name: reader[1],
                fault: sink,
                told: Arc::clone(&told),
                _alive: None,
            }),
            closer: None,
            peer: String::new(),
        };
    let a = duplex(["a-source", "a-sink"], &[b"piece"], source, None, false);
    let b = duplex(["b-source", "b-sink"], &[], None, sink, true);
    run(a, b, &Arc::default(), |_, _| {}, |_, _| {}).unwrap();
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.sort();
    told
}

#[test]
fn a_relay_passes_an_end_on() {
    assert_eq!(told(None, None), ["a-sink finish", "b-sink finish"]);
}

#[test]
fn the_loss_of_a_source_aborts_its_sink_with_its_code() {
    assert_eq!(
        told(Some(lost(Some(9))), None),
        ["a-sink abort 9", "b-sink abort 9"]
    );
    assert_eq!(
        told(Some(lost(None)), None),
        ["a-sink abort 1", "b-sink abort 1"]
    );
}

#[test]
fn a_failure_of_a_source_aborts_both_sides() {
    let fault = Fault::Failed("no".to_owned());
    assert_eq!(
        told(Some(fault), None),
        ["a-sink abort 3", "b-sink abort 3"]
    );
}

#[test]
fn a_failure_of_a_sink_aborts_it_too() {
    let fault = Fault::Failed("no".to_owned());
    assert_eq!(
        told(None, Some(fault)),
        ["a-sink abort 3", "a-source abort", "b-sink abort 3"]
    );
}

#[test]
fn a_lost_sink_stops_the_source_and_leaves_the_other_direction_to_find_out() {
    assert_eq!(
        told(None, Some(lost(None))),
        ["a-sink finish", "a-source abort", "a-source stop"]
    );
}

#[test]
fn a_sink_that_wants_no_more_stops_the_source_only() {
    assert_eq!(
        told(None, Some(Fault::NotReading)),
        ["a-sink finish", "a-source stop"]
    );
}

#[test]
fn the_bytes_moved_are_counted_and_halves_are_dropped_before_the_hook() {
    let told = Told::default();
    let (alive, dropped) = mpsc::channel();
    let side = |pieces: &[&'static [u8]], alive| Duplex {
        reader: Box::new(Source {
            name: "source",
            pieces: pieces.to_vec(),
            fault: None,
            patient: false,
            told: Arc::clone(&told),
        }),
        writer: Box::new(Sink {
            name: "sink",
            fault: None,
            told: Arc::clone(&told),
            _alive: alive,
        }),
        closer: None,
        peer: String::new(),
    };
    let traffic = Arc::new(Traffic::default());
    let hook = move |ending: &Ending, _: &Session| {
        assert!(matches!(ending, Ending::Finished));
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    };
    run(
        side(&[b"abc", b"de"], None),
        side(&[b"f"], Some(alive)),
        &traffic,
        hook,
        |_, _| {},
    )
    .unwrap();
    assert_eq!(
        (traffic.forth.load(Relaxed), traffic.back.load(Relaxed)),
        (5, 1)
    );
}

#[test]
fn a_direction_that_never_ran_does_not_end_in_order() {
    let told = Told::default();
    let session = Session::new(Vec::new()).unwrap();
    let source = Source {
        name: "source",
        pieces: Vec::new(),
        fault: None,
        patient: false,
        told: Arc::clone(&told),
    };
    let sink = Sink {
        name: "sink",
        fault: None,
        told: Arc::clone(&told),
        _alive: None,
    };
    drop(Direction::new(
        Box::new(source),
        Box::new(sink),
        &session,
        &AtomicU64::new(0),
    ));
    assert_eq!(*told.lock().unwrap(), ["sink abort 3"]);
    assert_eq!(session.abort_code(), Some(3));
}
