//! Changes of a board as lines: for people and other programs, or as JSON.

use std::io::{BufWriter, Write};

use serde_json::{Map, Value, json};
use slipring::{
    board::Change,
    feed::{End, EndReason, Restarted, Sequence},
};

use crate::{
    console::{self, printable},
    failure::Failure,
    records::StandardOutput,
    subscribe::{hex, reason},
};

pub struct Printer {
    output: BufWriter<StandardOutput>,
    is_json: bool,
}

impl Printer {
    pub fn new(is_json: bool) -> Self {
        Self {
            output: StandardOutput::buffered(),
            is_json,
        }
    }

    pub fn change(&mut self, change: Change<'_>) -> Result<(), Failure> {
        match change {
            Change::Set {
                key,
                value,
                version,
            } => self.set(key, value, version),
            Change::Removed { key } if self.is_json => self.object("removed", [text("key", key)]),
            Change::Removed { key } => {
                writeln!(self.output, "{}", shown(key)).map_err(Failure::writing_output)
            }
        }
    }

    pub fn set(&mut self, key: &[u8], value: &[u8], version: Sequence) -> Result<(), Failure> {
        if self.is_json {
            let version = ("version".to_owned(), version.into());
            return self.object("set", [text("key", key), text("value", value), version]);
        }
        writeln!(self.output, "{}\t{}", shown(key), shown(value)).map_err(Failure::writing_output)
    }

    pub fn restarted(&mut self, restarted: Restarted) -> Result<(), Failure> {
        let epoch = format!("{:016x}", restarted.epoch);
        if self.is_json {
            return self.object("restarted", [("epoch".to_owned(), epoch.into())]);
        }
        self.say(format_args!(
            "connected to another publisher, {epoch}; no key of the last one is left"
        ))
    }

    pub fn ended(&mut self, end: End, reconnecting: bool) -> Result<(), Failure> {
        if self.is_json {
            let (reason, code) = reason(end.reason);
            let code = code.map(|code| ("code".to_owned(), code.into()));
            let fields = [
                ("reason".to_owned(), reason.into()),
                ("next".to_owned(), end.next.into()),
                ("reconnecting".to_owned(), reconnecting.into()),
            ];
            return self.object("ended", fields.into_iter().chain(code));
        }
        if reconnecting {
            self.say(format_args!("{}; waiting for another publisher", said(end)))
        } else if end.reason == EndReason::Finished {
            self.say(said(end))
        } else {
            // The failure says it.
            Ok(())
        }
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush().map_err(Failure::writing_output)
    }

    /// On standard error, behind the lines before it.
    fn say(&mut self, what: impl std::fmt::Display) -> Result<(), Failure> {
        self.flush()?;
        console::log(what);
        Ok(())
    }

    fn object(
        &mut self,
        event: &str,
        fields: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), Failure> {
        let mut object = Map::from_iter([("event".to_owned(), json!(event))]);
        object.extend(fields);
        writeln!(self.output, "{}", Value::Object(object)).map_err(Failure::writing_output)
    }
}

/// The end of a board, whose numbers are those of changes.
fn said(end: End) -> String {
    end.to_string().replace("next record", "next change")
}

/// Bytes that somebody else chose, for people.
pub fn shown(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

fn text(name: &str, bytes: &[u8]) -> (String, Value) {
    match str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.into()),
        Err(_) => (format!("{name}_hex"), hex(bytes).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_hex() {
        assert_eq!(text("key", b"a\n"), ("key".to_owned(), "a\n".into()));
        assert_eq!(text("key", b"\xff"), ("key_hex".to_owned(), "ff".into()));
        assert_eq!(shown(b"a\tb\xff"), "a\\tb\u{fffd}");
    }
}
