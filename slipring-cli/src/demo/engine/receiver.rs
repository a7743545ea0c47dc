//! Reading the messages of one panel: acknowledgements, orders and reports, each of them checked.

use std::time::Instant;

use slipring::{EndReason, Reader};

use crate::demo::{
    board::{Finish, PanelBoard, Received},
    inbound::{Inbound, Step},
    panel::BAD_FRAME,
    report::Report,
    wire::{HEADER, Header, Kind, u64_at},
};

/// Reads until the panel's direction ends and notes how it ended.
pub fn receive(reader: Reader, panel: &PanelBoard) {
    let mut inbound = Inbound::new(reader);
    let mut answered = Answered::default();
    let finish = loop {
        let step = inbound.step(|header, message| {
            let mut received = panel.received();
            Ok(answered.take(header, message, panel.published(), &mut received))
        });
        panel.received().tally = inbound.tally;
        if matches!(step, Ok(Step::Messages)) {
            panel.set_heard();
        }
        match step {
            Ok(Step::Messages | Step::Quiet) => {}
            Ok(Step::Ended) => {
                let end = inbound.reader().end().map(|end| end.reason);
                let mut received = panel.received();
                if matches!(end, Some(EndReason::Corrupt | EndReason::Rejected)) {
                    received.tally.corrupt += 1;
                }
                break ended(end, &received);
            }
            Ok(Step::BadFrame) => break Finish::Gone("it sends bytes that are no messages".into()),
            Err(error) => break Finish::Gone(format!("reading failed: {error}")),
        }
    };
    panel.received().finish = Some(finish);
}

/// The newest update that the panel has answered, by kind of answer.
#[derive(Default)]
struct Answered {
    acknowledged: Option<u64>,
    ordered: Option<u64>,
}

impl Answered {
    /// Notes a message; tells whether it makes sense.
    fn take(
        &mut self,
        header: &Header,
        message: &[u8],
        published: u64,
        received: &mut Received,
    ) -> bool {
        match header.kind {
            Kind::Acknowledge => {
                received.acknowledgements += 1;
                is_new_answer(&mut self.acknowledged, message, published)
            }
            Kind::Order => {
                received.orders += 1;
                is_new_answer(&mut self.ordered, message, published)
            }
            Kind::Report => {
                let report = Report::read(message);
                let is_report = report.is_some();
                if let Some(report) = report {
                    received.recent =
                        Some((report.since(received.report.as_ref()), Instant::now()));
                    received.report = Some(report);
                }
                is_report
            }
            Kind::Update => false,
        }
    }
}

/// An answer names an update that has been published, and a newer one than the answer before.
fn is_new_answer(last: &mut Option<u64>, message: &[u8], published: u64) -> bool {
    if message.len() < HEADER + 8 {
        return false;
    }
    let update = u64_at(message, HEADER);
    let plausible = update < published && last.is_none_or(|last| last < update);
    *last = Some(update);
    plausible
}

fn ended(end: Option<EndReason>, received: &Received) -> Finish {
    let last_report = received.report.as_ref().is_some_and(|report| report.last);
    let reason = match end {
        Some(EndReason::Finished) if last_report => return Finish::Complete,
        Some(EndReason::Finished) => "it finished before the end".into(),
        Some(EndReason::PeerDied) if received.given_up => {
            "it stopped reading, so its process was killed".into()
        }
        Some(EndReason::PeerDied) => "its process died".into(),
        Some(EndReason::Aborted { code: BAD_FRAME }) => {
            "it received bytes that were no messages".into()
        }
        Some(EndReason::Aborted { code }) => format!("it aborted with code {code}"),
        Some(EndReason::Corrupt) => "the header of its ring makes no sense".into(),
        Some(EndReason::Rejected) => "it says that our ring's header makes no sense".into(),
        Some(reason) => format!("{reason:?}"),
        None => "its stream broke".into(),
    };
    Finish::Gone(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(update: u64) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message.extend_from_slice(&update.to_le_bytes());
        message
    }

    #[test]
    fn only_published_and_newer_updates_can_be_answered() {
        let mut last = None;
        assert!(is_new_answer(&mut last, &answer(0), 1));
        assert!(is_new_answer(&mut last, &answer(5), 6));
        assert!(!is_new_answer(&mut last, &answer(5), 6), "answered twice");
        assert!(
            !is_new_answer(&mut last, &answer(6), 6),
            "not yet published"
        );
        assert!(
            !is_new_answer(&mut last, &answer(6)[..HEADER], 9),
            "no update named"
        );
    }
}
