//! What slipring sets out to reach, compared with what was measured.

use serde::Serialize;
use slipring::Spin;

use super::{
    contender::{BARE_EXCHANGE, EVENTFD_EPOLL, EVENTFD_READ, UNIX, slipring_name},
    results::Results,
    stats::Spread,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    NotMet,
    NotMeasured,
    /// Something else kept the machine busy, or the scheduler changed its mind: the rounds differ
    /// too much for a verdict.
    Unsteady,
}

#[derive(Serialize)]
pub struct Goal {
    pub goal: String,
    pub verdict: Verdict,
    /// slipring's median divided by the other's, where there is a verdict
    pub ratio: Option<f64>,
    /// what it was compared with, if there was a choice
    pub compared_with: Option<String>,
}

/// On how many cores the processes ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    One,
    Several,
}

enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

struct Aim {
    text: &'static str,
    case: &'static str,
    spin: Spin,
    against: &'static [&'static str],
    limit: Limit,
    /// meaningful only there
    cores: Option<Cores>,
}

/// Slipring's measurement, the other's, and whose that is.
type Compared = (Spread, Spread, &'static str);

fn aims() -> [Aim; 5] {
    let aim = |text, case, spin, against, limit, cores| Aim {
        text,
        case,
        spin,
        against,
        limit,
        cores,
    };
    let bare_eventfd = &[EVENTFD_READ, EVENTFD_EPOLL];
    let default = Spin::default();
    [
        aim(
            "round trip of 64 B, spinning, on two cores: at most 1.2 x the bare exchange",
            "rtt-64",
            Spin::Always,
            &[BARE_EXCHANGE],
            Limit::AtMost(1.2),
            Some(Cores::Several),
        ),
        aim(
            "round trip of 64 B, sleeping, on one core: at most 0.7 x the Unix socket",
            "rtt-64",
            Spin::Never,
            &[UNIX],
            Limit::AtMost(0.7),
            Some(Cores::One),
        ),
        aim(
            "round trip of 64 B, sleeping, on one core: at most 1.25 x the bare eventfd",
            "rtt-64",
            Spin::Never,
            bare_eventfd,
            Limit::AtMost(1.25),
            Some(Cores::One),
        ),
        aim(
            "throughput with writes of 64 KiB, adaptive: at least 3 x the Unix socket",
            "stream-64k",
            default,
            &[UNIX],
            Limit::AtLeast(3.0),
            None,
        ),
        aim(
            "throughput with plain writes of 64 B, adaptive: at least 15 x the Unix socket",
            "stream-64",
            default,
            &[UNIX],
            Limit::AtLeast(15.0),
            None,
        ),
    ]
}

pub fn goals(results: &Results, cores: Cores) -> Vec<Goal> {
    aims().iter().map(|aim| aim.judge(results, cores)).collect()
}

/// What the medians of slipring and of another say, and slipring's divided by the other's.
pub fn judge(
    compared: Option<(Spread, Spread)>,
    met: impl Fn(f64) -> bool,
) -> (Verdict, Option<f64>) {
    let Some((ours, theirs)) = compared else {
        return (Verdict::NotMeasured, None);
    };
    let ratio = ours.over(theirs);
    let verdict = match ratio.map(met) {
        Some(true) => Verdict::Met,
        Some(false) => Verdict::NotMet,
        None => Verdict::Unsteady,
    };
    (verdict, ratio)
}

impl Aim {
    fn judge(&self, results: &Results, cores: Cores) -> Goal {
        let measured = match self.cores {
            Some(needed) if needed != cores => None,
            _ => self.measured(results),
        };
        let compared = measured.map(|(ours, theirs, _)| (ours, theirs));
        let (verdict, ratio) = judge(compared, |ratio| match self.limit {
            Limit::AtMost(limit) => ratio <= limit,
            Limit::AtLeast(limit) => ratio >= limit,
        });
        Goal {
            goal: self.text.into(),
            verdict,
            ratio,
            compared_with: measured
                .filter(|_| self.against.len() > 1)
                .map(|(_, _, against)| against.into()),
        }
    }

    fn measured(&self, results: &Results) -> Option<Compared> {
        let case = results.case(self.case)?;
        let (ours, _) = case.lowest(&[&slipring_name(self.spin)])?;
        let (theirs, name) = case.lowest(self.against)?;
        Some((ours, theirs, name))
    }
}
