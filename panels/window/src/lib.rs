//! A panel: a table of the newest prices, the line of one of them, orders and fills.
//!
//! The prices come from a board that is looked at once a frame; no process wakes this one. Fills
//! come from a feed, and an order goes over a stream. An engine that dies is shown as lost, and the
//! panel goes on with the next one.

mod look;
mod market;
mod orders;
mod side;
mod table;
mod top;

use eframe::egui::{self, CentralPanel, Frame, Margin, Ui};
use market::Market;
use std::time::Duration;
use table::View;

/// A frame at sixty a second.
const FRAME: Duration = Duration::from_micros(16_667);

/// The whole panel.
pub struct Panel {
    name: String,
    market: Market,
    view: View,
    quantity: i64,
    is_styled: bool,
}

impl Panel {
    /// A panel of the engine of this name, which need not be there yet.
    pub fn new(engine: &str) -> Panel {
        Panel {
            name: engine.to_owned(),
            market: Market::new(engine),
            view: View::default(),
            quantity: 100,
            is_styled: false,
        }
    }

    /// Looks at what is new, and paints a frame.
    pub fn show(&mut self, ui: &mut Ui) {
        if !self.is_styled {
            look::apply(ui.ctx());
            self.is_styled = true;
        }
        self.market.look();
        let Panel {
            market,
            view,
            quantity,
            ..
        } = self;
        if view.chosen.is_none() {
            view.chosen = view
                .rows(&market.rows)
                .first()
                .map(|row| row.symbol.clone());
        }
        let margin = Frame::new()
            .fill(look::BACK)
            .inner_margin(Margin::symmetric(16, 10));
        egui::Panel::top("top").frame(margin).show(ui, |ui| {
            top::bar(ui, market, &self.name);
            top::news(ui, market);
        });
        egui::Panel::right("side")
            .exact_size(430.0)
            .resizable(false)
            .frame(margin)
            .show(ui, |ui| {
                side::show(ui, market, view.chosen.as_deref(), quantity)
            });
        CentralPanel::no_frame()
            .frame(margin)
            .show(ui, |ui| table::show(ui, market, view));
        ui.ctx().request_repaint_after(FRAME);
    }
}

impl eframe::App for Panel {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }
}
