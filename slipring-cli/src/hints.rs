//! Hints for frequent mistakes on the command line, where clap's own words mislead.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::units::parse_duration;

/// The error with a hint, if there is one for this command line.
pub fn hinted(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if let Some(hint) = hint(&error, arguments) {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedValue);
        let hints = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, hints);
    }
    error
}

fn hint(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let arguments: Vec<&str> = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .collect();
    let command = *arguments.get(1)?;
    if error.kind() != ErrorKind::UnknownArgument
        || !["listen", "connect", "subscribe", "board"].contains(&command)
    {
        return None;
    }
    if wrong.starts_with("--wait") && command == "listen" {
        return Some("`listen` always waits, for as long as it takes".to_owned());
    }
    if wrong.starts_with('-') {
        return None;
    }
    let time = arguments
        .windows(2)
        .find(|pair| pair[0] == "--wait")
        .map(|pair| pair[1]);
    if let Some(time) = time.filter(|time| parse_duration(time).is_ok()) {
        return Some(format!(
            "`{time}` was taken for the name; write the time as `--wait={time}`"
        ));
    }
    if ["subscribe", "board"].contains(&command) {
        return None;
    }
    Some(format!(
        "a command comes after two dashes: `slipring {command} NAME -- {wrong}`"
    ))
}
