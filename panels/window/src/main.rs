//! The window; `slipring-panels-engine` is what it looks at.
//!
//! ```text
//! cargo run -p slipring-panels-window -- market
//! ```

use clap::Parser;
use eframe::egui::ViewportBuilder;
use slipring_panels_window::Panel;

/// A window with the prices of an engine, which may be started before or after
#[derive(Debug, Parser)]
struct Args {
    /// The name of the engine
    name: String,
}

fn main() -> eframe::Result {
    let args = Args::parse();
    let options = eframe::NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title(format!("slipring: {}", args.name))
            .with_inner_size([1360.0, 820.0]),
        ..eframe::NativeOptions::default()
    };
    let panel = Panel::new(&args.name);
    eframe::run_native("slipring-panel", options, Box::new(|_| Ok(Box::new(panel))))
}
