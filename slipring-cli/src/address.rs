//! The addresses that `forward` joins: `slip:NAME`, `tcp:HOST:PORT`, `unix:PATH`, and each with
//! `-listen` for the side that waits; rings in files, `mmf:PATH`; and `-`, this process's own input
//! and output.

use std::{fmt, path::PathBuf, str::FromStr};

use slipring::Name;

use crate::units::parse_size;

/// Where one side of a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Slip(String),
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
    Mmf(Rings),
    Standard,
}

/// The rings of C# programs, one each way or only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rings {
    pub files: Files,
    /// The size of each file, in bytes: one that is not there is made.
    pub size: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Read from if it is where bytes come from, written into if it is where they go to.
    One(PathBuf),
    Both {
        incoming: PathBuf,
        outgoing: PathBuf,
    },
}

/// A place, and whether to connect to it or to wait there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub place: Place,
    pub listen: bool,
}

const KINDS: &str = "slip:NAME, slip-listen:NAME, tcp:HOST:PORT, tcp-listen:HOST:PORT, unix:PATH, \
                     unix-listen:PATH, mmf:PATH, mmf:IN,OUT or -";

/// The smallest file that has room for a ring.
const SMALLEST_RING: usize = 17;

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self {
                place: Place::Standard,
                listen: false,
            });
        }
        let (kind, rest) = text
            .split_once(':')
            .ok_or_else(|| format!("no kind of address; write {KINDS}"))?;
        let (kind, listen) = kind
            .strip_suffix("-listen")
            .map_or((kind, false), |kind| (kind, true));
        let place = match kind {
            "slip" => slip(rest)?,
            "tcp" => tcp(rest, listen)?,
            "unix" => unix(rest)?,
            "mmf" if listen => {
                return Err("a file has nobody to listen; write mmf:PATH or mmf:IN,OUT".to_owned());
            }
            "mmf" => mmf(rest)?,
            _ => return Err(format!("`{kind}` is not a kind of address; write {KINDS}")),
        };
        Ok(Self { place, listen })
    }
}

fn slip(name: &str) -> Result<Place, String> {
    Name::parse(name).map_err(|error| error.to_string())?;
    Ok(Place::Slip(name.to_owned()))
}

fn tcp(text: &str, listen: bool) -> Result<Place, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(|| {
            "no port after the IPv6 address; write it as in tcp:[::1]:80".to_owned()
        })?,
        None => text.rsplit_once(':').ok_or_else(|| no_host_or_port(text))?,
    };
    if host.contains(':') && !text.starts_with('[') {
        return Err("an IPv6 address needs brackets; write it as in tcp:[::1]:80".to_owned());
    }
    if host.contains(['[', ']']) {
        return Err("brackets are for one IPv6 address; write it as in tcp:[::1]:80".to_owned());
    }
    if host.is_empty() {
        return Err(NO_HOST.to_owned());
    }
    let port: u16 = port
        .parse()
        .map_err(|_| format!("`{port}` is not a port; write a number from 1 to 65535"))?;
    if port == 0 && !listen {
        return Err(
            "port 0 is for tcp-listen, where the system picks one; write a number from 1 to 65535"
                .to_owned(),
        );
    }
    Ok(Place::Tcp {
        host: host.to_owned(),
        port,
    })
}

const NO_HOST: &str = "no host; write tcp:HOST:PORT, with 127.0.0.1 for this machine only and \
                       0.0.0.0 or [::] to listen on all its addresses";

/// A number alone is a port.
fn no_host_or_port(text: &str) -> String {
    if text.parse::<u16>().is_ok() {
        NO_HOST.to_owned()
    } else {
        "no port; write tcp:HOST:PORT, e.g. tcp:localhost:80".to_owned()
    }
}

fn unix(path: &str) -> Result<Place, String> {
    if path.is_empty() {
        return Err("no path; write unix:PATH, e.g. unix:/run/app.sock".to_owned());
    }
    Ok(Place::Unix(path.into()))
}

fn mmf(text: &str) -> Result<Place, String> {
    let (paths, size) = match text.split_once('?') {
        None => (text, None),
        Some((paths, setting)) => {
            let size = setting
                .strip_prefix("size=")
                .ok_or("only a size can follow the question mark; write mmf:PATH?size=4096")?;
            let bytes = parse_size(size)?;
            if bytes < SMALLEST_RING {
                return Err(format!(
                    "a file of {bytes} bytes has no room for a ring; write a size of 17 or more"
                ));
            }
            (paths, Some(bytes as u64))
        }
    };
    let files = match paths.split_once(',') {
        None => Files::One(paths.into()),
        Some((incoming, outgoing)) => Files::Both {
            incoming: incoming.into(),
            outgoing: outgoing.into(),
        },
    };
    let wrong = match &files {
        Files::One(path) => path.as_os_str().is_empty(),
        Files::Both { incoming, outgoing } => {
            incoming.as_os_str().is_empty()
                || outgoing.as_os_str().is_empty()
                || outgoing.to_string_lossy().contains(',')
                || incoming == outgoing
        }
    };
    if wrong {
        return Err(
            "write one file, as in mmf:/dev/shm/quotes, or two different ones: the one to read and \
             the one to write, as in mmf:/dev/shm/orders,/dev/shm/quotes"
                .to_owned(),
        );
    }
    Ok(Place::Mmf(Rings { files, size }))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slip(name) => f.write_str(name),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Mmf(rings) => {
                match &rings.files {
                    Files::One(path) => write!(f, "{}", path.display())?,
                    Files::Both { incoming, outgoing } => {
                        write!(f, "{},{}", incoming.display(), outgoing.display())?
                    }
                }
                match rings.size {
                    Some(size) => write!(f, "?size={size}"),
                    None => Ok(()),
                }
            }
            Self::Standard => f.write_str("-"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.place {
            Place::Slip(_) => "slip",
            Place::Tcp { .. } => "tcp",
            Place::Unix(_) => "unix",
            Place::Mmf(_) => "mmf",
            Place::Standard => return f.write_str("-"),
        };
        let listen = if self.listen { "-listen" } else { "" };
        write!(f, "{kind}{listen}:{}", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> String {
        text.parse::<Address>().expect_err(text)
    }

    #[test]
    fn addresses_of_every_kind_are_parsed() {
        let tcp = |host: &str, port| Place::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            parse("tcp:localhost:80"),
            Address {
                place: tcp("localhost", 80),
                listen: false
            }
        );
        assert_eq!(
            parse("tcp-listen:127.0.0.1:0"),
            Address {
                place: tcp("127.0.0.1", 0),
                listen: true
            }
        );
        assert_eq!(
            parse("tcp:[::1]:80"),
            Address {
                place: tcp("::1", 80),
                listen: false
            }
        );
        assert_eq!(
            parse("unix:/run/x:y"),
            Address {
                place: Place::Unix("/run/x:y".into()),
                listen: false
            }
        );
        assert_eq!(
            parse("unix-listen:a b"),
            Address {
                place: Place::Unix("a b".into()),
                listen: true
            }
        );
        assert_eq!(
            parse("slip:a"),
            Address {
                place: Place::Slip("a".to_owned()),
                listen: false
            }
        );
        assert_eq!(
            parse("slip-listen:Global/a"),
            Address {
                place: Place::Slip("Global/a".to_owned()),
                listen: true
            }
        );
    }

    #[test]
    fn addresses_of_rings_are_parsed() {
        let mmf = |files, size| Address {
            place: Place::Mmf(Rings { files, size }),
            listen: false,
        };
        let one = |path: &str| Files::One(path.into());
        assert_eq!(parse("mmf:/dev/shm/a:b"), mmf(one("/dev/shm/a:b"), None));
        assert_eq!(parse("mmf:a?size=64K"), mmf(one("a"), Some(65536)));
        let both = Files::Both {
            incoming: "in".into(),
            outgoing: "out".into(),
        };
        assert_eq!(parse("mmf:in,out?size=17"), mmf(both, Some(17)));
        assert!(error("mmf-listen:a").contains("mmf:IN,OUT"));
        assert!(error("mmf:a?size=16").contains("17 or more"));
        assert!(error("mmf:a?size=").contains("256K"));
        assert!(error("mmf:a?mode=600").contains("size=4096"));
        for text in [
            "mmf:",
            "mmf:?size=64",
            "mmf:a,",
            "mmf:,a",
            "mmf:a,b,c",
            "mmf:a,a",
        ] {
            assert!(
                error(text).contains("mmf:/dev/shm/quotes"),
                "{text}: {}",
                error(text)
            );
        }
    }

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        for text in [
            "tcp:localhost:80",
            "tcp-listen:[::1]:0",
            "unix:/run/x",
            "unix-listen:x",
            "mmf:a?size=17",
            "mmf:a,b",
            "-",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn an_address_of_no_known_kind_is_told_all_kinds() {
        for text in [
            "",
            "name",
            "udp:host:1",
            "listen-tcp:host:1",
            "TCP:host:1",
            "-listen:x",
            ":x",
        ] {
            assert!(error(text).contains(KINDS), "{text}: {}", error(text));
        }
    }

    #[test]
    fn wrong_tcp_addresses_say_what_is_missing() {
        assert!(error("tcp:localhost").contains("tcp:HOST:PORT"));
        assert!(error("tcp:").contains("tcp:HOST:PORT"));
        for text in ["tcp-listen::80", "tcp-listen:8080", "tcp:80"] {
            assert!(
                error(text).contains("no host") && error(text).contains("0.0.0.0"),
                "{text}"
            );
        }
        assert!(error("tcp:[::1]").contains("tcp:[::1]:80"));
        assert!(error("tcp:::1:80").contains("brackets"));
        for text in ["tcp:[[x]:80", "tcp:x]:80", "tcp:a[b]:80"] {
            assert!(error(text).contains("brackets"), "{text}: {}", error(text));
        }
        for text in ["tcp:h:", "tcp:h:http", "tcp:h:65536", "tcp:h:-1", "tcp:h:0"] {
            assert!(
                error(text).contains("from 1 to 65535"),
                "{text}: {}",
                error(text)
            );
        }
    }

    #[test]
    fn an_empty_path_is_wrong() {
        assert!(error("unix:").contains("unix:PATH"));
    }
}
