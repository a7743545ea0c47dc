//! An engine that publishes prices, a panel that follows each of them, and one that paints sixty
//! times a second and shows the newest. The engine pays for neither.
//!
//! ```text
//! cargo run --example feed
//! ```

use slipring::feed::{Event, Publisher, Start, SubscriberOptions, Wake};
use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const PRICES: u64 = 200_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("follow"), Some(name)) => return follow(&name),
        (Some("paint"), Some(name)) => return paint(&name),
        _ => {}
    }
    let name = format!("prices-{}", std::process::id());
    let mut publisher = Publisher::bind(&name)?;
    let panel = |role: &str| {
        let mut program = Command::new(std::env::current_exe()?);
        program.args([role, &name]).spawn()
    };
    let panels = [panel("follow")?, panel("paint")?];
    while publisher.subscribers().len() < panels.len() {
        sleep(Duration::from_millis(1));
    }
    for price in 0..PRICES {
        publisher.publish(&price.to_le_bytes())?;
    }
    publisher.finish();
    for mut panel in panels {
        assert!(panel.wait()?.success());
    }
    Ok(())
}

fn price(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload.try_into().expect("a price has 8 bytes"))
}

/// Follows every price, and knows of each that it missed.
fn follow(name: &str) -> io::Result<()> {
    let mut feed = SubscriberOptions::new().start(Start::At(0)).connect(name)?;
    let (mut received, mut missed) = (0, 0);
    loop {
        match feed.recv()? {
            Event::Record(record) => {
                assert_eq!(price(record.payload), record.sequence);
                received += 1;
            }
            Event::Lagged(lagged) => missed += lagged.missed,
            Event::Restarted(_) => unreachable!("it does not reconnect"),
            Event::Ended(_) => break,
        }
    }
    println!(
        "{} prices received or known to be missed",
        received + missed
    );
    Ok(())
}

/// Shows the newest price in each frame. Nobody wakes it.
fn paint(name: &str) -> io::Result<()> {
    let mut feed = SubscriberOptions::new()
        .start(Start::At(0))
        .wake(Wake::Never)
        .connect(name)?;
    let (mut shown, mut skipped) = (0, 0);
    loop {
        match feed.latest()? {
            Some(Event::Record(record)) => {
                shown += 1;
                skipped += record.skipped;
            }
            // The newest one was overwritten while it was copied.
            Some(Event::Lagged(lagged)) => skipped += lagged.missed,
            Some(Event::Restarted(_)) => unreachable!("it does not reconnect"),
            Some(Event::Ended(_)) => break,
            None => sleep(Duration::from_millis(16)),
        }
    }
    println!("{} prices shown or skipped", shown + skipped);
    Ok(())
}
