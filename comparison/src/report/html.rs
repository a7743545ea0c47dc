//! The report: one page that needs nothing else.

use std::fmt::Write;

use super::{capitalised, charts, escape, text};
use crate::{
    Setup,
    contender::Side,
    results::{CaseResult, Figures},
};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0 }
td, th { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
td:first-child, th:first-child, td:last-child, th:last-child { text-align: left }
td:last-child { white-space: normal; color: #666 }
tr.slipring td:first-child { font-weight: 600; color: #0b6e4f } tr.limit { color: #8a8a8a }
svg { width: 100%; max-width: 860px; font-size: 12px } svg .grid { stroke: #e4e4e4 }
.wide { overflow-x: auto } code { background: #f3f3f3; padding: 0 3px }
";

const HOW_TO_READ: &str = "
<h2>How to read it</h2>
<ul>
<li>Two processes on one machine, but for what says that it uses threads. All contenders of a case run in turn, round by round: compare within a
case of one run, never between runs or machines. The value is the median of the rounds, with the least and the greatest beside it; when these lie far apart, the
machine is noisy, or it matters where in their pages the messages lie, which changes from round to round; small differences mean nothing then.</li>
<li>Everybody copies the message in and copies it out, but where it says &ldquo;in place&rdquo;. Before a contender is measured, every byte of some thousand messages is compared.</li>
<li>Round trip: one message there and back, one at a time. p99, p99.9 and max are of all rounds together. &ldquo;to bare&rdquo;: divided by two processes
that spin on a flag in shared memory with the message beside it. &ldquo;to Unix&rdquo;: divided by the Unix socket. On one core that is
an eventfd with the message in shared memory (&ldquo;to eventfd&rdquo;), and nobody takes part who only spins. &ldquo;to region&rdquo;: divided by one core that
writes and one that reads a shared region in slots of 64 KiB. All divide the values of a round, and are the median of that.</li>
<li>Throughput: from the first message's sending to the last one's arrival. Higher is better here, and in its ratios. Filled and read: every byte is written (by memset) by
the sender and read by the receiver, in place or in memory of their own. 64 at a time: sent one by one, published once.</li>
<li>At a fixed rate, latency is one-way, from the time when a message was <em>due</em>: whoever is late once pays for all messages that had to wait
(no coordinated omission). The sender keeps time by spinning, so only the share of time inside its <code>send</code> is told; and the CPU time of the receiving process, 100 % being a core.</li>
<li>Streams: round trips over all of them at the same time, with a thread for each on both sides (on tokio a task); how many a second in all. Memory is what both processes have
in use after the first message, threads included: all of slipring's two rings, of other rings what has been touched; without what the kernel keeps for sockets.</li>
<li>CPU s: seconds of CPU time of the sender and of the receiver, over all rounds.</li>
<li>The caveat says what a contender does differently. Who polls is fast at the price of a core for every waiting reader, and has nobody to miss when its peer dies.</li>
</ul>
";

pub fn page(setup: &Setup, results: &[CaseResult]) -> String {
    // Writing to a String cannot fail.
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>slipring compared</title>\n<style>{STYLE}</style>\n<h1>slipring compared</h1>\n<p>{}</p>\n",
        escape(&text::header(setup))
    );
    page += HOW_TO_READ;
    let figures: Vec<(&CaseResult, Vec<Figures>)> = results
        .iter()
        .map(|result| (result, result.figures()))
        .collect();

    page += &charts::all(&figures);

    page += "<h2>All figures</h2>\n";
    for (result, rows) in &figures {
        page += &table(result, rows);
    }
    page + "</html>\n"
}

fn table(result: &CaseResult, rows: &[Figures]) -> String {
    let mut html = format!(
        "<h3>{}</h3>\n<div class=\"wide\"><table><tr>",
        capitalised(result.case.title)
    );
    for column in text::columns(result.case) {
        let _ = write!(html, "<th>{column}</th>");
    }
    for row in rows {
        let _ = write!(
            html,
            "</tr>\n<tr class=\"{}\">",
            match row.side {
                Side::Slipring => "slipring",
                Side::Peer => "peer",
                Side::Limit => "limit",
            }
        );
        for cell in text::cells(result, row) {
            let _ = write!(html, "<td>{}</td>", escape(&cell));
        }
        if let Some(failure) = &row.failure {
            let _ = write!(html, "<td>failed: {}</td>", escape(failure));
        }
    }
    html += "</tr></table></div>\n";
    if let Some(note) = text::disturbance(result) {
        let _ = writeln!(html, "<p>{note}</p>");
    }
    html
}
