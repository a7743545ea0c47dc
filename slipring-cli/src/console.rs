//! The program's own output: lines on standard error, and text on standard output.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{failure::Failure, standard};

/// One line on standard error, headed by the program's name.
pub fn log(message: impl fmt::Display) {
    say(format_args!("slipring: {message}"));
}

/// One line on standard error as it is. Made whole before it is written, so that lines of several
/// threads do not mix. If standard error is gone there is nobody left to tell.
pub fn say(message: impl fmt::Display) {
    let line = format!("{message}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a command's whole output to standard output.
pub fn print(output: impl AsRef<[u8]>) -> Result<(), Failure> {
    standard::check_output()?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(output.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(Failure::writing_output)
}

/// Text that someone else chose, made safe for a terminal: control characters come out escaped.
pub fn printable(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            if c.is_control() {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("grün"), "grün");
    }
}
