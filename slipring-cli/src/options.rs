//! The options that subcommands have in common: of streams, and of feeds.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    time::Duration,
};

use clap::{
    Arg, Command,
    builder::{OsStringValueParser, PossibleValue, StringValueParser, TypedValueParser},
};
use slipring::{Listener, Name, Options, Peers, Spin};

use crate::{
    failure::Failure,
    units::{parse_duration, parse_size},
};

/// The longest protocol name that the handshake carries.
const PROTOCOL_LIMIT: usize = 64;

/// How long a handshake may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The same as `--capacity` allows on the other side; the library alone would stop a peer earlier.
pub const PEER_CAPACITY: usize = 1 << 30;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Stream options")]
pub struct StreamArgs {
    /// Room for the bytes under way from here to the peer, to begin with: a power of two from one
    /// page to 1G, with K, M or G for powers of 1024 [default: 16K]
    #[arg(long, value_name = "SIZE", value_parser = parse_capacity)]
    capacity: Option<usize>,

    /// How far that room may grow while bytes flow: a power of two from the capacity to 1G
    /// [default: 1M, or the capacity if that is more]
    #[arg(long, value_name = "SIZE", value_parser = parse_capacity)]
    max_capacity: Option<usize>,

    /// How long to poll the shared memory before going to sleep: never, always, adaptive, or a
    /// time such as 20us
    #[arg(
        long,
        value_name = "MODE",
        value_parser = SpinParser,
        hide_possible_values = true,
        default_value = "adaptive"
    )]
    spin: Spin,

    #[command(flatten)]
    peer: PeerArgs,
}

/// Which other side is let in, or believed.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerArgs {
    /// The protocol spoken; both sides must give the same name, of at most 64 bytes [default: none]
    #[arg(long, value_name = "NAME", value_parser = parse_protocol)]
    pub protocol: Option<String>,

    /// How long a handshake may take, with a unit of ns, us, ms, s, m or h [default: 5s]. If it is
    /// given, waiting in the queue of a listener may take no longer either
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// Let in this user as well as yourself and root, given by number; may be repeated
    #[arg(long, value_name = "UID", conflicts_with = "allow_anyone")]
    allow_user: Vec<u32>,

    /// Let in every user of this machine
    #[arg(long)]
    allow_anyone: bool,
}

impl StreamArgs {
    pub fn options(&self) -> Options {
        let mut options = Options::new()
            .spin(self.spin)
            .max_peer_capacity(PEER_CAPACITY);
        // By default a client waits its turn in the queue of a listener, for as long as it takes.
        if let Some(timeout) = self.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        if let Some(bytes) = self.capacity {
            options = options.capacity(bytes);
        }
        if let Some(bytes) = self.max_capacity {
            options = options.max_capacity(bytes);
        }
        if let Some(protocol) = &self.peer.protocol {
            options = options.protocol(protocol);
        }
        match self.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }

    pub fn timeout(&self) -> Duration {
        self.peer.timeout.unwrap_or(TIMEOUT)
    }
}

impl PeerArgs {
    /// `None`: this user and root.
    pub fn peers(&self) -> Option<Peers> {
        if self.allow_anyone {
            Some(Peers::Anyone)
        } else if !self.allow_user.is_empty() {
            Some(Peers::Users(self.allow_user.clone()))
        } else {
            None
        }
    }
}

/// Binds a name, or takes it over from a predecessor or a service manager. A path in a directory
/// that does not exist gets an error of its own.
pub fn bind(options: &Options, name: impl AsRef<OsStr>) -> Result<Listener, Failure> {
    let name = name.as_ref();
    let listener = options.inherit_or_bind(name);
    listener.map_err(|error| not_bound(error, name))
}

/// Why a name could not be bound.
pub fn not_bound(error: slipring::Error, name: &OsStr) -> Failure {
    let path = Path::new(name);
    match path.parent() {
        Some(directory) if path.is_absolute() && !directory.exists() => {
            Failure::unreachable(format!(
                "there is no directory {}; make it, or choose another path",
                directory.display()
            ))
        }
        _ => error.into(),
    }
}

/// A slipring name. Checked while the command line is parsed, so that a malformed one is a usage
/// error.
pub fn name_parser() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|text| match Name::parse(&text) {
        Ok(_) => Ok(text),
        Err(_) if text.to_string_lossy().starts_with("mmf:") => Err(format!(
            "a ring in a file is no name; join it to standard input and output with: slipring \
                forward {} -",
            text.to_string_lossy()
        )),
        Err(error) => Err(error.to_string()),
    })
}

fn parse_protocol(text: &str) -> Result<String, String> {
    if text.len() > PROTOCOL_LIMIT {
        return Err(format!(
            "a protocol name has at most {PROTOCOL_LIMIT} bytes, this has {}",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

/// A capacity that a ring can have. Checked while the command line is parsed, so that another one
/// is a usage error.
pub fn parse_capacity(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text)?;
    if bytes.is_power_of_two() && (rustix::param::page_size()..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!(
            "{text} is no capacity; write a power of two from one page to 1G, such as 256K"
        ))
    }
}

/// Accepts the same words as [`parse_spin`], and offers them to completion.
#[derive(Debug, Clone, Copy)]
pub struct SpinParser;

impl TypedValueParser for SpinParser {
    type Value = Spin;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Spin, clap::Error> {
        let parser = StringValueParser::new().try_map(|text| parse_spin(&text));
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = ["never", "always", "adaptive"];
        Some(Box::new(words.into_iter().map(PossibleValue::new)))
    }
}

pub fn parse_spin(text: &str) -> Result<Spin, String> {
    match text {
        "never" => Ok(Spin::Never),
        "always" => Ok(Spin::Always),
        "adaptive" => Ok(Spin::default()),
        _ => parse_duration(text).map(Spin::UpTo).map_err(|why| {
            format!("write never, always, adaptive, or a time such as 20us ({why})")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_modes_are_parsed() {
        assert_eq!(parse_spin("never"), Ok(Spin::Never));
        assert_eq!(parse_spin("always"), Ok(Spin::Always));
        assert_eq!(parse_spin("adaptive"), Ok(Spin::default()));
        assert_eq!(
            parse_spin("20us"),
            Ok(Spin::UpTo(Duration::from_micros(20)))
        );
        assert!(parse_spin("sometimes").unwrap_err().contains("adaptive"));
    }

    #[test]
    fn a_spin_mode_that_is_written_is_read_back() {
        for spin in [
            Spin::Never,
            Spin::Always,
            Spin::default(),
            Spin::UpTo(Duration::from_micros(20)),
        ] {
            assert_eq!(parse_spin(&slipring_bench::text::spin(spin)), Ok(spin));
        }
    }

    #[test]
    fn a_capacity_is_a_power_of_two_within_limits() {
        assert_eq!(parse_capacity("256K"), Ok(256 << 10));
        assert_eq!(parse_capacity("1g"), Ok(1 << 30));
        for wrong in ["0", "1", "3K", "2G", "256KB", "-4K", ""] {
            assert!(parse_capacity(wrong).is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn protocol_names_are_bounded() {
        assert!(parse_protocol(&"x".repeat(64)).is_ok());
        assert!(parse_protocol(&"x".repeat(65)).unwrap_err().contains("65"));
    }
}
