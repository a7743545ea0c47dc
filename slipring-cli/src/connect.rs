//! `slipring connect`: connects to a name and joins it to the standard streams or a command.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use crate::{
    attach::{AttachArgs, Circumstances},
    console,
    failure::Failure,
    options::{StreamArgs, name_parser},
    units::{FOREVER, parse_duration},
};

pub const EXAMPLES: &str = "\
The end of standard input ends only that direction; what the peer sends is still read to its end. \
SIGTERM and SIGHUP end the stream in order, as closing a socket does; for the peer Ctrl-C is a \
loss. A CMD that a signal killed is a loss for the peer, too. CMD gets a SIGTERM if this is told \
to end, and a SIGHUP if it goes on although its peer was lost.

Examples:
  tar c . | slipring connect backup            # and elsewhere: slipring listen backup > backup.tar
  printf 'b\\na\\n' | slipring connect sorter    # and elsewhere: slipring listen sorter -- sort
  slipring connect --wait=10s --progress bulk < image.iso
  slipring connect /run/app/control

Exit code: 0 after a clean end, 3 if the peer was lost, 4 if no connection came about; see \
`slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name that the other side listens at: NAME or Local/NAME (this user), Global/NAME (this
    /// machine), or an absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// If nobody listens yet, wait for that: for ever, or for this long (--wait=500ms, --wait=10s)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration
    )]
    wait: Option<Option<Duration>>,

    #[command(flatten)]
    attach: AttachArgs,

    #[command(flatten)]
    stream: StreamArgs,
}

/// The time after which a slow connect says on standard error why it waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says once why the connect waits, unless it is dropped before.
struct Patience {
    _waiting: Sender<()>,
}

impl Patience {
    fn begin(name: &OsStr, waits_for_name: bool) -> Patience {
        let (waiting, over) = channel::<()>();
        let name = name.to_string_lossy().into_owned();
        thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                console::log(if waits_for_name {
                    format!(
                        "still waiting: nobody is bound to {name} yet, or its listener has not \
                            accepted"
                    )
                } else {
                    format!("still waiting: {name} is bound, and its listener has not accepted yet")
                });
            }
        });
        Patience { _waiting: waiting }
    }
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    args.attach.check()?;
    let mut options = args.stream.options();
    if let Some(wait) = args.wait {
        options = options.wait_for_listener(wait.unwrap_or(FOREVER));
    }
    let stream = {
        let _patience = Patience::begin(&args.name, args.wait.is_some());
        options.connect(&args.name)?
    };
    if args.attach.verbose {
        let peer = stream.peer();
        match peer.pid {
            Some(pid) => console::log(format_args!(
                "connected to process {pid} of user {}",
                peer.uid
            )),
            None => console::log(format_args!("connected to a process of user {}", peer.uid)),
        }
    }
    let circumstances = Circumstances {
        alone: true,
        // ssh ends its ProxyCommand by SIGHUP, each time.
        orderly: true,
        limit: None,
    };
    args.attach.run_once(stream, circumstances)
}
